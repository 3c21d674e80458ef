"""Files that are still being sent: each grows on disk until it is whole, one writer at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from domain.errors import Conflict, NotFound
from store import durable


class Parts:
    """A directory of half-sent files, each named by its upload."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, name: str) -> None:
        """An empty file, durably; safe to repeat."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path(name).touch(mode=0o600)
        durable.sync_directory(self._directory)

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """The file for whoever may write now; how much of it is durable is asked while it is held, then it is cut.

        Raises Conflict(upload_busy) when another request writes, NotFound for no such file.
        """
        try:
            file = self._path(name).open("r+b")
        except FileNotFoundError:
            raise NotFound("no such upload") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # other processes of this hub, too
            except BlockingIOError:
                raise Conflict("another request sends to this upload", code="upload_busy") from None
            yield file

    @staticmethod
    def cut(file: BinaryIO, got: int) -> None:
        """Forget what came after the `got` bytes that are known to be durable. NotFound when they are not there."""
        if os.fstat(file.fileno()).st_size < got:
            raise NotFound("no such upload")
        file.truncate(got)
        file.seek(got)

    def read(self, name: str) -> bytes:
        """All that is there."""
        return self._path(name).read_bytes()

    def names(self, before: datetime) -> list[str]:
        """Of the files that nobody has written to since then."""
        found = []
        for path in self._directory.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before.timestamp():
                    found.append(path.stem)
        return found

    def drop(self, name: str) -> None:
        """Forget the file; safe to repeat."""
        self._path(name).unlink(missing_ok=True)

    @staticmethod
    def sync(file: BinaryIO) -> None:
        """Make what was written durable; before the row that says so."""
        file.flush()
        durable.sync(file.fileno())

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.part"
