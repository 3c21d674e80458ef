"""The journal in an order that never skips a committed row (finding 20, R33)."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from store import tables as t
from store.unit import Unit


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
    if unit.is_postgres:
        oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
        query = query.where(j.xid < numbered(oldest))
    return unit.rows(query)


def numbered(xid: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """A transaction id of PostgreSQL as the journal counts it.

    A cluster counts from its own start; `tocsin restore` writes down where the restored journal ends, so that
    what comes later sorts later (store/snapshot.py).
    """
    base = sa.func.coalesce(sa.func.nullif(sa.func.current_setting("tocsin.xid_base", True), ""), "0")
    return sa.cast(sa.cast(xid, sa.Text), sa.BigInteger) + sa.cast(base, sa.BigInteger)
