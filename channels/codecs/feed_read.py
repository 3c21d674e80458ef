"""Feeds of others, Atom 1.0 and RSS 2.0: the CAP files that they name.

Shapes met: entries that link to a CAP file with its type (the OASIS practice), entries whose only link is one
(NWS), RSS items with a plain link (Alert Hub, WMO), whole alerts inside entries (those are read in place and are
not named here). Ids and the order of entries are not trusted: some change at every look.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from lxml import etree

from channels.codecs.markup import text_of

ITEMS = 5_000  # that one look takes up; at 205 bytes each that is more than the 900 KB which readers accept
ADDRESS_MAX = 2_000  # letters of one address
_ATOM = "{http://www.w3.org/2005/Atom}"
CAP_TYPES = ("application/cap+xml", "application/common-alerting-protocol+xml")
_XML_TYPES = (
    *CAP_TYPES,
    "application/xml",
    "text/xml",
    "application/atom+xml",
    "",
)  # the last as Sweden writes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A CAP file that a feed names; `stamp` is when the feed says that it changed, '' if it says nothing."""

    url: str
    stamp: str


def is_feed(root: etree._Element) -> bool:
    """Whether it is of a format that lists things."""
    return root.tag == f"{_ATOM}feed" or etree.QName(root).localname in ("rss", "RDF")


def items(root: etree._Element, *, base: str = "") -> tuple[list[Item], int]:
    """What the feed names, each address once and first come, and how many more there were than are taken up."""
    found = _atom(root) if root.tag == f"{_ATOM}feed" else _rss(root)
    named: dict[str, Item] = {}
    more = 0
    for href, stamp in found:
        url = urljoin(base, href)
        if not href or len(url) > ADDRESS_MAX or url in named:
            continue
        if len(named) < ITEMS:
            named[url] = Item(url=url, stamp=stamp.strip()[:40])
        else:
            more += 1
    return list(named.values()), more


def _atom(root: etree._Element) -> Iterator[tuple[str, str]]:
    for entry in root.iterchildren(f"{_ATOM}entry"):
        if _holds_an_alert(entry):
            continue
        stamp = entry.findtext(f"{_ATOM}updated") or entry.findtext(f"{_ATOM}published") or ""
        links = list(entry.iterchildren(f"{_ATOM}link"))
        usual = [link for link in links if link.get("rel", "alternate") == "alternate"]
        others = [
            link for link in links if link not in usual
        ]  # rel="enclosure", "related", "self": the type tells
        typed = [link for link in (*usual, *others) if _type(link) in CAP_TYPES]
        typed += [
            one for one in entry.iterchildren(f"{_ATOM}content") if _type(one) in CAP_TYPES and one.get("src")
        ]
        plain = [link for link in usual if _type(link) in _XML_TYPES]
        for link in (typed or plain)[:1]:
            yield _address(link, link.get("href") or link.get("src") or ""), stamp


def _rss(root: etree._Element) -> Iterator[tuple[str, str]]:
    for item in root.iter("{*}item"):
        if _holds_an_alert(item):
            continue
        stamp = _child(item, "pubDate") or _child(item, "date")
        enclosures = [one for one in item.iterchildren("{*}enclosure") if _type(one) in CAP_TYPES]
        named = enclosures[0].get("url", "") if enclosures else _child(item, "link") or _permanent(item)
        yield _address(item, named), stamp


def _holds_an_alert(entry: etree._Element) -> bool:
    """Whether it is read in place; a link beside it leads to the same."""
    return next(entry.iter("{*}alert"), None) is not None


def _type(link: etree._Element) -> str:
    return link.get("type", "").partition(";")[0].strip().lower()


def _address(element: etree._Element, href: str) -> str:
    """As its own feed means it: RFC 4287 §2 gives relative ones a base."""
    return urljoin(element.base or "", href.strip()) if href.strip() else ""


def _permanent(item: etree._Element) -> str:
    """RSS 2.0: a guid is an address unless it says that it is none."""
    guid = next(iter(item.iterchildren("guid")), None)
    said = text_of(guid) if guid is not None and guid.get("isPermaLink", "true") == "true" else ""
    return said if said.startswith(("http://", "https://")) else ""


def _child(parent: etree._Element, name: str) -> str:
    found = next((c for c in parent.iterchildren(etree.Element) if etree.QName(c).localname == name), None)
    return "" if found is None else text_of(found)
