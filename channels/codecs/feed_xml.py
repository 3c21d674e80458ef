"""Atom and RSS 2.0 over the items of a feed, written by feedgen, each entry once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from channels.codecs import feed_json
from channels.codecs.feed_items import CAP_TYPE, LANGUAGES, Item, plain
from channels.codecs.feed_json import Feed
from channels.codecs.pieces import Pieces
from domain.artefact import Purpose

NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # `updated` of a feed without entries: any constant, never the clock


def atom(feed: Feed, base: str, kept: Pieces[bytes]) -> bytes:
    """RFC 4287."""
    made = _generator(feed, base, "atom")
    made.author(name=next((plain(i.entry.issuer) for i in feed.items), "Tocsin 警钟"))
    # feedgen takes the clock when nothing is set: then the bytes change at each build and no cache ever hits
    made.updated(max((i.updated for i in feed.items), default=NEVER))
    return _filled(made.atom_str(pretty=True), b"</feed>", _written(feed, base, kept, is_rss=False))


def rss(feed: Feed, base: str, kept: Pieces[bytes]) -> bytes:
    """RSS 2.0: an item has one date, so pubDate is that of the last change of state."""
    made = _generator(feed, base, "rss")
    made.description(feed.title)
    made.language(feed.language or LANGUAGES[0])
    made.lastBuildDate(max((i.updated for i in feed.items), default=NEVER))
    return _filled(made.rss_str(pretty=True), b"</channel>", _written(feed, base, kept, is_rss=True))


def _filled(feed: bytes, ending: bytes, entries: Iterable[bytes]) -> bytes:
    """A feed that feedgen wrote without entries, with these before the line on which it ends."""
    place = feed.rindex(b"\n", 0, feed.rindex(ending)) + 1
    return b"".join((feed[:place], *entries, feed[place:]))


def _written(feed: Feed, base: str, kept: Pieces[bytes], *, is_rss: bool) -> Iterator[bytes]:
    """The entries, each as it stands in the file; feedgen takes a third of a millisecond for one."""
    for item in feed.items:
        yield kept.get(
            (is_rss, feed.language, base, item.made_of), partial(_xml, item, feed, base, is_rss=is_rss)
        )


def _xml(item: Item, feed: Feed, base: str, *, is_rss: bool) -> bytes:
    made = _entry(item, feed, base, is_rss=is_rss)
    element = made.rss_entry() if is_rss else made.atom_entry()
    level = 2 if is_rss else 1
    etree.indent(element, level=level)
    element.tail = "\n"
    body: bytes = etree.tostring(element, encoding="UTF-8", xml_declaration=False)
    return b"  " * level + body


def _generator(feed: Feed, base: str, form: str) -> FeedGenerator:
    own = f"{base}/{feed.folder}alerts.{form}"
    made = FeedGenerator()
    made.id(own)
    made.title(feed.title)
    made.generator(generator="Tocsin")
    made.link(href=own, rel="self", type=f"application/{form}+xml")
    made.link(
        href=f"{base}/{feed.page}", rel="alternate", type="text/html"
    )  # RSS takes the last one as <link>
    return made


def _entry(item: Item, feed: Feed, base: str, *, is_rss: bool = False) -> FeedEntry:
    entry, made = item.entry, FeedEntry()
    made.register_extension("links", _WholeLinks, atom=True, rss=False)
    made.id(item.id)
    made.title(item.title(feed.language))
    made.updated(item.updated)
    made.published(item.updated if is_rss else item.published)
    made.author(name=plain(entry.issuer))
    made.summary(item.summary(feed.language))
    cap = feed_json.cap_url(item, base)
    if is_rss:
        made.guid(item.id, permalink=False)
        made.description(item.summary(feed.language))
        # the length that RSS asks for is unknown here; 0 is what its profile says to write then
        made.enclosure(url=cap, length="0", type=CAP_TYPE)
        made.link(href=feed_json.page_url(item, feed.language, base) or cap)
    else:
        made.link(href=cap)  # feedgen refuses an entry without one
        made.links.rows = list(_links(item, cap, base))
    state = item.state(feed.language)
    made.category(term=entry.state, scheme="urn:x-tocsin:state", label=state)
    for scheme, term in (("kind", entry.kind), ("colour", entry.colour), ("cn.eips", entry.event_code),
                         ("msgType", item.msg_type)):  # fmt: skip
        if term:
            made.category(term=plain(term), scheme=f"urn:x-tocsin:{scheme}")
    return made


def _links(item: Item, cap: str, base: str) -> Iterator[dict[str, str]]:
    """The relations of versions are those of RFC 5829.

    The page is an alternate like the CAP file (RFC 4287 §4.2.7.2): what readers open for people is that of HTML.
    """
    release_id = item.entry.release_id
    yield {"href": cap, "rel": "alternate", "type": CAP_TYPE}
    for language in item.entry.headlines if "web_notice" in item.entry.channels else ():
        if language in LANGUAGES:
            page = feed_json.page_url(item, language, base)
            yield {"href": page, "rel": "alternate", "type": "text/html", "hreflang": language}
    if item.purpose is not Purpose.MAIN:
        yield {"href": f"{base}/public/cap/{release_id}.xml", "rel": "related", "type": CAP_TYPE}
    for relation, other in (("predecessor-version", item.before), ("successor-version", item.after)):
        if other:
            yield {"href": f"{base}/public/cap/{other}.xml", "rel": relation, "type": CAP_TYPE}


class _WholeLinks(BaseEntryExtension):
    """feedgen 1.0.0 loses rel, type and hreflang of an entry's links (its issue 135), and knows few relations."""

    rows: Sequence[dict[str, str]]

    def extend_atom(self, entry: etree._Element) -> etree._Element:
        """Writes `rows` where feedgen wrote its one link."""
        (place,) = entry.findall("{*}link")
        for row in self.rows:
            place.addprevious(etree.Element(place.tag, row))
        entry.remove(place)
        return entry
