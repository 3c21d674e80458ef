"""How many of each door may wait for the store at once; whoever comes on top is told to try again (PROMISES R21)."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from domain.errors import Unavailable

CODE = "too_busy"
CALM_SECONDS = 60.0  # a banner that comes and goes with each second of a flood tells nobody anything
# A process keeps some 1,000 messages a second (LIMITS.md), so so many wait a tenth of a second: less than anybody gives
# up in, and a release that is approved meanwhile waits no longer. Whoever would lose what is refused is rather kept
# waiting than sent away: citizens, and phones whose provider tries once.
USUAL, PATIENT = 48, 96
MOST = {"sms": PATIENT, "citizen": PATIENT, "receipts": PATIENT, "chat": USUAL, "api": USUAL, "bulletins": USUAL,
        "mail": USUAL, "uploads": 20}  # fmt: skip  # a part of a file is a megabyte


class Crowd:
    """Who waits at the doors of one process, each door for itself. Used inside one event loop."""

    def __init__(
        self, most: dict[str, int] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most = dict(most or MOST)
        self._inside: Counter[str] = Counter()
        self._full: set[str] = set()
        self.refused: Counter[str] = Counter()  # by door, since this process started
        self._clock, self._turned_away_at = clock, float("-inf")

    def is_full(self, door: str) -> bool:
        """Whether the next one at `door` is sent away."""
        return door in self._full

    def turn_away(self, door: str) -> Unavailable:
        """Count somebody who is sent away; the error to tell him so."""
        self.refused[door] += 1
        self._turned_away_at = self._clock()
        return Unavailable("too many at once", code=CODE)

    def enter(self, door: str) -> None:
        """Wait with the others. Raises Unavailable(too_busy) at once when the door is full."""
        if door in self._full:
            raise self.turn_away(door)
        self._inside[door] += 1
        if self._inside[door] >= self.most[door]:
            self._full.add(door)

    def leave(self, door: str) -> None:
        """Go; the next one may come."""
        self._inside[door] -= 1
        self._full.discard(door)

    def is_calm(self) -> bool:
        """Whether nobody has been sent away for a minute."""
        return self._clock() - self._turned_away_at > CALM_SECONDS

    @contextmanager
    def place(self, door: str) -> Iterator[None]:
        """From enter() to leave()."""
        self.enter(door)
        try:
            yield
        finally:
            self.leave(door)
