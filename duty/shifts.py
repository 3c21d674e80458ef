"""Signing on and off: who is on duty, and what a person leaves in hand when he goes."""

from collections.abc import Sequence
from datetime import datetime

from domain.errors import BadInput, Conflict, Flaw
from domain.person import Person, Role
from store import journal, reports, shifts
from store.unit import Unit

LONGEST_NOTE = 2000  # characters; the column's width


def sign_on(unit: Unit, *, by: Person, at: datetime) -> str:
    """签到: begin a shift; its id. Raises Conflict when the person is on duty already."""
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    shift_id = shifts.begin(unit, by.id, at)
    if not shift_id:
        raise Conflict("already on duty", code="on_duty")
    journal.append(unit, "shift", shift_id, "sign_on", by=by.id, at=at, is_first=True)
    return shift_id


def sign_off(unit: Unit, *, by: Person, at: datetime, note: str = "") -> Sequence[str]:
    """签退: end the shift; the ids of the reports still in hand, which are kept with it.

    A claim is not given back by itself: who comes next shall see that it was left, and why. Raises
    BadInput(note_missing) when something is left without a note, Conflict when no shift is on.
    """
    shift = shifts.current(unit, by.id, lock=True)
    if shift is None:
        raise Conflict("not on duty", code="off_duty")
    left = [report.id for report in reports.claimed(unit, by.id)]
    said = note.strip()[:LONGEST_NOTE]
    if left and not said:
        flaws = [Flaw("/note", "is empty")]
        raise BadInput("what is left in hand needs a note", code="note_missing", flaws=flaws)
    if not shifts.end(unit, shift.id, at=at, left_open=left, note=said):
        raise Conflict("not on duty", code="off_duty")
    detail = {"left_open": left}
    journal.append(unit, "shift", shift.id, "sign_off", by=by.id, at=at, detail=detail, content=said.encode())
    return left
