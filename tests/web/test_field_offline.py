"""/field on a bad network, in a real browser: photo after photo is kept, and arrives once, with its time and place."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from domain.person import Role
from domain.task import Task, TaskState
from duty import tasks as duty
from store import people, tasks
from store import tables as t
from templates import citizen_pages
from tests.web.api_world import World, served
from tests.web.bad_network import Network, network
from tests.web.console_browser import add_person, call, link_for
from tests.web.screens import chromium, must_be_accessible
from tests.web.test_citizen_offline import away, back, photo, rows
from tests.web.test_field import given, report_of, task_of

HERE = {"latitude": 30.2741, "longitude": 120.1551, "accuracy": 12.0}
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "geolocation": HERE,
    "permissions": ["geolocation"],
}
SAID = citizen_pages.words("field")["zh-CN"]["said"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@contextmanager
def phone(browser: Browser, hall: World, **how: Any) -> Iterator[tuple[BrowserContext, Network]]:
    """The telephone of somebody in the field who has opened his page once, with its worker in force."""
    if not hall.hub.store.read(lambda unit: people.by_login(unit, "zhao")):
        add_person(hall, "zhao", Role.FIELD)
    with served(hall.hub) as port, network(port) as net:
        context = browser.new_context(base_url=f"http://127.0.0.1:{net.port}", locale="zh-CN", **PHONE, **how)
        try:
            log_in(hall, context)
            net.posts.clear()
            yield context, net
        finally:
            context.close()


def log_in(hall: World, context: BrowserContext, login: str = "zhao") -> None:
    page = context.new_page()
    page.goto(link_for(hall, login))
    page.locator("main button").click()
    page.wait_for_url("**/field")
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    expect(page.locator("#with-script")).to_be_visible()
    page.close()


def shoot(page: Page, n: int) -> None:
    page.locator("#shot").set_input_files(
        [{"name": f"现场{n}.jpeg", "mimeType": "image/jpeg", "buffer": photo(1600 + n, 1200)}]
    )
    expect(page.locator("#note")).to_have_text(SAID["photo_kept"])
    expect(page.locator("#kept li")).to_have_count(n)


def opened(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/field")
    page.locator("#to").click()  # the first press asks where he is
    page.keyboard.press("Escape")
    return page


def test_r2_photos_and_steps_of_a_task_taken_without_a_network_arrive_once_each(
    quick: World, browser: Browser
) -> None:
    report = call(quick, text="大坪村三组滑坡")
    add_person(quick, "zhao", Role.FIELD)
    task = given(quick, report)
    with phone(browser, quick) as (context, net):
        away(context, net)
        page = opened(context)
        expect(page.locator("#stale")).to_be_visible()
        expect(page.locator("#tasks")).to_contain_text("到现场拍照核实")
        page.get_by_role("button", name="到达").click()
        expect(page.locator("#note")).to_have_text(SAID["step_kept"])
        for n in (2, 3, 4):
            shoot(page, n)
        must_be_accessible(page)
        page.close()
        page = context.new_page()
        page.goto("/field?lang=en")
        expect(rows(page, "waiting")).to_have_count(4)
        assert net.posts == [] and quick.count(t.field_item) == 0
        back(context, net)
        expect(rows(page, "sent")).to_have_count(4, timeout=20_000)
        expect(page.locator("#mine li")).to_have_count(3)
        expect(page.locator("#tasks")).to_contain_text("On site")
    assert task_of(quick, task).state is TaskState.ARRIVED
    said = report_of(quick, report)
    assert quick.count(t.report_row) == 1 and len(said.content.attachments) == 3
    times = [f.value for f in said.content.facts["time"] if f.origin == "exif"]
    assert set(times) == {"2026-11-23T08:00:00+08:00"}
    places = {(f.value, f.note[:5]) for f in said.content.facts["position"] if f.origin == "field"}
    assert places == {("30.2741,120.1551", "±12 m")}
    for kept in said.content.attachments:
        with Image.open(io.BytesIO(quick.hub.blobs.get(kept.sha256))) as picture:
            assert not picture.getexif().get(0x010F)


def test_r2_a_photo_whose_answer_was_lost_is_one_and_the_next_goes_to_the_same_matter(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, net):
        page = opened(context)
        net.cuts = 1
        shoot(page, 1)
        assert net.was_cut.wait(10)
        shoot(page, 2)
        expect(rows(page, "sent")).to_have_count(2, timeout=20_000)
    quick.file_all()
    quick.clock.forward(seconds=2)
    quick.file_all()
    assert quick.count(t.field_item) == 2 and quick.count(t.report_row) == 1
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    assert len(report_of(quick, row.id).content.attachments) == 2


def test_a_login_that_was_ended_hides_the_tasks_and_what_waits_is_sent_after_the_next(
    quick: World, browser: Browser
) -> None:
    report = call(quick, text="大坪村三组滑坡")
    add_person(quick, "zhao", Role.FIELD)
    given(quick, report)
    with phone(browser, quick) as (context, net):
        away(context, net)
        page = opened(context)
        shoot(page, 1)
        quick.hub.store.run(lambda unit: people.end_sessions(unit, "per_zhao"))
        back(context, net)
        expect(page.locator("#kept")).to_contain_text(SAID["login"], timeout=15_000)
        assert net.posts == [] and quick.count(t.field_item) == 0
        page.goto("/field")
        page.wait_for_url("**/login")
        away(context, net)
        page.goto("/field")
        expect(page.locator("#out")).to_be_visible()
        assert "到现场拍照核实" not in page.content()
        back(context, net)
        add_person(quick, "qian", Role.FIELD)
        log_in(quick, context, "qian")
        page.goto("/field")
        expect(page.locator("#mine")).to_be_visible()
        expect(page.locator("#kept li")).to_have_count(0)
        assert quick.count(t.field_item) == 0  # his photo is not sent in another's name
        log_in(quick, context)
        page.goto("/field")
        expect(rows(page, "sent")).to_have_count(1, timeout=15_000)
    assert len(report_of(quick, report).content.attachments) == 1


@pytest.mark.faults
def test_a_recalled_task_refuses_a_step_and_says_so_while_the_words_go_on(
    quick: World, browser: Browser
) -> None:
    report = call(quick, text="大坪村三组滑坡")
    add_person(quick, "zhao", Role.FIELD)
    task = given(quick, report)
    with phone(browser, quick) as (context, net):
        away(context, net)
        page = opened(context)
        page.get_by_role("button", name="出发").click()
        expect(rows(page, "waiting")).to_have_count(1)
        page.get_by_label("现场情况").fill("路断了")
        page.get_by_role("button", name="上报", exact=True).click()
        expect(rows(page, "waiting")).to_have_count(2)
        _recall(quick, task)
        back(context, net)
        expect(rows(page, "refused")).to_have_count(1, timeout=15_000)
        expect(rows(page, "sent")).to_have_count(1)
        expect(page.locator("#tasks")).to_contain_text("已撤回")
        page.get_by_role("button", name="从列表删除: 出发").click()
        expect(rows(page, "refused")).to_have_count(0)
    assert report_of(quick, report).content.text.endswith("路断了")


def _recall(hall: World, task: Task) -> None:
    def work(unit: Any) -> None:
        by = people.get(unit, "per_officer")
        duty.recall(unit, task.id, by=by, at=hall.clock() + timedelta(minutes=1), reason="不用去了")

    hall.hub.store.run(work)
    assert not hall.hub.store.read(lambda unit: tasks.get(unit, task.id)).is_open
