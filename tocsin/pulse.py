"""The thread that says "this process lives" to its supervisor, and ends the process when a part of it has stopped."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hub.log import log
from tocsin import sockets

TURN = timedelta(seconds=1)
SILENT = 10  # turns: finding 13 gives a silent process 10 s
LATE = 5  # turns: R38 gives a worker's look at its leases 5 s
EXIT_DEAF = 70  # sysexits.h EX_SOFTWARE: the supervisor starts a new process


@dataclass(kw_only=True)
class Part:
    """Something that turns: `count` grows while it does. Turns of ours are counted, not seconds: a process
    that was stopped and goes on (SIGCONT) has not been silent to itself."""

    name: str
    count: Callable[[], int]
    patience: int = SILENT
    _last: int = -1
    _unchanged: int = 0

    @property
    def has_stopped(self) -> bool:
        """To be asked once a turn."""
        now = self.count()
        self._unchanged = self._unchanged + 1 if now == self._last else 0
        self._last = now
        return self._unchanged >= self.patience


@dataclass(kw_only=True)
class Ticks:
    """A count for a part that has none of its own."""

    n: int = 0

    def __call__(self) -> int:
        return self.n

    def tick(self) -> None:
        """Once a turn."""
        self.n += 1


@dataclass(kw_only=True)
class Pulse:
    """``pulse.start()``; parts may join later. `leave(70)` ends the process at once, without a word to anybody."""

    leave: Callable[[int], object] = os._exit
    turn: timedelta = TURN
    _parts: list[Part] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def join(self, part: Part) -> None:
        """Watch over one more."""
        self._parts.append(part)

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def stop(self) -> None:
        """Parts may stop now; the process is still said to live while it leaves."""
        self._parts.clear()

    def _run(self) -> None:
        while not self._over.wait(self.turn.total_seconds()):
            stopped = [part.name for part in list(self._parts) if part.has_stopped]
            if stopped:
                log("process.deaf", parts=stopped)
                self.leave(EXIT_DEAF)
                return
            sockets.tell("WATCHDOG=1")
