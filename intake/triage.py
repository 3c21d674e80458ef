"""What a report tells of: event type, level, who came to harm, what is missing; each with the words that say so.

All of it is a suggestion beside the report. What an officer set is never written over.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from unicodedata import normalize

from domain.casualties import Casualties, casualties
from domain.errors import BadInput, Flaw
from domain.events import SCHEME
from domain.grades import Suggestion, suggest
from domain.report import Content
from intake.wording import READ_MAX, Hit, Table, table

ELEMENTS = ("source", "time", "place", "nature", "scope", "casualties", "trend", "measures")
PROGRESS = ("settled", "controlled", "searching", "evacuating", "rescuing")
_TOLD = frozenset(
    {"caller", "citizen", "department", "officer", "exif", "keypad"}
)  # a mail's Date is no time of an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The tables, as shipped and with what a deployment puts in front of them."""

    scheme: str
    events: Table
    levels: Table
    elements: Table
    progress: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What was found in one version of a report."""

    scheme: str
    event_code: str  # '' when no rule hit
    hits: tuple[Hit, ...]  # of the rules for event types, the deciding one first
    level: int | None
    level_hits: tuple[Hit, ...]
    casualties: Casualties
    grade: Suggestion | None
    known: frozenset[str]  # elements that the report holds
    progress: Hit | None
    text: str  # what was read; where words stand is counted in it

    @property
    def missing(self) -> tuple[str, ...]:
        """The elements to be asked for, in the order of the form."""
        return tuple(name for name in ELEMENTS if name not in self.known)


def rules(folder: Path | None = None) -> Rules:
    """The shipped rules; those of `folder` (events.toml, elements.toml) stand above them.

    Raises BadInput(bad_rules) with the file and what does not fit.
    """
    events, elements = _read("events.toml", folder), _read("elements.toml", folder)

    def rows(files_of: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
        return [row for each in files_of for row in each.get(kind, ())]

    never = [word for each in events for word in each.get("never_after", ())]
    return Rules(
        scheme=str(events[0].get("scheme", SCHEME)),
        events=table(rows(events, "rule"), name="id", value="code", never_after=never),
        levels=table(_levels(rows(events, "level")), name="level", value="level", never_after=never),
        elements=table(rows(elements, "element"), name="name", value="name"),
        progress=table(_progress(rows(elements, "progress")), name="id", value="id", never_after=never),
    )


def triage(content: Content, found: Rules, *, has_place: bool, event_code: str = "") -> Triage:
    """What `content` tells; any text will do, and none raises.

    `has_place`: a place was found. `event_code`: what the report already carries.
    """
    text = spoken(content)
    hits = found.events.hits(text)
    levels = found.levels.hits(text)
    harmed = casualties(text)
    code = hits[0].value if hits else ""
    progress = found.progress.hits(text)
    known = {hit.value for hit in found.elements.hits(text)}
    return Triage(
        scheme=found.scheme,
        event_code=code,
        hits=tuple(hits),
        level=int(levels[0].value) if levels else None,
        level_hits=tuple(levels),
        casualties=harmed,
        grade=suggest(harmed),
        known=frozenset(known | _known(content, harmed, code or event_code, has_place=has_place)),
        progress=progress[0] if progress else None,
        text=text,
    )


def spoken(content: Content) -> str:
    """What is read for rules: subject, place, text and documents, a line each."""
    lines = [f.value for name in ("subject", "place") for f in content.facts.get(name, ())]
    documents = [f.value for f in content.facts.get("document", ())]
    return normalize("NFC", "\n".join([*lines, content.text, *documents])[:READ_MAX])


def _known(content: Content, harmed: Casualties, code: str, *, has_place: bool) -> set[str]:
    told = any(f.origin in _TOLD for f in content.facts.get("time", ()))
    facts = content.facts
    has = {
        "source": bool(facts.get("sender") or facts.get("name")),
        "time": told,
        "place": has_place or bool(facts.get("place") or facts.get("position") or facts.get("area")),
        "nature": bool(code),
        "casualties": harmed.is_said,
    }
    return {name for name, is_there in has.items() if is_there}


def _read(name: str, folder: Path | None) -> list[Mapping[str, Any]]:
    """The deployment's file of that name, when there is one, and the shipped one behind it."""
    texts = [(name, files("intake").joinpath("rules", name).read_text(encoding="utf-8"))]
    if folder and (own := folder / name).exists():
        texts.insert(0, (str(own), own.read_text(encoding="utf-8")))
    read: list[Mapping[str, Any]] = []
    for where, text in texts:
        try:
            read.append(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{where} is no TOML: {error}", code="bad_rules") from None
    return read


def _levels(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if any(row.get("level") not in (1, 2, 3, 4) for row in rows):
        raise BadInput("a level is 1 to 4", code="bad_rules", flaws=[Flaw("/level", "is 1 to 4")])
    return rows


def _progress(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if any(row.get("id") not in PROGRESS for row in rows):
        raise BadInput(f"progress is one of {', '.join(PROGRESS)}", code="bad_rules")
    return rows
