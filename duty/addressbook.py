"""The acts over a list of recipients that comes in: announce it, put it in force, give it up."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.errors import Conflict, NotFound
from domain.person import Person, Role
from store import journal, operations, people, staging
from store.database import Store
from store.operations import DONE, FAILED, Operation
from store.unit import Unit

KIND = "import_recipients"
WRITERS = (Role.OFFICER, Role.ADMIN)
SILENT = timedelta(seconds=60)  # a page takes under a second: who says nothing for so long has died
UNDECIDED = timedelta(minutes=15)  # a list that was shown and not taken makes room for the next one
BLANK: Mapping[str, Any] = {
    "phase": "reading",  # reading | storing | ready | in_force | refused
    "reason": "", "detail": "", "encoding": "", "must_confirm": False, "rows": 0, "fresh": 0, "known": 0,
    "repeated": 0, "wrong": 0, "version": 0, "errors": [], "error_count": 0,
}  # fmt: skip


def begin(unit: Unit, raw: bytes, *, by: Person, at: datetime, must_confirm: bool) -> Operation:
    """Announce a file; duty.list_reading reads it afterwards. Raises Conflict (``operation_running``), NotAllowed.

    `must_confirm`: the rows wait for confirm() after they were counted, else they are in force at once.
    """
    people.get(unit, by.id).must_be(*WRITERS)
    result = {**BLANK, "must_confirm": must_confirm}
    begun = operations.begin(unit, KIND, by=by.id, at=at, result=result)
    detail = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    journal.append(unit, "operation", begun.id, "import", by=by.id, at=at, detail=detail, is_first=True)
    return begun


def confirm(unit: Unit, operation_id: str, *, by: Person, at: datetime) -> Operation:
    """Put the rows in force. Raises Conflict (``not_ready``, ``operation_over``), NotAllowed, NotFound."""
    found = _running(unit, operation_id, by)
    if found.result["phase"] != "ready":
        raise Conflict("the rows are not stored yet", code="not_ready")
    put_in_force(unit, found, by=by.id, at=at)
    return found


def discard(unit: Unit, operation_id: str, *, by: Person, at: datetime) -> Operation:
    """Give the list up; tidy() takes its rows away. Raises Conflict (``operation_over``), NotAllowed, NotFound."""
    found = _running(unit, operation_id, by)
    give_up(unit, found, "discarded", by=by.id, at=at)
    return found


def put_in_force(unit: Unit, operation: Operation, *, by: str, at: datetime) -> None:
    """The end of an import that went well: one row changes, and the whole list is there."""
    result = {**operation.result, "phase": "in_force"}
    if result["fresh"]:
        staging.put_in_force(unit, result["version"])
    operations.end(unit, operation.id, DONE, at=at, result=result)
    journal.append(unit, "operation", operation.id, "put_in_force", by=by, at=at, detail=_counts(result))


def give_up(unit: Unit, operation: Operation, reason: str, *, by: str, at: datetime) -> None:
    """The end of an import that did not go well. Raises Conflict (``operation_over``)."""
    result = {**operation.result, "phase": "refused", "reason": operation.result["reason"] or reason}
    operations.end(unit, operation.id, FAILED, at=at, result=result)
    journal.append(unit, "operation", operation.id, "give_up", by=by, at=at, detail={"reason": reason})


def tidy(store: Store, at: datetime) -> None:
    """End imports whose process has died or whom nobody decided on; take the rows of ended ones away.

    Safe to repeat, and beside itself in other processes.
    """
    for found in store.read(lambda unit: operations.running(unit, KIND)):
        if at - found.changed_at > (UNDECIDED if found.result["phase"] == "ready" else SILENT):
            _end_silent(store, found.id, at)
    for found in store.read(lambda unit: operations.latest(unit, KIND)):
        version = int(found.result["version"])
        if found.state == FAILED and version:
            _take_away(store, version, found.created_at)


def _end_silent(store: Store, operation_id: str, at: datetime) -> None:
    def work(unit: Unit) -> None:
        found = operations.get(unit, operation_id, lock=True)
        if found is None or found.state != operations.RUNNING:
            return
        is_ready = found.result["phase"] == "ready"
        if at - found.changed_at > (UNDECIDED if is_ready else SILENT):  # it may have spoken meanwhile
            give_up(unit, found, "undecided" if is_ready else "interrupted", by="system", at=at)

    store.run(work)


def _take_away(store: Store, version: int, at: datetime) -> None:
    """Page by page, so that the writer stays free; a crash leaves them to the next call."""
    while store.read(lambda unit: staging.is_waiting(unit, version, at)):
        store.run(lambda unit: staging.discard(unit, version, at))


def _running(unit: Unit, operation_id: str, by: Person) -> Operation:
    people.get(unit, by.id).must_be(*WRITERS)
    found = operations.get(unit, operation_id, lock=True)
    if found is None or found.kind != KIND:
        raise NotFound("no such import")
    if found.state != operations.RUNNING:
        raise Conflict("this import has ended", code="operation_over")
    return found


def _counts(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("rows", "fresh", "known", "repeated", "wrong", "version")}
