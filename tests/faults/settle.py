"""Brings a hurt hub to rest: nothing on its way any more, and what only the dead hold is given up by the clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from store.database import Store
from store.unit import Unit
from tests.faults import oracle
from tests.walks.houses import House

LEASE_IS_OVER = 40  # seconds to step: a lease of 30 s and a sweep of 5 s
STILL_SECONDS = 2.0  # a back-off of a second passes by itself; what stands still for longer is leased
_SETTLE_SECONDS = 240
_LOOK_SECONDS = (
    30  # until a look that is due has been made: a chore of every two seconds, and who had it in hand died
)


def settle(
    made: House, store: Store, *, still: float = STILL_SECONDS, also: Callable[[Unit], bool] = lambda _: True
) -> list[str]:
    """Wait until nothing is on its way; what is broken when it never comes to rest.

    `also`: what else must have come to rest; `still`: seconds without any change, after which the clock steps over the
    leases of dead workers.
    """
    end = time.monotonic() + _SETTLE_SECONDS
    seen, since = store.read(oracle.progress), time.monotonic()
    while not (is_quiet(made, store) and store.read(also)):
        if time.monotonic() > end:
            return [f"did not settle: {seen}"]
        time.sleep(0.1)
        now = store.read(oracle.progress)
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > still:
            made.step(LEASE_IS_OVER)
            since = time.monotonic()
    return []


def look_up_all(made: House, store: Store) -> list[str]:
    """Let the hub ask about all that is unsure, its clock stepped to each next look; what is broken when that never ends."""
    end = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < end:
        if stuck := settle(made, store, still=1.0):
            return stuck
        before = store.read(oracle.asked)
        if not before.unsure:
            return []
        if before.due_at is not None:
            made.step(max((before.due_at - _now(made)).total_seconds(), 0))
        look_ends = time.monotonic() + _LOOK_SECONDS
        while store.read(oracle.asked) == before:
            if time.monotonic() > look_ends:
                return [f"I3 nobody asks about {before}"]
            time.sleep(0.1)
    return [f"I3 never sure: {before}"]


def _now(made: House) -> datetime:
    assert made.settings.clock_file is not None
    return datetime.now(UTC) + timedelta(seconds=float(made.settings.clock_file.read_text()))


def is_quiet(made: House, store: Store) -> bool:
    """Whether rows and spool are at rest."""
    return store.read(oracle.is_quiet) and not list((made.settings.data_dir / "spool").rglob("*.frame"))
