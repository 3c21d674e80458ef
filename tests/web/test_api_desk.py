"""The acts of the duty room over /v1: by persons only, one at a time, each in the journal."""

import itertools
from typing import Any

import pytest

from tests.web.api_world import World


@pytest.fixture
def place(hall: World) -> str:
    made = hall.post("department", "/v1/reports", {"text": "桥面塌陷"}).json()["links"]["self"]
    hall.file_all()
    return str(made)


def _act(hall: World, who: str, place: str, act: str, body: Any = None, **headers: str) -> Any:
    return hall.post(who, f"{place}/{act}", body, key=None, **headers)


def test_a_report_goes_from_claim_to_close_and_every_act_is_in_the_journal(hall: World, place: str) -> None:
    steps = [
        ("claim", None), ("classify", {"event_code": "11B03", "grade": 2, "area": "990102"}), ("verify", {}),
        ("close", {"reason": "已处置"}), ("reopen", None), ("release-claim", None),
    ]  # fmt: skip
    for n, (act, body) in enumerate(steps, 2):
        answer = _act(hall, "officer", place, act, body)
        assert (answer.status_code, answer.json()["revision"]) == (200, n), answer.text
        assert answer.headers["etag"] == f'"{n}"'
    final = hall.get("officer", place).json()
    assert (final["state"], final["grade"], final["area"]) == ("filed", 2, "990102000000")
    entries = hall.get("auditor", f"/v1/journal/report/{final['id']}").json()["data"]
    assert [e["act"] for e in entries] == [
        "file",
        "claim",
        "classify",
        "verify",
        "close",
        "reopen",
        "release_claim",
    ]
    assert all(a["hash"] == b["prev_hash"] for a, b in itertools.pairwise(entries))


def test_a_second_officer_hears_who_has_it_and_takes_over_with_a_reason(hall: World, place: str) -> None:
    assert _act(hall, "officer", place, "claim").status_code == 200
    second = _act(hall, "officer2", place, "claim")
    assert (second.status_code, second.json()["code"]) == (409, "already_claimed")
    assert "人officer" in second.json()["detail"]
    assert _act(hall, "officer2", place, "take-over", {"reason": "换班"}).json()["code"] == "role_missing"
    assert _act(hall, "leader", place, "take-over", {}).status_code == 400
    taken = _act(hall, "leader", place, "take-over", {"reason": "换班"})
    assert taken.json()["claimed_by"] == "per_leader"
    acts = [
        (e["act"], e["by"])
        for e in hall.get("auditor", f"/v1/journal/report/{taken.json()['id']}").json()["data"]
    ]
    assert acts[-2:] == [("refused", "per_officer2"), ("take_over", "per_leader")]


def test_shifts_are_signed_on_and_off_over_the_api(hall: World, place: str) -> None:
    on = hall.post("officer", "/v1/shifts/on", key="on-1")
    assert on.status_code == 201
    assert hall.post("officer", "/v1/shifts/on", key="on-1").json() == on.json()
    assert hall.post("officer", "/v1/shifts/on", key=None).json()["code"] == "on_duty"
    _act(hall, "officer", place, "claim")
    refused = hall.post("officer", "/v1/shifts/off", {}, key=None)
    assert (refused.status_code, refused.json()["errors"]) == (
        400,
        [{"pointer": "/note", "detail": "is empty"}],
    )
    assert hall.post("officer", "/v1/shifts/off", {"note": "x" * 2001}, key=None).status_code == 400
    assert hall.post("officer", "/v1/shifts/off", {"left": []}, key=None).status_code == 400
    off = hall.post("officer", "/v1/shifts/off", {"note": "交给乙"}, key=None)
    assert off.json()["left_open"] == [place.rpartition("/")[2]]
    assert hall.post("officer", "/v1/shifts/off", {"note": "x"}, key=None).json()["code"] == "off_duty"
    (shift,) = hall.get("auditor", "/v1/shifts").json()["data"]
    assert (shift["person"], shift["note"], shift["id"]) == ("per_officer", "交给乙", on.json()["id"])
    assert hall.get("department", "/v1/shifts").status_code == 403
    assert hall.post("department", "/v1/shifts/on", key=None).status_code == 403
    assert hall.post("auditor", "/v1/shifts/on", key=None).status_code == 403


def test_an_old_etag_is_412_and_an_old_revision_409(hall: World, place: str) -> None:
    assert _act(hall, "officer", place, "claim", **{"If-Match": '"1"'}).status_code == 200
    stale = _act(hall, "officer", place, "verify", **{"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "revision_changed")
    assert _act(hall, "officer", place, "verify", {"revision": 1}).status_code == 409
    assert _act(hall, "officer", place, "verify", **{"If-Match": "bananas"}).status_code == 400
    assert _act(hall, "officer", place, "verify", **{"If-Match": 'W/"2"'}).status_code == 200


def test_a_key_on_an_act_makes_it_happen_once(hall: World, place: str) -> None:
    first = hall.post("officer", f"{place}/claim", key="c1")
    again = hall.post("officer", f"{place}/claim", key="c1")
    assert again.json() == first.json() and again.headers["idempotent-replayed"] == "true"
    assert hall.post("officer", f"{place}/claim", {"revision": 2}, key="c1").status_code == 422


def test_moves_that_do_not_exist_are_409_and_strangers_may_do_nothing(hall: World, place: str) -> None:
    assert _act(hall, "officer", place, "verify").json()["code"] == "illegal_move"
    assert _act(hall, "officer", place, "close", {"reason": "x"}).status_code == 409
    assert _act(hall, "department", place, "claim").json()["code"] == "scope_missing"
    assert _act(hall, "auditor", place, "claim").status_code == 403
    assert _act(hall, "officer", "/v1/reports/rep_nothing", "claim").status_code == 404
    assert _act(hall, "officer", place, "merge").status_code == 404
    assert hall.get("officer", f"{place}/claim").status_code == 405
    unknown = _act(hall, "officer", place, "classify", {"state": "closed"})
    assert unknown.json()["errors"] == [{"pointer": "/state", "detail": "unknown field"}]
    assert _act(hall, "officer", place, "classify", {"event_code": "99Z99"}).status_code == 422


def test_reference_lists_answer_and_hide_what_is_not_for_departments(hall: World) -> None:
    me = hall.get("officer", "/v1/me").json()
    assert (me["person"]["roles"], me["mode"]) == (["officer"], "demo")
    assert [a["code"] for a in hall.get("department", "/v1/areas?under=9901").json()["data"]] == [
        "990100000000", "990101000000", "990102000000"]  # fmt: skip
    assert hall.get("department", "/v1/areas?under=x").status_code == 400
    kinds = {c["channel"]: c["kind"] for c in hall.get("department", "/v1/channels").json()["data"]}
    assert kinds == {"sms": "addressed", "cap_feed": "published", "web_notice": "published",
                     "broadcast": "published"}  # fmt: skip
    assert hall.get("department", "/v1/shelf").status_code == 403
    assert hall.get("officer", "/v1/shelf").json() == {"data": []}
    assert hall.get("department", "/v1/releases").status_code == 403
    assert hall.get("officer", "/v1/journal/person/per_officer").status_code == 404
