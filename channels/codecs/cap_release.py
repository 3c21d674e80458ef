"""A release becomes a CAP alert: warning, correction or lifting.

Our mapping, since no public mapping of Chinese warnings to CAP 1.2 exists (docs/decisions/0004):

- msgType: Alert; Update when it replaces an earlier release; Cancel for both endings, with a reference to
  the warning and a note that says which ending it is.
- severity: by colour, Red Extreme .. Blue Minor; without colour by response level; else Minor.
- urgency: Past for endings; Immediate for red and orange and for what has begun; Expected within the hour
  (CAP 1.2 §3.2.2 says "soon, within next hour"); else Future.
- certainty: Observed when it has been seen, and for notices and reports of what is; else Likely.
- responseType: AllClear for endings; Execute for red and orange, Prepare for the others and for notices;
  Monitor for reports and clarifications.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels.codecs.cap import Alert, Area, Info, Named, Reference
from domain.artefact import Purpose
from domain.events import SCHEME, category
from domain.handling import Mode
from domain.place import canonical
from domain.release import Colour, Kind

GEOCODE = "GB/T2260"
_NOTES = {
    Purpose.CORRECTION: "误发更正：所引用的信息系误发，请不要采取其中的措施。"
    " False alarm: the referenced message was sent in error.",
    Purpose.LIFT: "解除：所引用的信息已经解除。 Lifted: the referenced message is no longer in force.",
}
_BEGUN = (Kind.SITUATION, Kind.CLARIFICATION, Kind.RESPONSE_START, Kind.RESPONSE_ADJUST, Kind.RESPONSE_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What one language of the alert says."""

    event: str
    headline: str
    description: str
    instruction: str = ""
    sender_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A division with its name per language; the first name stands in for a missing one."""

    code: str
    names: Mapping[str, str]
    polygons: tuple[str, ...] = ()

    def name(self, language: str) -> str:
        """Its name in that language, else in the first."""
        return self.names.get(language) or next(iter(self.names.values()), self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How serious: warning colour, event grade 1..4 and response level 1..4 are three things."""

    colour: Colour | None = None
    grade: int | None = None
    response: int | None = None


def make_alert(
    *,
    purpose: Purpose,
    identifier: str,
    sender: str,
    sent: datetime,
    mode: Mode,
    kind: Kind,
    event_code: str,
    words: Mapping[str, Words],
    places: Sequence[Place],
    expires: datetime,
    level: Level | None = None,
    effective: datetime | None = None,
    onset: datetime | None = None,
    references: Sequence[Reference] = (),
    is_observed: bool = False,
    responses: Sequence[str] = (),
    severity: str = "",
    web: str = "",
    contact: str = "",
) -> Alert:
    """The alert of one purpose, an info for each language of `words` in its order.

    `references` of an ending is the warning it ends; of a main message what it replaces. `identifier` of an
    ending is its own. `responses` and `severity`: what the template says of such an event (CAP 1.2 §3.2.2);
    a colour or a grade says more of the severity. Raises BadInput for a malformed division code.
    """
    level = level or Level()
    is_main = purpose is Purpose.MAIN
    is_seen = is_observed or kind in _BEGUN or kind is Kind.NOTICE
    frame = Info(
        language="",
        categories=(category(event_code),),
        event="",
        response_types=(tuple(responses) or (_response(kind, level.colour),)) if is_main else ("AllClear",),
        urgency=_urgency(level.colour, onset or effective, sent) if is_main else "Past",
        severity=_severity(level, severity),
        certainty="Observed" if is_seen else "Likely",
        event_codes=(Named(name=SCHEME, value=event_code),),
        effective=effective if is_main else None,
        onset=onset if is_main else None,
        expires=expires,
        web=web,
        contact=contact,
        parameters=_parameters(kind, level),
    )
    return Alert(
        identifier=identifier,
        sender=sender,
        sent=sent,
        status=mode.cap_status,
        msg_type="Cancel" if not is_main else "Update" if references else "Alert",
        note=_NOTES.get(purpose, ""),
        references=tuple(references),
        infos=tuple(_spoken(frame, language, said, places) for language, said in words.items()),
    )


def _spoken(frame: Info, language: str, said: Words, places: Sequence[Place]) -> Info:
    """The info of one language: codes and times are the same in all, words and names are its own."""
    return replace(
        frame,
        language=language,
        event=said.event,
        sender_name=said.sender_name,
        headline=said.headline,
        description=said.description,
        instruction=said.instruction,
        areas=tuple(_area(place, language) for place in places),
    )


def _area(place: Place, language: str) -> Area:
    """One geocode: the 6 digits of GB/T 2260 down to the county, all 12 below it."""
    code = canonical(place.code)
    value = code[:6] if code[6:] == "000000" else code
    return Area(
        description=place.name(language),
        polygons=place.polygons,
        geocodes=(Named(name=GEOCODE, value=value),),
    )


def _parameters(kind: Kind, level: Level) -> tuple[Named, ...]:
    found = [
        ("cn:kind", kind.value),
        ("cn:color", level.colour.value.capitalize() if level.colour else ""),
        ("cn:grade", str(level.grade or "")),
        ("cn:response_level", str(level.response or "")),
    ]
    return tuple(Named(name=n, value=v) for n, v in found if v)


def _severity(level: Level, usual: str) -> str:
    if level.colour:
        return level.colour.severity
    by_level = {1: "Extreme", 2: "Severe", 3: "Moderate", 4: "Minor"}
    return by_level.get(level.response or level.grade or 0) or usual or "Minor"


def _urgency(colour: Colour | None, start: datetime | None, sent: datetime) -> str:
    if colour in (Colour.RED, Colour.ORANGE) or start is None or start <= sent:
        return "Immediate"
    return "Expected" if start - sent <= timedelta(hours=1) else "Future"


def _response(kind: Kind, colour: Colour | None) -> str:
    if colour in (Colour.RED, Colour.ORANGE) or kind is Kind.RESPONSE_START:
        return "Execute"
    return "Monitor" if kind in _BEGUN else "Prepare"
