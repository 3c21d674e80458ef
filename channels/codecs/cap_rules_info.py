"""Rules of the info blocks of a CAP alert: words, languages, codes, links."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml import etree

from channels.codecs.cap_finding import Finding
from channels.codecs.cap_page import Page, text_of

_WORDS = (
    "event",
    "headline",
    "description",
    "instruction",
    "audience",
    "contact",
    "senderName",
    "areaDesc",
    "note",
)
_TAG = re.compile(r"<!--|</?[A-Za-z][A-Za-z0-9]{0,20}(?:\s[^<>]{0,500})?/?>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8}[0-9]{0,2});")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")  # RFC 3066 §2.1
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986: ASCII only
_HEADLINE = 160  # CAP 1.2 §3.2.2 headline: some displays show only 160 characters
_TRANSLATED = ("event", "headline", "description", "instruction")
_LETTERS = re.compile(r"[^\W\d_]{2}")


def plain_words(page: Page) -> Iterator[Finding]:
    """R17: no HTML in text (CAP 1.2 §3.3.3); a receiver would show it, or worse, run it."""
    for name in _WORDS:
        for element in page.each(name):
            text = text_of(element)
            if _TAG.search(text):
                yield page.duty("R17", element, f"HTML tags in {name}")
            elif _ENTITY.search(text):
                yield page.duty("R17", element, f"HTML entities in {name}")


def links(page: Page) -> Iterator[Finding]:
    """R16: web is an absolute address, and one that a browser may be given."""
    for element in page.each("web"):
        text = text_of(element)
        if not is_absolute(text):
            yield page.error("R16", element, "web is not a full absolute URI")
        elif urlsplit(text).scheme.lower() not in ("http", "https"):
            yield page.error("R16", element, "web is neither http nor https")


def is_absolute(text: str) -> bool:
    """Whether `text` is a URI with a scheme, and with a host where the scheme is http or https."""
    if not _URI.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) if parts.scheme.lower() in ("http", "https") else True
    except ValueError:
        return False


def one_event(page: Page) -> Iterator[Finding]:
    """R22: one event per alert: all info blocks share categories and event codes, a language its event."""
    infos = page.infos()
    events: dict[str, str] = {}
    for info in infos:
        if _values(page, info, "category") != _values(page, infos[0], "category"):
            yield page.error("R22", info, "its categories differ from those of the first info")
        if _codes(page, info) != _codes(page, infos[0]):
            yield page.error("R22", info, "its event codes differ from those of the first info")
        language = page.text(info, "language").lower() or "en-us"
        event = page.text(info, "event")
        if events.setdefault(language, event) != event:
            yield page.error("R22", info, "another event than an earlier info of the same language")


def translated(page: Page) -> Iterator[Finding]:
    """R23: the same words under two languages: one of them was not translated."""
    for name in _TRANSLATED:
        seen: dict[str, str] = {}
        for info in page.infos():
            language = (page.text(info, "language") or "en-US").split("-")[0].lower()
            text = page.text(info, name)
            at = page.first(info, name)
            if at is None or not _LETTERS.search(text):
                continue
            if seen.setdefault(text, language) != language:
                yield page.warning("R23", at, f"the same {name} as in another language")


def pairs(page: Page) -> Iterator[Finding]:
    """R26: valueName and value of eventCode, parameter and geocode are not empty.

    Real Australian alerts carry dozens of empty parameters, so theirs are only told.
    """
    for name in ("eventCode", "parameter", "geocode"):
        for element in page.each(name):
            missing = [n for n in ("valueName", "value") if not page.text(element, n)]
            if missing:
                tell = page.duty if name == "parameter" else page.error
                yield tell("R26", element, f"{name} without {' and '.join(missing)}")


def languages(page: Page) -> Iterator[Finding]:
    """R33: language is RFC 3066 and written, since without it every receiver assumes en-US."""
    for info in page.infos():
        element = page.first(info, "language")
        if element is None:
            yield page.duty("R33", info, "no language: receivers take it for en-US")
        elif not _LANGUAGE.fullmatch(text_of(element)):
            yield page.error("R33", element, "language is not of the form zh-CN")


def headlines(page: Page) -> Iterator[Finding]:
    """R34: a headline fits small displays; in our own output a language has one info."""
    for element in page.each("headline"):
        if len(text_of(element)) > _HEADLINE:
            yield page.warning("R34", element, f"headline longer than {_HEADLINE} characters")
    if page.as_output:
        seen: set[str] = set()
        for info in page.infos():
            language = page.text(info, "language").lower()
            if language in seen:
                yield page.error("R34", info, "a second info of the same language")
            seen.add(language)


def expiry(page: Page) -> Iterator[Finding]:
    """R35: without expires each recipient follows his own policy."""
    for info in page.infos():
        if not page.text(info, "expires"):
            yield page.duty("R35", info, "no expires: recipients decide themselves when it ends")


def _values(page: Page, info: etree._Element, name: str) -> frozenset[str]:
    return frozenset(text_of(e) for e in page.all(info, name))


def _codes(page: Page, info: etree._Element) -> frozenset[tuple[str, str]]:
    return frozenset((page.text(c, "valueName"), page.text(c, "value")) for c in page.all(info, "eventCode"))
