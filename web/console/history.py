"""The journal of one thing as its timeline: who did what when, in words, oldest first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import NotFound
from domain.events import class_of, event_types
from store import journal, peers, people
from store.unit import Unit
from templates import pages

_SHOWN = ("event_code", "grade", "area")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a timeline."""

    at: datetime
    act: str
    who: str
    reason: str
    changes: tuple[str, ...]


def timeline(unit: Unit, streams: Iterable[tuple[str, str]], language: str) -> list[Moment]:
    """The entries of several streams (kind, entity), oldest first."""
    rows = [row for kind, entity in streams for row in journal.entries(unit, kind, entity)]
    rows.sort(key=lambda row: (row.at, row.seq))
    known: dict[str, str] = {}
    return [
        Moment(
            at=row.at,
            act=row.act,
            who=name_of(unit, row.by, language, known),
            reason=str(row.detail.get("reason", "")),
            changes=tuple(_changes(row.detail, language)),
        )
        for row in rows
    ]


def name_of(unit: Unit, by: str, language: str, known: dict[str, str]) -> str:
    """Who `by` is: a person's name, a door, the system. `known` saves asking twice."""
    if by not in known:
        kind, _, rest = by.partition(":")
        if kind == "peer":
            known[by] = peers.names(unit, [rest]).get(rest, rest)
        elif kind == "door":
            known[by] = pages.word("channel", rest, language)
        elif by == "system":
            known[by] = pages.translator(language)("系统")
        else:
            known[by] = _person(unit, by)
    return known[by]


def event_name(code: str, language: str) -> str:
    """暴雨 11B03 / Rainstorm 11B03; a code that no table has stands raw behind its class: 气象灾害 (11B97)."""
    known = event_types().get(code)
    kind = known or class_of(code)
    if not code or kind is None:
        return code
    name = kind.name_zh if language == pages.SOURCE or not kind.name_en else kind.name_en
    return f"{name} {code}" if known else f"{name} ({code})"


def _person(unit: Unit, person_id: str) -> str:
    try:
        return people.get(unit, person_id).name
    except NotFound:
        return person_id  # "command": acts at the command line have no person


def _changes(detail: Mapping[str, Any], language: str) -> Iterable[str]:
    before = detail.get("was")
    if not isinstance(before, Mapping):
        return
    none = pages.translator(language)("未填")
    for name in _SHOWN:
        old, new = before.get(name), detail.get(name)
        if old != new:
            label = pages.word("field", name, language)
            yield f"{label}: {_value(name, old, language) or none} → {_value(name, new, language) or none}"


def _value(name: str, value: Any, language: str) -> str:
    if name == "grade" and value:
        return pages.word("grade", value, language)
    return event_name(str(value), language) if name == "event_code" and value else str(value or "")
