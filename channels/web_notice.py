"""Wire: the public pages, static HTML without scripts, one directory that works from any file server.

An entry's payloads: ``zh-CN`` and ``en`` are the inner HTML of the notice, as approved; ``zh-CN+lift`` or
``zh-CN+correction`` (the same for ``en``) that of its ending, once published. A page is a shell around them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Any

from markupsafe import Markup

from channels.codecs import notice_parts, public_areas, versions
from channels.codecs.chain import ENDINGS, Chains
from channels.codecs.notice_parts import ROOM, cost, headline, languages, packed
from channels.codecs.pieces import Pieces
from channels.codecs.site import CHINA, FOLDERS, LANGUAGES, Site, other, root_of
from channels.contract import Division, Entry, File
from domain.errors import Tampered
from domain.handling import Mode
from domain.release import CURRENT, State

LARGEST = 14 * 1024  # one round trip of a new connection: 10 segments of 1,460 bytes (RFC 6928)
ENDED = 5  # recently ended ones, behind the last that is in force
MOST_STEPS = 12  # the first version and the last ones; each page in between links on
MOST_AREAS = 12  # links to areas on a page; the notice names them all
_MONTH = 60_000  # bytes of a page of the past: nobody waits for it in a storm
_OVER = (State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.EXPIRED)
_FORMS = ("atom", "rss", "json", "geojson")


class WebNotice:
    """The publisher of channel ``web_notice``. Pure: the same entries give the same bytes."""

    name = "web_notice"
    channel = "web_notice"

    def __init__(self, *, mode: Mode, zone: tzinfo = CHINA) -> None:
        self._site = Site(mode=mode, zone=zone)
        self._program = versions.of(versions.of_program(), mode.value, str(zone))
        self._kept: Pieces[Markup] = Pieces()

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """A page for every entry and language, then the lists. All links are relative.

        An entry with a malformed id, an unknown state, a time without its offset or no notice gets no page,
        and no line in a list. Reading a page raises Tampered where its notice is not text.
        """
        known = [e for e in entries if notice_parts.is_sound(e)]
        made = _Building(self._site, self._program, known, public_url.rstrip("/"), self._kept)
        pages = [made.notice(e, language) for e in known for language in languages(e)]
        return [*pages, *(file for language in LANGUAGES for file in made.lists(language))]


class _Building:
    """One build: the entries, who replaced whom, and the lines that several lists share.

    Whatever a page shows is named in its `made_of`; its values are worked out when its bytes are asked for.
    """

    def __init__(
        self, site: Site, program: str, entries: Sequence[Entry], base: str, kept: Pieces[Markup]
    ) -> None:
        self._site = site
        self._kept = kept
        self._program = versions.of(program, base)
        self._base = base
        self._entries = entries
        self._chains = Chains(entries)
        self._by_division = public_areas.by_division(entries)
        numbers = {e.release_id: self._chains.number(e) for e in entries}
        self._versions = {
            e.release_id: versions.of(versions.of_entry(e), numbers[e.release_id]) for e in entries
        }
        self._line = lru_cache(maxsize=None)(
            partial(_line, site, self._chains, {e.release_id: e for e in entries})
        )

    def notice(self, entry: Entry, language: str) -> File:
        """The page of one release: how it stands, its ending, its text, its versions, how to check it."""
        ending = f"{language}+{ENDINGS.get(State(entry.state), '')}"
        keys = {"notice": language} | ({"ending": ending} if ending in entry.payloads else {})
        return self._file(
            f"alerts/{entry.release_id}/index.html", "notice.html", language,
            [self._versions[step.entry.release_id] for step in self._chains.steps(entry)] + [entry.release_id],
            lambda: self._standing(entry, language) | {"has_ending": "ending" in keys} | _texts(entry, keys),
            style="notice.css", has_other=other(language) in languages(entry), about=entry.release_id,
        )  # fmt: skip

    def _standing(self, entry: Entry, language: str) -> dict[str, Any]:
        state = State(entry.state)
        newest = self._chains.steps(entry)[-1].entry
        steps = notice_parts.steps(self._site, self._chains, entry, language)
        return {
            "state": state.value,
            "headline": headline(entry, language)[0],
            "number": notice_parts.number(self._site, self._chains, entry, language),
            "look": "warn" if state is State.UNLIFTED else "on" if state in CURRENT else "end",
            "is_current": state in CURRENT,
            "is_over": state in _OVER,
            "newest": self._line(newest.release_id, language) if newest is not entry else None,
            "expires": self._site.moment(entry.expires, language),
            "changed": self._site.moment(entry.changed_at, language),
            "cap": f"public/cap/{entry.release_id}.xml" if "cap_feed" in entry.channels else "",
            "steps": steps[:1] + steps[1:][1 - MOST_STEPS :],
            "few": steps[:1] + steps[1:][-2:],
            "areas": _links(public_areas.of_entry(entry)[:MOST_AREAS], language),
            "entry": {"id": entry.release_id, "identifier": entry.identifier, "digest": entry.digest,
                      "sha256": entry.hashes.get(language, "")},
            "address": f"{self._base}/{FOLDERS[language]}alerts/{entry.release_id}/",
        }  # fmt: skip

    def lists(self, language: str) -> list[File]:
        """What is in force, each area, each month, and where to subscribe; the first page last."""
        files = self._months(language)
        rows = []
        for division, entries in self._by_division:
            files += self._area(division, entries, language)
            count = sum(State(e.state) in CURRENT for e in entries)
            rows += [{**link, "count": count} for link in _links([division], language)]
        files.append(self._file("a/index.html", "areas.html", language, rows, lambda: {"areas": rows}))
        files.append(
            self._file("feeds/index.html", "feeds.html", language, _FORMS, lambda: {"forms": _FORMS})
        )
        return files + self._current("", "index.html", self._entries, language, {})

    def _area(self, division: Division, entries: Sequence[Entry], language: str) -> list[File]:
        code = division.code
        known = {d.code: d for e in entries for d in e.divisions}
        inner = [d for d in known.values() if division in public_areas.within(d, known)]
        has_feed = any("cap_feed" in e.channels and division in e.divisions for e in entries)
        values = {
            "name": public_areas.name(division, language),
            "outer": _links(public_areas.within(division, known)[::-1], language),
            "inner": _links(sorted(inner, key=lambda d: d.code)[:MOST_AREAS], language),
            "feeds": f"public/areas/{code}/alerts." if has_feed else "",
            "forms": _FORMS,
        }
        return self._current(f"a/{code}/", "area.html", entries, language, values)

    def _current(
        self, folder: str, template: str, entries: Sequence[Entry], language: str, values: Mapping[str, Any]
    ) -> list[File]:
        """What is in force, red first, on as many pages as it takes; behind it what ended last."""
        current = sorted((e for e in entries if State(e.state) in CURRENT), key=notice_parts.rank)
        ended = [e for e in entries if State(e.state) not in CURRENT]
        ended = sorted(ended, key=lambda e: (e.changed_at, e.release_id), reverse=True)[:ENDED]
        room = ROOM - (1_500 if values else 0)  # an area's page has its feeds and neighbours besides
        slices = packed(current, language, most=room)
        rest = room - sum(cost(e, language) for e in slices[-1])
        shown = packed(ended, language, first=rest)[0]
        changed = max((e.changed_at for e in entries), default=None)
        moment = self._site.moment(changed, language) if changed else None
        return self._pages(
            folder, template, language, slices, {**values, "changed": moment}, shown, is_passing=True
        )

    def _months(self, language: str) -> list[File]:
        """One list for each month; the entries are the newest first."""
        months: dict[tuple[str, str], list[Entry]] = {}
        for entry in self._entries:
            if entry.is_recent:
                months.setdefault(self._site.month(entry.sent, language), []).append(entry)
        files = []
        for (place, name), entries in months.items():
            slices = packed(entries, language, most=_MONTH)
            files += self._pages(f"past/{place}/", "month.html", language, slices, {"name": name})
        rows = [{"path": f"past/{place}/index.html", "name": name, "count": len(months[place, name])}
                for place, name in sorted(months, reverse=True)]  # fmt: skip
        return [
            *files,
            self._file("past/index.html", "months.html", language, rows, lambda: {"months": rows}),
        ]

    def _pages(
        self, folder: str, template: str, language: str, slices: Sequence[Sequence[Entry]],
        values: Mapping[str, Any], ended: Sequence[Entry] = (), *, is_passing: bool = False,
    ) -> list[File]:  # fmt: skip
        root = root_of(FOLDERS[language] + folder)
        names = [f"{folder}index.html", *(f"{folder}page-{n}.html" for n in range(2, len(slices) + 1))]
        files = []
        for n, part in enumerate(slices):
            is_last = n + 1 == len(slices)
            turn = {"back": names[n - 1] if n else "", "more": "" if is_last else names[n + 1]}
            after = ended if is_last else ()
            listed = [[self._versions[e.release_id] for e in some] for some in (part, after)]
            files.append(self._file(
                names[n], template, language, [values, turn, listed],
                partial(self._listing, {**values, **turn}, part, after, root, language),
                has_other=not n, is_passing=is_passing and n > 0,
            ))  # fmt: skip
        return files

    def _listing(
        self, values: Mapping[str, Any], part: Sequence[Entry], after: Sequence[Entry], root: str, language: str,
    ) -> dict[str, Any]:  # fmt: skip
        lines, ended = ([self._row(e, language, root) for e in some] for some in (part, after))
        return {**values, "lines": lines, "ended": ended}

    def _row(self, entry: Entry, language: str, root: str) -> Markup:
        made_of = (self._versions[entry.release_id], language, root)
        return self._kept.get(
            made_of, lambda: self._site.line(self._line(entry.release_id, language), language, root)
        )

    def _file(
        self, place: str, template: str, language: str, made_of: object, values: Callable[[], dict[str, Any]],
        *, style: str = "list.css", has_other: bool = True, about: str = "", is_passing: bool = False,
    ) -> File:  # fmt: skip
        path = FOLDERS[language] + place
        root = root_of(path)
        roots = {
            "root": root,
            "base": root + FOLDERS[language],
            "other": f"{root}{FOLDERS[other(language)]}{place}" if has_other else "",
        }

        def body() -> bytes:
            shown = values() | roots
            # a notice near its limit: first the checks go, then what is no longer valid
            for spare in range(3):
                page = self._site.page(template, language, style, {**shown, "spare": spare})
                if not about or len(page) <= LARGEST:
                    break
            return page

        return File(
            path=path, body=body, media_type="text/html", is_index=not about, is_passing=is_passing, about=about,
            version=versions.of(self._program, language, template, has_other, made_of),
        )  # fmt: skip


def _line(
    site: Site, chains: Chains, by_id: Mapping[str, Entry], release_id: str, language: str
) -> Mapping[str, Any]:
    return notice_parts.line(site, chains, by_id[release_id], language)


def _links(divisions: Sequence[Division], language: str) -> list[dict[str, Any]]:
    return [{"path": f"a/{d.code}/index.html", "name": public_areas.name(d, language)} for d in divisions]


def _texts(entry: Entry, keys: Mapping[str, str]) -> dict[str, Markup]:
    """Approved bytes, escaped when they were frozen."""
    try:
        return {name: Markup(entry.payloads[key].decode()) for name, key in keys.items()}  # noqa: S704 (as approved)
    except UnicodeDecodeError:
        raise Tampered("the notice is not text", code="artefact") from None
