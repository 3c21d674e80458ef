"""A call rings at the desk: an officer without a mouse has it written down within 45 seconds, with its number and times."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import seat
from tests.walks.houses import until

SECONDS = 45  # from the ring to the kept slip
TYPED = 90  # ms a letter: 130 words a minute of pinyin, or a good typist of English


def _rings(page: Page, hub: HubProcess, number: str) -> None:
    page.goto(f"{hub.url}/demo/call")
    page.locator("#number").fill(number)
    page.locator("button[value=desk]").click()


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_a_call_is_written_down_by_keyboard_alone_within_45_seconds(
    browser: Browser, hub: HubProcess, language: str
) -> None:
    number = "13700137000" if language == "en" else "13700137001"
    place = f"Riverside 88 {language}"
    with seat(browser, hub.link("officer"), language) as officer:
        expect(officer.page.locator("#link.on")).to_be_visible()
        phone = officer.page.context.browser.new_context().new_page()  # the telephone has keys of its own
        _rings(phone, hub, number)
        began = time.monotonic()
        expect(officer.page.locator("#held")).to_contain_text(number)  # pushed: nobody reloaded the page
        phone.locator("button[value=answer]").click()
        officer.press("n")
        expect(officer.page.locator("#f-caller")).to_have_value(number)
        expect(officer.page.locator("#f-place")).to_be_focused()
        expect(officer.page.locator("#ring")).to_contain_text(officer.say("接听"))
        officer.page.keyboard.type(place, delay=TYPED)
        officer.press("Tab")
        officer.page.keyboard.type(
            "Water in the cellar, two cars under it, nobody is hurt so far.", delay=TYPED
        )
        phone.locator("button[value=hang_up]").click()
        expect(officer.page.locator("#ring")).to_contain_text(officer.word("cause", "normalClearing"))
        expect(officer.page.locator("#f-place")).to_have_value(
            place
        )  # what the push brought took nothing away
        officer.press("Control+Enter")
        expect(officer.page).to_have_url(re.compile("/console/calls/kept"))
        lasted = time.monotonic() - began
        assert lasted <= SECONDS, f"{lasted:.1f} s"
        print(f"kept after {lasted:.1f} s")
        phone.context.close()

    def found() -> dict:
        return next((r for r in hub.api("GET", "/v1/reports?channel=phone")["data"]
                     if r["facts"].get("place", [{}])[0].get("value") == place), {})  # fmt: skip

    until(lambda: bool(found()), "the report is filed", 60)
    facts = {name: [fact["value"] for fact in values] for name, values in found()["facts"].items()}
    assert facts["sender"][0].endswith(number) and facts["recording_link"][0].endswith(".wav")
    assert facts["call_rang"][0] <= facts["call_answered"][0] <= facts["call_ended"][0]
