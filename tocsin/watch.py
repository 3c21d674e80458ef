"""The thread of a process that says it lives, and looks at what does not work."""

import os
import platform
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from types import TracebackType

from domain.errors import HubError
from domain.ids import mint
from hub import banners
from hub.log import log, where
from hub.wiring import Hub
from store import processes
from store.processes import Process
from store.unit import Unit
from tocsin.pulse import EXIT_DEAF

LOOK = timedelta(seconds=2)  # as old as a banner may be
SHUT_LOOKS = 30  # a minute on the spool, then a new process asks the disk again
BEATS = 5  # looks to a heartbeat: each 10 s


class Watch:
    """``with Watch(hub, "web"):`` one row of `process`, and the journal's troubles, while it lasts."""

    def __init__(self, hub: Hub, kind: str) -> None:
        at = hub.clock()
        self._hub = hub
        self._me = Process(
            id=mint("prc", at), kind=kind, host=platform.node()[:80], pid=os.getpid(),
            version=version("tocsin"), started_at=at, seen_at=at,
        )  # fmt: skip
        self._notes = banners.Notes(hub.settings.data_dir / "troubles", self._me.id)
        self._unwritten: list[banners.Change] = []
        self._last: set[banners.Trouble] | None = None
        self._shut_looks = 0
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._guarded(self._beat)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join(LOOK.total_seconds())
        try:
            self._hub.store.run(lambda unit: processes.left(unit, self._me.id, self._hub.clock()))
        except HubError:  # the row grows old instead, and doctor says so
            log("process.left_unwritten", process=self._me.id)

    def look(self) -> None:
        """Look once, and journal what began or ended; what cannot be written now is written later."""
        self._hub.room.settle()
        seen = self._hub.health.look()
        self._leave_if_wrong()
        now = set(seen.troubles)
        before = (
            set(banners.Trouble) - now if self._last is None else self._last
        )  # ended while nobody watched
        self._last = now
        self._unwritten += banners.changes(before, now, seen.at)
        if seen.strain is None:
            self._notes.keep(self._unwritten)
            return
        mine, left = list(self._unwritten), self._notes.left()
        if mine or left:
            self._hub.store.run(lambda unit: self._write(unit, left, mine))
            self._unwritten = []
            self._notes.forget()

    def _write(self, unit: Unit, left: list[banners.Change], mine: list[banners.Change]) -> None:
        """What stands in the notes first: it is older, and may be this process's own."""
        banners.note(unit, left, host=self._me.host, are_late=True)
        banners.note(unit, mine, host=self._me.host)

    def _leave_if_wrong(self) -> None:
        """A worker whose clock jumped leaves its leases to others; a shut store is tried anew after a while."""
        store, health = self._hub.store, self._hub.health
        self._shut_looks = self._shut_looks + 1 if store.is_shut else 0
        if (health.has_jumped and self._me.kind == "worker") or self._shut_looks > SHUT_LOOKS:
            log("process.leaves", clock=health.has_jumped, shut=store.is_shut)
            os._exit(EXIT_DEAF)

    def _beat(self) -> None:
        self._hub.store.run(lambda unit: processes.seen(unit, self._me, self._hub.clock()))

    def _run(self) -> None:
        looks = 0
        while not self._leaving.is_set():
            self._guarded(self.look)
            looks += 1
            if looks % BEATS == 0:
                self._guarded(self._beat)
            self._leaving.wait(LOOK.total_seconds())

    @staticmethod
    def _guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:  # the watch must outlive what it watches
            log("watch.failed", error=type(error).__name__, where=where(error))
