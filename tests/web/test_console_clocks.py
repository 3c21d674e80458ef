"""The desk's clocks: what is due, what stops it, what was late, and which rules are behind it."""

from datetime import timedelta

import pytest

from domain.clock import examples
from intake import study as studies
from store import clocks
from tests.web.api_world import World
from tests.web.console_browser import call, enter, words


@pytest.fixture
def slide(hall: World) -> str:
    """A landslide of grade II at the desk, its clocks set."""
    hall.hub.store.run(lambda u: clocks.add_rules(u, examples(), None, hall.clock.at))
    report = call(hall, place="大坪村", text="大坪村三组滑坡，3人被埋")
    browser = enter(hall, "officer")
    browser.follow(f"/console/reports/{report}/classify", {"event_code": "11D01", "grade": "2"})
    assert isinstance(hall.hub.student, studies.Student)
    hall.hub.student.study(report)
    return report


def test_what_is_due_stands_on_the_report_and_on_the_board_first_due_first(hall: World, slide: str) -> None:
    browser = enter(hall, "officer")
    page = words(browser.get(f"/console/reports/{slide}").text)
    assert "河南省应急管理厅通知（2021）重大以上" in page and "示例，待确认" in page and "剩 15 分" in page
    board = words(browser.get("/console/clocks").text)
    assert (
        "某市级通知 重大以上" in board and "某县级通知（2018）" not in board
    )  # the strictest stands for its duty
    assert board.index("电话报告") < board.index("书面报告")
    hall.clock.forward(minutes=16)
    assert "超时" in words(browser.get("/console/clocks").text)


def test_a_call_stops_the_phone_clocks_and_says_who_answered(hall: World, slide: str) -> None:
    browser = enter(hall, "officer")
    refused = browser.post(f"/console/reports/{slide}/clock_call", {"whom": "示例市应急局", "who": ""})
    assert refused.status_code == 400
    assert "必填：写明谁接听或签收，才停止计时" in words(refused.text)
    told = browser.follow(
        f"/console/reports/{slide}/clock_call", {"whom": "示例市应急局", "who": "李四", "duty": "phone"}
    )
    assert "已登记电话报告，计时停止。" in words(told.text)
    page = words(browser.get(f"/console/reports/{slide}").text)
    assert "示例市应急局 李四" in page
    board = words(browser.get("/console/clocks").text)
    assert "电话报告" not in board and "书面报告" in board
    browser.follow(
        f"/console/reports/{slide}/clock_sign", {"whom": "示例市应急局", "who": "王五", "duty": "written"}
    )
    assert "书面报告" not in words(browser.get("/console/clocks").text)


def test_what_was_late_stands_in_the_report_of_the_month_and_in_its_table(hall: World, slide: str) -> None:
    browser = enter(hall, "officer")
    hall.clock.forward(minutes=50)
    said = (hall.clock.at - timedelta(minutes=40)).astimezone(hall.hub.zone)
    told = {"whom": "=cmd|' /C calc'!A0", "who": "李四", "said_at": f"{said:%Y-%m-%dT%H:%M}", "duty": "phone"}
    browser.follow(f"/console/reports/{slide}/clock_call", told)
    page = words(browser.get("/console/clocks/late").text)
    assert "迟报" in page and "漏报或未报" in page and "自述" in page
    table = browser.get("/console/clocks/late?since=2026-01-01&until=2026-12-31&format=csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.startswith("\ufeff回执号,")
    assert "'=cmd|" in table.text and ",=cmd" not in table.text
    assert "没有迟报、漏报" in words(
        browser.get("/console/clocks/late?since=2020-01-01&until=2020-01-02").text
    )


def test_a_leader_waives_with_a_reason_and_an_officer_cannot(hall: World, slide: str) -> None:
    officer = enter(hall, "officer")
    assert "免报（带班领导）" not in words(officer.get(f"/console/reports/{slide}").text)
    refused = officer.post(f"/console/reports/{slide}/clock_waive", {"duty": "phone", "reason": "演习"})
    assert refused.status_code == 403
    leader = enter(hall, "leader")
    leader.follow(f"/console/reports/{slide}/clock_waive", {"duty": "phone", "reason": "属演练"})
    assert "属演练" in words(leader.get("/console/clocks/late?since=2026-01-01&until=2026-12-31").text)


def test_rules_are_examples_until_a_leader_confirms_or_ends_them(hall: World, slide: str) -> None:
    officer, leader = enter(hall, "officer"), enter(hall, "leader")
    page = officer.get("/console/clocks/rules").text
    assert "县级报市级" in words(page) and "确认适用" not in words(page)
    assert officer.post("/console/clocks/rules/example-county-2018/confirm").status_code == 403
    leader.follow("/console/clocks/rules/example-county-2018/confirm")
    assert (
        leader.post("/console/clocks/rules/example-henan-4/supersede", {"from": "nonsense"}).status_code
        == 400
    )
    leader.follow("/console/clocks/rules/example-henan-4/supersede", {"from": "2026-12-01"})
    found = {rule.id: rule for rule in hall.hub.store.read(clocks.rules)}
    assert found["example-county-2018"].is_confirmed
    assert str(found["example-henan-4"].superseded) == "2026-12-01"


def test_the_pages_are_there_in_english_too(hall: World, slide: str) -> None:
    browser = enter(hall, "officer")
    browser.get("/console?lang=en")
    assert "15 min left" in words(browser.get(f"/console/reports/{slide}").text)
    said = ("First due first", "Late and missing reports", "examples come from public texts")
    for path, words_there in zip(
        ("/console/clocks", "/console/clocks/late", "/console/clocks/rules"), said, strict=True
    ):
        assert words_there in words(browser.get(path).text)


def test_the_same_acts_by_v1(hall: World, slide: str) -> None:
    running = hall.get("officer", "/v1/clocks").json()["data"]
    assert [one["due_at"] for one in running] == sorted(one["due_at"] for one in running)
    bad = hall.post("officer", f"/v1/reports/{slide}/clock-call", {"whom": "市局", "who": ""})
    assert bad.status_code in {400, 422}
    told = hall.post("officer", f"/v1/reports/{slide}/clock-call", {"whom": "市局", "who": "李四"})
    assert (told.status_code, told.json()["stopped"]) == (200, 3)
    refused = hall.post("officer", f"/v1/reports/{slide}/clock-waive", {"duty": "written", "note": "x"})
    assert refused.status_code == 403
    early = (hall.clock.at - timedelta(hours=1)).isoformat()
    assert hall.post("officer", f"/v1/reports/{slide}/clock-times", {"occurred_at": early}).status_code == 200
    phones = [
        c for c in hall.get("officer", f"/v1/reports/{slide}/clocks").json()["data"] if c["duty"] == "phone"
    ]
    assert {(c["state"], c["stop"]["who"]) for c in phones} == {("stopped", "李四")}
    assert hall.get("department", "/v1/clocks").status_code == 403
