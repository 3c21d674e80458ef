"""The sweep of a process: rings for due rows, runs them itself when nobody comes, does the recurring chores."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from outbox import publish, sweep
from outbox.lookup import Lookups
from outbox.outgoing import Jobs, Outgoing
from outbox.standing import Standings
from store.database import Store
from store.unit import Unit

PERIOD = timedelta(milliseconds=500)  # a due row is rung for within 1 s with the broker alive (R5)
NOBODY_COMES = timedelta(seconds=2)  # due that long: this process runs it, so 5 s hold without a broker
LOOKED = timedelta(milliseconds=100)  # between two chores nobody looks again so soon after a look
RING_AGAIN = timedelta(seconds=5)  # a ring may be waiting in the broker; more of the same fill it
ALONE = frozenset(
    {"fetch_media", "scan_file", "pull_peer"}
)  # may take 20 s and more: one at a time here, so that they leave runners to the rest
RELEASES = frozenset({"relay", "publish", "deliver", "deliver_urgent", "deliver_mail"})
KEPT_FREE = 2  # runners that nothing but these gets: a flood of reports is always overdue, and a release never waits (R21)
RUNNERS = 4  # rows run here at a time: one per job would do, four keep a stuck one from blocking the rest

Source = Callable[[Unit, datetime], list[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """Something to do again and again, e.g. drain the spool; it fails alone and is tried again."""

    name: str
    every: timedelta
    run: Callable[[], object]


def outbox_chores(out: Outgoing) -> list[Chore]:
    """What the outbox needs done again and again."""

    def write(work: Callable[[Unit, datetime], object]) -> Callable[[], object]:
        return lambda: out.store.run(lambda unit: work(unit, out.clock()))

    return [
        Chore(name="recover", every=timedelta(seconds=1), run=write(sweep.recover)),
        Chore(name="look_up", every=timedelta(seconds=2), run=Lookups(out).begin),
        Chore(name="providers", every=timedelta(seconds=1), run=Standings(out).tell),
        Chore(name="tidy", every=timedelta(seconds=5), run=write(sweep.tidy)),
        Chore(name="refresh", every=timedelta(seconds=2), run=lambda: publish.refresh(out)),
    ]


class Timers:
    """One thread that looks, and a few that work. A process has one; any number of processes may."""

    def __init__(
        self, *, store: Store, clock: Callable[[], datetime], bell: Callable[[str, str], None], jobs: Jobs,
        sources: Sequence[Source], chores: Sequence[Chore] = (),
        on_error: Callable[[str, Exception], object] = lambda _what, _error: None,
    ) -> None:  # fmt: skip
        """`sources` name due rows as (job, id), that of the outbox first; `on_error(what, error)` hears what failed."""
        self._store, self._clock, self._bell, self._jobs = store, clock, bell, jobs
        self._sources, self._chores, self._on_error = sources, chores, on_error
        self._rung: dict[tuple[str, str], float] = {}
        self._running: dict[tuple[str, str], Future[None]] = {}
        self.turns = 0  # steps that have come back, well or not
        self._looked_at = 0.0
        self._next = {chore.name: 0.0 for chore in chores}
        self._leaving = threading.Event()
        self._runners = ThreadPoolExecutor(RUNNERS, thread_name_prefix="sweep")
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._thread.start()

    def stop(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Look no more, and let what runs finish for `timeout`."""
        self._leaving.set()
        if self._thread.ident is not None:
            self._thread.join(timeout.total_seconds())
        self._runners.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + timeout.total_seconds()
        while any(not f.done() for f in self._running.values()) and time.monotonic() < end:
            time.sleep(0.01)

    @property
    def is_alive(self) -> bool:
        """Whether the sweep is looking; a process without it is deaf to lost bells."""
        return self._thread.is_alive()

    def sweep(self) -> None:
        """Look once: ring for what is due, run what nobody came for."""
        at, self._looked_at = self._clock(), time.monotonic()
        fresh, overdue = self._store.read(lambda unit: self._due(unit, at))
        self._ring(fresh)
        self._running = {row: f for row, f in self._running.items() if not f.done()}
        for row in overdue:
            busy = [job for job, _ in self._running]
            others = sum(job not in RELEASES for job in busy)
            has_room = len(busy) < RUNNERS and (row[0] in RELEASES or others < RUNNERS - KEPT_FREE)
            if row not in self._running and has_room and row[0] not in ALONE.intersection(busy):
                self._running[row] = self._runners.submit(self._do, *row)

    def look_first(self) -> None:
        """Ring for what the first source names: releases do not wait until all chores are done."""
        if time.monotonic() - self._looked_at < LOOKED.total_seconds():
            return
        at, self._looked_at = self._clock(), time.monotonic()
        self._ring(
            self._store.read(lambda unit: [row for source in self._sources[:1] for row in source(unit, at)])
        )

    def _ring(self, due: Sequence[tuple[str, str]]) -> None:
        now = time.monotonic()
        since = now - RING_AGAIN.total_seconds()
        self._rung = {row: rung_at for row, rung_at in self._rung.items() if rung_at > since}
        for row in due:
            if row not in self._rung:
                self._rung[row] = now
                self._bell(*row)

    def _due(self, unit: Unit, at: datetime) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        fresh = self._find(unit, at)
        return fresh, self._find(unit, at - NOBODY_COMES) if fresh else []  # what is overdue is due

    def _find(self, unit: Unit, at: datetime) -> list[tuple[str, str]]:
        return [row for source in self._sources for row in source(unit, at)]

    def _do(self, job: str, row_id: str) -> None:
        run: Callable[[str], None] = getattr(self._jobs, job)
        self._guarded(job, lambda: run(row_id))

    def _run(self) -> None:
        while not self._leaving.is_set():
            self._guarded("sweep", self.sweep)
            for chore in self._chores:
                if self._next[chore.name] <= time.monotonic() and not self._leaving.is_set():
                    self._guarded(chore.name, chore.run)
                    self._guarded("sweep", self.look_first)
                    self._next[chore.name] = time.monotonic() + chore.every.total_seconds()
            self._leaving.wait(PERIOD.total_seconds())

    def _guarded(self, what: str, run: Callable[[], object]) -> None:
        try:
            run()
        except Exception as error:  # a failing chore must not end the sweep; its rows stay due
            self._on_error(what, error)
        finally:
            self.turns += 1
