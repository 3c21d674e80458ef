"""Who may see which reports: the one condition that every query over what reports have in common goes through."""

import sqlalchemy as sa

from domain.person import Person
from store import tables as t
from store import tasks
from store.unit import Unit


def of_reports(seen_by: Person | None) -> sa.ColumnElement[bool]:
    """What a query over `t.report_row` is narrowed by; None: the hub itself, which sees all."""
    if seen_by is not None and not seen_by.is_of_the_desk:
        return tasks.reports_of(seen_by.id)
    return sa.true()  # every report is of one compartment until there are grants


def may_see(seen_by: Person | None, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The same for a column that names a report."""
    if seen_by is None:
        return sa.true()
    return sa.exists().where(t.report_row.c.id == column, of_reports(seen_by))


def sees(unit: Unit, seen_by: Person | None, report: str) -> bool:
    """Whether this person may know of this report."""
    r = t.report_row.c
    return unit.scalar(sa.select(r.id).where(r.id == report, of_reports(seen_by))) is not None
