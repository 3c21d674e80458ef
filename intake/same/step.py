"""The step of a report's study that finds which others may tell of the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from domain.report import Report
from intake.documents import with_documents
from intake.same.blocks import asked, stored
from intake.same.score import Likeness, likely, likeness
from intake.same.sketch import Sketch, from_json, sketch
from intake.study import Rings
from store import incidents, scans, sketches
from store.database import Store
from store.unit import Unit

COMPARED = 60  # sketches that are opened for one report: at 30 µs each, and as long to open it, that is 4 of the 20 ms
KEPT = 10  # likenesses of one report; the desk shows the first three
MEANWHILE = timedelta(seconds=30)  # what others entered between a look and its writing is compared too


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is to be written down for one report."""

    sketch: Sketch
    likely: Sequence[tuple[str, Likeness]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sameness:
    """Sketches a report, looks for those that share a key with it, and scores them."""

    name: ClassVar[str] = "same"
    zone: ZoneInfo

    def look(self, store: Store, report: Report) -> Found:
        """Its sketch and the likely others."""
        return store.read(lambda unit: self._look(unit, report))

    def write(self, unit: Unit, report: Report, found: Found, at: datetime) -> Rings:
        """Sketch, keys and likenesses; what was entered since the look is compared here, one report at a time."""
        one = found.sketch
        sketches.enter(unit, report.id, one.to_json(), [*stored(one), *_mail(report)], minute=one.at, at=at)
        known = {name for name, _ in found.likely}
        new = [name for name in sketches.entered_since(unit, at - MEANWHILE, COMPARED) if name != report.id]
        late = _scored(unit, one, [name for name in new if name not in known])
        incidents.propose(
            unit, report.id, [(n, s.score, s.reasons) for n, s in _best([*found.likely, *late])], at
        )
        return ()

    def _look(self, unit: Unit, report: Report) -> Found:
        content = with_documents(report.content, scans.texts(unit, report.id))
        one = sketch(replace(report, content=content), self.zone, sketches.sender(unit, report))
        others = sketches.found(unit, report.id, asked(one), minute=one.at, limit=COMPARED)
        return Found(sketch=one, likely=_best(_scored(unit, one, others)))


def _scored(unit: Unit, one: Sketch, others: Sequence[str]) -> list[tuple[str, Likeness]]:
    raw = sketches.opened(unit, others)
    seen = ((name, from_json(body)) for name, body in raw.items())
    return [(name, likeness(one, other)) for name, other in seen if other is not None]


def _mail(report: Report) -> list[str]:
    """The name of the mail it came as, by which answers to it are known."""
    return [f"m{fact.value}" for fact in report.content.facts.get("message_id", ())]


def _best(scored: Sequence[tuple[str, Likeness]]) -> list[tuple[str, Likeness]]:
    return list(likely(scored))[:KEPT]
