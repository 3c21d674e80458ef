"""Rules of the info blocks of a CAP alert: words, languages, codes, links."""

import html.entities
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml import etree

from channels.codecs.cap_finding import Finding
from channels.codecs.cap_page import Page
from channels.codecs.markup import text_of

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
# The elements of HTML, old ones too: "<duty@city.example.cn>" or "<NAME>" is a way of writing, not markup.
_HTML = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote body br"
    " button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em"
    " embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html i"
    " iframe img input ins kbd label legend li link main map mark marquee menu meta meter nav nobr noscript object"
    " ol optgroup option output p param picture pre progress q s samp script section select small source span"
    " strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track"
    " tt u ul var video wbr"
)
_TAG = re.compile(rf"<!--|</?(?:{'|'.join(_HTML.split())})(?:\s[^<>]{{0,500}})?/?>", re.I)
_ENTITY = re.compile(r"&(#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|[A-Za-z]{2,31}[0-9]{0,2};)")
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
                yield page.error("R17", element, f"HTML tags in {name}")
            elif any(
                match[1] in html.entities.html5 or match[1][0] == "#" for match in _ENTITY.finditer(text)
            ):
                yield page.error("R17", element, f"HTML entities in {name}")


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
    categories, codes = (_values(page, infos[0], "category"), _codes(page, infos[0])) if infos else ((), ())
    for info in infos:
        if _values(page, info, "category") != categories:
            yield page.error("R22", info, "its categories differ from those of the first info")
        if _codes(page, info) != codes:
            yield page.error("R22", info, "its event codes differ from those of the first info")
        language = page.text(info, "language").lower() or "en-us"
        event = page.text(info, "event")
        if events.setdefault(language, event) != event:
            yield page.error("R22", info, "another event than an earlier info of the same language")


def translated(page: Page) -> Iterator[Finding]:
    """R23: the same words under two languages: one of them was not translated."""
    seen: dict[tuple[str, str], str] = {}
    for info in page.infos():
        language = (page.text(info, "language") or "en-US").split("-")[0].lower()
        for name in _TRANSLATED:
            at = page.first(info, name)
            text = "" if at is None else text_of(at)
            if at is None or not _LETTERS.search(text):
                continue
            if seen.setdefault((name, text), language) != language:
                yield page.warning("R23", at, f"the same {name} as in another language")


def pairs(page: Page) -> Iterator[Finding]:
    """R26: valueName and value of eventCode, parameter and geocode are not empty.

    Real Australian alerts carry dozens of empty parameters, so theirs are only told.
    """
    for name in ("eventCode", "parameter", "geocode"):
        for element in page.each(name):
            missing = [n for n in ("valueName", "value") if not page.text(element, n)]
            if missing:
                told = f"{name} without {' and '.join(missing)}"
                if name == "parameter":
                    yield page.duty("R26", element, told, is_note=False)
                else:
                    yield page.error("R26", element, told)


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
