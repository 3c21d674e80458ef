"""Which messages the runners of one process are at, so that no two of them take the same."""

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable

REMEMBERED = 4_096
LASTS = 2.0  # seconds: the bell of a message that was filed with others comes after it


class AtWork:
    """Only saves work: what two read all the same is entered once, by the store. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._done: OrderedDict[str, float] = OrderedDict()

    def is_free(self, name: str) -> bool:
        """Whether nobody is at it or was done with it a moment ago."""
        with self._lock:
            return self._is_free(name)

    def claim(self, name: str) -> bool:
        """Take it; False when somebody else has it or had it."""
        with self._lock:
            if not self._is_free(name):
                return False
            self._claimed.add(name)
            return True

    def release(self, names: Iterable[str], *, done: Collection[str]) -> None:
        """Let go of them; nothing is left to do for those of `done`."""
        now = time.monotonic()
        with self._lock:
            for name in names:
                self._claimed.discard(name)
                if name in done:
                    self._done[name] = now
            while len(self._done) > REMEMBERED:
                self._done.popitem(last=False)

    def _is_free(self, name: str) -> bool:
        ended = self._done.get(name)
        return name not in self._claimed and (ended is None or time.monotonic() - ended > LASTS)
