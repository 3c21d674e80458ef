"""Wire: the public pages, static HTML without scripts, one directory that works from any file server.

An entry's payloads: ``zh-CN`` and ``en`` are the inner HTML of the notice, as approved; ``zh-CN+lift`` or
``zh-CN+correction`` (the same for ``en``) that of its ending, once published. A page is a shell around them.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from importlib.resources import files
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from channels.contract import Entry, File
from domain.artefact import Purpose
from domain.handling import Mode
from domain.ids import is_id
from domain.release import CURRENT, Colour, State

LANGUAGES = ("zh-CN", "en")
_BASE = {"zh-CN": "", "en": "en/"}
ROOM = 9_000  # bytes for the lines of one index page: the shell takes 4.6 KB of the 14 KB of one round trip
LINE = 620  # bytes of a line beside its headline and issuer
ENDED = 5  # recently ended ones, behind the last that is in force
_OVER = (State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.EXPIRED)
_RANK = {c.value: n for n, c in enumerate(Colour)}  # red first
_CHINA = timezone(timedelta(hours=8), "CST")  # Asia/Shanghai has had no other offset since 1991
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """A time for a machine and for a reader."""

    iso: str
    words: str


class WebNotice:
    """The publisher of channel ``web_notice``. Pure: the same entries give the same bytes."""

    name = "web_notice"
    channel = "web_notice"

    def __init__(self, *, mode: Mode, zone: tzinfo = _CHINA) -> None:
        self._mode = "" if mode is Mode.LIVE else mode.value
        self._zone = zone
        # The shells lie with all other words in templates/; they are data here, the room is not imported.
        self._shells = {
            n: _shell(n) for n in ("shell.html", "notice.html", "index.html", "style.css", "words.toml")
        }
        self._words = tomllib.loads(self._shells["words.toml"])
        self._env = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._shells.get),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """A page for every entry and language, then the index pages. All links are relative.

        An entry with a malformed id, an unknown state, a time without its offset or no readable notice gets
        no page, and no line in the index.
        """
        known = [e for e in entries if _is_sound(e)]
        pages = [self._notice(e, language) for e in known for language in _languages(e)]
        return [*pages, *(f for language in LANGUAGES for f in self._indexes(known, language))]

    def _notice(self, entry: Entry, language: str) -> File:
        root = "../../" if language == "zh-CN" else "../../../"
        place = f"alerts/{entry.release_id}/index.html"
        other = next((x for x in _languages(entry) if x != language), "")
        state = State(entry.state)
        body = self._page(
            "notice.html",
            language,
            root=root,
            other=f"{root}{_BASE[other]}{place}" if other else "",
            home=f"{root}{_BASE[language]}index.html",
            cap=f"{root}public/cap/{entry.release_id}.xml",
            state=state.value,
            headline=_headline(entry, language)[0],
            look="on"
            if state in CURRENT - {State.UNLIFTED}
            else "warn"
            if state is State.UNLIFTED
            else "end",
            is_current=state in CURRENT,
            is_over=state in _OVER,
            expires=self._moment(entry.expires, language),
            changed=self._moment(entry.changed_at, language),
            notice=Markup(_text(entry.payloads[language])),  # noqa: S704 - approved bytes, escaped when frozen
            ending=_ending(entry, language),
        )
        return File(path=_BASE[language] + place, body=body, media_type="text/html")

    def _indexes(self, entries: Sequence[Entry], language: str) -> list[File]:
        current = sorted(
            (e for e in entries if State(e.state) in CURRENT), key=lambda e: _RANK.get(e.colour, len(_RANK))
        )
        ended = [e for e in entries if State(e.state) not in CURRENT][:ENDED]
        slices = _packed(current, language)
        rest = ROOM - sum(_cost(e, language) for e in slices[-1])
        shown = _packed(ended, language, rest)[0]
        names = ["index.html", *(f"page-{n}.html" for n in range(2, len(slices) + 1))]
        root = "../" * _BASE[language].count("/")
        other = next(x for x in LANGUAGES if x != language)
        changed = max((e.changed_at for e in entries), default=None)
        found = []
        for n, (name, part) in enumerate(zip(names, slices, strict=True)):
            body = self._page(
                "index.html",
                language,
                root=root,
                other=f"{root}{_BASE[other]}index.html",
                home=names[0],
                current=[self._line(e, language, root) for e in part],
                ended=[self._line(e, language, root) for e in shown] if n + 1 == len(names) else [],
                back=names[n - 1] if n else "",
                more=names[n + 1] if n + 1 < len(names) else "",
                changed=self._moment(changed, language) if changed else None,
            )
            found.append(File(path=_BASE[language] + name, body=body, media_type="text/html", is_index=True))
        return found

    def _line(self, entry: Entry, language: str, root: str) -> Mapping[str, Any]:
        words = self._words[language]
        headline, spoken = _headline(entry, language)
        shown = language if language in _languages(entry) else _languages(entry)[0]
        state = State(entry.state)
        return {
            "href": f"{root}{_BASE[shown]}alerts/{entry.release_id}/index.html",
            "headline": headline,
            "headline_language": spoken,
            "colour": entry.colour if entry.colour in _RANK else "",
            "level": words["colours"].get(entry.colour) or words["kinds"].get(entry.kind, ""),
            "state": "" if state in CURRENT - {State.UNLIFTED} else words["states"][state.value],
            "issuer": entry.issuer,
            "sent": self._moment(entry.sent, language),
            "expires": self._moment(entry.expires, language),
        }

    def _page(self, name: str, language: str, **values: Any) -> bytes:
        other = next(x for x in LANGUAGES if x != language)
        page = self._env.get_template(name).render(
            language=language,
            other_language=other,
            words=self._words[language],
            mode=self._mode,
            style=Markup(self._shells["style.css"].strip()),  # noqa: S704 - our own file
            **values,
        )
        return page.strip().encode() + b"\n"

    def _moment(self, at: datetime, language: str) -> _Moment:
        local = at.astimezone(self._zone).replace(microsecond=0)
        if language == "zh-CN":
            words = f"{local.year}年{local.month}月{local.day}日{local:%H:%M}"
        else:
            words = f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"
        return _Moment(iso=local.isoformat(), words=words)


def _shell(name: str) -> str:
    return files("templates").joinpath("public", name).read_text(encoding="utf-8")


def _is_sound(entry: Entry) -> bool:
    """Whether the entry can be shown; its id becomes a path."""
    is_aware = all(at.tzinfo for at in (entry.sent, entry.changed_at, entry.expires))
    return (
        is_id("rel", entry.release_id) and entry.state in set(State) and is_aware and bool(_languages(entry))
    )


def _packed(entries: Sequence[Entry], language: str, room: int = ROOM) -> list[list[Entry]]:
    """The entries on as few pages as hold them; `room` is that of the first, which may stay empty."""
    pages: list[list[Entry]] = [[]]
    for entry in entries:
        cost = _cost(entry, language)
        if cost > room and (pages[-1] or room < ROOM):  # an empty first page would say "none in force"
            pages.append([])
            room = ROOM
        pages[-1].append(entry)
        room -= cost
    return pages


def _cost(entry: Entry, language: str) -> int:
    """Bytes of a line; escaping can make five of one, so it is counted as written."""
    return LINE + sum(len(escape(text).encode()) for text in (_headline(entry, language)[0], entry.issuer))


def _languages(entry: Entry) -> tuple[str, ...]:
    """The languages that have a notice which is text."""
    return tuple(x for x in LANGUAGES if _text(entry.payloads.get(x, b"")))


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return ""


def _ending(entry: Entry, language: str) -> Markup:
    found = (entry.payloads.get(f"{language}+{p}", b"") for p in (Purpose.CORRECTION, Purpose.LIFT))
    return Markup("\n").join(Markup(t) for t in map(_text, found) if t)  # noqa: S704 - as the notice itself


def _headline(entry: Entry, language: str) -> tuple[str, str]:
    """The headline and the language it is in."""
    for spoken in (language, *entry.headlines):
        if entry.headlines.get(spoken):
            return entry.headlines[spoken], spoken
    return entry.identifier, language
