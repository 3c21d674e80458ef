"""Releases in a real browser: written with the previews beside, approved, watched live, ended; nothing axe objects to."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from domain.person import Role
from domain.release import State
from outbox import relay
from store import releases
from store import tables as t
from tests.web.api_world import World, served, world
from tests.web.console_browser import Browser, add_person, add_recipients, call, enter, rain
from tests.web.screens import chromium, must_be_accessible, person_at
from tests.web.test_console_endings import hidden, reach_some, released

LIST = "渠道,号码,区划,语言,组,姓名\n短信,13800138001,990101,中文,责任人,张三\n短信,13800138001,990101,中文,责任人,张三\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def hall(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        add_recipients(made)
        add_person(made, "admin", Role.ADMIN)
        yield made


@pytest.fixture
def port(hall: World) -> Iterator[int]:
    with served(hall.hub) as bound:
        yield bound


def one_release(hall: World) -> Any:
    found = hall.hub.store.read(lambda unit: releases.page(unit, limit=2))
    assert len(found) == 1
    return found[0]


def classified(hall: World) -> str:
    """A report that the duty room has classified as heavy rain in 甲一区."""
    report = call(hall, place="石门水库下游", text="水库泄洪，河滩有人", area="990101")
    officer = enter(hall, "officer")
    officer.get(f"/console/reports/{report}")
    officer.follow(f"/console/reports/{report}/claim")
    officer.follow(
        f"/console/reports/{report}/classify", {"event_code": "11B03", "grade": "2", "area": "990101000000"}
    )
    return report


def test_the_form_is_shown_as_it_would_leave_while_it_is_typed(
    hall: World, browser: Chromium, port: int
) -> None:
    with person_at(browser, hall, port, "officer") as page:
        page.goto("/console/releases/new?template=heavy_rain")
        expect(page.locator("#previews")).to_contain_text("还不能提交")
        page.get_by_label("橙色").check()
        page.locator("[name='areas'][value='990101000000']").check()
        page.locator("#f-fields-hours").fill("3")
        page.locator("#f-fields-rainfall_mm").fill("50")
        page.locator("#f-fields-hotline").fill("12345")
        sms = page.locator("#previews article", has_text="短信 · 中文")
        expect(sms).to_contain_text("降雨50毫米以上")
        page.locator("#f-fields-rainfall_mm").fill("85")
        expect(sms).to_contain_text("降雨85毫米以上")
        expect(page.locator("#previews table")).to_contain_text("7")
        page.locator("[name='channels'][value='web_notice']").uncheck()
        expect(page.locator("#previews article", has_text="网页公告")).to_have_count(0)
        must_be_accessible(page)


def test_what_was_typed_is_there_again_after_a_reload_and_is_one_draft(
    hall: World, browser: Chromium, port: int
) -> None:
    with person_at(browser, hall, port, "officer") as page:
        page.goto("/console/releases/new?template=heavy_rain")
        page.locator("#f-fields-rainfall_mm").fill("61")
        page.locator("#f-fields-hours").fill("4")
        page.locator("#f-issuer").fill("甲市气象台")
        page.locator("#f-issuer").blur()
        expect(page.locator("#kept")).to_contain_text("已自动保存")
        page.locator("#f-fields-hotline").fill("96110")
        page.locator("#f-fields-hotline").blur()
        expect(page.locator("#kept [name=revision]")).to_have_value("2")
        page.reload()
        expect(page.locator("#f-fields-rainfall_mm")).to_have_value("61")
        expect(page.locator("#f-fields-hotline")).to_have_value("96110")
        assert one_release(hall).draft.issuer == "甲市气象台"


def test_from_a_report_three_acts_lead_to_a_submission(hall: World, browser: Chromium, port: int) -> None:
    report = classified(hall)
    with person_at(browser, hall, port, "officer") as page:
        page.goto(f"/console/reports/{report}")
        page.keyboard.press("r")
        expect(page.get_by_role("heading", name=re.compile("起草"))).to_be_visible()
        expect(page.locator("[name='areas'][value='990101000000']")).to_be_checked()
        for name, value in (("hours", "3"), ("rainfall_mm", "50"), ("hotline", "12345")):
            page.locator(f"#f-fields-{name}").fill(value)  # facts are typed; no template can know them
        page.get_by_label("橙色").check()
        page.get_by_role("button", name="保存并提交审批").click()
        expect(page.get_by_text("已提交审批，等待另一位签发人批准")).to_be_visible()
        must_be_accessible(page)
    assert one_release(hall).state is State.SUBMITTED


def test_areas_are_found_by_name_and_those_ticked_stay(hall: World, browser: Chromium, port: int) -> None:
    with person_at(browser, hall, port, "officer") as page:
        page.goto("/console/releases/new?template=heavy_rain")
        page.locator("[name='areas'][value='990101000000']").check()
        page.locator("#f-area_filter").fill("乙市")
        expect(page.locator("#tree label")).to_have_count(2)
        expect(page.locator("[name='areas'][value='990101000000']")).to_be_checked()
        page.locator("#f-area_filter").fill("无此地")
        expect(page.locator("#tree")).not_to_contain_text("乙市")


def test_without_scripts_a_draft_is_previewed_kept_and_submitted(
    hall: World, browser: Chromium, port: int
) -> None:
    with person_at(browser, hall, port, "officer", java_script_enabled=False) as page:
        page.goto("/console/releases/new?template=heavy_rain")
        page.get_by_label("橙色").check()
        page.locator("[name='areas'][value='990101000000']").check()
        for name, value in (("hours", "3"), ("rainfall_mm", "50"), ("hotline", "12345")):
            page.locator(f"#f-fields-{name}").fill(value)
        page.get_by_role("button", name="保存并预览").click()
        expect(page.locator("main")).to_contain_text("降雨50毫米以上")
        page.get_by_role("button", name="提交审批").click()
        expect(page.get_by_text("等待另一位签发人批准")).to_be_visible()


def test_numbers_move_without_a_reload_and_a_wrong_word_stops_nothing(
    hall: World, browser: Chromium, port: int
) -> None:
    officer, approver = enter(hall, "officer"), enter(hall, "approver")
    path = released(hall, officer, approver)
    with person_at(browser, hall, port, "officer") as page:
        page.goto(path)
        expect(page.locator("#numbers")).to_contain_text("7等待发送")
        page.evaluate("document.title = 'not loaded again'")
        reach_some(hall, path)
        expect(page.locator("#numbers")).to_contain_text("约 1 条结果不明")
        assert page.title() == "not loaded again"
        page.get_by_role("link", name="停止发送").click()
        page.locator("#f-reason").fill("核实有误")
        page.locator("#f-word").fill("停止")
        page.get_by_role("button", name="立即停止发送").click()
        expect(page.locator("#problem")).to_contain_text("没有执行任何操作")
        assert one_release(hall).state is State.PUBLISHING
        page.locator("#f-word").fill("停止发送")
        page.get_by_role("button", name="立即停止发送").dblclick()
        expect(page.locator("main")).to_contain_text("已停止")
        assert one_release(hall).state is State.STOPPED


def test_an_approver_types_the_number_and_releases(hall: World, browser: Chromium, port: int) -> None:
    officer = enter(hall, "officer")
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    with person_at(browser, hall, port, "approver") as page:
        page.goto("/console/releases")
        page.locator("section", has_text="等您审批（1）").get_by_role("link").click()
        page.locator("#f-reach").fill("7")
        page.get_by_role("button", name="批准并向 7 人发布").dblclick()
        expect(page.get_by_text("发送进度")).to_be_visible()
    assert one_release(hall).state in (State.APPROVED, State.PUBLISHING)
    assert hall.count(t.approval) == 1


def test_a_list_is_uploaded_seen_in_numbers_and_taken(hall: World, browser: Chromium, port: int) -> None:
    with person_at(browser, hall, port, "admin") as page:
        page.goto("/console/recipients")
        upload = {"name": "名单.csv", "mimeType": "text/csv", "buffer": LIST.encode("gb18030")}
        page.locator("#f-file").set_input_files(files=[upload])
        page.get_by_role("button", name="读取并预览").click()
        expect(page.locator("#state")).to_contain_text("等待确认")
        expect(page.locator("#state")).to_contain_text("1文件内重复")
        must_be_accessible(page)
        page.get_by_role("button", name="导入 1 行").click()
        expect(page.locator("main")).to_contain_text("已导入，名单已更新")
        page.goto("/console/recipients")
        expect(page.locator("main table").first).to_contain_text("责任人")
        upload["buffer"] = LIST.replace("990101", "998877").encode()
        page.locator("#f-file").set_input_files(files=[upload])
        page.get_by_role("button", name="读取并预览").click()
        expect(page.locator("#state")).to_contain_text("没有导入任何一行")


@pytest.mark.parametrize(("width", "scheme", "language"), [(1440, "light", "en"), (360, "dark", "zh-CN")])
def test_axe_finds_nothing_on_any_page_of_releases(
    hall: World, browser: Chromium, port: int, width: int, scheme: Any, language: str
) -> None:
    officer, approver = enter(hall, "officer"), enter(hall, "approver")
    for who, path in _pages(hall, officer, approver):
        size = {"width": width, "height": 900}
        with person_at(browser, hall, port, who, viewport=size, color_scheme=scheme) as page:
            page.goto(f"{path}?lang={language}")
            _must_fit(page)
            must_be_accessible(page)


def _pages(hall: World, officer: Browser, approver: Browser) -> list[tuple[str, str]]:
    draft = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    first = released(hall, officer, approver)
    reach_some(hall, first)
    update = officer.post(f"{first}/update").headers["location"].removesuffix("/edit")
    revision = hidden(officer.get(f"{update}/edit").text, "revision")
    officer.follow(f"{update}/edit", rain(**{"fields.rainfall_mm": "80", "revision": revision}))
    officer.follow(f"{update}/submit")
    false_alarm = released(hall, officer, approver)
    reach_some(hall, false_alarm)
    officer.follow(f"{false_alarm}/correct", {"reason": "误发", "word": "CORRECT"})
    for _, dispatch in hall.rings:
        relay.relay(hall.hub.outgoing, dispatch)
    mine = [
        draft,
        f"{draft}/edit",
        first,
        false_alarm,
        *(f"{first}/{act}" for act in ("stop", "lift", "correct", "update")),
    ]
    return [*(("officer", path) for path in mine), ("approver", "/console/releases"), ("approver", update),
            ("admin", "/console/recipients")]  # fmt: skip


def _must_fit(page: Page) -> None:
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0, page.url
