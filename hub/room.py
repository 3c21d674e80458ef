"""How much room the disks have: doors close before a write fails, and a ballast keeps room for recall and journal."""

import os
import stat
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from domain.errors import Unavailable
from store.inbox import INLINE

BALLAST = "ballast"
BALLAST_BYTES = 64 << 20  # PROMISES finding 11
LOW, OUT = 0.05, 0.01  # of a disk: the banner, and the closed doors (PROMISES F17)
OUT_BYTES = 32 << 20  # and never less than this: a mail of 25 MB may be on its way when we look
LOW_BYTES = 4 * OUT_BYTES
SHARE = 16  # of a disk smaller than 1 GB neither ballast nor bound takes more than this part
FRESH_SECONDS = 1.0  # statvfs at most this often, whoever asks


class Level(IntEnum):
    """How full a place is."""

    PLENTY = 0
    LOW = 1
    OUT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory as its disk stood at the last look; `free` leaves out what the ballast holds, or would."""

    free: int
    total: int

    @property
    def level(self) -> Level:
        """OUT closes doors, LOW is a banner."""
        share = self.total // SHARE
        if self.free < max(int(self.total * OUT), min(OUT_BYTES, share)):
            return Level.OUT
        return (
            Level.LOW if self.free < max(int(self.total * LOW), min(LOW_BYTES, 2 * share)) else Level.PLENTY
        )


class Room:
    """The disks beneath a data directory; each part may be a mount of its own. Thread-safe."""

    def __init__(self, data_dir: Path) -> None:
        self._data = data_dir
        self._ballast = data_dir / BALLAST
        self._lock = threading.Lock()
        self._seen: Mapping[str, Place] = {}
        self._seen_at = float("-inf")
        self._is_open = True  # as of the last look

    @property
    def places(self) -> Mapping[str, Place]:
        """data, blobs, spool, public, and log when that is a file: at most a second old."""
        with self._lock:
            if time.monotonic() - self._seen_at > FRESH_SECONDS:
                self._seen, self._seen_at = self._look(), time.monotonic()
                self._is_open = "data" not in self._seen or self._seen["data"].level < Level.OUT
            return self._seen

    def level(self, *names: str) -> Level:
        """The worst of these places, of all without a name."""
        return max((place.level for name, place in self.places.items() if not names or name in names),
                   default=Level.PLENTY)  # fmt: skip

    @property
    def is_open(self) -> bool:
        """Whether a door may take a message that fits a row."""
        if time.monotonic() - self._seen_at > FRESH_SECONDS:
            return self.level("data") < Level.OUT
        return self._is_open

    def admit(self, size: int = 0) -> None:
        """Raises Unavailable(disk_full) when `size` bytes from outside must not be taken any more."""
        if not self.is_open or (size > INLINE and self.level("blobs") is Level.OUT):
            raise Unavailable("the disk is full", code="disk_full")

    def give(self) -> bool:
        """Let the ballast go, for what must still be written; False when it is gone already."""
        try:
            self._ballast.unlink()
        except OSError:
            return False
        with self._lock:
            self._seen_at = float("-inf")
        return True

    def settle(self) -> None:
        """Give the ballast when the disk is out, make it when there is plenty. Safe side by side."""
        level = self.level("data")
        if level is Level.OUT:
            self.give()
        elif level is Level.PLENTY and not self.has_ballast:
            self._make()

    @property
    def has_ballast(self) -> bool:
        """Whether the reserve is there."""
        return self._ballast.exists()

    def _make(self) -> None:
        temporary = self._data / f".{BALLAST}.{os.getpid()}"
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(handle, 0, _ballast_bytes(self._data))  # real blocks, no hole
            temporary.rename(self._ballast)
        except OSError:  # somebody was faster than we looked: the next look decides again
            temporary.unlink(missing_ok=True)
        finally:
            os.close(handle)

    def _look(self) -> dict[str, Place]:
        data = _place(self._data)
        missing = 0 if self.has_ballast else _ballast_bytes(self._data)
        found = {"data": Place(free=max(data.free - missing, 0), total=data.total)}
        device = self._data.stat().st_dev
        for name in ("blobs", "spool", "public"):
            path = self._data / name
            if path.is_dir():
                found[name] = found["data"] if path.stat().st_dev == device else _place(path)
        log = _log()
        return found if log is None else {**found, "log": log}


def _ballast_bytes(data: Path) -> int:
    return min(BALLAST_BYTES, _place(data).total // SHARE)


def _place(path: Path | int) -> Place:
    found = os.statvfs(path)
    return Place(free=found.f_bavail * found.f_frsize, total=found.f_blocks * found.f_frsize)


def _log() -> Place | None:
    """Where standard error goes, when that is a file."""
    try:
        descriptor = sys.stderr.fileno()
        return _place(descriptor) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError, AttributeError):
        return None
