"""What bears a mark of secrecy: held for the security officer, let go by his word, destroyed by that of two."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from domain.errors import BadInput, Conflict, Flaw, NotAllowed, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.report import Report
from domain.secrecy import PURGES, Compartment, PurgeState
from store import compartments, journal, purges, reports
from store.blobs import Blobs
from store.database import Store
from store.purges import Purge
from store.unit import Unit


def let_go(unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str) -> None:
    """It bears no mark in truth: everybody sees it from now on, and it is studied. Raises Conflict once it is to be destroyed."""
    _held(unit, report_id, by)
    if report_id in purges.of_reports(unit, [report_id]):
        raise Conflict("it is to be destroyed", code="purge_ordered")
    why = _reason(reason)
    compartments.unseal(unit, report_id, Compartment.MARKED, by=by.id, at=at, why=why)


def order(unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str) -> Purge:
    """The first of two wants it destroyed."""
    _held(unit, report_id, by)
    made = Purge(id=mint("prg", at), report=report_id, state=PurgeState.ORDERED, reason=_reason(reason),
                 ordered_by=by.id, ordered_at=at, settled_by="", settled_at=None)  # fmt: skip
    if not purges.add(unit, made):
        raise Conflict("it is to be destroyed already", code="purge_ordered")
    _note(unit, made, "purge_order", by, at, reason=made.reason)
    return made


def confirm(unit: Unit, purge_id: str, *, by: Person, at: datetime) -> Purge:
    """The second, never the first, confirms: in this transaction its keys are destroyed. Files follow (sweep())."""
    found = _order(unit, purge_id, by)
    PURGES.after(found.state, "confirm")
    if found.ordered_by == by.id:
        raise NotAllowed("nobody confirms what he ordered", code="own_work")
    if reports.get(unit, found.report, lock=True) is None:
        raise NotFound("no such report")
    blobs = purges.destroy(unit, found.report, at)
    if not purges.move(unit, found, "confirm", by=by.id, at=at, blobs=blobs):
        raise Conflict("somebody else was faster", code="purge_settled")
    _note(unit, found, "purge_confirm", by, at, ordered_by=found.ordered_by, files=blobs)
    return found


def withdraw(unit: Unit, purge_id: str, *, by: Person, at: datetime) -> Purge:
    """Either of them takes it back before that."""
    found = _order(unit, purge_id, by)
    if not purges.move(unit, found, "withdraw", by=by.id, at=at):
        raise Conflict("somebody else was faster", code="purge_settled")
    _note(unit, found, "purge_withdraw", by, at)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Deletes the files of what was destroyed: after the commit, and again until they are gone."""

    store: Store
    blobs: Blobs
    thumbs: Callable[[str], object]  # forgets what was drawn of a file
    clock: Callable[[], datetime]

    def sweep(self) -> int:
        """How many orders are done with."""
        done = 0
        for purge_id, files in self.store.read(purges.due):
            if all([self._is_gone(name) for name in files]):
                self.store.run(partial(purges.swept, purge_id=purge_id, at=self.clock()))
                done += 1
        return done

    def _is_gone(self, sha256: str) -> bool:
        def is_named() -> bool:
            return self.store.read(lambda unit: purges.is_named(unit, sha256))

        if is_named():  # it came again with another report meanwhile
            return True
        self.thumbs(sha256)
        return self.blobs.gone(sha256, at=self.clock().timestamp(), is_named=is_named)


def _held(unit: Unit, report_id: str, by: Person) -> Report:
    by.must_be(Role.SECURITY)
    report = reports.get(unit, report_id, lock=True)
    if report is None or not report.compartments & Compartment.MARKED:
        raise NotFound("no such report")
    return report


def _order(unit: Unit, purge_id: str, by: Person) -> Purge:
    by.must_be(Role.SECURITY)
    found = purges.get(unit, purge_id)
    if found is None:
        raise NotFound("no such order")
    return found


def _note(unit: Unit, made: Purge, act: str, by: Person, at: datetime, **detail: object) -> None:
    journal.append(unit, "report", made.report, act, by=by.id, at=at, detail={"purge": made.id, **detail})


def _reason(text: str) -> str:
    reason = text.strip()[:500]
    if not reason:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    return reason
