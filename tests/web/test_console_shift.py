"""The shift's page: on, off, what is left, and who may pick it up."""

import pytest

from domain.person import Role
from store import reports, shifts
from tests.web.api_world import World
from tests.web.console_browser import add_person, call, enter, words


def test_signing_off_shows_what_is_in_hand_and_wants_a_note(hall: World) -> None:
    first, second = call(hall, "1", place="桥头", text="积水"), call(hall, "2", place="路口", text="树倒")
    browser = enter(hall, "officer")
    assert "未签到" in words(browser.get("/console").text)
    page = browser.follow("/console/shift/on")
    assert "已签到，开始当班。" in words(page.text)
    assert "当班自 14:05:00" in words(browser.get("/console").text)
    for report in (first, second):
        browser.follow(f"/console/reports/{report}/claim")
    page = browser.get("/console/shift")
    assert "您手上还有 2 件" in words(page.text)
    released = browser.follow(f"/console/reports/{first}/release_claim", {"next": "shift"})
    assert "您手上还有 1 件" in words(released.text)
    refused = browser.post("/console/shift/off", {"note": " "})
    assert refused.status_code == 400
    assert 'href="#f-note"' in refused.text
    left = browser.follow("/console/shift/off", {"note": "请乙回拨"})
    assert "已签退。" in words(left.text)
    assert "留下 1 件" in words(left.text)
    assert "请乙回拨" in words(left.text)
    (past,) = hall.hub.store.read(lambda unit: shifts.recent(unit, 5))
    assert past.left_open == [second]
    twice = browser.post("/console/shift/off", {"note": "x"})
    assert (twice.status_code, "您还没有签到" in words(twice.text)) == (409, True)


def test_the_leader_sees_claims_of_people_off_duty_and_takes_them_over(quick: World) -> None:
    report = call(quick, place="桥头", text="积水")
    officer = enter(quick, "officer")
    officer.follow(f"/console/reports/{report}/claim")
    leader = enter(quick, "leader")
    page = leader.get("/console/shift").text
    assert "不在班人员手上的报告" in words(page)
    assert f'href="/console/reports/{report}#h-take_over"' in page
    officer.follow("/console/shift/on")
    page = words(leader.get("/console/shift").text)
    assert "不在班人员手上的报告" not in page
    assert "其他当班人员手上的报告" in page
    assert "人officer · 值班员" in page
    leader.follow(f"/console/reports/{report}/take_over", {"reason": "原受理人已下班"})
    found = quick.hub.store.read(lambda unit: reports.get(unit, report))
    assert found
    assert found.claimed_by == "per_leader"
    colleague = enter(quick, "officer2").get("/console/shift").text
    assert "#h-take_over" not in colleague


@pytest.mark.parametrize("login", ["auditor", "admin"])
def test_who_only_looks_sees_the_shift_and_signs_nothing(quick: World, login: str) -> None:
    add_person(quick, "admin", Role.ADMIN)
    browser = enter(quick, login)
    page = browser.get("/console/shift")
    assert page.status_code == 200
    assert "/console/shift/on" not in page.text
    for act in ("on", "off"):
        assert browser.post(f"/console/shift/{act}", {"note": "x"}).status_code in (403, 409)
    assert quick.hub.store.read(shifts.on_duty) == []


def test_signing_on_twice_is_told(quick: World) -> None:
    browser = enter(quick, "officer")
    browser.follow("/console/shift/on")
    again = browser.post("/console/shift/on")
    assert (again.status_code, "您已经签到" in words(again.text)) == (409, True)
