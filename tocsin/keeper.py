"""Keeps a port open and one process behind it: a new one answers before the old one leaves, a dead one is replaced.

The socket stays with this process, so the queue of connections outlives every process that accepts from it.
SO_REUSEPORT would not do: each process has a queue of its own then, and what waits in the queue of the one that
leaves is reset (listen(2), socket(7)).
"""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from hub.log import log
from tocsin import sockets

READY_WITHIN = timedelta(seconds=60)  # a start takes 3 s at rest; a migration before it may take longer
LEAVE_WITHIN = timedelta(seconds=20)  # twice what a process gives its own open work
FIRST_WAIT, LONGEST_WAIT = timedelta(milliseconds=200), timedelta(seconds=3)  # R38: back within 3 s
_HEARD = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A started process and the line on which it says that it answers."""

    pid: int
    line: socket.socket


class Keeper:
    """``Keeper(bound, command).run()``: SIGHUP changes the process, SIGTERM ends it all."""

    def __init__(self, bound: socket.socket | None, command: Sequence[str]) -> None:
        """`bound`: None for a process without a port."""
        self._bound, self._command = bound, list(command)
        self._count = 0
        self._children: dict[int, Child] = {}  # those that run, the leaving ones too
        self._current: Child | None = None

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C; repeated ones are the same word said again."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        wait = FIRST_WAIT
        self._roll()
        sockets.tell("READY=1")
        while True:
            heard = signal.sigtimedwait(_HEARD, 1.0)
            number = heard.si_signo if heard else signal.SIGCHLD
            if number in (signal.SIGTERM, signal.SIGINT):
                break
            self._reap()
            if number == signal.SIGHUP:
                self._roll()
            elif self._current is None:
                time.sleep(wait.total_seconds())
                wait = FIRST_WAIT if self._roll() else min(wait * 2, LONGEST_WAIT)
        sockets.tell("STOPPING=1")
        for pid in list(self._children):
            self._end(pid)

    def _roll(self) -> bool:
        """Start another process, and let the present one go once it answers; False leaves all as it was."""
        fresh, old = self._start(), self._current
        if not self._is_ready(fresh):
            log("keeper.not_ready", pid=fresh.pid)
            self._end(fresh.pid)
            return False
        self._current = fresh
        log("keeper.ready", pid=fresh.pid)
        if old is not None and old.pid in self._children:
            os.kill(old.pid, signal.SIGTERM)
        return True

    def _start(self) -> Child:
        self._count += 1
        name = f"tocsin-keeper-{os.getpid()}-{self._count}"
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind("\0" + name)
        line.settimeout(0.2)
        environment = {**os.environ, "NOTIFY_SOCKET": f"@{name}"}
        actions = []
        if self._bound is not None:
            environment["LISTEN_FDS"] = "1"  # without LISTEN_PID: the child's is not known before it runs
            actions.append((os.POSIX_SPAWN_DUP2, self._bound.fileno(), sockets.FIRST_FD))
        environment.pop("LISTEN_PID", None)
        pid = os.posix_spawn(
            self._command[0], self._command, environment, file_actions=actions, setsigmask=(),
            setsigdef=_HEARD,
        )  # fmt: skip
        self._children[pid] = Child(pid=pid, line=line)
        return self._children[pid]

    def _is_ready(self, child: Child) -> bool:
        end = time.monotonic() + READY_WITHIN.total_seconds()
        while time.monotonic() < end:
            self._reap()
            if child.pid not in self._children:
                return False
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in child.line.recv(4096):
                    return True
        return False

    def _reap(self) -> None:
        """Forget those that have ended."""
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._children.pop(pid).line.close()
                if self._current is not None and self._current.pid == pid:
                    self._current = None
                    log("keeper.ended", pid=pid, code=os.waitstatus_to_exitcode(status))

    def _end(self, pid: int) -> None:
        """SIGTERM, and SIGKILL for one that does not leave."""
        end = time.monotonic() + LEAVE_WITHIN.total_seconds()
        os.kill(pid, signal.SIGTERM)
        while pid in self._children:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            self._reap()


def keep(bound: socket.socket | None, arguments: Sequence[str]) -> None:
    """Keep ``python -m tocsin <arguments>`` running behind `bound`."""
    if bound is not None:
        bound.listen(2048)  # uvicorn's own; connections of the first seconds wait instead of being refused
        high = socket.socket(fileno=os.dup(bound.fileno()))  # never the number that the child gets
        bound.close()
        bound = high
    Keeper(bound, [sys.executable, "-m", "tocsin", *arguments]).run()
