"""What a provider under test has really seen: one line a call, on disk before anybody is answered."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One create call as the provider saw it; the ground truth that the hub's rows are measured by."""

    n: int  # 1 for the first call of all, over every restart
    at: float  # seconds of CLOCK_BOOTTIME, the same for all processes of this machine
    to: str
    sha256: str  # of the text, UTF-8
    tag: str  # the hub's delivery id, from the address it asked to be called back at
    attempt: str
    act: str
    is_taken: bool  # the message exists
    is_ambiguous: bool  # what the hub heard proves neither that it exists nor that it does not
    sid: str
    body: str
    begun: float = 0.0  # when it had come whole, same clock; `at` is when it was written down
    ahead: float = 0.0  # seconds that the hub's clock, and so the provider's, was ahead of the machine's


class Ledger:
    """An append-only file of JSON lines. Opened again it goes on where it was; a torn last line is cut off."""

    def __init__(self, path: Path) -> None:
        kept = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] \
            if path.exists() else []  # fmt: skip
        self.count = len(kept)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._file.truncate(sum(map(len, kept)))

    def write(self, call: Call) -> None:
        """Append durably. Raises OSError when the disk refuses."""
        self._file.write(json.dumps(asdict(call), ensure_ascii=False).encode() + b"\n")
        os.fsync(self._file.fileno())
        self.count += 1


def read(path: Path) -> list[Call]:
    """Every call in order; a line that is being written now is left out."""
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[Call]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield Call(**json.loads(line))
