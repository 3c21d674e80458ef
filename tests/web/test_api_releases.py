"""A release over /v1: from a template's example to the promise to send, by two people, and what is refused."""

import hashlib
from datetime import datetime
from typing import Any

import pytest

from store import audience
from store import tables as t
from tests.web.api_world import World

PHONES = [
    {"channel": "sms", "address": f"+86138001380{n:02d}", "area": "990101", "language": "zh-CN"}
    for n in range(3)
]


@pytest.fixture(autouse=True)
def phones(request: pytest.FixtureRequest, at: datetime) -> None:
    """Three subscribers in the district."""
    made: World = request.getfixturevalue("hall" if "hall" in request.fixturenames else "quick")
    made.hub.store.run(lambda unit: audience.add(unit, PHONES, at))


def _example(hall: World, template: str = "heavy_rain") -> dict[str, Any]:
    found = {t["id"]: t for t in hall.get("officer", "/v1/templates").json()["data"]}
    example = dict(found[template]["example"])
    return example | {"areas": ["990101000000"]}


def _draft(hall: World, who: str = "officer", **changes: Any) -> str:
    answer = hall.post(who, "/v1/releases", _example(hall) | changes)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return str(answer.headers["location"])


def _act(hall: World, who: str, place: str, act: str, body: Any = None, **headers: str) -> Any:
    return hall.post(who, f"{place}/{act}", body, key=None, **headers)


def _acts(hall: World, place: str) -> list[tuple[str, str]]:
    entries = hall.get("auditor", f"/v1/journal/release/{place.rpartition('/')[2]}").json()["data"]
    return [(e["act"], e["detail"].get("code", "")) for e in entries]


@pytest.mark.parametrize("template", ["heavy_rain", "utility_outage"])
def test_every_templates_example_can_be_posted_and_submitted_as_it_is(hall: World, template: str) -> None:
    listed = {t["id"]: t for t in hall.get("officer", "/v1/templates").json()["data"]}[template]
    assert {f["name"] for f in listed["fields"]} == set(listed["example"]["fields"])
    made = hall.post("officer", "/v1/releases", listed["example"])
    assert made.status_code == 201, made.text
    submitted = _act(hall, "officer", made.headers["location"], "submit")
    assert submitted.status_code == 200, submitted.text
    assert len(submitted.json()["digest"]) == 64 and submitted.json()["state"] == "submitted"


def test_from_draft_to_promise_with_the_bytes_that_were_shown(hall: World) -> None:
    place = _draft(hall)
    shown = _act(hall, "officer", place, "preview").json()
    assert shown["errors"] == [] and shown["preview"]["reach"] == 3
    assert shown["audience"][0] == {"channel": "sms", "reach": 3, "opted_out": 0, "receives": 3}
    submitted = _act(hall, "officer", place, "submit").json()
    assert submitted["reach"] == 3 and submitted["preview"]["digest"] == submitted["digest"]
    standing = _act(hall, "approver", place, "preview").json()
    assert standing["preview"]["digest"] == submitted["digest"]
    assert standing["preview"]["artefacts"]
    for frozen in submitted["artefacts"]:
        body = hall.get("approver", frozen["href"])
        assert hashlib.sha256(body.content).hexdigest() == frozen["sha256"] == body.headers["x-sha256"]
        assert body.headers["content-type"] == frozen["media_type"]
    hall.rings.clear()
    approved = _act(hall, "approver", place, "approve", {"digest": submitted["digest"]})
    assert (approved.status_code, approved.json()["state"]) == (200, "approved"), approved.text
    assert {job for job, _ in hall.rings} == {"relay"} and len(hall.rings) == hall.count(t.dispatch) > 2
    summary = hall.get("officer", f"{place}/summary").json()
    assert summary["adds_up"] and summary["channels"]["sms"]["reach"] == 3
    for dispatch_id in [d for _, d in hall.rings if _channel(hall, d) == "sms"]:  # one for each language
        hall.hub.jobs.relay(dispatch_id)
    delivered = hall.get("officer", f"{place}/deliveries?limit=2")
    assert len(delivered.json()["data"]) == 2
    rest = hall.get("officer", delivered.headers["link"].partition(">")[0][1:]).json()
    seen = [d["address"] for d in delivered.json()["data"] + rest["data"]]
    assert sorted(seen) == [p["address"] for p in PHONES] and rest["next_cursor"] is None
    assert len(hall.get("officer", f"{place}/deliveries?status=queued").json()["data"]) == 3
    assert [a for a, _ in _acts(hall, place)][:3] == ["create", "submit", "approve"]


def _channel(hall: World, dispatch_id: str) -> str:
    rows = hall.hub.store.read(lambda unit: unit.rows(t.dispatch.select()))
    return next(r.channel for r in rows if r.id == dispatch_id)


def test_who_may_not_approve_is_refused_and_written_down(hall: World) -> None:
    place = _draft(hall, "approver")
    digest = _act(hall, "approver", place, "submit").json()["digest"]
    own = _act(hall, "approver", place, "approve", {"digest": digest})
    assert own.status_code == 403
    officer = _act(hall, "officer", place, "approve", {"digest": digest})
    assert (officer.status_code, officer.json()["code"]) == (403, "scope_missing")
    department = _act(hall, "department", place, "stop", {"reason": "x"})
    assert department.status_code == 403
    refused = [(a, c) for a, c in _acts(hall, place) if a == "refused"]
    assert len(refused) == 3 and ("refused", "scope_missing") in refused
    assert hall.count(t.dispatch) == 0 and hall.rings == []


@pytest.mark.parametrize("digest", ["0" * 64, "", "{}", "upper", "short", "padded"])
def test_h84_another_digest_approves_nothing(quick: World, digest: str) -> None:
    place = _draft(quick)
    true = _act(quick, "officer", place, "submit").json()["digest"]
    tried = {"upper": true.upper(), "short": true[:63], "padded": true + " "}.get(digest, digest)
    answer = _act(quick, "approver", place, "approve", {"digest": tried})
    assert answer.status_code in (400, 409)
    assert quick.get("officer", place).json()["state"] == "submitted" and quick.count(t.dispatch) == 0
    if tried:
        assert _acts(quick, place)[-1] == ("refused", "digest_changed")


def test_h86_an_edit_voids_what_was_submitted(hall: World) -> None:
    place = _draft(hall)
    digest = _act(hall, "officer", place, "submit").json()["digest"]
    changed = hall.client.patch(place, json={"issuer": "示例省水利厅"}, headers=hall.headers("officer2"))
    assert (changed.status_code, changed.json()["state"], changed.json()["revision"]) == (200, "draft", 2)
    assert changed.json()["editors"] == ["per_officer", "per_officer2"] and changed.headers["etag"] == '"2"'
    assert changed.json()["draft"]["template"] == "heavy_rain" and changed.json()["digest"] is None
    assert _act(hall, "approver", place, "approve", {"digest": digest}).status_code == 409
    again = _act(hall, "officer", place, "submit").json()
    assert again["digest"] != digest
    assert _act(hall, "approver", place, "approve", {"digest": again["digest"]}).status_code == 200


def test_if_match_is_honoured_with_412(quick: World) -> None:
    place = _draft(quick)
    stale = {"If-Match": '"7"'}
    patch = quick.client.patch(place, json={"grade": 2}, headers=quick.headers("officer", **stale))
    assert (patch.status_code, patch.json()["code"]) == (412, "revision_changed")
    assert _act(quick, "officer", place, "submit", **stale).status_code == 412
    digest = _act(quick, "officer", place, "submit", **{"If-Match": '"1"'}).json()["digest"]
    assert _act(quick, "approver", place, "approve", {"digest": digest}, **stale).status_code == 412
    assert (
        _act(quick, "approver", place, "approve", {"digest": digest}, **{"If-Match": '"1"'}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"state": "APPROVED"}, "/state"), ({"author": "per_approver"}, "/author"), ({"exercise": False}, "/exercise"),
        ({"grade": True}, "/grade"), ({"areas": ["nowhere"]}, "/areas/0"), ({"template": "no_such"}, "/template"),
        ({"expires": "tomorrow"}, "/expires"), ({"colour": "purple"}, "/colour"),
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_400_by_name(quick: World, change: dict[str, Any], pointer: str) -> None:
    answer = quick.post("officer", "/v1/releases", _example(quick) | change)
    assert answer.status_code == 400
    assert pointer in [e["pointer"] for e in answer.json()["errors"]], answer.text
    assert quick.count(t.release_row) == 0


def test_what_cannot_be_submitted_is_422_with_every_flaw_and_stays_a_draft(quick: World) -> None:
    place = _draft(quick, fields={}, colour=None)
    flawed = _act(quick, "officer", place, "submit")
    assert (flawed.status_code, flawed.json()["code"]) == (422, "flawed")
    assert "/colour" in [e["pointer"] for e in flawed.json()["errors"]]
    shown = _act(quick, "officer", place, "preview").json()
    assert shown["errors"] and quick.get("officer", place).json()["state"] == "draft"


def test_the_same_post_is_one_draft_and_a_submit_under_a_key_happens_once(hall: World) -> None:
    body = _example(hall)
    first = hall.post("officer", "/v1/releases", body, key="d")
    again = hall.post("officer", "/v1/releases", body, key="d")
    assert again.json() == first.json() and again.headers["idempotent-replayed"] == "true"
    assert hall.count(t.release_row) == 1
    assert hall.post("officer", "/v1/releases", body, key=None).json()["code"] == "idempotency_key_missing"
    place = first.headers["location"]
    submitted = hall.post("officer", f"{place}/submit", key="s")
    hall.clock.forward(days=2)  # it could not be frozen any more: the answer is the kept one
    repeat = hall.post("officer", f"{place}/submit", key="s")
    assert repeat.json() == submitted.json() and repeat.headers["idempotent-replayed"] == "true"


def test_return_reject_and_stop_need_a_reason_and_end_as_they_say(hall: World) -> None:
    returned, rejected, stopped = _draft(hall), _draft(hall), _draft(hall)
    for place in (returned, rejected, stopped):
        digest = _act(hall, "officer", place, "submit").json()["digest"]
    assert _act(hall, "approver", returned, "return", {}).status_code == 400
    assert _act(hall, "approver", returned, "return", {"reason": "  "}).status_code == 400
    assert _act(hall, "approver", returned, "return", {"reason": "写明时间"}).json()["state"] == "returned"
    assert _act(hall, "approver", rejected, "reject", {"reason": "重复"}).json()["state"] == "rejected"
    assert _act(hall, "approver", stopped, "approve", {"digest": digest}).status_code == 200
    ended = _act(hall, "officer", stopped, "stop", {"reason": "发错地区"}).json()
    assert (ended["state"], ended["ended_reason"]) == ("stopped", "发错地区")
    summary = hall.get("officer", f"{stopped}/summary").json()
    assert {d["state"] for c in summary["channels"].values() for d in c["dispatches"]} == {"stopped"}
    late = _act(hall, "officer", stopped, "submit")
    assert (late.status_code, late.json()["code"]) == (409, "illegal_move")
    assert _acts(hall, stopped)[-1] == ("refused", "illegal_move")


def test_the_list_shows_the_newest_first_and_filters_by_state(quick: World) -> None:
    places = []
    for _ in range(3):
        places.append(_draft(quick))
        quick.clock.forward(seconds=1)
    _act(quick, "officer", places[0], "submit")
    listed = quick.get("auditor", "/v1/releases?limit=2")
    assert [r["links"]["self"] for r in listed.json()["data"]] == [places[2], places[1]]
    rest = quick.get("auditor", listed.headers["link"].partition(">")[0][1:]).json()["data"]
    assert [r["links"]["self"] for r in rest] == [places[0]]
    assert len(quick.get("officer", "/v1/releases?status=submitted").json()["data"]) == 1
    assert quick.get("officer", "/v1/releases?status=nonsense").status_code == 400


def test_departments_see_no_releases_and_what_is_not_there_is_404(quick: World) -> None:
    place = _draft(quick)
    for path in (place, f"{place}/deliveries", f"{place}/summary", f"{place}/artefacts/art_x"):
        assert quick.get("department", path).status_code == 403
    for path in ("/v1/releases/rel_x", "/v1/releases/rel_x/summary", "/v1/releases/rel_x/deliveries",
                 f"{place}/artefacts/art_x", "/v1/journal/release/rel_x"):  # fmt: skip
        assert quick.get("officer", path).status_code == 404
    for act, body in (
        ("submit", None),
        ("approve", {"digest": "0" * 64}),
        ("stop", {"reason": "x"}),
        ("preview", None),
    ):
        assert _act(quick, "approver", "/v1/releases/rel_x", act, body).status_code == 404


def test_a_draft_begins_from_a_report(quick: World) -> None:
    report = quick.post("department", "/v1/reports", {"text": "积水"}).json()["id"]
    quick.file_all()
    place = _draft(quick, from_report=report)
    assert quick.get("officer", place).json()["draft"]["from_report"] == report
    assert (
        quick.post("officer", "/v1/releases", _example(quick) | {"from_report": "rep_x"}).status_code == 400
    )
