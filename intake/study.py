"""After the queue has a report: where it is, what it is, what it belongs to. Each step finds one kind of knowledge.

The queue never waits for this: a report is filed first, and studied when a worker has time, again each time
something new is said of it. A step that breaks leaves the others alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from domain.errors import HubError, Unavailable
from domain.report import Report
from domain.secrecy import Compartment
from store import reports, shelf
from store import study as book
from store.database import Store
from store.unit import Unit

LEASE = timedelta(seconds=60)  # of one study; a dead worker's is taken up by another after it
FAILED, DIED = "study_failed", "worker_died"  # why it lies on the shelf
AGAIN = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
)  # after steps that failed; then it is left

Rings = Sequence[tuple[str, str]]  # (job, id)


class Step(Protocol):
    """One kind of knowledge. Safe to run again: it finds the same, or what is new."""

    @property
    def name(self) -> str:
        """As the row of a study says that it failed."""
        ...

    def look(self, store: Store, report: Report) -> Any:
        """Read and compute; nothing is written. None: nothing is found, and write() is not called."""
        ...

    def write(self, unit: Unit, report: Report, found: Any, at: datetime) -> Rings:
        """Write down what was found, in a transaction of its own; what it returns is rung for after it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """Runs the steps over a report, in their order: a later one may read what an earlier one wrote the last time."""

    store: Store
    clock: Callable[[], datetime]
    steps: Sequence[Step]
    bell: Callable[[str, str], None] = field(default=lambda _job, _id: None)
    on_bug: Callable[[str, Exception], object] = field(default=lambda _step, _error: None)

    def study(self, report_id: str) -> bool:
        """Study one report; False when there was nothing to do. Safe to run twice and side by side, for any id."""
        at = self.clock()
        task = self.store.run(lambda unit: book.begin(unit, report_id, at, at + LEASE))
        if task is None:
            return False
        if task.tries > len(AGAIN) + 1:  # the study before this one ended its process: so would this
            self.store.run(lambda unit: _left(unit, task, [DIED], DIED, at))
            return True
        failed: list[str] = []
        report = self._report(report_id, failed)
        if report is not None and report.compartments & Compartment.MARKED:
            report = None  # nothing is made of it, until the security officer lets it go
        found = [] if report is None else self._look(report, failed)
        rings: list[tuple[str, str]] = []
        for step, what in found:
            try:
                rings += self._write(step, report, what)
            except Exception as error:  # what one step knows is not lost with another's fault
                self._note(step, error, failed)
        again_at = self._again(task.tries, failed)
        if failed and again_at is None:
            self.store.run(lambda unit: _left(unit, task, failed, FAILED, at))
        else:
            self.store.run(lambda unit: book.end(unit, task, failed=failed, again_at=again_at))
        for job, row_id in rings:
            self.bell(job, row_id)
        return True

    def _report(self, report_id: str, failed: list[str]) -> Report | None:
        try:
            return self.store.read(lambda unit: reports.get(unit, report_id))
        except Unavailable:
            raise
        except Exception as error:  # its key is destroyed, or its bytes are not what they were
            failed.append("report")
            if not isinstance(error, HubError):
                self.on_bug("report", error)
            return None

    def _look(self, report: Report, failed: list[str]) -> list[tuple[Step, Any]]:
        found = []
        for step in self.steps:
            try:
                what = step.look(self.store, report)
            except Exception as error:
                self._note(step, error, failed)
            else:
                if what is not None:
                    found.append((step, what))
        return found

    def _write(self, step: Step, report: Report | None, what: Any) -> Rings:
        at = self.clock()
        if report is None:
            return ()
        return self.store.run(lambda unit: step.write(unit, report, what, at))

    def _note(self, step: Step, error: Exception, failed: list[str]) -> None:
        failed.append(step.name)
        if not isinstance(error, HubError):  # a fault of ours: somebody must hear of it
            self.on_bug(step.name, error)

    def _again(self, tries: int, failed: Sequence[str]) -> datetime | None:
        return self.clock() + AGAIN[tries - 1] if failed and tries <= len(AGAIN) else None


def _left(unit: Unit, task: book.Task, failed: Sequence[str], reason: str, at: datetime) -> None:
    """It is tried no more by itself; whoever looks at the shelf may have it studied again."""
    book.end(unit, task, failed=failed, again_at=None)
    shelf.again(unit, "study", reason, origin=task.report, at=at)
