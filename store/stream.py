"""The journal in an order that never skips a committed row (finding 20, R33)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from domain.secrecy import EVERY, HUB, Compartment, Eyes
from store import tables as t
from store.unit import Unit


class Numbered(NamedTuple):
    """An entry by its number alone."""

    seq: int


class Cursor(NamedTuple):
    """How far a reader has come; on SQLite xid is always 0 and seq alone orders."""

    xid: int = 0
    seq: int = 0


def after(unit: Unit, cursor: Cursor, limit: int = 500) -> list[sa.Row[Any]]:
    """Entries after `cursor`, oldest first.

    On PostgreSQL only those of transactions older than every one still running: a sequence number
    is taken before COMMIT, so ``seq > last`` alone loses rows that commit late.
    """
    j = t.journal.c
    query = (
        sa.select(t.journal)
        .where(sa.tuple_(j.xid, j.seq) > sa.tuple_(sa.literal(cursor.xid), sa.literal(cursor.seq)))
        .order_by(j.xid, j.seq)
        .limit(limit)
    )
    return unit.rows(_settled(unit, query))


def head(unit: Unit) -> Cursor:
    """The place after which everything is still to come."""
    j = t.journal.c
    query = sa.select(j.xid, j.seq).order_by(j.xid.desc(), j.seq.desc()).limit(1)
    row = unit.seen_by(HUB).row(_settled(unit, query))  # a place, not an entry
    return Cursor(row.xid, row.seq) if row else Cursor()


def lying_in(unit: Unit, rows: Sequence[Any]) -> dict[int, int]:
    """seq -> the compartments of what each entry is about, of those that lie in any now."""
    r, j = t.report_row.c, t.journal.c
    is_any = sa.select(r.id).where(r.compartments > sa.literal_column("0")).limit(1)
    numbers = [row.seq for row in rows]
    if not numbers or unit.scalar(is_any) is None:
        return {}
    found: dict[int, int] = {}
    for one in Compartment:
        all_but_this = unit.seen_by(Eyes(granted=EVERY & ~one))
        seen = {row.seq for row in all_but_this.rows(sa.select(j.seq).where(j.seq.in_(numbers)))}
        for number in numbers:
            if number not in seen:
                found[number] = found.get(number, 0) | one
    return found


def distance(unit: Unit, cursor: Cursor, most: int) -> int:
    """How many entries there are after `cursor`, counted up to `most`."""
    j = t.journal.c
    query = sa.select(j.seq).where(sa.tuple_(j.xid, j.seq) > sa.tuple_(*map(sa.literal, cursor))).limit(most)
    return int(unit.scalar(sa.select(sa.func.count()).select_from(query.subquery())))


def _settled(unit: Unit, query: sa.Select[Any]) -> sa.Select[Any]:
    """`query` without what a transaction still running could come before."""
    if not unit.is_postgres:
        return query
    oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
    return query.where(t.journal.c.xid < numbered(oldest))


def numbered(xid: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """A transaction id of PostgreSQL as the journal counts it.

    A cluster counts from its own start; `tocsin restore` writes down where the restored journal ends, so that
    what comes later sorts later (store/snapshot.py).
    """
    base = sa.func.coalesce(sa.func.nullif(sa.func.current_setting("tocsin.xid_base", True), ""), "0")
    return sa.cast(sa.cast(xid, sa.Text), sa.BigInteger) + sa.cast(base, sa.BigInteger)
