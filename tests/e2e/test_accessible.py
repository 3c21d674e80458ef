"""axe, with every rule of its own on, over every screen: light and dark, wide and narrow, Chinese and English."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from starlette.routing import Route

from tests.e2e.filled import fill
from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import PATIENCE
from tests.e2e.releases_made import state
from tests.e2e.screens_list import DESK, EVERY, NO_SCREENS, Screen
from tests.walks.houses import until
from tests.web.api_world import world
from web.console.routes import routes
from web.live import Live

GOOD = "渠道,号码,区划,语言,组,姓名\n短信,13800138001,990101,中文,责任人,张三\n"
# language, then (scheme, width): both schemes, both widths, both languages; the long run takes each with each
LOOKS = {
    "zh-CN": (("light", 1440), ("dark", 360)),
    "en": (("dark", 1440), ("light", 360)),
}
SHORT = {"zh-CN": (("light", 1440),), "en": (("dark", 360),)}


@pytest.fixture(scope="module")
def rooms(browser: Browser, hub: HubProcess) -> Iterator[dict[str, Page]]:
    """A page of each person, and one of somebody who is not logged in."""
    with ExitStack() as stack:
        made: dict[str, Page] = {}
        for who in ("", "officer", "approver", "admin", "auditor", "security", "field"):
            context = browser.new_context(base_url=hub.url, locale="zh-CN")
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            made[who] = context.new_page()
            if who:
                made[who].goto(hub.link(who))
                made[who].locator("main button").click()
                expect(made[who].locator("#live, #tasks").first).to_be_attached()
        yield made


@pytest.fixture(scope="module")
def found(hub: HubProcess, rooms: dict[str, Page]) -> dict[str, str]:
    """name -> what stands in the filled hub."""
    made = fill(hub)
    month = datetime.now().astimezone().strftime("%Y/%m")
    slips = {"kept": _slip(rooms["officer"], "保存"), "slip": _slip(rooms["officer"], "挂起")}
    _task(rooms["officer"], rooms["field"], made["phone"])
    brief = {"brief": _brief(rooms["officer"], made["phone"])}
    lists = {
        "bad_list": _list(rooms["admin"], GOOD.replace("990101", "998877")),
        "good_list": _list(rooms["admin"], GOOD),
    }
    return {**made, **slips, **brief, **lists, "month": month, "link": hub.link("officer2")}


def test_every_page_of_the_desk_is_among_the_screens(
    sqlite_model: Path, tmp_path: Path, at: datetime
) -> None:
    with world(tmp_path / "data", at, model=sqlite_model) as hall:
        known = routes(hall.hub, Live(hall.hub))
    pages = {route.path for route in known if isinstance(route, Route) and "GET" in (route.methods or ())}
    assert pages - NO_SCREENS == {screen.route for screen in DESK}
    assert pages >= NO_SCREENS


@pytest.mark.parametrize(
    "every", [SHORT, pytest.param(LOOKS, marks=pytest.mark.faults)], ids=["short", "long"]
)
@pytest.mark.parametrize(
    "screen", EVERY, ids=lambda s: f"{s.who or 'anybody'}-{s.path.strip('/') or 'index'}"
)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    screen: Screen,
    every: dict[str, tuple[tuple[str, int], ...]],
    rooms: dict[str, Page],
    found: dict[str, str],
    hub: HubProcess,
) -> None:
    page, path = rooms[screen.who], screen.path.format(**found)
    if "{unlifted}" in screen.path:
        until(lambda: state(hub, found["unlifted"])["state"] == "unlifted", "it has expired")
    one = {"zh-CN": LOOKS["zh-CN"]}
    for language, looks in (every if screen.is_bilingual else one).items():
        page.goto(f"{path}{'&' if '?' in path else '?'}lang={language}")
        page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        for scheme, width in looks:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, f"{page.url} at {width}: {wide} px too wide"
            told = [
                f"{v['id']}: {[n['target'] for n in v['nodes']][:4]}"
                for v in Axe().run(page).response["violations"]
            ]
            assert not told, f"{page.url} {scheme} {width}: {told}"


def _slip(page: Page, button: str) -> str:
    """A call slip saved or put in hold; the address it leads to."""
    page.goto("/console/calls/new")
    page.locator("#f-place").fill("江滨路88号")
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("#code" if button == "保存" else "#held a").first).to_be_visible()
    return page.url.partition("?done")[0]


def _brief(page: Page, report: str) -> str:
    """A report upwards as a draft; its address."""
    page.goto(f"/console/briefs/new?report={report}&kind=first")
    page.get_by_role("button", name="保存草稿").click()
    expect(page.locator("#h-acts")).to_be_visible()
    return page.url.partition("?done")[0]


def _task(page: Page, phone: Page, report: str) -> None:
    """A task that somebody in the field has, and something that he has sent for it."""
    page.goto(f"/console/reports/{report}")
    page.get_by_text("派出现场任务").click()
    page.get_by_label("派给").select_option(index=1)
    page.get_by_label("做什么").fill("到现场拍照核实")
    page.get_by_role("button", name="派出", exact=True).click()
    expect(page.locator("#r-tasks li")).to_have_count(1)
    phone.goto("/field")
    phone.get_by_label("现场情况").fill("路面塌陷约十米")
    phone.get_by_role("button", name="上报", exact=True).click()
    expect(phone.locator("#mine li")).to_have_count(1, timeout=PATIENCE)


def _list(page: Page, text: str) -> str:
    """A list that was uploaded and read; the address of its import."""
    page.goto("/console/recipients")
    page.locator("#f-file").set_input_files(
        files=[{"name": "名单.csv", "mimeType": "text/csv", "buffer": text.encode()}]
    )
    page.get_by_role("button", name="读取并预览").click()
    expect(page.locator("#state .box, #state .ask, #state .go, #h-wrong").first).to_be_visible()
    return page.url
