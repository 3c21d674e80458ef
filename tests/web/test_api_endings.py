"""Update, lift and correct over /v1: from the act to the phones, and what is refused."""

from datetime import datetime
from typing import Any

import pytest

from outbox import publish, relay
from store import audience, promises
from tests.outbox.outbox_kit import Wire, outgoing, run_all
from tests.web.api_world import World

PHONES = [
    {"channel": "sms", "address": f"+86138001380{n:02d}", "area": "990101", "language": "zh-CN"}
    for n in range(6)
]


@pytest.fixture
def released(hall: World, at: datetime, tmp_path) -> tuple[str, Any]:
    """The address of a release that has left, and the outbox that carried it."""
    hall.hub.store.run(lambda unit: audience.add(unit, PHONES, at))
    out = outgoing(hall.hub.store, at, tmp_path, wire=Wire(), clock=hall.hub.clock)
    return _release(hall, out, _example(hall)), out


def _example(hall: World) -> dict[str, Any]:
    found = {t["id"]: t for t in hall.get("officer", "/v1/templates").json()["data"]}["heavy_rain"]["example"]
    return dict(found) | {"areas": ["990101000000"], "channels": ["sms", "web_notice", "cap_feed"],
                          "languages": ["zh-CN"]}  # fmt: skip


def _release(hall: World, out: Any, body: dict[str, Any]) -> str:
    place = hall.post("officer", "/v1/releases", body).headers["location"]
    _approve(hall, place)
    run_all(out)
    return str(place)


def _approve(hall: World, place: str) -> None:
    digest = hall.post("officer", f"{place}/submit", None, key=None).json()["digest"]
    assert hall.post("approver", f"{place}/approve", {"digest": digest}, key=None).status_code == 200


def _act(hall: World, who: str, place: str, act: str, body: Any = None) -> Any:
    return hall.post(who, f"{place}/{act}", body, key=None)


@pytest.mark.parametrize(("act", "state", "purpose"), [("cancel", "cancelled", "lift"),
                                                       ("correct", "corrected", "correction")])  # fmt: skip
def test_an_ending_over_the_api_reaches_the_phones_of_its_warning(
    hall, released, act, state, purpose
) -> None:
    place, out = released
    done = _act(hall, "officer", place, act, {"reason": "演示"})
    assert (done.status_code, done.json()["state"]) == (200, state)
    run_all(out)
    told = hall.get("officer", f"{place}/summary").json()
    assert told["endings"][purpose]["sms"]["states"] == {"accepted": 6}
    assert told["channels"]["sms"]["states"] == {"accepted": 6}
    rows = hall.get("officer", f"{place}/deliveries?limit=50").json()["data"]
    assert sorted(r["purpose"] for r in rows) == sorted(["main"] * 6 + [purpose] * 6)
    again = _act(hall, "officer", place, act, {"reason": "演示"})
    assert (again.status_code, again.json()["code"]) == (409, "illegal_move")


@pytest.mark.parametrize("act", ["cancel", "correct"])
def test_an_ending_without_a_reason_or_without_the_desk_is_refused_and_written_down(
    hall, released, act
) -> None:
    place, _ = released
    assert _act(hall, "officer", place, act, {}).status_code == 400
    assert _act(hall, "officer", place, act, {"reason": ""}).status_code == 400
    assert _act(hall, "auditor", place, act, {"reason": "r"}).status_code == 403
    assert hall.get("officer", place).json()["state"] == "publishing"  # no lane for cap_feed runs here
    acts = hall.get("auditor", f"/v1/journal/release/{place.rpartition('/')[2]}").json()["data"]
    assert [e["detail"]["act"] for e in acts if e["act"] == "refused"] == [act]


def test_an_update_is_a_draft_that_replaces_its_release_when_it_is_approved(hall, released) -> None:
    place, out = released
    made = _act(hall, "officer", place, "update")
    assert made.status_code == 201
    newer = made.headers["location"]
    body = made.json()
    assert (body["state"], body["supersedes"]) == ("draft", place.rpartition("/")[2])
    patch = {**hall.headers("officer"), "Content-Type": "application/json"}
    changed = hall.client.patch(newer, json={"colour": "red"}, headers=patch)
    assert (changed.status_code, changed.json()["supersedes"]) == (200, body["supersedes"])
    _approve(hall, newer)
    run_all(out)
    assert hall.get("officer", place).json()["state"] == "superseded"
    assert hall.get("officer", newer).json()["state"] == "publishing"
    assert _act(hall, "officer", place, "update").status_code == 409


def test_a_second_request_with_the_same_key_makes_one_draft(hall, released) -> None:
    place, _ = released
    first, second = (hall.post("officer", f"{place}/update", None, key="one-update") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"


def test_the_ending_of_a_page_is_written_at_once(hall, released) -> None:
    place, out = released
    _act(hall, "officer", place, "correct", {"reason": "误发"})
    release_id = place.rpartition("/")[2]
    for dispatch in hall.hub.store.read(lambda u: promises.of_release(u, release_id)):
        if dispatch.purpose == "correction" and dispatch.channel == "web_notice":
            relay.relay(out, dispatch.id)
            assert publish.publish(out, dispatch.id) is publish.Published.DONE
