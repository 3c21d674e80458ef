"""One public file and its packed twin, written so that a reader sees the old or the new one, never a half."""

import gzip
import os
from datetime import datetime
from pathlib import Path

from store import durable

PACKED = ".gz"  # the ending that nginx's gzip_static and others look for
_EFFORT = 6  # gzip's own usual one; 9 saves one byte in a hundred of a page


def write(path: Path, body: bytes, at: datetime) -> bool:
    """Temp, fsync, rename, fsync of the directory; False when the bytes are there already.

    The modification time rises by a second at least, over both files: web servers make their validators of whole
    seconds and the length, and would answer "not modified" for another page (R34). The twin goes first, so that
    whoever finds the file as it should be finds the twin so too, unless it was lost.
    """
    twin, packed = twin_of(path), gzip.compress(body, _EFFORT, mtime=0)
    before, twin_before = _read(path), _read(twin)
    if before == body and twin_before == packed:
        return False
    stamp = max(at.timestamp(), _second(path) + 1, _second(twin) + 1)
    if before is None:
        make(path.parent)
    if twin_before != packed:
        _put(twin, packed, stamp)
    if before != body:
        _put(path, body, stamp)
    # Of a replaced file a power cut leaves the old or the new one, and the start compares them all.
    if before is None or twin_before is None:
        sync(path.parent)
    return before != body


def remove(path: Path) -> None:
    """Take the file away, the twin first: a twin alone would be served."""
    twin_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def twin_of(path: Path) -> Path:
    """Where the packed twin lies."""
    return path.with_name(path.name + PACKED)


def make(directory: Path) -> None:
    """Create a directory durably, its parents first; whatever this process may write alone, anybody reads it."""
    if directory.exists():
        return
    make(directory.parent)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    sync(directory.parent)


def sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    durable.sync_directory(directory)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _second(path: Path) -> int:
    try:
        return int(path.stat().st_mtime // 1)
    except FileNotFoundError:
        return 0


def _put(path: Path, body: bytes, stamp: float) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with temporary.open("wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.utime(file.fileno(), (stamp, stamp))
            durable.sync(file.fileno())
    except OSError:  # a full disk keeps no half of a file: the last good one stays
        temporary.unlink(missing_ok=True)
        raise
    temporary.rename(path)
