"""The live link as two officers see it: through a hub that dies and comes back, in a hidden tab, and in a race for a claim."""

import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import Seat, seat

LOST = re.compile("已断开 [0-9]+ 秒")
# A headless browser hides no tab, not even one behind another: the page is told what a hidden one is told.
SEEN = """is_hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => is_hidden });
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => is_hidden ? "hidden" : "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def officer(browser: Browser, hub: HubProcess) -> Iterator[Seat]:
    with seat(browser, hub.link("officer"), "zh-CN") as sitting:
        yield sitting


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_hub_that_died_is_missed_and_its_page_goes_on_where_it_was(
    officer: Seat, hub: HubProcess, number: signal.Signals
) -> None:
    page = officer.page
    page.goto("/console")
    expect(page.locator("#link")).to_have_text("● 实时")
    page.evaluate("document.title = 'not loaded again'")
    hub.end(number)
    expect(page.locator("#link")).to_have_text(LOST)
    hub.start()
    hub.text("+8613900000002", f"断线期间的来报 {number.name}")
    expect(page.locator("#link")).to_have_text("● 实时")
    expect(page.locator("#bar")).to_be_hidden()
    expect(page.locator("#rows tr").first).to_contain_text(f"断线期间的来报 {number.name}")
    assert page.title() == "not loaded again"


def test_a_page_that_nobody_looks_at_hears_everything_and_counts_it_in_its_title(
    officer: Seat, hub: HubProcess
) -> None:
    page = officer.page
    page.goto("/console")
    expect(page.locator("#link")).to_have_text("● 实时")
    page.evaluate(SEEN, True)
    for n in range(5):
        hub.text("+8613900000003", f"无人看时的来报 {n}")
    expect(page).to_have_title(re.compile(r"^\(5\)"))
    expect(page.locator("#rows tr", has_text="无人看时的来报")).to_have_count(5)
    page.evaluate(SEEN, False)
    expect(page).to_have_title(re.compile(r"^[^(]"))


def test_who_comes_second_is_told_who_has_it_and_nothing_changes(
    officer: Seat, browser: Browser, hub: HubProcess
) -> None:
    hub.text("+8613900000004", "两人同时看到的来报")
    with seat(browser, hub.link("officer2"), "zh-CN") as second:
        second.page.route("**/console/stream*", lambda route: route.abort())  # has not heard of the claim yet
        for sitting in (officer, second):
            sitting.page.goto("/console")
            expect(sitting.page.locator("#rows tr").first).to_contain_text("两人同时看到的来报")
        officer.press("j", "a")
        expect(officer.page.locator("#r-acts")).to_contain_text("由您受理")
        second.press("j", "a")
        told = re.compile("已由 值班员甲 受理（.+）。需要接手时请带班领导办理。")
        expect(second.page.locator("#problem")).to_contain_text(told)
    (report,) = [r for r in hub.reports() if r["text"] == "两人同时看到的来报"]
    assert (report["state"], report["revision"]) == ("claimed", 2)
