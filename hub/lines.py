"""Where log lines go: a reader who does not read must never hold up the hub (F17)."""

import atexit
import os
import queue
import stat
import sys
import threading
from typing import TextIO

WAITING = 2_000  # lines that may wait for the reader: about 500 KB; then they are dropped and counted
LAST_WORDS_SECONDS = 0.5  # at the end, for what still waits


class Lines:
    """A text stream over a pipe or socket: whoever writes goes on at once. What does not fit is counted."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def write(self, text: str) -> int:
        """Never blocks, never raises."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: the thread writes as fast as the reader reads."""

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            try:
                if dropped:
                    self._out.write(f'{{"event": "log.dropped", "level": "warning", "count": {dropped}}}\n')
                self._out.write(text)
                self._out.flush()
            except (OSError, ValueError):  # the reader has gone: nobody is left to tell
                continue

    def _end(self) -> None:
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(LAST_WORDS_SECONDS)


class Kept:
    """A text stream into a file: a full disk costs lines, which are counted, and nothing else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out.fileno()
        self._dropped = 0

    def write(self, text: str) -> int:
        """Whole lines, or nothing of them; never raises."""
        said = f'{{"event": "log.dropped", "level": "warning", "count": {self._dropped}}}\n{text}'
        try:
            os.write(self._out, (said if self._dropped else text).encode())
            self._dropped = 0
        except OSError:
            self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing: what is written is in the file."""


def standard_error() -> TextIO | Lines | Kept:
    """Standard error; behind a queue where somebody else must read for it to take more."""
    try:
        mode = os.fstat(sys.stderr.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # replaced by a test, or closed
        return sys.stderr
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return Lines(sys.stderr)
    return Kept(sys.stderr) if stat.S_ISREG(mode) else sys.stderr
