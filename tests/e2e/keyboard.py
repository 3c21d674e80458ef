"""A person who has no mouse: Tab to a control, then keys; and the words of the page in the language it is shown in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from templates import pages

PATIENCE = 60_000  # ms; eight people share two cores
STEPS = 400  # Tabs until one has been everywhere on a page
expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Seat:
    """One person before a screen: what is on it, and what its words are."""

    page: Page
    language: str

    def say(self, text: str, **values: Any) -> str:
        """The Chinese source text as this person reads it."""
        said: str = self.translate(text)
        return said.format(**values) if values else said

    def word(self, section: str, code: str) -> str:
        return str(pages.word(section, code, self.language))

    @property
    def translate(self) -> Callable[[str], str]:
        return pages.translator(self.language)

    def go_to(self, control: Locator) -> None:
        """Tab until the control has the focus."""
        expect(control).to_be_visible()
        for _ in range(STEPS):
            if control.evaluate("e => e === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no Tab leads to {control}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def enter(self, control: Locator) -> None:
        """Go to a link or a button and press Enter."""
        self.go_to(control)
        self.press("Enter")

    def write(self, control: Locator, text: str) -> None:
        """Go to a field and type over what stands in it."""
        self.go_to(control)
        self.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        expect(control).to_have_value(text)

    def tick(self, control: Locator) -> None:
        """Tick a box that has the focus."""
        self.go_to(control)
        self.press("Space")
        expect(control).to_be_checked()

    def button(self, words: str) -> Locator:
        return self.page.get_by_role("button", name=words, exact=True)

    def link(self, words: str) -> Locator:
        return self.page.get_by_role("link", name=words, exact=True)


@contextmanager
def seat(browser: Browser, link: str, language: str, **how: Any) -> Iterator[Seat]:
    """A person who has come in by a one-time link, by keyboard, in a browser of that language."""
    context = browser.new_context(locale=language, base_url=link.partition("/login/")[0], **how)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    try:
        page.goto(link)
        made = Seat(page, language)
        made.enter(page.locator("main button"))
        expect(page.locator("#live")).to_be_attached()
        if page.locator("html").get_attribute("lang") != language:  # the demo's people read Chinese
            made.enter(page.locator(f"a[hreflang='{language}']"))
        expect(page.locator("h1")).to_have_text(made.say("接报台"))
        yield made
    finally:
        context.close()
