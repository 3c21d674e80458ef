"""What an officer says of reports that follow each other: they do, or they do not."""

from datetime import datetime

from domain.errors import Conflict, NotFound
from domain.incident import Thread
from domain.person import Person, Role
from store import journal, threads
from store.unit import Unit


def link(unit: Unit, report_id: str, follows_id: str, *, by: Person, at: datetime) -> Thread:
    """续报: what was proposed, or was taken apart, follows indeed."""
    return _move(unit, report_id, follows_id, "link", by, at)


def unlink(unit: Unit, report_id: str, follows_id: str, *, by: Person, at: datetime) -> Thread:
    """It does not follow, whoever had said so; link() undoes it."""
    return _move(unit, report_id, follows_id, "unlink", by, at)


def _move(unit: Unit, report_id: str, follows_id: str, action: str, by: Person, at: datetime) -> Thread:
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    row = threads.get(unit, report_id, follows_id)
    if row is None:
        raise NotFound("nothing says that it follows that one", code="no_thread")
    if not threads.move(unit, row, action, by=by.id, at=at):
        raise Conflict("somebody else has just decided", code="thread_changed")
    for entity, other in ((follows_id, report_id), (report_id, follows_id)):
        journal.append(unit, "report", entity, action, by=by.id, at=at, detail={"report": other})
    return row
