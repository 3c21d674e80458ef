"""What is looked at immediately before every provider call (law 6)."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from domain.errors import HubError
from store import audience, parcels, promises
from store.database import Store
from store.parcels import Claim, Slot
from store.unit import Unit

FRESH = timedelta(
    milliseconds=200
)  # a fifth of what a recall may take: read, call and scheduling fit the rest
_FRESH_SECONDS = FRESH.total_seconds()
SWITCH_FRESH = 0.01  # seconds: the file of the kill switch is looked at again, and not 32 times in that time
READ_PATIENCE = timedelta(seconds=2)  # then the guard is blind, and a blind guard lets nothing through


class Refusal(StrEnum):
    """Why a call did not begin."""

    STOPPED = "stopped"  # there is a tombstone
    KILL_SWITCH = "kill_switch"  # data/STOP exists
    LEASE_OVER = "lease_over"  # by our own count, or another has the parcel
    LEASE_SHORT = "lease_short"  # too little of it is left for the call and for writing down its answer
    EXPIRED = "expired"
    OPTED_OUT = "opted_out"
    TAMPERED = "tampered"
    BLIND = "blind"  # the store does not answer
    HALTED = "halted"  # another call of the slice was told to wait
    RESTING = "resting"  # the provider does not answer: outbox/breaker.py
    CLOSING = "closing"  # this process is leaving


def is_switched_off(stop_file: str) -> bool:
    """Whether the kill switch is set; where nobody can tell, it is."""
    try:
        os.stat(stop_file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def boottime() -> float:
    """Seconds that go on while the process or the machine sleeps; for leases within a process only."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Guard:
    """Watches over one slice; its tombstone, its fence and opt-outs are never older than FRESH.

    The fence is read as well as the lease counted: a machine that slept and a clock that was set lose it
    without a second having passed here.
    """

    def __init__(
        self, *, store: Store, held: Claim, slots: list[Slot], lease_ends: float, stop_file: Path,
        clock: Callable[[], datetime], readers: Executor, seen_at: float = float("-inf"), is_stopped: bool = True,
        calls_last: float = 0.0,
    ) -> None:  # fmt: skip
        """`lease_ends`: boottime() at which the lease is over; `calls_last` seconds before it no call begins.

        `seen_at`: boottime() before the transaction that has looked already, where there was one: it wrote the
        attempts of those who had not opted out, and saw a tombstone or none.
        """
        self._store, self._held, self._clock, self._readers = store, held, clock, readers
        self._lease_ends, self._begin_until = lease_ends, lease_ends - calls_last
        self._stop_file = os.fspath(stop_file)
        self._subscribers = [s.address for s in slots if not s.is_responsible]
        self._read_at = seen_at
        # the transaction that began the slice renewed the lease: it was ours
        self._is_stopped, self._is_ours, self._gone = is_stopped, seen_at > float("-inf"), frozenset[str]()
        self._is_switched_off, self._switch_at = False, float("-inf")
        self._turn = asyncio.Lock()

    async def refusal(self, slot: Slot) -> Refusal | None:
        """Why the call for `slot` must not begin now; None lets it begin at once."""
        if boottime() - self._read_at >= _FRESH_SECONDS and not await self._look():
            return Refusal.BLIND
        if self._is_stopped:
            return Refusal.STOPPED
        now = boottime()
        if now - self._switch_at >= SWITCH_FRESH:
            self._is_switched_off, self._switch_at = is_switched_off(self._stop_file), now
        if self._is_switched_off:
            return Refusal.KILL_SWITCH
        if not self._is_ours or now >= self._lease_ends:
            return Refusal.LEASE_OVER
        if now >= self._begin_until:
            return Refusal.LEASE_SHORT
        if self._clock() >= self._held.expires:
            return Refusal.EXPIRED
        if not slot.is_responsible and slot.address in self._gone:
            return Refusal.OPTED_OUT
        if hashlib.sha256(self._held.payload).hexdigest() != self._held.sha256:
            return Refusal.TAMPERED
        return None

    async def _look(self) -> bool:
        """Read again what is older than FRESH, once for all who wait; False when it cannot be read."""
        async with self._turn:
            if boottime() - self._read_at < _FRESH_SECONDS:
                return True
            loop, patience_ends = asyncio.get_running_loop(), boottime() + READ_PATIENCE.total_seconds()
            while (begun := boottime()) < patience_ends:  # age counts from before the read
                reading = loop.run_in_executor(self._readers, self._store.read, self._read)
                try:
                    found = await asyncio.wait_for(reading, patience_ends - begun)
                except (HubError, TimeoutError, OSError):
                    return False
                if boottime() - begun < _FRESH_SECONDS * 2:
                    self._is_stopped, self._is_ours, self._gone = found
                    self._read_at = begun
                    return True
            return False  # each answer was too old when it came

    def _read(self, unit: Unit) -> tuple[bool, bool, frozenset[str]]:
        gone = audience.opted_out(unit, self._held.channel, self._subscribers)
        held = self._held
        is_stopped = held.is_recallable and promises.has_tombstone(unit, held.release)
        return is_stopped, parcels.is_held(unit, held), gone
