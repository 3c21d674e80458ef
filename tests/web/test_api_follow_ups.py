"""续报 and 更正 of departments: further versions of the report, or a report of its own when nobody reads the first."""

from typing import Any

import pytest
import sqlalchemy as sa

from domain.report import Report
from store import inbox, reports
from store import tables as t
from tests.waiting import held
from tests.web.api_world import World, token
from tests.web.citizen_kit import jpeg


def begun(hall: World) -> str:
    answer = hall.post("department", "/v1/reports", {"text": "山体滑坡，两户被埋", "place": "大坪村"})
    hall.file_all()
    return str(answer.json()["id"])


def now(hall: World, report_id: str) -> Report:
    found = hall.hub.store.read(lambda unit: reports.get(unit, report_id))
    assert found
    return found


def test_a_follow_up_is_a_further_version_and_the_first_stays(hall: World) -> None:
    report_id = begun(hall)
    answer = hall.post(
        "department", f"/v1/reports/{report_id}/follow-ups", {"text": "死亡2人", "lat": 30.5, "lon": 120.5}
    )
    assert answer.status_code == 201 and answer.json()["report"] == report_id
    listed = f"/v1/reports/{report_id}/follow-ups"
    assert hall.get("department", listed).json()["data"][0]["version"] is None
    hall.file_all()
    report = now(hall, report_id)
    assert report.content.text == "山体滑坡，两户被埋\n\n死亡2人"
    assert report.content.first("position") == "30.5,120.5" and report.content.first("place") == "大坪村"
    (row,) = hall.get("department", listed).json()["data"]
    assert (row["kind"], row["version"], row["report"]) == ("follow_up", 2, report_id)
    first = hall.get("department", f"/v1/reports/{report_id}/versions/1").json()
    assert first["text"] == "山体滑坡，两户被埋" and hall.count(t.report_row) == 1
    assert hall.get("department", f"/v1/reports/{report_id}/versions/9").status_code == 404


def test_a_correction_takes_the_place_of_what_was_said(quick: World) -> None:
    report_id = begun(quick)
    answer = quick.post(
        "department", f"/v1/reports/{report_id}/corrections", {"text": "一户被埋", "place": "大平村"}
    )
    assert answer.status_code == 201
    quick.file_all()
    report = now(quick, report_id)
    assert (report.content.text, report.content.first("place")) == ("一户被埋", "大平村")
    assert [f.value for f in report.content.facts["place"]] == ["大平村"]
    assert (
        quick.get("department", f"/v1/reports/{report_id}/versions/1").json()["facts"]["place"][0]["value"]
        == "大坪村"
    )
    acts = [e["act"] for e in quick.get("officer", f"/v1/journal/report/{report_id}").json()["data"]]
    assert "correction" in acts


def test_what_follows_a_settled_report_is_a_report_of_its_own_that_names_it(hall: World) -> None:
    report_id = begun(hall)
    code = now(hall, report_id).code
    hall.post("officer", f"/v1/reports/{report_id}/claim", {})
    assert hall.post("officer", f"/v1/reports/{report_id}/close", {"reason": "已处置"}).status_code == 200
    hall.post("department", f"/v1/reports/{report_id}/follow-ups", {"text": "又滑了一次"})
    hall.file_all()
    assert now(hall, report_id).content.text == "山体滑坡，两户被埋"
    (row,) = hall.get("department", f"/v1/reports/{report_id}/follow-ups").json()["data"]
    linked = now(hall, row["report"])
    assert row["version"] is None and linked.id != report_id and linked.state.value == "filed"
    assert (linked.content.text, linked.content.first("follows")) == ("又滑了一次", code)
    assert hall.get("department", f"/v1/reports/{linked.id}").status_code == 200


def test_r2_a_follow_up_that_is_sent_again_is_said_once_even_before_the_first_is_filed(hall: World) -> None:
    first = hall.post("department", "/v1/reports", {"text": "首报"}).json()["id"]
    path = f"/v1/reports/{first}/follow-ups"
    one, two = (hall.post("department", path, {"text": "续报"}, key="same") for _ in range(2))
    assert one.json() == two.json() and two.headers["Idempotent-Replayed"] == "true"
    for row in hall.hub.store.read(
        lambda unit: unit.rows(t.inbound.select().order_by(t.inbound.c.id.desc()))
    ):
        hall.hub.filing.file(row.id)  # the follow-up before its report
    hall.clock.forward(seconds=2)
    hall.file_all()
    assert now(hall, first).content.text == "首报\n\n续报" and hall.count(t.report_row) == 1


def test_a_report_and_what_follows_it_may_be_filed_together(hall: World) -> None:
    first = hall.post("department", "/v1/reports", {"text": "首报"}).json()["id"]
    for n in (1, 2):
        hall.post("department", f"/v1/reports/{first}/follow-ups", {"text": f"续报{n}"})
    names = hall.hub.store.read(lambda unit: inbox.due(unit, hall.clock()))
    assert len(names) == 3
    with held(hall.hub.store):
        hall.hub.filing.file_all(names)
    said = now(hall, first).content.text.split("\n\n")
    assert said[0] == "首报" and sorted(said) == ["续报1", "续报2", "首报"] and hall.count(t.report_row) == 1


def test_r16_a_follow_up_waits_for_its_first_report_however_often_it_is_tried(quick: World) -> None:
    report_id = str(quick.post("department", "/v1/reports", {"text": "山体滑坡"}).json()["id"])
    more = quick.post("department", f"/v1/reports/{report_id}/follow-ups", {"text": "死亡2人"}).json()["id"]
    i = t.inbound.c
    rows = quick.hub.store.read(lambda unit: unit.rows(sa.select(i.id, i.report)))
    (waiting,) = (row.id for row in rows if row.report != report_id)
    for _ in range(80):
        quick.clock.forward(minutes=1)
        quick.hub.filing.file(waiting)
    assert quick.count(t.report_row) == 0 and more
    quick.file_all()
    quick.clock.forward(minutes=1)
    quick.file_all()
    assert now(quick, report_id).content.text == "山体滑坡\n\n死亡2人"
    assert quick.count(t.report_row) == 1


def test_a_follow_up_with_photos_adds_them(quick: World) -> None:
    report_id = begun(quick)
    files = [("files", ("a.jpg", jpeg(), "image/jpeg"))]
    path, headers = (
        f"/v1/reports/{report_id}/follow-ups",
        quick.headers("department", **{"Idempotency-Key": "p"}),
    )
    answer = quick.client.post(path, files=files, data={"place": "村口"}, headers=headers)
    assert answer.status_code == 201, answer.text
    quick.file_all()
    report = now(quick, report_id)
    assert [a.media_type for a in report.content.attachments] == ["image/jpeg"]
    assert (
        report.content.facts["position"][0].origin == "exif" and report.content.text == "山体滑坡，两户被埋"
    )


@pytest.mark.parametrize("kind", ["follow-ups", "corrections"])
def test_h50_nothing_follows_the_report_of_another_department(quick: World, kind: str) -> None:
    report_id = begun(quick)
    path = f"/v1/reports/{report_id}/{kind}"
    assert quick.post("other", path, {"text": "x"}).status_code == 404
    assert quick.get("other", f"/v1/reports/{report_id}/follow-ups").status_code == 404
    assert quick.get("other", f"/v1/reports/{report_id}/versions/1").status_code == 404
    assert quick.post("reader", path, {"text": "x"}).status_code == 403
    assert quick.post("department", "/v1/reports/rep_none/follow-ups", {"text": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"text": " "}, 400),
     ({"state": "closed", "text": "x"}, 400), ({"lat": 1.0}, 400), ({"lat": 91.0, "lon": 1.0}, 400)],
)  # fmt: skip
def test_h46_a_follow_up_says_what_does_not_fit_by_name(
    quick: World, body: dict[str, Any], status: int
) -> None:
    report_id = begun(quick)
    answer = quick.post("department", f"/v1/reports/{report_id}/follow-ups", body)
    assert answer.status_code == status and answer.json()["errors"]


def test_h47_a_key_of_a_follow_up_with_other_words_is_refused(quick: World) -> None:
    report_id = begun(quick)
    path = f"/v1/reports/{report_id}/follow-ups"
    assert quick.post("department", path, {"text": "甲"}, key="k").status_code == 201
    assert quick.post("department", path, {"text": "乙"}, key="k").status_code == 422
    assert token("department") not in quick.post("department", path, {"text": "乙"}, key=None).text
