"""Wire: CAP 1.2 files and the feeds that list them, as static files: Atom, RSS 2.0, JSON Feed, GeoJSON, indexes.

An entry's payloads: ``mul`` is the CAP file of the release; ``mul+correction`` or ``mul+lift`` that of its
ending, once it has been published. Files hold the payload byte for byte. Feed practice: OASIS "Example
Practices: CAP Feeds 1.0" and what public readers ask of an entry (id, title, updated, a link of type
application/cap+xml).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from channels.codecs import feed_items, feed_json, feed_xml, public_areas, versions
from channels.codecs.feed_items import CAP_TYPE, LANGUAGES, Item, plain
from channels.codecs.feed_json import Feed
from channels.codecs.pieces import Pieces
from channels.contract import Division, Entry, File
from domain.errors import Flaw
from domain.handling import Mode
from domain.release import Colour

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
        self._kept: Pieces[bytes] = Pieces()

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """CAP files, then the feeds: of all, by language, by level, by area; and ``public/cap/index.json``.

        An entry that flaws() names is left out of the feeds; the others are listed.
        """
        base = public_url.rstrip("/")
        known = {e.release_id: versions.of_entry(e) for e in entries if feed_items.unwritable(e) is None}
        files = [
            file for e in entries if e.release_id in known for file in self._caps(e, known[e.release_id])
        ]
        found = feed_items.items(entries, known)
        newest = feed_items.newest(found)
        make = partial(feed_json.index, newest, self._kept)
        files.append(self._file("public/cap/index.json", "application/json", newest, make, base))
        for feed, division in self._feeds(found):
            files += self._forms(feed, base)
            if division:
                make = partial(feed_json.area_book, feed, _about(division), base)
                path = f"public/areas/{division.code}.json"
                files.append(self._file(path, "application/json", feed.items, make, base, _about(division)))
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

    def _forms(self, feed: Feed, base: str) -> Iterator[File]:
        kept = self._kept
        forms: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
            ("atom", "application/atom+xml", partial(feed_xml.atom, feed, base, kept)),
            ("rss", "application/rss+xml", partial(feed_xml.rss, feed, base, kept)),
            ("json", "application/feed+json", partial(feed_json.json_feed, feed, base, self._mode, kept)),
            ("geojson", "application/geo+json", partial(feed_json.geojson, feed, base, self._mode, kept)),
        )
        for form, media_type, make in forms:
            yield self._file(f"{feed.folder}alerts.{form}", media_type, feed.items, make, base, feed.title)

    def _file(
        self, path: str, media_type: str, items: Sequence[Item], make: Callable[[], bytes], base: str,
        more: object = "",
    ) -> File:  # fmt: skip
        listed = [i.made_of for i in items]
        version = versions.of(self._program, self._mode.value, base, path, listed, more)
        return File(path=path, body=make, media_type=media_type, is_index=True, version=version)


def _signed(sign: Callable[[bytes], str], body: Callable[[], bytes]) -> bytes:
    return sign(body()).encode() + b"\n"


def _about(division: Division) -> dict[str, object]:
    centre = list(division.centre) if division.centre else None
    return {"code": division.code, "names": dict(division.names), "centre": centre}
