"""Who may see which rows: every query of an officer's or a program's unit is narrowed here, whoever wrote it.

A row that names a report lies in the compartments of that report; an incident in those of all its reports. Foreign keys
say which columns name one; what has none stands in `_BESIDE`, and a test finds what was forgotten.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from domain.secrecy import Eyes
from store import tables as t
from store.tables_incidents import incident, report_incident

_BESIDE = {  # columns that name a report, or anything, without a foreign key
    "bulletin": (("report", "report"),),
    "dispatch": (("about", "notice"),),
    "follow_up": (("report", "report"), ("linked", "report")),
    "inbound": (("report", "report"), ("id", "inbound")),
    "journal": (("entity", "any"),),
    "ring": (("report", "report"),),
    "shelf": (("origin", "any"),),
    "slip": (("report", "report"),),
    "upload": (("report", "report"),),
    "webhook_call": (("about", "report"),),
}
_MADE_OF = {  # rows that are called by an id of their own, each with the report that it is of
    "any": (t.brief, t.field_task, t.media, t.scan, t.slip, t.upload),
    "notice": (t.exchange, t.handover),
}
_OTHERWISE = {"merged_into", "from_report"}  # these name one and say little of it; see _of_release


def narrowed(statement: Any, eyes: Eyes) -> Any:
    """`statement` as these eyes see it; one that writes is left as it is: its author has read before."""
    if eyes.are_the_hub_s or not isinstance(statement, sa.SelectBase):
        return statement
    if isinstance(statement, sa.Select) and (tables := _of_one(statement)) is not None:
        conditions = [c for table in tables for c in _conditions(table, eyes)]
        return statement.where(*conditions) if conditions else statement
    return visitors.cloned_traverse(statement, {}, {"select": lambda select: _narrow(select, eyes)})


def columns_of(table: sa.Table) -> tuple[tuple[str, str], ...]:
    """(column, what it names: report, incident, inbound, notice or any) of a table."""
    return _columns(table)


@cache
def _columns(table: sa.Table) -> tuple[tuple[str, str], ...]:
    found = [
        (column.name, key.column.table.name)
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name in ("report", "incident", "inbound") and column.name not in _OTHERWISE
    ]
    return (*found, *_BESIDE.get(table.name, ()))


def _of_one(statement: sa.Select[Any]) -> list[Any] | None:
    """The tables and aliases that a SELECT without another one inside it reads; None where there may be one.

    Most are so, and to copy a statement and ask SQLAlchemy for its FROM costs a millisecond, more than the query.
    """
    found: dict[Any, None] = {}
    waiting = list(statement.get_children())
    while waiting:
        one = waiting.pop()
        if isinstance(one, sa.Table) or (isinstance(one, sa.Alias) and isinstance(one.element, sa.Table)):
            found[one] = None
        elif isinstance(one, sa.Join) or not isinstance(one, sa.FromClause | sa.SelectBase):
            waiting.extend(one.get_children())
        else:
            return None
    return list(found)


def _narrow(select: Any, eyes: Eyes) -> None:
    conditions = [c for table in _tables(select.get_final_froms()) for c in _conditions(table, eyes)]
    if conditions:
        sa.Select.where.non_generative(select, *conditions)  # type: ignore[attr-defined]


def _tables(froms: Iterable[Any]) -> Iterator[Any]:
    """The tables, and their aliases, that a SELECT reads itself."""
    for one in froms:
        if isinstance(one, sa.Join):
            yield from _tables((one.left, one.right))
        elif isinstance(one, sa.Table) or (isinstance(one, sa.Alias) and isinstance(one.element, sa.Table)):
            yield one


def _conditions(table: Any, eyes: Eyes) -> Iterable[sa.ColumnElement[bool]]:
    return _of_table(table, eyes) if isinstance(table, sa.Table) else _seen(table, eyes)


@cache
def _of_table(table: sa.Table, eyes: Eyes) -> tuple[sa.ColumnElement[bool], ...]:
    """Made once: there are some eighty tables and as many eyes as sets of compartments."""
    return tuple(_seen(table, eyes))


def _seen(table: Any, eyes: Eyes) -> Iterator[sa.ColumnElement[bool]]:
    """What a row of `table` must fulfil; a row that an outer join did not find fulfils it."""
    of = table.element if isinstance(table, sa.Alias) else table
    if of is t.report_row:
        yield sa.or_(table.c.compartments.in_(eyes.sights), table.c.id.is_(None))
        return
    if of is incident:
        yield sa.not_(_hidden_incident(table.c.id, eyes))
    if of is t.release_row:
        yield sa.or_(table.c.approved_at.is_not(None), sa.not_(_hidden(table.c.from_report, eyes)))
    for name, names in _columns(of):
        yield from (sa.not_(condition) for condition in _hides(table.c[name], names, eyes))


def _hides(column: sa.ColumnElement[Any], names: str, eyes: Eyes) -> Iterator[sa.ColumnElement[bool]]:
    if names in ("report", "notice", "any"):
        yield _hidden(column, eyes)
    if names in ("incident", "any"):
        yield _hidden_incident(column, eyes)
    if names in ("inbound", "any"):
        yield _hidden(column, eyes, by="inbound")
        yield from (_hidden_by(column, table, "inbound", "report", eyes) for table in (t.piece, t.follow_up))
    for table in _MADE_OF.get(names, ()):
        yield _hidden_by(column, table, "id", "report", eyes)
    if names == "any":
        yield _hidden_by(column, t.release_row, "id", "from_report", eyes)


def _hidden(column: sa.ColumnElement[Any], eyes: Eyes, *, by: str = "id") -> sa.ColumnElement[bool]:
    """Whether it names a report that these eyes do not see; asked of those few, which have an index of their own."""
    r = t.report_row.alias()
    return sa.exists().where(r.c[by] == column, *_is_hidden(r, eyes)).correlate_except(r)


def _hidden_incident(column: sa.ColumnElement[Any], eyes: Eyes) -> sa.ColumnElement[bool]:
    r, m = t.report_row.alias(), report_incident.alias()
    is_in = (m.c.incident == column, m.c.removed_at.is_(None), r.c.id == m.c.report)
    return sa.exists().where(*is_in, *_is_hidden(r, eyes)).correlate_except(r, m)


def _hidden_by(
    column: sa.ColumnElement[Any], table: sa.Table, named: str, report: str, eyes: Eyes
) -> sa.ColumnElement[bool]:
    """Whether it names a row of `table` that belongs to a report which these eyes do not see."""
    r, beside = t.report_row.alias(), table.alias()
    is_open = [beside.c.approved_at.is_(None)] if table is t.release_row else []
    is_it = (beside.c[named] == column, beside.c[report] == r.c.id, *is_open)
    return sa.exists().where(*is_it, *_is_hidden(r, eyes)).correlate_except(r, beside)


def _is_hidden(reports: Any, eyes: Eyes) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    is_somewhere = reports.c.compartments > sa.literal_column(
        "0"
    )  # a bound 0 would not find the partial index
    return is_somewhere, reports.c.compartments.not_in(eyes.sights)
