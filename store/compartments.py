"""In which compartments a report lies: only ever more of them by itself, fewer by somebody's word."""

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from domain.handling import Handling
from domain.report import Content
from domain.secrecy import Compartment, by_event, codes, mark_in
from store import journal, notices, sketches, study, tasks
from store import tables as t
from store.unit import Unit

SEAL, UNSEAL = "seal", "unseal"


def of_words(content: Content) -> int:
    """What the words of a version ask for: a mark of secrecy wherever it stands, in the name of a file too."""
    return Compartment.MARKED.value if any(mark_in(words) for words in _words(content)) else 0


def at_birth(content: Content, handling: Handling, event_code: str) -> int:
    """Where a report lies from the moment it is one."""
    sensitive = Compartment.SENSITIVE.value if handling is Handling.SENSITIVE else 0
    return of_words(content) | by_event(event_code) | sensitive


def seal(unit: Unit, report_id: str, more: int, *, by: str, at: datetime, why: str) -> bool:
    """Put a report into further compartments; False when it lies there already, or is not there.

    Nothing else is to be pulled back: what was made of it names it, and is seen with it or not at all.
    """
    return _move(unit, report_id, more, 0, act=SEAL, by=by, at=at, why=why)


def unseal(unit: Unit, report_id: str, less: int, *, by: str, at: datetime, why: str) -> bool:
    """Take a report out of compartments; False when it does not lie there."""
    return _move(unit, report_id, 0, less, act=UNSEAL, by=by, at=at, why=why)


def changed(
    unit: Unit, report_id: str, before: int, after: int, *, by: str, at: datetime, why: str
) -> None:  # fmt: skip
    """Write down that a report lies elsewhere now; the row says so already."""
    if before == after:
        return
    if (
        after & ~before & Compartment.MARKED
    ):  # before the journal of the report: a step of a task locks in this order
        notices.stop(unit, report_id, at)  # what was to be sent of it and has not left stays here
        tasks.recall_all(unit, report_id, at)
    act = SEAL if after & ~before else UNSEAL
    detail = {"compartments": codes(after), "lay_in": before, "why": why[:500]}
    journal.append(unit, "report", report_id, act, by=by, at=at, detail=detail)
    if (before ^ after) & Compartment.MARKED:
        sketches.forget(unit, report_id)  # nothing is likened to it any more; or it is studied anew
        study.ask(unit, report_id, at)


def _move(
    unit: Unit, report_id: str, more: int, less: int, *, act: str, by: str, at: datetime, why: str
) -> bool:
    r = t.report_row
    row = unit.row(unit.locked(sa.select(r.c.compartments).where(r.c.id == report_id)))
    if row is None or (after := (row.compartments | more) & ~less) == row.compartments:
        return False
    unit.execute(r.update().where(r.c.id == report_id).values(compartments=after))
    changed(unit, report_id, row.compartments, after, by=by, at=at, why=why)
    return True


def _words(content: Content) -> Iterator[str]:
    yield content.text
    for facts in content.facts.values():
        for fact in facts:
            yield fact.value
            yield fact.note
    for attachment in content.attachments:
        yield attachment.name
