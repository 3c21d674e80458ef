"""What a report was found to tell, and the elements it is asked for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from store import tables as t
from store.unit import Unit

_FOUND = "report_triage.found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A triage as it is kept."""

    version: int
    scheme: str
    event_code: str
    rule: str
    level: int | None
    grade: int | None
    known: frozenset[str]
    found: Mapping[str, Any]  # hits, numbers of people and their statements, as intake/steps writes them
    studied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An element that a version of the report lacked."""

    element: str
    opened_by: int
    opened_at: datetime
    asked_at: datetime | None
    answered_by: int | None
    answered_at: datetime | None


def put(unit: Unit, report: str, kept: Kept) -> None:
    """This is what the report tells now."""
    key = unit.vault.key(unit.connection, report)
    values = {
        "version": kept.version,
        "scheme": kept.scheme,
        "event_code": kept.event_code[:10],
        "rule": kept.rule[:60],
        "level": kept.level,
        "grade": kept.grade,
        "known": ",".join(sorted(kept.known)),
        "found": key.seal(_FOUND, json.dumps(kept.found, ensure_ascii=False).encode()),
        "studied_at": kept.studied_at,
    }
    row = t.report_triage
    if unit.execute(row.update().where(row.c.report == report).values(**values)).rowcount == 0:
        unit.execute(row.insert(), {"report": report, **values})


def get(unit: Unit, report: str) -> Kept | None:
    """The same back, None before the first study."""
    row = unit.row(sa.select(t.report_triage).where(t.report_triage.c.report == report))
    if row is None:
        return None
    found = json.loads(unit.vault.key(unit.connection, report).open(_FOUND, row.found))
    known = frozenset(row.known.split(",")) - {""}
    return Kept(version=row.version, scheme=row.scheme, event_code=row.event_code, rule=row.rule, level=row.level,
                grade=row.grade, known=known, found=found, studied_at=row.studied_at)  # fmt: skip


def ask(
    unit: Unit, report: str, *, missing: Iterable[str], known: Iterable[str], version: int, at: datetime
) -> None:
    """Open questions for what is missing; answer those whose element this version holds. What is answered stays so."""
    q = t.report_question
    lacking, held = list(missing), list(known)
    if lacking:
        rows = [{"report": report, "element": e, "opened_by": version, "opened_at": at} for e in lacking]
        unit.add_new(q, rows)
    answered = (q.c.report == report, q.c.element.in_(held), q.c.answered_by.is_(None))
    unit.execute(q.update().where(*answered).values(answered_by=version, answered_at=at))


def questions(unit: Unit, report: str) -> list[Question]:
    """All of them, answered or not, in the order they were opened."""
    q = t.report_question
    rows = unit.rows(sa.select(q).where(q.c.report == report).order_by(q.c.opened_at, q.c.element))
    return [
        Question(element=r.element, opened_by=r.opened_by, opened_at=r.opened_at, asked_at=r.asked_at,
                 answered_by=r.answered_by, answered_at=r.answered_at)
        for r in rows
    ]  # fmt: skip


def note_asked(unit: Unit, report: str, elements: Iterable[str], at: datetime) -> None:
    """Whoever reported was asked for these; the first time counts."""
    q = t.report_question
    open_ones = (q.c.report == report, q.c.element.in_(list(elements)), q.c.asked_at.is_(None))
    unit.execute(q.update().where(*open_ones).values(asked_at=at))


def answer(unit: Unit, report: str, element: str, version: int, at: datetime) -> bool:
    """An officer found it in that version; False when nobody asks for it any more."""
    q = t.report_question
    is_open = (q.c.report == report, q.c.element == element, q.c.answered_by.is_(None))
    return unit.execute(q.update().where(*is_open).values(answered_by=version, answered_at=at)).rowcount == 1
