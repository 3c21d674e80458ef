"""With scripts switched off: the citizen's report, the public pages, and the whole desk by links and forms."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import PATIENCE
from tests.e2e.releases_made import released
from tests.walks.houses import until

PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def page(browser: Browser, hub: HubProcess) -> Iterator[Page]:
    """A browser without scripts that nobody has logged in with."""
    context = browser.new_context(base_url=hub.url, locale="zh-CN", java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def test_a_citizen_reports_with_a_photo_and_finds_out_what_became_of_it(
    page: Page, hub: HubProcess, tmp_path: Path
) -> None:
    photo = tmp_path / "现场.png"
    photo.write_bytes(PHOTO)
    page.goto("/report")
    page.locator("#text").fill("江滨路塌方，有人被困")
    page.locator("#place").fill("临江区江滨路")
    page.locator("#contact").fill("138 0013 8001")
    page.locator("#files").set_input_files(photo)
    page.get_by_role("button", name="提交报告").click()
    expect(page.locator(".code strong")).to_have_text(re.compile(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$"))
    code = page.locator(".code strong").inner_text()
    until(lambda: code in [r["code"] for r in hub.reports()], "the report is filed")
    page.locator("main a[href*='/report/s/']").click()
    expect(page.locator(".code strong")).to_have_text("已收到")
    page.goto("/report/state")
    page.locator("#code").fill(code.lower())
    page.locator("#phone").fill("8001")
    page.get_by_role("button", name="查询").click()
    expect(page.locator(".code strong")).to_have_text("已收到")
    expect(page.locator("main")).not_to_contain_text("8001")
    (report,) = [r for r in hub.reports() if r["code"] == code]
    assert [a["media_type"] for a in report["attachments"]] == ["image/png"]
    assert page.context.cookies() == []


@pytest.mark.parametrize(("tree", "language"), [("", "zh-CN"), ("/en", "en")])
def test_the_public_finds_an_alert_by_place_by_month_and_in_the_feeds(
    page: Page, hub: HubProcess, tree: str, language: str
) -> None:
    release = released(hub, f"public-{language}")
    page.goto(f"{tree}/")
    page.locator(f"main a[href*='alerts/{release}']").first.click()
    expect(page.locator(".state")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", language)
    for nav in ("a/index.html", "past/index.html", "feeds/index.html"):
        page.goto(f"{tree}/")
        page.locator(f"footer a[href$='{nav}']").click()
        expect(page.locator("h1")).to_be_visible()
    for feed in page.locator("main ul.feeds a").all():
        answer = page.request.get(f"{hub.url}/{(feed.get_attribute('href') or '').replace('../', '')}")
        assert answer.ok, answer.url
    page.goto(f"{tree}/alerts/{release}/")
    page.locator("header a[hreflang]").click()
    expect(page.locator("html")).not_to_have_attribute("lang", language)
    expect(page.locator(".state")).to_be_visible()


def test_an_officer_and_an_approver_do_the_whole_job_by_forms(
    page: Page, browser: Browser, hub: HubProcess
) -> None:
    text = "村口的桥被洪水冲断"
    hub.text("+8613900000005", text)
    until(lambda: text in [r["text"] for r in hub.reports()], "the report is filed")
    page.goto(hub.link("officer"))
    page.locator("main button").click()
    page.locator("#rows tr", has_text=text).locator("a.open").click()
    page.locator("#do-claim").click()
    expect(page.locator("#r-acts")).to_contain_text("由您受理")
    page.locator("#f-event_code").select_option("11B03")
    page.locator("#f-grade").select_option("2")
    page.locator("#f-area").select_option("990103000000")
    page.get_by_role("button", name="保存分类").click()
    page.locator("#do-draft").click()
    expect(page.locator("[name='areas'][value='990103000000']")).to_be_checked()
    page.locator("[name='colour'][value='orange']").check()
    for name, value in (("hours", "3"), ("rainfall_mm", "50"), ("hotline", "12345")):
        page.locator(f"#f-fields-{name}").fill(value)
    page.get_by_role("button", name="保存并提交审批").click()
    expect(page.locator("#h-ask")).to_have_text("等待审批")
    release = page.url.rpartition("/")[2].partition("?")[0]
    _approve(browser, hub, release)
    assert hub.api("GET", f"/v1/releases/{release}")["state"] in ("publishing", "published")


def _approve(browser: Browser, hub: HubProcess, release: str) -> None:
    """The other person, in a browser of his own."""
    context = browser.new_context(base_url=hub.url, locale="zh-CN", java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(hub.link("approver"))
    page.locator("main button").click()
    page.goto("/console/releases")
    page.locator(f"section[aria-labelledby='h-mine'] a[href$='{release}']").click()
    number = re.search(r"\d+", page.locator("label[for=f-reach]").inner_text())
    assert number
    page.locator("#f-reach").fill(number[0])
    page.locator("form[action$='/approve'] button").click()
    expect(page.locator("#h-far")).to_be_visible()
    context.close()
