"""Wire: CAP 1.2 files and the feeds that list them, as static files: Atom, RSS 2.0, JSON Feed, GeoJSON, indexes.

An entry's payloads: ``mul`` is the CAP file of the release; ``mul+correction`` or ``mul+lift`` that of its
ending, once it has been published. Files hold the payload byte for byte. Feed practice: OASIS "Example
Practices: CAP Feeds 1.0" and what public readers ask of an entry (id, title, updated, a link of type
application/cap+xml).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from channels.codecs import feed_items, feed_json, public_areas, versions
from channels.codecs.feed_items import CAP_TYPE, LANGUAGES, Item, plain
from channels.codecs.feed_json import Feed
from channels.contract import Division, Entry, File
from domain.artefact import Purpose
from domain.errors import Flaw
from domain.handling import Mode
from domain.release import Colour

NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # `updated` of a feed without entries: any constant, never the clock
_MARKS = {Mode.LIVE: "", Mode.EXERCISE: "【演练】[EXERCISE] ", Mode.DEMO: "【演示】[TEST] "}
_TITLES = {"": "公开发布的预警和公告 Public warnings and notices", "zh-CN": "公开发布的预警和公告",
           "en": "Public warnings and notices"}  # fmt: skip


class CapFeed:
    """The publisher of channel ``cap_feed``. Pure: the same entries give the same bytes."""

    name = "cap_feed"
    channel = "cap_feed"

    def __init__(self, *, mode: Mode, sign: Callable[[bytes], str] | None = None) -> None:
        """`sign` makes the line that lies beside each CAP file, for peers that have pinned our key."""
        self._mode, self._sign = mode, sign
        self._program = versions.of_program()

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """CAP files, then the feeds: of all, by language, by level, by area; and ``public/cap/index.json``.

        An entry that flaws() names is left out of the feeds; the others are listed.
        """
        base = public_url.rstrip("/")
        known = {e.release_id: versions.of_entry(e) for e in entries if feed_items.unwritable(e) is None}
        files = [
            file for e in entries if e.release_id in known for file in self._caps(e, known[e.release_id])
        ]
        found = feed_items.items(entries)
        newest = feed_items.newest(found)
        make = partial(feed_json.index, newest)
        files.append(self._file("public/cap/index.json", "application/json", newest, known, make, base))
        for feed, division in self._feeds(found):
            files += self._forms(feed, known, base)
            if division:
                make = partial(feed_json.area_book, feed, _about(division), base)
                path = f"public/areas/{division.code}.json"
                files.append(
                    self._file(path, "application/json", feed.items, known, make, base, _about(division))
                )
        return files

    def flaws(self, entries: Sequence[Entry]) -> list[Flaw]:
        """What is left out of the feeds and why; pointers are release ids."""
        return [Flaw(e.release_id[:40], reason) for e in entries if (reason := feed_items.flaw(e))]

    def _caps(self, entry: Entry, version: str) -> Iterator[File]:
        for key in ("mul+correction", "mul+lift", "mul"):
            if key in entry.payloads:
                name = entry.release_id + key.removeprefix("mul").replace("+", "-")
                body = partial(entry.payloads.__getitem__, key)
                yield File(path=f"public/cap/{name}.xml", body=body, media_type=CAP_TYPE,
                           version=entry.hashes.get(key, version), about=entry.release_id)  # fmt: skip
                if self._sign is not None:
                    line = partial(_signed, self._sign, body)
                    yield File(path=f"public/cap/{name}.xml.sig", body=line, media_type="text/plain",
                               version=versions.of(entry.hashes.get(key, version), "sig"), about=entry.release_id)  # fmt: skip

    def _feeds(self, found: Sequence[Item]) -> Iterator[tuple[Feed, Division | None]]:
        """The first list is of all; an area without a list has never had a release."""
        mark = _MARKS[self._mode]
        for language in ("", *LANGUAGES):
            spoken = [i for i in found if not language or i.entry.headlines.get(language)]
            yield (
                Feed(
                    folder=f"public/{language}/" if language else "public/",
                    title=mark + _TITLES[language],
                    page="en/" if language == "en" else "",
                    items=feed_items.newest(spoken),
                    language=language,
                ),
                None,
            )
        for colour in Colour:
            same = feed_items.newest([i for i in found if i.entry.colour == colour])
            title = f"{mark}{feed_items.colour_words(colour)} · {_TITLES['']}"
            yield Feed(folder=f"public/levels/{colour}/", title=title, page="", items=same), None
        by_release: dict[str, list[Item]] = {}
        for item in found:
            by_release.setdefault(item.entry.release_id, []).append(item)
        listed = list({item.entry.release_id: item.entry for item in found}.values())
        for division, entries in public_areas.by_division(listed):
            inside = [item for entry in entries for item in by_release[entry.release_id]]
            names = dict.fromkeys(public_areas.name(division, language) for language in LANGUAGES)
            title = f"{mark}{plain(' '.join(names))} · {_TITLES['']}"
            code = division.code
            yield Feed(folder=f"public/areas/{code}/", title=title, page=f"a/{code}/",
                       items=feed_items.newest(inside)), division  # fmt: skip

    def _forms(self, feed: Feed, known: dict[str, str], base: str) -> Iterator[File]:
        forms: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
            ("atom", "application/atom+xml", partial(_atom, feed, base)),
            ("rss", "application/rss+xml", partial(_rss, feed, base)),
            ("json", "application/feed+json", partial(feed_json.json_feed, feed, base, self._mode)),
            ("geojson", "application/geo+json", partial(feed_json.geojson, feed, base, self._mode)),
        )
        for form, media_type, make in forms:
            yield self._file(
                f"{feed.folder}alerts.{form}", media_type, feed.items, known, make, base, feed.title
            )

    def _file(
        self, path: str, media_type: str, items: Sequence[Item], known: dict[str, str],
        make: Callable[[], bytes], base: str, more: object = "",
    ) -> File:  # fmt: skip
        listed = [(i.name, known[i.entry.release_id], i.before, i.after, i.earlier) for i in items]
        version = versions.of(self._program, self._mode.value, base, path, listed, more)
        return File(path=path, body=make, media_type=media_type, is_index=True, version=version)


def _signed(sign: Callable[[bytes], str], body: Callable[[], bytes]) -> bytes:
    return sign(body()).encode() + b"\n"


def _about(division: Division) -> dict[str, object]:
    centre = list(division.centre) if division.centre else None
    return {"code": division.code, "names": dict(division.names), "centre": centre}


def _atom(feed: Feed, base: str) -> bytes:
    made = _generator(feed, base, "atom")
    made.author(name=next((plain(i.entry.issuer) for i in feed.items), "Tocsin 警钟"))
    # feedgen takes the clock when nothing is set: then the bytes change at each build and no cache ever hits
    made.updated(max((i.updated for i in feed.items), default=NEVER))
    for item in feed.items:
        made.add_entry(_entry(item, feed, base), order="append")
    body: bytes = made.atom_str(pretty=True)
    return body


def _rss(feed: Feed, base: str) -> bytes:
    """RSS 2.0: an item has one date, so pubDate is that of the last change of state."""
    made = _generator(feed, base, "rss")
    made.description(feed.title)
    made.language(feed.language or LANGUAGES[0])
    made.lastBuildDate(max((i.updated for i in feed.items), default=NEVER))
    for item in feed.items:
        made.add_entry(_entry(item, feed, base, is_rss=True), order="append")
    body: bytes = made.rss_str(pretty=True)
    return body


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
