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
        url = urljoin(base, href.strip())
        if not href.strip() or len(url) > ADDRESS_MAX or url in named:
            continue
        if len(named) < ITEMS:
            named[url] = Item(url=url, stamp=stamp.strip()[:40])
        else:
            more += 1
    return list(named.values()), more


def _atom(root: etree._Element) -> Iterator[tuple[str, str]]:
    for entry in root.iterchildren(f"{_ATOM}entry"):
        stamp = entry.findtext(f"{_ATOM}updated") or entry.findtext(f"{_ATOM}published") or ""
        links = [
            link for link in entry.iterchildren(f"{_ATOM}link") if link.get("rel", "alternate") == "alternate"
        ]
        typed = [
            link for link in links if link.get("type", "").partition(";")[0].strip().lower() in CAP_TYPES
        ]
        plain = [
            link for link in links if link.get("type", "").partition(";")[0].strip().lower() in _XML_TYPES
        ]
        for link in (typed or plain)[:1]:
            yield link.get("href", ""), stamp


def _rss(root: etree._Element) -> Iterator[tuple[str, str]]:
    for item in root.iter("{*}item"):
        stamp = _child(item, "pubDate") or _child(item, "date")
        enclosure = item.find("{*}enclosure")
        is_cap = enclosure is not None and enclosure.get("type", "").lower() in CAP_TYPES
        yield (enclosure.get("url", "") if is_cap and enclosure is not None else _child(item, "link")), stamp


def _child(parent: etree._Element, name: str) -> str:
    found = next((c for c in parent.iterchildren(etree.Element) if etree.QName(c).localname == name), None)
    return "" if found is None else text_of(found)
