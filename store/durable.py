"""fsync, and what follows when it fails: the end of this process."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

EXIT_BROKEN_DISK = 74  # sysexits.h EX_IOERR: the supervisor starts a new process
_FSYNC = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


def sync(descriptor: int) -> None:
    """fsync(2). Ends the process when the disk answers EIO.

    The kernel then marks the pages clean and forgets them: a second fsync says "well" about bytes that are
    nowhere (PROMISES F18). A new process reads what is really there. Raises OSError for everything else.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno == errno.EIO:
            leave()
        raise


def put(path: Path, data: bytes, *, beside: Path) -> None:
    """Write `data` to `beside`, fsync, rename to `path`; the caller makes the name durable. A full disk keeps no half."""
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    beside.rename(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(handle)
    finally:
        os.close(handle)


def is_broken(error: BaseException) -> bool:
    """Whether SQLite could not make a commit durable."""
    return getattr(getattr(error, "orig", error), "sqlite_errorcode", None) in _FSYNC


def is_full(error: BaseException) -> bool:
    """Whether there was no room for it."""
    original = getattr(error, "orig", error)
    if isinstance(original, OSError):
        return original.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def leave() -> None:
    """End this process at once: no handler runs, nothing is written any more."""
    with contextlib.suppress(OSError):
        os.set_blocking(2, False)  # whoever does not read the log must not keep us
        os.write(2, b'{"event": "disk.broken", "level": "critical"}\n')
    os._exit(EXIT_BROKEN_DISK)
