"""Attachments and large messages as files, named by the SHA-256 of their bytes."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from domain.errors import NotFound, Tampered
from domain.handling import Handling
from store import durable
from store import tables as t
from store.unit import Unit

FRESH = timedelta(
    minutes=5
)  # five leases of a worker: whoever put a file has named it by then, or will never


class Blobs:
    """A directory of immutable files; put() before the row that names it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, data: bytes) -> str:
        """Store `data` durably (fsync, rename, fsync of the directory); its SHA-256. Safe to repeat."""
        name = hashlib.sha256(data).hexdigest()
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)  # whoever destroys files leaves alone what somebody has just come with (gone())
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
        durable.put(path, data, beside=temporary)
        durable.sync_directory(path.parent)
        durable.sync_directory(self._directory)
        return name

    def get(self, name: str) -> bytes:
        """The bytes, hashed again. Raises NotFound, Tampered."""
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound("no such blob") from None
        if hashlib.sha256(data).hexdigest() != name:
            raise Tampered("a blob is not what its name says", code="blob")
        return data

    def gone(self, name: str, *, at: float, is_named: Callable[[], bool]) -> bool:
        """Delete a file that nothing names; False when it is too fresh to know, or named after all.

        Between put() and the row that names it lie seconds; what was put within FRESH is looked at again later. It is
        set aside first: whoever puts the same bytes meanwhile finds none, and writes them.
        """
        path = self._path(name)
        aside = path.with_name(f".{name}.gone")
        try:
            path.rename(aside)
        except FileNotFoundError:
            if not aside.exists():
                return True  # somebody was faster
        if at - aside.stat().st_mtime < FRESH.total_seconds() or is_named():
            if path.exists():
                aside.unlink()
            else:
                aside.rename(path)
            return False
        aside.unlink()
        durable.sync_directory(path.parent)
        return True

    def _path(self, name: str) -> Path:
        return self._directory / name[:2] / name


def note(unit: Unit, sha256: str, size: int, handling: Handling, at: datetime) -> None:
    """Enter a stored blob in the books; a repeat changes nothing."""
    values = {"sha256": sha256, "size": size, "handling": handling.value, "created_at": at}
    unit.add_once(t.blob, values)


def is_of_report(unit: Unit, report_id: str, sha256: str) -> bool:
    """Whether the blob belongs to the report."""
    b = t.report_blob.c
    return unit.row(sa.select(b.sha256).where(b.report == report_id, b.sha256 == sha256)) is not None


def is_of_any(unit: Unit, sha256: str) -> bool:
    """Whether the blob belongs to any report."""
    query = sa.select(t.report_blob.c.sha256).where(t.report_blob.c.sha256 == sha256).limit(1)
    return unit.row(query) is not None
