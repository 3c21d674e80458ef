"""Feeds of peers are pulled over real sockets: once each, whatever the other side does."""

import gzip
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from domain.handling import Mode
from hub import peers_in
from hub.settings import Settings
from intake.pull import LONGEST
from store import arrivals, bulletins, peers, shelf
from store.blobs import Blobs
from store.bulletins import Filter
from store.tables_peers import bulletin_arrival, peer_item
from tests.bulletin_kit import refer, xml
from tests.intake.peer_server import atom, peer_site
from tests.web.api_world import Clock

MINUTE = timedelta(minutes=1)


class Hall:
    """A hub's intake of bulletins over a store."""

    def __init__(self, store, pool, directory, at, mode=Mode.DEMO, **settings):
        self.store, self.clock, self.rings = store, Clock(at), []
        self.around = peers_in.around(
            Settings(data_dir=directory, **settings), mode, store=store, blobs=Blobs(directory / "blobs"), pool=pool,
            clock=self.clock, bell=lambda *row: self.rings.append(row),
        )  # fmt: skip

    def add(self, url, **more):
        usual = {"period": 60, "hosts": (), "senders": ()}
        return self.store.run(
            lambda u: peers.add(u, "peer", url, by="per_1", at=self.clock(), **usual | more)
        )

    def pull(self, peer_id, **forward):
        self.clock.forward(**forward)
        return self.around.puller.pull(peer_id)

    def read(self):
        while waiting := self.store.read(lambda u: arrivals.due(u, self.clock())):
            for arrival_id in waiting:
                self.around.reader.read(arrival_id)

    def peer(self, peer_id):
        return self.store.read(lambda u: peers.get(u, peer_id))

    def names(self, view="all"):
        found = self.store.read(lambda u: bulletins.page(u, Filter(view=view), self.clock(), limit=9000))
        return sorted(b.identifier for b in found)

    def items(self):
        rows = self.store.read(lambda u: u.rows(peer_item.select()))
        return sorted((row.state, row.reason) for row in rows)

    def shelved(self):
        return sorted(row.reason for row in self.store.read(shelf.pending))


@pytest.fixture
def hall(store, pool, tmp_path, at):
    return Hall(store, pool, tmp_path, at)


def test_an_index_is_read_and_each_file_is_fetched_once(hall, site, at) -> None:
    links = [(site.put(f"/{n}.xml", xml(f"a{n}", at)), "2026-11-23T06:00:00Z") for n in range(3)]
    one = hall.add(site.put("/feed", atom(links), etag='"1"', kind="text/html"))  # no type is believed
    assert hall.pull(one)
    assert not hall.pull(one)  # not due
    hall.read()
    assert hall.names("force") == ["a0", "a1", "a2"]
    assert [job for job, _ in hall.rings] == ["read_bulletin"] * 3
    site.paths()
    assert hall.pull(one, minutes=1)
    assert site.asked == [("/feed", '"1"')]  # 304: nothing else
    site.paths()
    links.append((site.put("/3.xml", xml("a3", at)), "2026-11-23T06:01:00Z"))
    site.put("/feed", atom(links, updated="2026-11-23T06:06:00Z"), etag='"2"')
    hall.pull(one, minutes=1)
    assert site.paths() == ["/feed", "/3.xml"]  # R36: what is new within the minute
    hall.read()
    assert hall.names("force") == ["a0", "a1", "a2", "a3"]
    assert hall.peer(one).heard_at == hall.clock()


def test_h63_an_etag_that_lies_is_found_out_within_the_hour(hall, site, at) -> None:
    one = hall.add(site.put("/feed", xml("a", at), etag='"same"'))
    hall.pull(one)
    site.put("/feed", xml("b", at), etag='"same"')
    hall.pull(one, minutes=1)
    hall.read()
    assert hall.names() == ["a"]
    hall.pull(one, hours=1)
    hall.read()
    assert hall.names() == ["a", "b"]


def test_a_304_that_nobody_asked_for_is_nothing_new_once_the_feed_was_read(hall, site, at) -> None:
    one = hall.add(site.put("/feed", xml("a", at), unasked=1))
    hall.pull(one)
    assert site.paths() == ["/feed", "/feed"]  # never read: asked once more
    hall.read()
    assert (hall.names(), hall.peer(one).failures) == (["a"], 0)
    read_at = hall.peer(one).whole_at
    site.pages["/feed"].unasked = 1
    hall.pull(one, minutes=61)  # whole, without a condition
    assert (hall.peer(one).failures, hall.peer(one).heard_at) == (0, hall.clock())
    assert hall.peer(one).whole_at == read_at
    site.put("/feed", xml("b", at))
    hall.pull(one, minutes=1)
    hall.read()
    assert hall.names() == ["a", "b"]


def test_a_feed_that_says_304_for_ever_and_was_never_read_counts_as_failed(hall, site, at) -> None:
    one = hall.add(site.put("/feed", xml("a", at), unasked=9))
    hall.pull(one)
    assert (hall.peer(one).failures, hall.peer(one).reason) == (1, "http_304")


def test_a_named_file_that_is_said_to_be_unchanged_is_asked_again(hall, site, at) -> None:
    one = hall.add(
        site.put("/feed", atom([(site.put("/0.xml", xml("a0", at), unasked=1), "2026-11-23T06:00:00Z")]))
    )
    hall.pull(one)
    hall.pull(one, minutes=1)
    hall.read()
    assert (hall.names(), hall.shelved()) == (["a0"], [])


def test_a_feed_and_its_files_are_read_by_the_charset_of_their_type(hall, site, at) -> None:
    def bare(name):
        return xml(name, at).partition(b"?>")[2].strip().decode().encode("gb18030")

    kind = "application/cap+xml; charset=GB18030"
    file = site.put("/0.xml", bare("a0"), kind=kind)
    for one in (
        hall.add(site.put("/feed", atom([(file, "2026-11-23T06:00:00Z")]))),
        hall.add(site.put("/b", bare("b"), kind=kind)),
    ):
        hall.pull(one)
    hall.read()
    assert hall.names() == ["a0", "b"]
    headlines = hall.store.read(lambda u: {b.headline for b in bulletins.page(u, Filter(), hall.clock())})
    assert headlines == {"示例省气象台发布暴雨橙色预警 a0", "示例省气象台发布暴雨橙色预警 b"}


def test_whole_alerts_inside_entries_are_kept_one_by_one(hall, site, at) -> None:
    def fat(*names):
        bodies = b"".join(
            b"<entry><content>" + xml(n, at).partition(b"?>")[2] + b"</content></entry>" for n in names
        )
        return b'<feed xmlns="http://www.w3.org/2005/Atom">' + bodies + b"</feed>"

    one = hall.add(site.put("/feed", fat("a", "b")))
    hall.pull(one)
    site.put("/feed", fat("c", "a"))  # one has gone: that is no Cancel
    hall.pull(one, minutes=1)
    hall.read()
    assert hall.names("force") == ["a", "b", "c"]
    assert len(hall.store.read(lambda u: u.rows(bulletin_arrival.select()))) == 3


def test_a_peer_that_is_down_is_asked_again_and_seen_to_be_silent(store, pool, tmp_path, at) -> None:
    with peer_site() as site:
        hall = Hall(store, pool, tmp_path, at)
        one = hall.add(site.put("/feed", xml("a", at)))
        hall.pull(one)
        port = int(site.url.rpartition(":")[2])
    for n in range(12):
        assert hall.pull(one, minutes=6), n  # never longer than five minutes
    mine = hall.peer(one)
    assert (mine.failures, mine.failed, mine.reason) == (12, 12, "no_connection")
    assert mine.is_silent(hall.clock())
    assert mine.feed_due - hall.clock() <= LONGEST
    assert store.read(lambda u: peers.has_silent(u, hall.clock()))
    with peer_site(port) as site:
        site.put("/feed", xml("b", at))
        assert hall.pull(one, minutes=5)
        hall.read()
        assert hall.names() == ["a", "b"]
        assert (hall.peer(one).failures, hall.peer(one).failed) == (0, 12)
        assert not hall.peer(one).is_silent(hall.clock())


def test_what_is_cut_off_packed_or_no_feed_at_all_is_a_failure_and_never_news(hall, site, at) -> None:
    body = xml("a", at)
    one = hall.add(site.put("/feed", body, cut=40))
    hall.pull(one)
    assert hall.peer(one).reason == "cut"
    site.put("/feed", b"<html><body>Wartung</body></html>", kind="text/html")
    hall.pull(one, minutes=6)
    assert hall.peer(one).reason == "not_an_alert"
    hall.pull(one, minutes=6)
    assert hall.shelved() == ["not_an_alert"]  # once, not at every look
    site.put("/feed", b'<!DOCTYPE x [<!ENTITY a "b">]><feed/>')
    hall.pull(one, minutes=6)
    assert hall.peer(one).reason == "doctype"
    site.put("/feed", b"", status=503, headers={"Retry-After": "900"})
    hall.pull(one, minutes=6)
    assert hall.peer(one).reason == "http_503"
    assert hall.peer(one).feed_due == hall.clock() + timedelta(seconds=900)
    site.put("/feed", body, is_packed=True)
    hall.pull(one, minutes=15)
    hall.read()
    assert (hall.names(), hall.peer(one).failures, hall.peer(one).failed) == (["a"], 0, 5)


def test_h63_a_packed_bomb_is_left_at_its_bound(hall, site) -> None:
    one = hall.add(site.put("/feed", b"<feed>" + b" " * (40 << 20), is_packed=True))
    assert len(gzip.compress(b" " * (40 << 20))) < 50_000
    hall.pull(one)
    assert hall.peer(one).reason == "too_large"


def test_h63_a_feed_of_a_million_entries_takes_up_five_thousand(hall, site, at) -> None:
    rows = b"".join(b"<item><link>%s/%d</link></item>" % (site.url.encode(), n) for n in range(100_000))
    one = hall.add(site.put("/feed", b"<rss><channel>" + rows + b"</channel></rss>"))
    hall.clock.at = at
    hall.store.run(lambda u: peers.name_items(u, one, [(f"{site.url}/{n}", "") for n in range(5)], at))
    hall.pull(one)
    assert len(hall.items()) == 5_000
    assert hall.peer(one).failures == 0


def test_f35_a_peer_that_was_down_for_a_day_brings_all_its_bulletins_and_none_twice(hall, site, at) -> None:
    """And whoever replays them, or leaves some out, changes nothing: what is missing is fetched."""
    many = 250
    for n in range(many):
        site.put(f"/{n}.xml", xml(f"a{n}", at))
    links = [(f"{site.url}/{n}.xml", "") for n in range(many)]
    one = hall.add(site.put("/feed", atom(links[: many // 2] + links[many // 2 + 7 :])))  # a gap of seven
    turns = 0
    while hall.pull(one):
        turns += 1
    hall.read()
    assert (turns, len(hall.names())) == (2, many - 7)  # bounded: 200 files a turn
    site.put("/feed", atom(list(reversed(links))))
    site.paths()
    while hall.pull(one, seconds=61):
        if not hall.store.read(lambda u: peers.items_due(u, one, hall.clock(), 1)):
            break
    assert len([p for p in site.paths() if p != "/feed"]) == 7
    hall.read()
    assert len(hall.names()) == many
    push = [
        arrivals.Arriving(id=f"bar_{n}", peer=one, raw=xml(f"a{n}", at), media_type="", at=at)
        for n in range(many)
    ]
    assert not any(is_new for _, is_new in hall.store.run(lambda u: arrivals.keep_many(u, push)))


def test_h64_only_the_hosts_of_the_list_are_asked(hall, site, at) -> None:
    links = ["http://169.254.169.254/latest", "http://other.example/a.xml", "javascript:alert(1)", "file:///etc/passwd",
             "https://127.0.0.1/x", f"{site.url}/gone.xml"]  # fmt: skip
    one = hall.add(site.put("/feed", atom([(url, "") for url in links])))
    site.put("/moved", b"", status=302, headers={"Location": "http://127.0.0.1:1/x"})
    hall.store.run(lambda u: peers.name_items(u, one, [(f"{site.url}/moved", "")], at))
    hall.pull(one)
    assert hall.items() == sorted([("refused", "bad_host")] * 3 + [("refused", "bad_address")] * 2
                                  + [("pending", "http_404"), ("refused", "bad_redirect")])  # fmt: skip
    assert len(hall.shelved()) == 6


def test_a_live_hub_pulls_by_https_from_public_addresses_and_named_private_networks_only(
    store, pool, tmp_path, at
) -> None:
    hall = Hall(store, pool, tmp_path, at, mode=Mode.LIVE, peer_networks="10.20.0.0/16")
    for url, reason in (("http://peer.example/f", "bad_address"), ("https://127.0.0.1/f", "bad_network"),
                        ("https://10.21.0.1/f", "bad_network"), ("https://[::1]/f", "bad_network")):  # fmt: skip
        one = hall.add(url)
        hall.pull(one)
        assert hall.peer(one).reason == reason, url


def test_h59_h62_updates_arrive_in_any_order(hall, site, at) -> None:
    update = xml("b", at + MINUTE, msg_type="Update", references=(refer("a", at),))
    links = [(site.put("/b.xml", update), ""), (site.put("/a.xml", xml("a", at)), ""),
             (site.put("/r.xml", xml("r", at, status="Actual")), "")]  # fmt: skip
    one = hall.add(site.put("/feed", atom(links)))
    hall.pull(one, minutes=2)
    hall.read()
    assert hall.names("force") == ["b"]
    assert hall.names("apart") == ["r"]  # something real at a demo hub


def test_a_signature_file_beside_the_bulletin_is_fetched_when_a_key_is_pinned(hall, site, at) -> None:
    key = Ed25519PrivateKey.generate()
    good, bad, bare = xml("good", at), xml("bad", at), xml("bare", at)
    links = [(site.put(f"/{n}.xml", b), "") for n, b in (("good", good), ("bad", bad), ("bare", bare))]
    site.put("/good.xml.sig", bulletin_seal.sign(good, key).encode())
    site.put("/bad.xml.sig", bulletin_seal.sign(good, key).encode())
    one = hall.add(site.put("/feed", atom(links)))
    text = bulletin_seal.public_text(key)
    pin = {"kind": "ed25519", "material": text, "fingerprint": bulletin_seal.fingerprint(text)}
    hall.store.run(lambda u: peers.pin(u, one, by="per_1", at=at, **pin))
    hall.pull(one)
    hall.read()
    found = hall.store.read(lambda u: bulletins.page(u, Filter(), at))
    assert {b.identifier: (b.seal, b.apart) for b in found} == {
        "good": ("verified", ""), "bad": ("broken", "broken_seal"), "bare": ("none", "")}  # fmt: skip


def test_a_stopped_peer_is_left_alone_and_a_started_one_is_asked_at_once(hall, site, at) -> None:
    one = hall.add(site.put("/feed", xml("a", at)))
    hall.store.run(lambda u: peers.set_active(u, one, is_active=False, by="per_1", at=at))
    assert not hall.pull(one, hours=1)
    hall.store.run(lambda u: peers.set_active(u, one, is_active=True, by="per_1", at=hall.clock()))
    assert hall.pull(one)
