"""The citizen's pages in a browser without JavaScript: narrow and wide, light and dark, in both languages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from store import reports
from store import tables as t
from tests.web.api_world import World, served

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PICTURES = os.environ.get("TOCSIN_PICTURES", "")  # a directory for screenshots, for whoever wants to look


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        assert not os.environ.get("CI"), "chromium is not installed"
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def _look(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def _fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_without_javascript_a_report_with_a_photo_is_sent_and_its_state_is_found(
    quick: World, chromium: Browser, tmp_path: Path
) -> None:
    photo = tmp_path / "现场.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with served(quick.hub) as port:
        context = chromium.new_context(
            java_script_enabled=False, locale="zh-CN", viewport={"width": 360, "height": 740}
        )
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/report")
        page.get_by_label("发生了什么").fill("江滨路塌方，有人被困")
        page.get_by_label("怎样联系您").fill("138 0013 8000")
        page.get_by_label("照片、视频或录音").set_input_files(photo)
        page.get_by_role("button", name="提交报告").click()
        page.wait_for_url("**/report/r/*")
        code = page.locator(".code strong").inner_text()
        page.reload()
        assert page.locator(".code strong").inner_text() == code
        assert quick.count(t.inbound) == 1
        page.go_back()
        page.get_by_role("button", name="提交报告").click()
        page.wait_for_url("**/report/r/*")
        quick.file_all()
        page.goto(f"http://127.0.0.1:{port}/report/state")
        page.get_by_label("编号（字母或数字）").fill(code.lower())
        page.get_by_label("手机号后四位").fill("8000")
        page.get_by_role("button", name="查询").click()
        page.wait_for_url("**/report/s/*")
        assert page.locator(".code strong").inner_text() == "已收到"
        assert context.cookies() == []
        context.close()
    rows = quick.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    found = [quick.hub.store.read(lambda unit, i=row.id: reports.get(unit, i)) for row in rows]
    (report,) = [one for one in found if one.code == code]
    assert report.content.text == "江滨路塌方，有人被困"
    assert [a.media_type for a in report.content.attachments] == ["image/png"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    quick: World, chromium: Browser, language: str, scheme: str
) -> None:
    with served(quick.hub) as port:
        site = f"http://127.0.0.1:{port}"
        answer = quick.client.post("/v1/citizen/reports", json={"text": "x", "contact": "13800138000"})
        quick.file_all()
        key = answer.json()["key"]
        context = chromium.new_context(locale=language, color_scheme=scheme, bypass_csp=True)
        page = context.new_page()
        for name in ("", "/state", f"/r/{key}", f"/s/{key}", "/s/forged"):
            for width in (320, 360, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                page.goto(f"{site}/report{name}?lang={language}")
                assert _fits(page), (name, width)
                title = name.strip("/").partition("/")[0] if name != "/s/forged" else "forged"
                _look(page, f"{title or 'form'}-{language}-{scheme}-{width}")
            found = Axe().run(page)
            assert found.violations_count == 0, (name, found.generate_report())
        page.goto(f"{site}/report?lang={language}")
        page.locator("details summary").click()
        page.evaluate(
            "document.querySelector('#report').submit()"
        )  # past the script: the page that the door gives back
        page.locator("[role=alert]").wait_for()
        _look(page, f"again-{language}-{scheme}")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        context.close()
