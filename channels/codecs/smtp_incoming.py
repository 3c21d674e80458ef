"""A mail while it comes in: in memory, and in a file once one of its lines has no end in sight."""

import tempfile
from typing import IO, Protocol


class Holds(Protocol):
    """The door, which counts what all mails that are coming in hold together."""

    held: int


class Incoming:
    """The bytes of one mail. An endless line costs no memory (PROMISES H3), and one that ends after all is kept."""

    def __init__(self, door: Holds) -> None:
        self._door = door
        self._start = bytearray()
        self._rest: IO[bytes] | None = None
        self.size = 0

    def add(self, piece: bytes, *, is_beside: bool) -> None:
        """Take more; `is_beside`: it goes on with a line that is too long for memory. Raises OSError when a disk is full."""
        if is_beside and self._rest is None:
            self._rest = tempfile.TemporaryFile()  # noqa: SIM115 (closed by release(); without a name it cannot stay)
        if self._rest is None:
            self._start += piece
        else:
            self._rest.write(piece)  # to the page cache, 64 KB at a time: the loop does not wait for a disk
        self.size += len(piece)
        self._door.held += len(piece)

    def whole(self) -> bytearray:
        """All of it, for a moment twice."""
        if self._rest is not None:
            self._rest.seek(0)
            self._start += self._rest.read()
            self._rest.close()
            self._rest = None
        return self._start

    def release(self) -> None:
        """Let go of it. Safe to call twice."""
        self._door.held -= self.size
        self.size = 0
        self._start.clear()
        if self._rest is not None:
            self._rest.close()
            self._rest = None
