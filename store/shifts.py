"""Shifts: who is on duty, since when, and what was still in hand at the end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.ids import mint
from store import tables as t
from store.tables_desk import shift
from store.unit import Unit


def begin(unit: Unit, person_id: str, at: datetime) -> str:
    """Sign on; the shift's id, '' if the person is on duty already."""
    shift_id = mint("shi", at)
    row = {"id": shift_id, "person": person_id, "began_at": at, "left_open": []}
    return shift_id if unit.add_once(shift, row) else ""


def current(unit: Unit, person_id: str, *, lock: bool = False) -> sa.Row[Any] | None:
    """The shift (id, began_at) that the person is on, or None."""
    query = sa.select(shift).where(shift.c.person == person_id, shift.c.ended_at.is_(None))
    return unit.row(unit.locked(query) if lock else query)


def end(unit: Unit, shift_id: str, *, at: datetime, left_open: Sequence[str], note: str) -> bool:
    """Sign off by compare-and-set, with the ids of the reports left; False if it had ended."""
    values = {"ended_at": at, "left_open": list(left_open), "note": note}
    update = shift.update().where(shift.c.id == shift_id, shift.c.ended_at.is_(None)).values(**values)
    return unit.execute(update).rowcount == 1


def on_duty(unit: Unit) -> list[sa.Row[Any]]:
    """(id, person, name, roles, began_at) of everybody on duty, the longest first."""
    query = sa.select(shift.c.id, shift.c.person, shift.c.began_at, t.person.c.name, t.person.c.roles)
    query = query.join(t.person, t.person.c.id == shift.c.person).where(shift.c.ended_at.is_(None))
    return unit.rows(query.order_by(shift.c.began_at))


def recent(unit: Unit, limit: int) -> list[sa.Row[Any]]:
    """(id, person, name, began_at, ended_at, left_open, note) of the latest shifts, newest first."""
    query = sa.select(shift, t.person.c.name).join(t.person, t.person.c.id == shift.c.person)
    return unit.rows(query.order_by(shift.c.began_at.desc(), shift.c.id.desc()).limit(limit))
