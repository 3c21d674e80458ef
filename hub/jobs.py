"""What a worker runs for each bell: the id of a row goes to the one who knows what to do with it."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta

from domain.errors import HubError, Unavailable
from intake.filing import Filing
from intake.media import Media
from intake.scan import Scanner
from intake.sender_checks import Checker
from intake.study import Student
from outbox import deliver, publish, relay
from outbox.outgoing import Jobs, Outgoing
from store import shelf
from store.database import Store

CANNOT = "job_failed"  # what is wrong is ours, and nobody knows it yet
LET_BY = timedelta(seconds=1)  # a report is studied that late at most, however many more come in


class _Filings:
    """How many reports this process is filing now: that they are seen goes before what is found out about others."""

    def __init__(self) -> None:
        self._running, self._none = 0, threading.Condition()

    def __enter__(self) -> None:
        with self._none:
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._none:
            self._running -= 1
            if not self._running:
                self._none.notify_all()

    def let_by(self) -> None:
        """Return when none is being filed, or after LET_BY."""
        with self._none:
            self._none.wait_for(lambda: not self._running, LET_BY.total_seconds())


def jobs_of(
    filing: Filing,
    media: Media,
    scanner: Scanner,
    student: Student,
    outgoing: Outgoing,
    checker: Checker | None,
) -> Jobs:
    """What a worker runs for each bell."""

    filings = _Filings()

    def file_report(inbound_id: str) -> None:
        with filings:
            filing.answer(inbound_id)

    def study_report(report_id: str) -> None:
        filings.let_by()
        student.study(report_id)

    def fetch_media(media_id: str) -> None:
        media.fetch(media_id)

    def scan_file(scan_id: str) -> None:
        scanner.scan(scan_id)

    def relay_dispatch(dispatch_id: str) -> None:
        relay.relay(outgoing, dispatch_id)

    def deliver_parcel(parcel_id: str) -> None:
        deliver.deliver(outgoing, parcel_id)

    def publish_dispatch(dispatch_id: str) -> None:
        publish.publish(outgoing, dispatch_id)

    def check_sender(report_id: str) -> None:
        if checker:
            checker.check(report_id)

    return Jobs(
        file_report=file_report, study_report=study_report, fetch_media=fetch_media, relay=relay_dispatch, deliver=deliver_parcel,
        publish=publish_dispatch, check_sender=check_sender, scan_file=scan_file,
    )  # fmt: skip


def watched(jobs: Jobs, store: Store, clock: Callable[[], datetime]) -> Jobs:
    """`jobs` of which one that breaks is also on the shelf, once for each row, with how often it broke.

    Its row is still due, so that it is tried again; but what is tried for ever must not be seen by nobody.
    """
    return Jobs(
        **{one.name: _watched(one.name, getattr(jobs, one.name), store, clock) for one in fields(jobs)}
    )


def _watched(
    name: str, job: Callable[[str], object], store: Store, clock: Callable[[], datetime]
) -> Callable[[str], None]:
    def run(row_id: str) -> None:
        try:
            job(row_id)
        except Unavailable:  # the store, or no child: nothing is wrong with the row
            raise
        except Exception as error:
            reason = error.code if isinstance(error, HubError) else CANNOT
            with contextlib.suppress(HubError):
                store.run(
                    lambda unit: shelf.again(unit, "job", reason, origin=f"{name}:{row_id}", at=clock())
                )
            raise

    return run
