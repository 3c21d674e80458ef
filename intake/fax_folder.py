"""The folder into which a fax server drops files: each is kept durably, then put aside, whatever happens in between."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from channels import fax
from domain.errors import Unavailable
from domain.ids import minted_at
from domain.report import Inbound, Kept
from intake import desk
from intake.spool import Spool
from store import durable, inbox, shelf
from store.blobs import Blobs
from store.database import Store

STABLE = timedelta(
    seconds=4
)  # unchanged so long, it is whole: a page comes in every 20 s, its server writes at once
EMPTY = timedelta(minutes=10)  # an empty file is waited for so long
REPEAT = timedelta(hours=24)  # the same bytes within a day are the same fax
DONE, FAILED = "done", "failed"
DEEP = 4  # folders below the first: a line, a year, a month, a day
FOLDERS = 2_000  # that one look goes into: four lines with a folder a day for a year are 1,500
HALF = (".tmp", ".part", ".filepart", ".crdownload", ".lock")  # what programs call a file that is not whole

Signature = tuple[int, int, int]  # inode, size, time of change in ns


@dataclass(slots=True, kw_only=True)
class FaxFolder:
    """One folder of this machine. look() is called again and again; several processes may look at once."""

    directory: Path
    store: Store
    blobs: Blobs
    spool: Spool
    clock: Callable[[], datetime]
    zone: tzinfo
    largest: int  # bytes
    admit: Callable[[int], None]  # raises Unavailable when the disk is full
    bell: Callable[[str, str], None] = field(default=lambda _job, _id: None)
    _seen: dict[str, tuple[Signature, datetime]] = field(default_factory=dict)

    def look(self) -> int:
        """Take every file that has not changed for a while; how many were taken. A missing folder holds none.

        What keeps one from being kept is raised when all others were tried: it lies where it lay.
        """
        at, errors = self.clock(), list[Exception]()
        found = dict(self._found(errors))
        self._seen = {n: (sign, self._since(n, sign, at)) for n, sign in found.items() if sign is not None}
        count = 0
        for name, (signature, since) in sorted(self._seen.items(), key=lambda item: item[1][0][2]):
            try:
                count += self._see_to(name, signature, at - since, at)
            except Exception as error:  # whatever is wrong with one fax holds up no other
                errors.append(error)
        if errors:
            raise errors[0]
        return count

    def _see_to(self, name: str, signature: Signature, unchanged: timedelta, at: datetime) -> bool:
        size = signature[1]
        if size == 0 and unchanged >= EMPTY:
            self._fail(name, signature, "fax_empty")
        elif size > self.largest and unchanged >= STABLE:
            self._fail(name, signature, "fax_too_large")
        elif 0 < size <= self.largest and unchanged >= STABLE:
            return self._take(name, signature, at)
        return False

    def _found(self, errors: list[Exception]) -> Iterator[tuple[str, Signature | None]]:
        """Every file of the folder and of those in it, by its path from here; no link is followed."""
        waiting = [("", 0)]
        for place, depth in waiting:  # which grows meanwhile
            for entry in self._entries(place, errors):
                name = f"{place}{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    yield name, _signature(entry)
                elif depth < DEEP and len(waiting) < FOLDERS and name not in (DONE, FAILED):
                    waiting.append((f"{name}/", depth + 1))

    def _entries(self, place: str, errors: list[Exception]) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.directory / place) as entries:
                return [
                    e for e in entries if not e.name.startswith(".") and not e.name.lower().endswith(HALF)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:  # one that may not be opened holds up no other
            errors.append(error)
            return []

    def _since(self, name: str, signature: Signature, at: datetime) -> datetime:
        before, since = self._seen.get(name, (None, at))
        return since if before == signature else at

    def _take(self, name: str, signature: Signature, at: datetime) -> bool:
        """Keep, then move. Killed in between, the file is found again and known by its name: kept once."""
        raw = _read(self.directory / name, signature)
        if raw is None:
            return False
        day = f"{datetime.fromtimestamp(signature[2] / 1e9, self.zone):%Y-%m-%d}"
        earlier = f"{datetime.fromtimestamp(signature[2] / 1e9, self.zone) - timedelta(days=1):%Y-%m-%d}"
        if self._is_repeat(fax.external_id(raw, earlier), at):
            self._put_aside(name, signature, DONE, "repeat")
            return False
        self.admit(len(raw))
        kept = self._keep(fax.dropped(raw, name=name, day=day, at=at), at)
        self._put_aside(name, signature, DONE, kept.inbound_id)
        if kept.is_fresh:
            self.bell("file_report", kept.inbound_id)
        return kept.is_fresh

    def _keep(self, inbound: Inbound, at: datetime) -> Kept:
        minted = desk.mint_names(at)
        try:
            blob = self.blobs.put(inbound.raw) if len(inbound.raw) > inbox.INLINE else ""
            return self.store.run(lambda unit: desk.receive(unit, inbound, minted, blob=blob, at=at))
        except Unavailable:
            return self.spool.put(inbound, minted)

    def _is_repeat(self, external_id: str, at: datetime) -> bool:
        """Whether these bytes came yesterday, and not yet a day ago."""
        try:
            known = self.store.read(lambda unit: inbox.named(unit, fax.CHANNEL, external_id))
        except Unavailable:
            return False  # better twice than not at all
        return known is not None and at - minted_at(known) < REPEAT

    def _fail(self, name: str, signature: Signature, reason: str) -> None:
        at, origin = self.clock(), fax.storable(name)[:200]
        self.store.run(lambda unit: shelf.put(unit, "door", reason, origin=origin, at=at))
        self._put_aside(name, signature, FAILED, reason)

    def _put_aside(self, name: str, signature: Signature, folder: str, mark: str) -> None:
        """Move it under a name that no other has; another process may have been faster.

        What grew since it was looked at comes back under a fresh name: the next look takes it.
        """
        place, source = self.directory / folder, self.directory / name
        place.mkdir(exist_ok=True, mode=0o700)
        aside = place / f"{mark}-{os.urandom(3).hex()}-{_cut(source.name)}"
        with suppress(FileNotFoundError):
            os.rename(source, aside)
            if _of(os.lstat(aside)) != signature:
                stem, dot, suffix = _cut(source.name).rpartition(".")
                os.rename(aside, source.parent / f"{stem}-{os.urandom(3).hex()}x{dot}{suffix}")
            durable.sync_directory(source.parent)
        durable.sync_directory(place)


def _cut(name: str) -> str:
    """The end of a name, short enough that a mark fits before it: a file system counts its bytes."""
    return fax.storable(name).encode()[-150:].decode("utf-8", "ignore")


def _signature(entry: os.DirEntry[str]) -> Signature | None:
    """None for what is no plain file, and for what has gone meanwhile."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return _of(status) if stat.S_ISREG(status.st_mode) else None


def _of(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path, signature: Signature) -> bytes | None:
    """The bytes; None when the file has gone, or is another one by now: the next look decides."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        data = file.read(signature[1] + 1)
    is_same = _of(status) == signature
    return data if is_same and len(data) == signature[1] else None
