"""A person calls the demo hub from its page of phones, and an officer sees the call and hears what was said."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import seat
from tests.walks.houses import until


def _found(hub: HubProcess, wanted: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = hub.api("GET", "/v1/reports?channel=voice")["data"]
    return next((one for one in listed if one["text"] == wanted and one["attachments"]), {})


def _called(page: Page, hub: HubProcess, language: str, words: str) -> None:
    page.goto(f"{hub.url}/demo/outbox?lang={language}&live=0")
    page.locator("a[href^='/demo/call']").first.click()
    page.locator("button[value=ring]").click()
    if language == "en":
        page.locator("#keys").fill("2")
        page.locator("button[value=press]").click()
    page.locator("#keys").fill("1")
    page.locator("button[value=press]").click()
    page.locator("#keys").fill("990103#")
    page.locator("button[value=press]").click()
    page.locator("#words").fill(words)
    page.locator("button[value=done]").click()
    expect(page.locator(".empty")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "words", "place"),
    [("zh-CN", "河东村三组山体滑坡", "青石县"), ("en", "The bridge has fallen", "Qingshi")],
)
def test_a_call_from_the_demo_page_stands_in_the_queue_with_its_recording(
    browser: Browser, hub: HubProcess, language: str, words: str, place: str
) -> None:
    with seat(browser, hub.link("officer"), language) as officer:
        page = officer.page.context.new_page()
        _called(page, hub, language, words)
        assert place in page.inner_text("main")
        until(lambda: bool(_found(hub, words)), "the recording is kept", 60)
        report = _found(hub, words)
        officer.page.goto(f"{hub.url}/console/reports/{report['id']}")
        expect(officer.page.locator("main")).to_contain_text(words)
        expect(officer.page.locator("main")).to_contain_text("青石县")
        officer.page.goto(f"{hub.url}/console?channel=voice")
        expect(officer.page.locator("main")).to_contain_text(words)
