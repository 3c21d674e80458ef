"""The body of ``POST /v1/releases`` becomes a draft, and a template an example of such a body."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, TypeVar

from approval.wording import hidden
from domain.errors import BadInput, Flaw
from domain.handling import Handling
from domain.instants import of_our_days
from domain.person import Person
from domain.place import canonical
from domain.release import Audience, Colour, Draft
from store import areas
from store.unit import Unit
from templates.library import Template, library, pinned

S = TypeVar("S", bound=StrEnum)

FIELDS = ("template", "issuer", "colour", "grade", "response_level", "handling", "areas", "audience",
          "languages", "channels", "effective", "onset", "expires", "review_by", "repeat_unsure", "fields",
          "from_report", "from_bulletin")  # fmt: skip
MOST_ENTRIES = 200  # of a list: approval.checks.MOST_AREAS, and far more than there are groups
LONGEST_ISSUER = 60  # characters; it is printed in the head of each SMS
EXAMPLE_LASTS = timedelta(hours=12)  # a rain warning lives at most 24 hours
_RFC3339 = re.compile(
    r"20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")  # no database keeps these; the rest is named at submit
_TEXT = 2000  # characters of one value of `fields`; the template says the real bound


def draft_from_body(
    unit: Unit, body: Mapping[str, Any], *, by: Person, at: datetime, before: Draft | None = None
) -> Draft:
    """The draft that `body` describes; run it where areas can be looked up.

    A draft may be unfinished: only shapes, names and codes are checked here; approval.checks says at submit
    what is missing. `before`: the draft that is edited, whose template version stays. Times are cut to
    whole seconds, texts made NFC. Raises BadInput with a flaw (RFC 6901 pointer) for each fault.
    """
    read = _Body(body)
    template = read.template(before)
    codes = read.codes("areas", body.get("areas"))
    chosen = read.audience()
    known = areas.names(unit, {*codes, *chosen.areas})
    read.known("areas", codes, known)
    read.known("audience/areas", chosen.areas, known)
    times = {name: read.instant(name) for name in ("effective", "onset", "expires", "review_by")}
    if times["expires"] is None and not read.has_flaw("/expires"):
        read.flaw("expires", "is required")
    colour = read.one_of("colour", Colour)
    handling = read.one_of("handling", Handling) or Handling.PUBLIC
    grade, response_level = read.level("grade"), read.level("response_level")
    fields = read.fields()
    issuer = read.text("issuer", LONGEST_ISSUER) or by.organisation
    channels, languages = read.texts("channels"), read.texts("languages")
    from_report, from_bulletin = read.text("from_report", 40), read.text("from_bulletin", 40)
    repeat_unsure = read.yes("repeat_unsure")
    expires = times["expires"]
    if read.flaws or template is None or expires is None:
        raise BadInput("the draft cannot be read", code="bad_draft", flaws=read.flaws)
    return Draft(
        kind=template.kind, issuer=issuer, organisation=by.organisation, handling=handling,
        template=template.id, template_version=template.version, event_code=template.event_code,
        areas=codes, fields=fields, channels=channels, languages=languages, audience=chosen,
        expires=expires, effective=times["effective"], onset=times["onset"], review_by=times["review_by"],
        grade=grade, colour=colour, response_level=response_level, from_report=from_report,
        from_bulletin=from_bulletin, repeat_unsure=repeat_unsure,
        supersedes=before.supersedes if before else "",  # an update stays one, whatever else is edited
    )  # fmt: skip


def body_from_draft(draft: Draft) -> dict[str, Any]:
    """The body that gives this draft; PATCH lays the caller's members over it."""
    return {
        "template": draft.template,
        "issuer": draft.issuer,
        "colour": draft.colour.value if draft.colour else None,
        "grade": draft.grade,
        "response_level": draft.response_level,
        "handling": draft.handling.value,
        "areas": list(draft.areas),
        "audience": {
            "areas": list(draft.audience.areas),
            "groups": list(draft.audience.groups),
            "languages": list(draft.audience.languages),
        },
        "languages": list(draft.languages),
        "channels": list(draft.channels),
        "effective": _iso(draft.effective),
        "onset": _iso(draft.onset),
        "expires": _iso(draft.expires),
        "review_by": _iso(draft.review_by),
        "repeat_unsure": draft.repeat_unsure,
        "fields": dict(draft.fields),
        "from_report": draft.from_report or None,
        "from_bulletin": draft.from_bulletin or None,
    }


def example(
    template: Template, at: datetime, *, zone: tzinfo, issuer: str = "示例省气象台",
    codes: Sequence[str] = ("990101000000",), lanes: Collection[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A complete body that can be posted and submitted as it is.

    `codes`: areas that this hub knows. `lanes`: channels that it can send by; None: all.
    """
    full_hour = at.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    fields = template.example_fields
    times = [f for f in template.fields if f.type == "datetime"]
    for n, field in enumerate(times, 1):  # starts, then ends
        when = full_hour if field.is_past else full_hour + timedelta(hours=3 * n)
        fields[field.name] = when.isoformat()
    return {
        "template": template.id,
        "issuer": issuer,
        "colour": Colour.ORANGE.value if template.needs_colour else None,
        "grade": None,
        "response_level": None,
        "handling": Handling.PUBLIC.value,
        "areas": [canonical(code) for code in codes],
        "audience": {"areas": [], "groups": [], "languages": []},
        "languages": list(template.names),
        "channels": [c for c in template.channels if lanes is None or c in lanes],
        "effective": None,
        "onset": None,
        "expires": (full_hour + EXAMPLE_LASTS).isoformat(),
        "review_by": None,
        "repeat_unsure": False,
        "fields": fields,
        "from_report": None,
        "from_bulletin": None,
    }


class _Body:
    """One body being read; gathers every flaw instead of stopping at the first."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.flaws: list[Flaw] = []
        for name in body:
            if name not in FIELDS:
                self.flaw(_token(name), "unknown field")

    def flaw(self, name: str, detail: str) -> None:
        self.flaws.append(Flaw(f"/{name}", detail))

    def has_flaw(self, pointer: str) -> bool:
        return any(f.pointer == pointer for f in self.flaws)

    def template(self, before: Draft | None) -> Template | None:
        name = self.text("template", 60)
        if before is not None and name == before.template:
            return pinned(before.template, before.template_version)
        found = library().get(name)
        if found is None and not self.has_flaw("/template"):
            self.flaw("template", "is one of " + ", ".join(library()))
        return found

    def text(self, name: str, longest: int) -> str:
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest or hidden(value):
            self.flaw(name, f"is a text of at most {longest} characters, all of which can be seen")
            return ""
        return _nfc(value).strip()

    def level(self, name: str) -> int | None:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4:
            self.flaw(name, "is 1, 2, 3 or 4")
            return None
        return value

    def yes(self, name: str) -> bool:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.flaw(name, "is true or false")
        return value is True

    def one_of(self, name: str, known: type[S]) -> S | None:
        value = self.body.get(name)
        if value is None:
            return None
        if value not in [k.value for k in known]:
            self.flaw(name, "is one of " + ", ".join(k.value for k in known))
            return None
        return known(value)

    def instant(self, name: str) -> datetime | None:
        value = self.body.get(name)
        if value is None:
            return None
        found = None
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            found = of_our_days(value.upper())
        if found is None:
            self.flaw(name, "is a time with its offset, such as 2026-11-23T14:05:00+08:00")
            return None
        return found.replace(microsecond=0)

    def texts(self, name: str, value: Any = None) -> tuple[str, ...]:
        value = self.body.get(name) if value is None else value
        if value is None:
            return ()
        is_list = isinstance(value, list | tuple) and len(value) <= MOST_ENTRIES
        if not is_list or not all(isinstance(v, str) and 0 < len(v) <= 40 and not hidden(v) for v in value):
            self.flaw(name, f"is a list of at most {MOST_ENTRIES} short texts")
            return ()
        return tuple(_nfc(v) for v in value)

    def codes(self, name: str, value: Any) -> tuple[str, ...]:
        found = []
        for n, code in enumerate(self.texts(name, value if value is not None else [])):
            try:
                found.append(canonical(code))
            except BadInput as error:
                self.flaw(f"{name}/{n}", error.detail)
        return tuple(dict.fromkeys(found))

    def known(self, name: str, codes: Sequence[str], names: Mapping[str, Any]) -> None:
        for n, code in enumerate(codes):
            if code not in names:
                self.flaw(f"{name}/{n}", "is no division of the table")

    def audience(self) -> Audience:
        value = self.body.get("audience")
        if value is None:
            return Audience()
        if not isinstance(value, Mapping) or not set(value) <= {"areas", "groups", "languages"}:
            self.flaw("audience", "is an object of areas, groups and languages")
            return Audience()
        return Audience(
            areas=self.codes("audience/areas", value.get("areas")),
            groups=self.texts("audience/groups", value.get("groups") or []),
            languages=self.texts("audience/languages", value.get("languages") or []),
        )

    def fields(self) -> dict[str, str | int]:
        value = self.body.get("fields")
        if value is None:
            return {}
        if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
            self.flaw("fields", "is an object")
            return {}
        found: dict[str, str | int] = {}
        for name, item in value.items():
            if isinstance(item, str) and len(item) <= _TEXT and not _UNSTORABLE.search(item):
                found[str(name)] = _nfc(item)
            elif isinstance(item, int) and not isinstance(item, bool) and abs(item) < 2**53:
                found[str(name)] = item
            elif item is not None:
                self.flaw(f"fields/{_token(name)}", "is a text or a whole number")
        return found


def _token(name: object) -> str:
    """A JSON pointer token (RFC 6901 §3), bounded: the name is the caller's."""
    return str(name)[:40].replace("~", "~0").replace("/", "~1")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
