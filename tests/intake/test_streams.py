"""Bulletins from hub to hub: each once whatever way it comes, none passed over, nobody's name without his signature."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_file, bulletin_seal, envelope
from channels.codecs.envelope import Envelope, Heartbeat, Hop
from store import arrivals, bulletins, peers, streams
from store.tables_peers import peer, peer_item, peer_key
from tests.bulletin_kit import xml
from tests.intake.peer_server import Site, peer_site
from tests.stream_kit import Neighbour, line
from tests.web.api_world import Clock


@pytest.fixture
def clock(at) -> Clock:
    return Clock(at)


@pytest.fixture
def hub(tmp_path, sqlite_model, pool, clock) -> Callable[[str], Neighbour]:
    return lambda name: Neighbour(name, tmp_path / name, sqlite_model, pool, clock)


def served(one: Neighbour) -> Any:
    return line(one.directory / "public")


def test_r19_h60_a_bulletin_goes_round_three_hubs_once_and_comes_back_to_nobody(hub, clock) -> None:
    a, b, c = hub("a"), hub("b"), hub("c")
    with served(a) as at_a, served(b) as at_b, served(c) as at_c:
        from_a, from_b, from_c = b.follow(a, at_a.url), c.follow(b, at_b.url), a.follow(c, at_c.url)
        straight = c.follow(a, at_a.url)  # the same by two ways
        a.say("flood", "fire")
        for _ in range(3):
            for one, ways in ((a, (from_c,)), (b, (from_a,)), (c, (from_b, straight))):
                one.turn(*ways)
                one.restart()
            clock.forward(seconds=61)
        assert a.names() == b.names() == c.names() == ["fire", "flood"]
        assert {x.seal for x in b.all()} == {"verified"}
        assert (a.head(), b.head(), c.head()) == (2, 2, 2)  # and nobody hands on what he has handed on
        assert (a.peer(from_c).loops, a.shelved()) == (2, [])
        hops = [
            json.loads((c.directory / f"public/public/peer/{n}.json").read_bytes())["hops"] for n in (1, 2)
        ]
        assert set(hops) <= {2, 3}


def test_r19_r36_a_number_that_a_proxy_drops_is_seen_and_fetched_within_90_seconds(hub, clock) -> None:
    a, b = hub("a"), hub("b")
    with served(a) as at_a:
        one = b.follow(a, at_a.url)
        a.say("n1", "n2", "n3")
        a.turn()
        at_a.cut.add("/public/peer/2.json")
        b.turn(one)
        assert b.names() == ["n1", "n3"]  # what came later has not to wait
        at_a.cut.clear()
        clock.forward(seconds=61)
        a.turn()
        b.turn(one)
        assert (b.names(), b.peer(one).reason) == (["n1", "n2", "n3"], "")


def test_r36_a_peer_whose_heartbeat_grows_old_is_red_within_three_minutes_though_its_files_answer(
    hub, clock
) -> None:
    a, b = hub("a"), hub("b")
    with served(a) as at_a:
        one = b.follow(a, at_a.url)
        a.turn()
        b.turn(one)
        assert not b.peer(one).is_silent(clock())
        for _ in range(2):
            clock.forward(seconds=60)
            a.turn()
            b.turn(one)
        assert not b.peer(one).is_silent(clock())
        for _ in range(4):  # its processes are gone, a web server serves on
            clock.forward(seconds=60)
            b.turn(one)
        assert b.peer(one).is_silent(clock())
        for _ in range(6):
            clock.forward(seconds=60)
            b.turn(one)
        assert (b.peer(one).reason, b.shelved()) == ("stale_heartbeat", [])
        a.turn()
        clock.forward(minutes=5)
        a.turn()
        b.turn(one)
        assert not b.peer(one).is_silent(clock())


def test_r19_a_partition_a_restart_and_a_replay_change_nothing(hub, clock) -> None:
    a, b = hub("a"), hub("b")
    with served(a) as at_a:
        one = b.follow(a, at_a.url)
        a.say("before")
        a.turn()
        b.turn(one)
        at_a.cut.add("*")
        for n in range(10):
            a.say(f"n{n:02}")
            a.turn()
            clock.forward(minutes=50)
            b.turn(one)
        assert b.names() == ["before"]
        b.restart()
        at_a.cut.clear()
        a.turn()
        clock.forward(minutes=6)
        a.turn()
        b.turn(one)
        assert b.names() == sorted(["before", *(f"n{n:02}" for n in range(10))])
        b.store.run(lambda u: u.execute(peer.update().values(head=0)))  # all of it again
        b.store.run(lambda u: u.execute(peer_item.delete()))
        clock.forward(seconds=61)
        a.turn()
        b.turn(one)
        assert len(b.names()) == 11 and b.head() == 11 and b.shelved() == []


def test_r19_who_reads_passes_over_the_numbers_that_a_restored_hub_left_out(hub, clock) -> None:
    a, b, c = hub("a"), hub("b"), hub("c")
    with served(a) as at_a, served(b) as at_b:
        from_a, from_b = b.follow(a, at_a.url), c.follow(b, at_b.url)
        a.say("n1")
        a.turn()
        a.store.run(lambda unit: streams.raise_to(unit, 4, clock()))
        a.say("n5")
        a.turn()
        b.turn(from_a)
        c.turn(from_b)
        assert (a.head(), b.peer(from_a).head) == (5, 5)
        assert b.names() == c.names() == ["n1", "n5"]
        assert (b.shelved(), b.peer(from_a).reason, b.peer(from_a).loops) == ([], "", 0)
        later = clock() + timedelta(days=1)
        assert not b.store.read(lambda u: peers.items_due(u, from_a, later, 9) or arrivals.due(u, later))
        assert b.head() == 2  # what is nothing is not handed on


# ---- what a peer with a good key may try

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


class Street:
    """A peer that writes its stream by hand."""

    def __init__(self, site: Site, victim: Neighbour) -> None:
        self.site, self.victim, self.hub = site, victim, "p@hub.example"
        self.one = victim.follow(victim, site.url)
        victim.pin(self.one, bulletin_seal.public_text(KEY))
        victim.store.run(lambda u: u.execute(peer_key.delete().where(
            peer_key.c.material == bulletin_seal.public_text(victim.keys.bulletin))))  # fmt: skip

    def put(self, seq: int, data: bytes, *, key: Ed25519PrivateKey = KEY) -> None:
        self.site.put(f"/public/peer/{seq}.json", data)
        self.site.put(f"/public/peer/{seq}.json.sig", bulletin_seal.sign(data, key).encode())

    def beat(self, head: int, **more: Any) -> None:
        values = {"hub": self.hub, "at": self.victim.clock(), "head": head, "last": (), **more}
        data = envelope.write_heartbeat(Heartbeat(**values), lambda said: bulletin_seal.sign(said, KEY))
        self.site.put("/public/peer/heartbeat.json", data)

    def made(self, body: bytes, before: tuple[Hop, ...] = (), **changes: Any) -> bytes:
        whole = Envelope(
            hub=self.hub, seq=1, path=(*before, envelope.hop(body, before, self.hub, KEY)), body=body
        )
        return json.dumps({**json.loads(envelope.write(whole)), **changes}).encode()


@pytest.fixture
def street(hub) -> Iterator[Street]:
    with peer_site() as site:
        yield Street(site, hub("v"))


def _hop(hub: str, body: bytes, key: Ed25519PrivateKey, before: tuple[Hop, ...] = ()) -> Hop:
    return envelope.hop(body, before, hub, key)


BODY = xml("x", datetime(2026, 11, 23, 6, 5, tzinfo=UTC))
V = "v@hub.example"
FORGED: dict[str, tuple[str, Callable[[Street], bytes]]] = {
    "no count": ("bad_hops", lambda s: s.made(BODY, hops=None)),
    "-1": ("bad_hops", lambda s: s.made(BODY, hops=-1)),
    "255": ("bad_hops", lambda s: s.made(BODY, hops=255)),
    "0 and no path": ("bad_hops", lambda s: s.made(BODY, hops=0, path=[])),
    "true": ("bad_hops", lambda s: s.made(BODY, hops=True)),
    "another count than its path": ("bad_hops", lambda s: s.made(BODY, hops=2)),
    "nine hubs": ("bad_hops", lambda s: s.made(BODY, tuple((f"h{n}", "x") for n in range(8)))),
    "our name, signed by him": ("forged_path", lambda s: s.made(BODY, (_hop(V, BODY, KEY),))),
    "our name, signed by nobody": ("forged_path", lambda s: s.made(BODY, ((V, "v1"),))),
    "our signature under another bulletin": (
        "forged_path", lambda s: s.made(BODY, (_hop(V, b"other", s.victim.keys.bulletin),))),
    "his own name twice": ("forged_path", lambda s: s.made(BODY, (_hop(s.hub, BODY, KEY),))),
    "himself not signed": ("forged_path", lambda s: s.made(BODY, path=[[s.hub, _hop(s.hub, BODY, OTHER)[1]]])),
    "another one at its end": ("bad_envelope", lambda s: s.made(BODY, path=[["q", _hop("q", BODY, KEY)[1]]])),
    "a name with a comma": ("bad_hops", lambda s: s.made(BODY, (("a,b", "x"),))),
    "another number": ("bad_envelope", lambda s: s.made(BODY, seq=2)),
    "another body": ("bad_envelope", lambda s: s.made(BODY, sha256="0" * 64)),
    "no JSON": ("bad_envelope", lambda _: b"{"),
    "deep": ("bad_envelope", lambda _: b"[" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_h60_a_path_that_its_hubs_have_not_signed_is_shelved_with_its_reason(
    name: str, street: Street
) -> None:
    reason, make = FORGED[name]
    street.put(1, make(street))
    street.beat(1)
    street.victim.turn(street.one)
    assert (street.victim.names(), street.victim.shelved(), street.victim.head()) == ([], [reason], 0)
    assert street.victim.peer(street.one).loops == 0


def test_h60_a_loop_with_our_own_signature_is_dropped_and_counted(street: Street) -> None:
    ours = _hop(V, BODY, street.victim.keys.bulletin)
    street.put(1, street.made(BODY, (ours,)))
    street.beat(1)
    street.victim.turn(street.one)
    assert (street.victim.names(), street.victim.shelved()) == ([], [])
    assert street.victim.peer(street.one).loops == 1


@pytest.mark.parametrize(("hubs", "is_handed_on"), [(6, True), (7, False)])
def test_h60_a_bulletin_goes_through_eight_hubs_at_most(
    hubs: int, is_handed_on: bool, street: Street
) -> None:
    before: tuple[Hop, ...] = ()
    for n in range(hubs):
        before = (*before, _hop(f"h{n}", BODY, OTHER, before))
    street.put(1, street.made(BODY, before))
    street.beat(1)
    street.victim.turn(street.one)
    (one,) = street.victim.all()
    assert (one.seal, one.seal_reason, street.victim.head()) == ("none", "passed_on", int(is_handed_on))


def test_r19_an_envelope_or_a_heartbeat_without_the_pinned_key_is_not_believed(street: Street) -> None:
    street.put(1, street.made(BODY), key=OTHER)
    street.beat(1)
    street.victim.turn(street.one)
    assert street.victim.shelved() == ["envelope_unknown_key"]
    said = Heartbeat(hub=street.hub, at=street.victim.clock(), head=9, last=())
    data = envelope.write_heartbeat(said, lambda raw: bulletin_seal.sign(raw, OTHER))
    street.site.put("/public/peer/heartbeat.json", data)
    street.victim.clock.forward(seconds=61)
    street.victim.turn(street.one)
    assert street.victim.peer(street.one).reason == "heartbeat_unknown_key"


def _entered(one: Neighbour, name: str, key: Ed25519PrivateKey, **more: Any) -> str:
    """A peer of that hub's name whose stream has been heard before."""
    peer_id = one.store.run(lambda u: peers.add(
        u, name, f"https://{name}.example/public/peer/heartbeat.json", period=60, hosts=(), senders=(), by="per_1",
        at=one.clock(), form="stream"))  # fmt: skip
    one.pin(peer_id, bulletin_seal.public_text(key))
    one.store.run(
        lambda u: u.execute(
            peer.update().where(peer.c.id == peer_id).values(hub=f"{name}@hub.example", **more)
        )
    )
    return peer_id


@pytest.mark.parametrize(("signs", "is_taken"), [(OTHER, True), (KEY, False)])
def test_h60_a_line_by_a_key_that_is_not_pinned_under_a_name_that_has_one_is_forged(
    signs: Ed25519PrivateKey, is_taken: bool, street: Street
) -> None:
    _entered(street.victim, "q", OTHER)
    before = (_hop("q@hub.example", BODY, signs),)
    street.put(1, street.made(BODY, before))
    street.beat(1)
    street.victim.turn(street.one)
    expected = (["x"], []) if is_taken else ([], ["forged_path"])
    assert (street.victim.names(), street.victim.shelved()) == expected
    assert [one.seal for one in street.victim.all()] == ["verified"] * is_taken


@pytest.mark.parametrize(
    ("key", "more", "reason"),
    [
        (OTHER, {}, "hub_name_taken"),
        (OTHER, {"is_active": False}, ""),  # another one took its place
        (KEY, {}, ""),  # the same hub by two lines
    ],
)
def test_h60_two_peers_have_not_one_name(
    key: Ed25519PrivateKey, more: dict[str, Any], reason: str, street: Street
) -> None:
    _entered(street.victim, "q", key, **more)
    street.hub = "q@hub.example"
    street.put(1, street.made(BODY))
    street.beat(1)
    street.victim.turn(street.one)
    assert street.victim.peer(street.one).reason == reason
    assert street.victim.names() == ([] if reason else ["x"])


def test_h60_who_was_entered_first_keeps_a_name_that_two_have_and_nobody_has_ours(street: Street) -> None:
    street.beat(0)
    street.victim.turn(street.one)
    later = street.victim.clock() + timedelta(seconds=1)
    _entered(street.victim, "p", OTHER, created_at=later)
    others = peer.update().where(peer.c.name == "p")
    for entered, reason in ((later, ""), (later - timedelta(days=9), "hub_name_taken")):
        moved = others.values(created_at=entered)
        street.victim.store.run(lambda u, moved=moved: u.execute(moved))
        street.victim.clock.forward(seconds=61)
        street.beat(0)
        street.victim.turn(street.one)
        assert street.victim.peer(street.one).reason == reason
    street.victim.store.run(lambda u: u.execute(peer.update().where(peer.c.id == street.one).values(hub="")))
    street.hub = V
    street.victim.clock.forward(seconds=61)
    street.beat(0)
    street.victim.turn(street.one)
    assert street.victim.peer(street.one).reason == "other_hub"


def test_r19_a_stream_that_goes_back_or_tells_otherwise_is_an_alarm(street: Street) -> None:
    street.put(1, street.made(BODY))
    street.beat(1)
    street.victim.turn(street.one)
    street.victim.clock.forward(seconds=61)
    street.beat(1, last=((1, "0" * 64),))
    street.victim.turn(street.one)
    assert street.victim.shelved() == ["stream_conflict"]
    street.victim.clock.forward(seconds=61)
    street.beat(0)
    street.victim.turn(street.one)
    assert street.victim.peer(street.one).reason == "stream_went_back"


def test_a_marked_bulletin_is_not_handed_on_and_one_of_a_stream_is_read_out_of_its_envelope(hub, at) -> None:
    a, b = hub("a"), hub("b")
    with served(a) as at_a:
        way = b.follow(a, at_a.url)
        a.say("plain")
        raw = xml("marked", at).replace("有大暴雨".encode(), "有大暴雨。机密★".encode())
        signed = bulletin_seal.sign(raw, a.station)
        one = arrivals.Arriving(
            id="bar_marked", peer="station", raw=raw, media_type="", signature=signed, at=at
        )
        a.store.run(lambda unit: arrivals.keep_many(unit, [one]))
        a.turn()
        assert (a.names(), a.head()) == (["plain"], 1)
        b.turn(way)
    (handed_on,) = b.all()
    kept = b.store.read(lambda u: bulletins.original(u, handed_on.id, lambda _: b""))
    assert kept is not None
    assert kept.startswith(b"{")
    fields, _ = bulletin_file.as_report(kept, {"n": 0})
    assert "大暴雨" in fields["fields"]["text"]
