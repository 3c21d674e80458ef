"""What two reports are compared by, worked out once for each: time, place, kind, what is named, what is said."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.report import Report
from intake.same.kinds import BY_CLASS, kinds
from intake.same.named import Named, named
from intake.same.occurred import occurred

FORM = 1  # of a sketch; one of another form is made anew
SAID = 600  # characters that are compared word by word
DOCUMENT = 2_000  # characters of a document that are read: what happened stands on its first page
_POSITION = re.compile(r"(-?[0-9]{1,3}(?:\.[0-9]+)?),(-?[0-9]{1,3}(?:\.[0-9]+)?)")
_SILENT = re.compile(r"[\s\W_]+")
_SETS = ("places", "towns", "regions", "sites", "marks", "roads", "houses", "things", "vehicles", "counts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """One report, ready to be compared."""

    at: int  # minutes since the epoch when it arrived
    begins: int  # it happened between these
    ends: int
    is_timed: bool  # the text says when
    area: str  # division code as far as it is known; '' unknown
    position: tuple[float, float] | None  # latitude, longitude
    kinds: frozenset[str]
    named: Named
    said: str
    sender: str  # a blind index; '' for a department or nobody

    def to_json(self) -> bytes:
        """For the store, which seals it."""
        data = asdict(self)
        data["kinds"] = sorted(self.kinds)
        data["named"] |= {name: sorted(data["named"][name]) for name in _SETS}
        return json.dumps({"form": FORM, **data}, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(raw: bytes) -> Sketch | None:
    """None for one of another form."""
    data: dict[str, Any] = json.loads(raw)
    if data.pop("form") != FORM:
        return None
    names = data["named"] | {name: frozenset(data["named"][name]) for name in _SETS}
    data |= {"kinds": frozenset(data["kinds"]), "named": Named(**names)}
    data["position"] = tuple(data["position"]) if data["position"] else None
    return Sketch(**data)


def sketch(report: Report, zone: ZoneInfo, sender: str = "") -> Sketch:
    """What `report` is compared by; `sender`: blind index of who sent it."""
    content = report.content
    documents = (fact.value[:DOCUMENT] for fact in content.facts.get("document", ()))  # 详见附件
    parts = (content.first("subject"), content.first("place"), content.text, *documents)
    text = "\n".join(part for part in parts if part)
    span = occurred(text, report.received_at, zone)
    found = kinds(text)
    if not found and report.event_code[:3] in BY_CLASS:
        found = frozenset({BY_CLASS[report.event_code[:3]]})
    return Sketch(at=_minutes(report.received_at), begins=_minutes(span.begins), ends=_minutes(span.ends),
                  is_timed=span.is_said, area=report.area.rstrip("0") if report.area else "",
                  position=_position(content.first("position")), kinds=found, named=named(text),
                  said=_SILENT.sub("", text).lower()[:SAID], sender=sender)  # fmt: skip


def _minutes(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _position(value: str) -> tuple[float, float] | None:
    found = _POSITION.fullmatch(value.replace(" ", ""))
    return (float(found[1]), float(found[2])) if found else None
