"""Recipients of a list version to come: stored page by page, seen by nobody, in force by one statement.

A version far ahead of the present one is reserved. Its rows wait under it, and the day it becomes the
present one they are all there at once: no row is touched, so a list of any length takes as long as one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import Conflict
from domain.ids import mint
from store import audience
from store import tables as t
from store.unit import Unit

AHEAD = 1 << 20  # single changes to the list that may happen meanwhile; 8 * 10^9 lists fit below 2 ** 53
PAGE = 1_000  # rows of one transaction: the writer is held for under 0.1 s
_COLUMNS = ("id", "channel", "address", "area", "language", "group", "name", "since")
_COPY = "COPY recipient ({}) FROM STDIN".format(", ".join(f'"{name}"' for name in _COLUMNS))
_STAMP = len("rcp_") + 10  # letters of an id that say when it was minted (48 bits)


def reserve(unit: Unit) -> int:
    """A list version for rows to wait under. One list at a time: store.operations lets no second one begin."""
    return audience.version(unit) + AHEAD


def stage(unit: Unit, rows: Sequence[Mapping[str, str]], version: int, at: datetime) -> None:
    """Store one page of `rows` (as audience.add takes them, areas canonical) under `version`.

    `at` is one moment for the whole list: it makes the rows findable again by their ids.
    """
    values = [{**row, "id": mint("rcp", at), "since": version} for row in rows]
    if not unit.is_postgres:
        unit.execute(t.recipient.insert(), values)
        return
    # COPY takes 100,000 rows in a second and a half; INSERTs through the driver five times as long
    raw: Any = unit.connection.connection.cursor()
    with raw, raw.copy(_COPY) as copy:
        for row in values:
            copy.write_row([row[name] for name in _COLUMNS])


def put_in_force(unit: Unit, version: int) -> None:
    """Make `version` the present one. Raises Conflict (``list_moved``) when the list has come past it."""
    hub = t.hub
    moved = unit.execute(hub.update().where(hub.c.list_version < version).values(list_version=version))
    if moved.rowcount != 1:
        raise Conflict("the list has come past the version that was reserved", code="list_moved")


def is_waiting(unit: Unit, version: int, at: datetime) -> bool:
    """Whether rows of the list of `at` wait under `version`."""
    r = t.recipient.c
    query = sa.select(r.id).where(*_between(at), r.since == version, version > _present())
    return unit.scalar(query.limit(1)) is not None


def discard(unit: Unit, version: int, at: datetime, limit: int = PAGE) -> int:
    """Remove at most `limit` rows that wait under `version`, never one in force; how many."""
    r = t.recipient.c
    waiting = sa.select(r.id).where(*_between(at), r.since == version, version > _present()).limit(limit)
    return unit.execute(t.recipient.delete().where(r.id.in_(waiting))).rowcount


def known(unit: Unit, rows: Iterable[Mapping[str, str]]) -> set[tuple[str, ...]]:
    """Which of `rows` are on the present list, as audience.place() names them."""
    page = list(rows)
    return audience.on_list(
        unit, {row["channel"] for row in page}, {row["address"] for row in page}, audience.version(unit)
    )


def _present() -> sa.ScalarSelect[int]:
    return sa.select(t.hub.c.list_version).scalar_subquery()


def _between(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The ids minted at `at`: a range of the primary key, in any collation."""
    stamp, r = mint("rcp", at)[:_STAMP], t.recipient.c
    return (r.id >= stamp + "0" * 16, r.id <= stamp + "Z" * 16)
