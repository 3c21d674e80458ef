"""What lies on the shelf because it failed again and again: an officer has it tried once more."""

from dataclasses import fields
from datetime import datetime

from domain.errors import Conflict, NotFound
from domain.person import Person, Role
from outbox.outgoing import Jobs
from store import journal, scans, shelf, study, uploads
from store.unit import Unit

KINDS = frozenset({"upload", "scan", "study", "job"})  # a message and a bulletin have their own way back
FORGOTTEN = "upload_forgotten"  # its bytes are gone, and its sender may be asked for it
_JOBS = frozenset(one.name for one in fields(Jobs))


def can_be_tried(kind: str, reason: str) -> bool:
    """Whether such a thing can be tried again from here."""
    return kind in KINDS and reason != FORGOTTEN


def again(unit: Unit, shelf_id: str, *, by: Person, at: datetime) -> tuple[str, str]:
    """Have it tried now; the (job, id) to ring for. Raises NotAllowed, NotFound, Conflict."""
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    row = shelf.get(unit, shelf_id)
    if row is None or not can_be_tried(row.kind, row.reason):
        raise NotFound("nothing on the shelf that can be tried again")
    ring = _ring(unit, row.kind, row.origin, by=by.id, at=at)
    if not ring[0] or not shelf.settle(unit, shelf_id, by.id, at):
        raise Conflict("it does not lie on the shelf any more", code="illegal_move")
    journal.append(unit, "shelf", shelf_id, "settle", by=by.id, at=at)
    return ring


def _ring(unit: Unit, kind: str, origin: str, *, by: str, at: datetime) -> tuple[str, str]:
    """Make it due; ('', '') when it waits no more."""
    if kind == "upload":
        uploads.postpone(unit, origin, at)
        return "attach_upload", origin
    if kind == "study":
        study.ask(unit, origin, at)
        return "study_report", origin
    if kind == "scan":
        report = scans.again(unit, origin, at)
        if report:
            journal.append(unit, "report", report, "scan_again", by=by, at=at, detail={"scan": origin})
        return ("scan_file", origin) if report else ("", "")
    job, _, row_id = origin.partition(":")
    return (job, row_id) if job in _JOBS else ("", "")
