"""The worker's look at its leases' clock: once a second it asks the database, and leaves when no answer comes."""

import threading
from datetime import timedelta

from domain.errors import HubError
from store import figures
from store.database import Store
from tocsin.pulse import LATE, Part, Ticks

PERIOD = timedelta(seconds=1)


class LeaseLoop:
    """A refusal is an answer: the worker waits then. Silence is not: leases may be running out unseen (R38)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ticks = Ticks()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    @property
    def part(self) -> Part:
        """For the pulse."""
        return Part(name="leases", count=self._ticks, patience=LATE)

    def start(self) -> None:
        """Begin; the first look is in a second."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Safe to call when it never began."""
        self._leaving.set()

    def _run(self) -> None:
        while not self._leaving.wait(PERIOD.total_seconds()):
            try:
                self._store.read(figures.clock)
            except HubError:
                pass
            finally:
                self._ticks.tick()
