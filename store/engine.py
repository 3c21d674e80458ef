"""SQLAlchemy engines with the durability that the hub promises, checked at every connection."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from domain.errors import Unavailable

_FULL = 2  # PRAGMA synchronous: NORMAL lost up to 60 of 60 acknowledged commits at a power cut, FULL none
LOCK_PATIENCE_SECONDS = 5.0  # then the door spools
_PG_OPTIONS = (
    "-c lock_timeout=2000 -c statement_timeout=60000 -c idle_in_transaction_session_timeout=5000"
    " -c synchronous_commit=on -c timezone=UTC"
)


def open_engine(url: str, *, is_writer: bool) -> sa.Engine:
    """An engine for ``sqlite:///file`` or ``postgresql+psycopg://...``."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            parsed, pool_size=1 if is_writer else 8, connect_args={"check_same_thread": False, "timeout": 5}
        )
        sa.event.listen(engine, "connect", _pragmas)
        begin = "BEGIN IMMEDIATE" if is_writer else "BEGIN"
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=1 if is_writer else 8,
        pool_pre_ping=not is_writer,
        # What several statements of one read say must fit together, as it does in SQLite: sums, chains and heads.
        isolation_level="READ COMMITTED" if is_writer else "REPEATABLE READ",
        connect_args={"options": _PG_OPTIONS, "connect_timeout": 3},
    )


def _pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver's own would start too late
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
        "wal_autocheckpoint=4000",  # pages, 16 MB: a hot page is carried over once in a while, not every 200 commits
    ):
        cursor.execute(f"PRAGMA {pragma}")
    level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    cursor.close()
    if level != _FULL or mode != "wal":
        raise Unavailable("SQLite does not offer WAL with synchronous=FULL here", code="not_durable")


def server_options() -> str:
    """What every session of ours asks of PostgreSQL."""
    return _PG_OPTIONS


class WriteLock:
    """A turn on an SQLite file among processes; no-op without a path.

    flock ends with its process; BEGIN IMMEDIATE with a busy timeout starved one of four writers for 3 s. Whoever
    is next holds a lock of its own while it waits, so that one who has just written queues up behind it.
    """

    def __init__(self, path: Path | None) -> None:
        self._now = None if path is None else _opened(path)
        self._next = None if path is None else _opened(path.with_name(f"{path.name}.next"))

    def __enter__(self) -> None:
        if self._now is None or self._next is None:
            return
        deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
        _take(self._next, deadline)
        try:
            _take(self._now, deadline)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def entered_now(self) -> bool:
        """Like entering, for who cannot wait: False when somebody has it, or waits for it."""
        if self._now is None or self._next is None:
            return True
        if not _took(self._next):
            return False
        try:
            return _took(self._now)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Give it back."""
        if self._now is not None:
            fcntl.flock(self._now, fcntl.LOCK_UN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(fd: int, deadline: float) -> None:
    """flock, asked again and again: waiting inside it would know no deadline. Raises Unavailable."""
    wait = 0.0001  # a turn of a few rows takes a millisecond
    while not _took(fd):
        if time.monotonic() > deadline:
            raise Unavailable("another process holds the database", code="store_busy")
        time.sleep(wait)
        wait = min(wait * 1.2, 0.001)


def _took(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
