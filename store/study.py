"""Reports that are to be studied: asked for when something new is said, taken in hand by one worker at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from store import bulk
from store.tables_study import study
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One report in hand. What is asked for while it is studied is studied after it."""

    report: str
    asked: int
    tries: int


def ask_first(unit: Unit, reports: Sequence[str], at: datetime) -> None:
    """For reports that have just been filed."""
    bulk.add_new(unit, study, [{"report": report, "due_at": at} for report in reports])


def ask(unit: Unit, report: str, at: datetime) -> None:
    """Something new is said of this report: a further version, a file that could be read, a place by hand."""
    insert: Any = (postgresql if unit.is_postgres else sqlite).insert(study)
    again = {"asked": study.c.asked + 1, "tries": 0, "due_at": at}
    statement = insert.values(report=report, due_at=at)
    unit.execute(statement.on_conflict_do_update(index_elements=["report"], set_=again))


def due(unit: Unit, at: datetime, limit: int = 200) -> list[str]:
    """Reports to be studied now, the longest waiting first."""
    s = study.c
    query = sa.select(s.report).where(s.due_at.is_not(None), s.due_at <= at)
    return [row.report for row in unit.rows(query.order_by(s.due_at).limit(limit))]


def begin(unit: Unit, report: str, at: datetime, until: datetime) -> Task | None:
    """Take it in hand: nobody else does before `until`. None: nothing to do, or somebody was faster."""
    s = study.c
    is_due = (s.report == report, s.due_at.is_not(None), s.due_at <= at)
    taken = unit.execute(study.update().where(*is_due).values(due_at=until, tries=s.tries + 1))
    if taken.rowcount != 1:
        return None
    row = unit.rows(sa.select(s.asked, s.tries).where(s.report == report))[0]
    return Task(report=report, asked=row.asked, tries=row.tries)


def end(unit: Unit, task: Task, *, failed: Sequence[str], again_at: datetime | None) -> None:
    """It has been studied as far as could be; `again_at` when steps failed for a passing reason.

    What was asked for meanwhile stays due.
    """
    s = study.c
    values = {"studied": task.asked, "failed": ",".join(failed)[:200], "due_at": again_at}
    mine = (s.report == task.report, s.asked == task.asked)
    unit.execute(study.update().where(*mine).values(**values))


def is_studied(unit: Unit, report: str) -> bool:
    """Whether nothing new waits to be studied; a page says so beside what was found."""
    s = study.c
    return unit.scalar(sa.select(s.report).where(s.report == report, s.due_at.is_not(None))) is None
