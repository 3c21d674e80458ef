"""A real Chromium at a served hub: a context per person, axe with no rule off; used by the browser tests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers import need
from tests.web.api_world import World
from tests.web.console_browser import link_for

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser."""
    (path,) = need("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def person_at(browser: Browser, hall: World, port: int, login: str, **how: Any) -> Iterator[Page]:
    """A page in which `login` has just come in."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{port}", locale="zh-CN", **how)
    page = context.new_page()
    page.goto(link_for(hall, login))
    page.locator("main button").click()
    page.wait_for_url(re.compile("/console$"))
    try:
        yield page
    finally:
        context.close()


def must_be_accessible(page: Page) -> None:
    """Fails with the rules and elements that axe found wrong."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"]
    told = [f"{v['id']}: {[n['target'] for n in v['nodes']][:4]}" for v in found]
    if told:
        pytest.fail(f"{page.url}: {told}")
