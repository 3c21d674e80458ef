"""Sessions of PostgreSQL that hold up everybody: a transaction left open hides all later journal entries (finding 20)."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from store import journal
from store import tables as t
from store.stream import numbered
from store.unit import Unit

IDLE = timedelta(seconds=3)  # then it is ended; with a look each second the stream stands for less than 5 s
STREAM = ("hub", "stream")  # what was ended is journalled here
_A = sa.table("pg_stat_activity", *map(sa.column, ("pid", "usename", "backend_xid", "state", "state_change")))


def holding(unit: Unit, idle: timedelta = IDLE) -> list[sa.Row[Any]]:
    """Rows (pid, usename) of sessions that have written, have not committed, and do nothing.

    Sessions of other roles are seen by a role in pg_read_all_stats only.
    """
    if not unit.is_postgres:
        return []
    since = sa.func.clock_timestamp() - sa.cast(sa.literal(idle), sa.Interval)
    query = sa.select(_A.c.pid, _A.c.usename).where(
        _A.c.backend_xid.is_not(None), _A.c.state.like("idle in transaction%"), _A.c.state_change < since,
        _A.c.pid != sa.func.pg_backend_pid(),
    )  # fmt: skip
    return unit.rows(query)


def end_idle(unit: Unit, at: datetime) -> int:
    """End those sessions, and write down whose they were; how many. What they had written is rolled back."""
    ended = 0
    for row in holding(unit):
        try:
            with unit.connection.begin_nested():
                is_ended = unit.scalar(sa.select(sa.func.pg_terminate_backend(row.pid)))
        except sa.exc.ProgrammingError:  # a superuser's: the stream stands, and the alarm says so
            is_ended = False
        if is_ended:
            journal.append(unit, *STREAM, "session_ended", by="system", at=at, detail={"role": row.usename})
            ended += 1
    return ended


def held_since(unit: Unit) -> datetime | None:
    """When the oldest journal entry was written that readers of the stream may not see yet."""
    if not unit.is_postgres:
        return None
    j = t.journal.c
    oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
    query = sa.select(j.at).where(j.xid >= numbered(oldest)).order_by(j.xid, j.seq).limit(1)
    found: datetime | None = unit.scalar(query)
    return found


def last_ended(unit: Unit) -> datetime | None:
    """When a session was ended last."""
    j = t.journal.c
    query = sa.select(j.at).where(j.kind == STREAM[0], j.entity == STREAM[1]).order_by(j.n.desc()).limit(1)
    found: datetime | None = unit.scalar(query)
    return found
