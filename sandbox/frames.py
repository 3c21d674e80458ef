"""One message on a pipe between the hub and its parsing child: a JSON head followed by binary blobs."""

import json
import os
import select
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LENGTH = struct.Struct(">I")
HEAD_MAX = 32 << 20  # bytes of JSON; the largest honest head is the text of a mail, under 5 MB
BLOBS_MAX = 256 << 20  # bytes of all blobs; half of the child's memory, it holds input and output at once
COUNT_MAX = 10_000  # blobs; a mail has at most 500 parts
CHUNK = 1 << 20  # bytes of one read or write; the size the pipes are set to


class Broken(Exception):
    """The other side closed the pipe, or sent what is not a frame."""


class Late(Exception):
    """The deadline passed before the frame was through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """Two descriptors and the monotonic second at which waiting for them ends (None: never)."""

    source: int
    sink: int
    deadline: float | None = None

    def send(self, head: Mapping[str, Any], blobs: Sequence[bytes]) -> None:
        """Write one frame. Raises Broken, Late."""
        text = json.dumps({"head": head, "sizes": [len(b) for b in blobs]}, allow_nan=False).encode()
        for piece in (LENGTH.pack(len(text)) + text, *blobs):
            self._write(piece)

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """Read one frame: its head and its blobs. Raises Broken, Late."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > HEAD_MAX:
            raise Broken("head too large")
        try:
            frame = json.loads(self._read(length))
            head, sizes = frame["head"], [int(n) for n in frame["sizes"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Broken("not a frame") from None
        if not isinstance(head, dict) or len(sizes) > COUNT_MAX or min(sizes, default=0) < 0:
            raise Broken("not a frame")
        if sum(sizes) > BLOBS_MAX:
            raise Broken("blobs too large")
        return head, [self._read(n) for n in sizes]

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.sink, select.POLLOUT)
            try:
                view = view[os.write(self.sink, view[:CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Broken("closed") from None

    def _read(self, size: int) -> bytes:
        return b"".join(self._pieces(size))

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            self._wait(self.source, select.POLLIN)
            try:
                piece = os.read(self.source, min(size, CHUNK))
            except BlockingIOError:
                continue
            except OSError:
                raise Broken("closed") from None
            if not piece:
                raise Broken("closed")
            size -= len(piece)
            yield piece

    def _wait(self, descriptor: int, event: int) -> None:
        """Sleep until the descriptor is ready; poll(2), because select(2) fails above descriptor 1,023."""
        if self.deadline is None:
            return
        poll = select.poll()
        poll.register(descriptor, event)
        left = self.deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise Late
