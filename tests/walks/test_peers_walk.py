"""Two hubs: what one publishes the other pulls from its public pages, verifies, and keeps through lifts and silence."""

from datetime import timedelta

from channels.codecs import bulletin_seal
from outbox import publish as publish_again
from outbox import sweep
from store import arrivals, bulletins, peers
from store.bulletins import Filter
from tests.web.api_world import World, served, world
from tests.web.test_api_releases import _example
from tocsin import sockets


def publish(hall: World, **changes: object) -> str:
    """A rain warning of this hub, drafted by one and approved by another; its id."""
    body = _example(hall) | {"channels": ["cap_feed", "web_notice"], **changes}
    made = hall.post("officer", "/v1/releases", body)
    assert made.status_code == 201, made.text
    here = made.json()["links"]["self"]
    submitted = hall.post("officer", f"{here}/submit", {}).json()
    digest = submitted["digest"]
    answer = hall.post("approver", f"{here}/approve", {"digest": digest})
    assert answer.status_code == 200, answer.text
    run(hall)
    return str(made.json()["id"])


def run(hall: World) -> None:
    """What the workers do with what is promised."""
    for _ in range(3):
        for job, row_id in hall.hub.store.read(lambda u: sweep.due(u, hall.clock())):
            getattr(hall.hub.jobs, job)(row_id)
    publish_again.refresh(hall.hub.outgoing)


def pull(hall: World, peer_id: str) -> None:
    hall.hub.peers.puller.pull(peer_id)
    while waiting := hall.hub.store.read(lambda u: arrivals.due(u, hall.clock())):
        for arrival_id in waiting:
            hall.hub.peers.reader.read(arrival_id)


def names(hall: World, view: str = "force") -> list[str]:
    found = hall.hub.store.read(lambda u: bulletins.page(u, Filter(view=view), hall.clock()))
    return [f"{b.msg_type} {b.seal}" for b in found]


def test_r36_what_one_hub_publishes_another_has_within_a_minute_verified_and_once(
    sqlite_model, tmp_path, at
) -> None:
    with world(tmp_path / "a", at, model=sqlite_model, sender_id="a@hub.example") as a:
        port = sockets.free_port("127.0.0.1")
        told = {"sender_id": "b@hub.example", "public_url": f"http://127.0.0.1:{port}"}
        with world(tmp_path / "b", at, model=sqlite_model, **told) as b, served(b.hub, port=port):
            key = bulletin_seal.public_text(b.hub.keys.bulletin)
            more = {"period": 60, "hosts": (), "senders": ("b@hub.example",), "by": "per_1", "at": at}
            url = f"http://127.0.0.1:{port}/public/alerts.atom"
            one = a.hub.store.run(lambda u: peers.add(u, "b", url, **more))
            pin = {"kind": "ed25519", "material": key, "fingerprint": bulletin_seal.fingerprint(key)}
            a.hub.store.run(lambda u: peers.pin(u, one, by="per_1", at=at, **pin))
            release = publish(b)
            pull(a, one)
            assert names(a) == ["Alert verified"]
            a.clock.forward(seconds=61)
            pull(a, one)  # 304 or the same: nothing twice
            assert names(a, "all") == ["Alert verified"]
            b.clock.forward(minutes=5)
            a.clock.forward(minutes=5)
            lifted = b.post("officer", f"/v1/releases/{release}/cancel", {"reason": "雨停了"}, key=None)
            assert lifted.status_code == 200, lifted.text
            run(b)
            pull(a, one)
            assert names(a) == []  # ended, and the Cancel is no alert itself
            assert sorted(names(a, "all")) == ["Alert verified", "Cancel verified"]
        a.clock.forward(minutes=4)  # b is down
        pull(a, one)
        mine = a.hub.store.read(lambda u: peers.get(u, one))
        assert mine is not None
        assert (mine.failures, mine.reason, mine.is_silent(a.clock())) == (1, "no_connection", True)
        assert sorted(names(a, "all")) == ["Alert verified", "Cancel verified"]
        assert a.clock() - at > timedelta(minutes=3)
