"""What does not work at this moment, and what still does: looked at every two seconds, read by everybody."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from domain.errors import HubError
from hub.clock import OFF, Followed
from hub.room import Level, Place, Room
from store import figures
from store.database import Store
from store.figures import Strain

LATE = timedelta(seconds=30)  # three heartbeats; six sweeps of a publisher's lane
ROOT_LATE = timedelta(minutes=3)  # a root is due each minute
STREAM_LATE = timedelta(seconds=5)  # F48
SESSION_SHOWN = timedelta(minutes=5)  # who left a transaction open may do so again


class Trouble(StrEnum):
    """A named way of working with less. Each has its sentences in templates/locale/codes.toml."""

    DATABASE_DOWN = "database_down"
    BROKER_DOWN = "broker_down"
    NO_WORKER = "no_worker"
    PROVIDER_FAILING = "provider_failing"
    HELD = "held"
    DISK_FULL = "disk_full"
    DISK_LOW = "disk_low"
    SPOOL_WAITING = "spool_waiting"
    PUBLIC_STALE = "public_stale"
    JOURNAL_LATE = "journal_late"
    CLOCK_OFF = "clock_off"
    STREAM_HELD = "stream_held"
    NETWORK_OUT = "network_out"
    CHANNEL_SILENT = "channel_silent"
    PEER_SILENT = "peer_silent"
    WEBHOOK_OFF = "webhook_off"
    DOOR_DEAF = "door_deaf"
    DOOR_LOSS = "door_loss"
    DOOR_FULL = "door_full"
    SECRET_HELD = "secret_held"  # noqa: S105 (a name)


TABLE = (  # the rows of the table that the desk and the manual print; its words stand in codes.toml
    Trouble.BROKER_DOWN, Trouble.DATABASE_DOWN, Trouble.PROVIDER_FAILING, Trouble.DISK_FULL, Trouble.CLOCK_OFF,
    Trouble.NETWORK_OUT,
)  # fmt: skip
COLUMNS = ("intake", "approval", "release", "recall", "public")
SHARED = frozenset({Trouble.DATABASE_DOWN, Trouble.NO_WORKER, Trouble.PROVIDER_FAILING, Trouble.JOURNAL_LATE,
                    Trouble.STREAM_HELD, Trouble.DOOR_DEAF, Trouble.DOOR_LOSS, Trouble.CHANNEL_SILENT,
                    Trouble.SECRET_HELD})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look."""

    at: datetime
    troubles: tuple[Trouble, ...]
    strain: Strain | None  # None: the database did not answer
    places: Mapping[str, Place]
    spooled: int


class Health:
    """The last look, free to read from anywhere; `look` is for one thread of the process."""

    def __init__(
        self, *, store: Store, data_dir: Path, clock: Callable[[], datetime], room: Room | None = None,
        followed: Followed | None = None,
    ) -> None:  # fmt: skip
        """`data_dir`: holds STOP, spool and public. `followed`: what `clock` goes by, where a database has one."""
        self._store, self._data, self._clock, self._followed = store, data_dir, clock, followed
        self._room = room or Room(data_dir)
        self._answers: dict[Trouble, Callable[[], bool]] = {}
        self._seen: Seen | None = None
        self.has_jumped = False  # the clock moved by more than OFF while this process ran

    def join(self, trouble: Trouble, answers: Callable[[], bool]) -> None:
        """Ask a neighbour that this room may not know; False or an error is the trouble."""
        self._answers[trouble] = answers

    @property
    def seen(self) -> Seen | None:
        """The last look, None before the first."""
        return self._seen

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What the last look found."""
        return self._seen.troubles if self._seen else ()

    def look(self) -> Seen:
        """Look at everything, which takes as long as the slowest neighbour takes to answer."""
        at, asked = self._clock(), self._followed.machine() if self._followed else None
        try:
            strain = None if self._store.is_shut else self._store.read(lambda unit: figures.strain(unit, at))
        except HubError:
            strain = None
        is_off = self._follow(strain.clock, asked) if strain and strain.clock and asked else None
        found = self._of_files() | self._of_neighbours()
        found |= _of_rows(strain, at) if strain else {Trouble.DATABASE_DOWN: True}
        if is_off is not None:
            found[Trouble.CLOCK_OFF] = is_off
        self._seen = Seen(
            at=at,
            troubles=tuple(trouble for trouble in Trouble if found.get(trouble)),
            strain=strain,
            places=self._room.places,
            spooled=self._spooled(),
        )
        return self._seen

    def _follow(self, database: datetime, asked: datetime) -> bool:
        """Whether the machine's clock is off; to be called at the database's answer, before any neighbour is asked."""
        if self._followed is None:
            return False
        answered = self._followed.machine()
        self.has_jumped |= self._followed.follow(database, asked=asked, answered=answered)
        return self._followed.differs(database, asked=asked, answered=answered) > OFF

    def _of_files(self) -> dict[Trouble, bool]:
        public, level = self._data / "public", self._room.level()
        return {
            Trouble.HELD: (self._data / "STOP").exists(),
            Trouble.DISK_FULL: level is Level.OUT,
            Trouble.DISK_LOW: level is Level.LOW,
            Trouble.SPOOL_WAITING: self._spooled() > 0,
            Trouble.PUBLIC_STALE: not os.access(public, os.W_OK) or not (public / "index.html").exists(),
        }

    def _spooled(self) -> int:
        return sum(1 for pattern in ("*.frame", "*/*.frame") for _ in (self._data / "spool").glob(pattern)
                   if _.parent.name != "unreadable")  # fmt: skip

    def _of_neighbours(self) -> dict[Trouble, bool]:
        return {trouble: not _holds(answers) for trouble, answers in self._answers.items()}


def _of_rows(strain: Strain, at: datetime) -> dict[Trouble, bool]:
    def is_older(moment: datetime | None, age: timedelta) -> bool:
        return moment is not None and at - moment > age

    found = {
        Trouble.NO_WORKER: strain.worker_seen is None or is_older(strain.worker_seen, LATE),
        Trouble.PROVIDER_FAILING: bool(strain.failing),
        Trouble.JOURNAL_LATE: is_older(strain.oldest_unsealed, ROOT_LATE),
        Trouble.CLOCK_OFF: clock_offset(strain, at) > OFF,
        Trouble.STREAM_HELD: is_older(strain.held_since, STREAM_LATE)
        or (strain.session_ended is not None and not is_older(strain.session_ended, SESSION_SHOWN)),
    }
    if is_older(strain.oldest_unpublished, LATE):
        found[Trouble.PUBLIC_STALE] = True
    return found


def clock_offset(strain: Strain, at: datetime) -> timedelta:
    """How far this machine's clock is from the database's.

    SQLite has no clock of its own; there a row from the future says that ours was turned back.
    """
    if strain.clock is not None:
        return abs(strain.clock - at)
    return max(strain.newest_entry - at, timedelta()) if strain.newest_entry else timedelta()


def _holds(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except Exception:  # a neighbour that fails to answer does not answer
        return False
