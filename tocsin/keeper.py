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
SILENT_AFTER = timedelta(seconds=10)  # finding 13: then kill -9; a process says each second that it lives
AT_ONCE = timedelta(milliseconds=200)  # R38: after a death out of the blue a new process begins within 3 s
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)  # F31: one that cannot live is no load
STEADY = timedelta(seconds=30)  # who has lived that long did not die of its start
_HEARD = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A started process and the line on which it says that it answers."""

    pid: int
    line: socket.socket


class Keeper:
    """``Keeper(bound, command).run()``: SIGHUP changes the process, SIGTERM ends it all."""

    def __init__(
        self, bound: socket.socket | None, command: Sequence[str], *, may_overlap: bool = True,
        silent_after: timedelta = SILENT_AFTER,
    ) -> None:  # fmt: skip
        """`bound`: None for a process without a port. `may_overlap`: two of them may run while one replaces the other."""
        self._bound, self._command, self._may_overlap = bound, list(command), may_overlap
        self._silent_after = silent_after
        self._heard_at = time.monotonic()
        self._ready_at: float | None = None
        self._wait = AT_ONCE
        self._count = 0
        self._children: dict[int, Child] = {}  # those that run, the leaving ones too
        self._current: Child | None = None

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C; repeated ones are the same word said again."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        due = time.monotonic()
        if not self._roll():
            due += self._pause().total_seconds()
        sockets.tell("READY=1")
        while True:
            patience = min(1.0, max(due - time.monotonic(), 0)) if self._current is None else 1.0
            heard = signal.sigtimedwait(_HEARD, patience)
            number = heard.si_signo if heard else signal.SIGCHLD
            if number in (signal.SIGTERM, signal.SIGINT):
                break
            had = self._current is not None
            self._reap()
            self._listen()
            sockets.tell("WATCHDOG=1")
            if had and self._current is None:
                due = time.monotonic() + self._pause().total_seconds()
            if number == signal.SIGHUP:
                self._roll()
            elif self._current is None and time.monotonic() >= due and not self._roll():
                due = time.monotonic() + self._pause().total_seconds()
        sockets.tell("STOPPING=1")
        for pid in list(self._children):
            self._end(pid)

    def _roll(self) -> bool:
        """Start another process, and let the present one go once it answers; False leaves all as it was."""
        if not self._may_overlap and self._current is not None:
            self._end(self._current.pid)
        try:
            fresh, old = self._start(), self._current
        except OSError as error:  # no process or memory to be had (F31): tried again later
            log("keeper.not_started", error=type(error).__name__)
            return False
        if not self._is_ready(fresh):
            log("keeper.not_ready", pid=fresh.pid)
            self._end(fresh.pid)
            return False
        self._current = fresh
        self._ready_at = self._heard_at = time.monotonic()
        log("keeper.ready", pid=fresh.pid)
        if old is not None and old.pid in self._children:
            os.kill(old.pid, signal.SIGTERM)
        return True

    def _pause(self) -> timedelta:
        """How long to wait before the next start: at once after a long life, longer after each short one."""
        if self._ready_at is not None and time.monotonic() - self._ready_at > STEADY.total_seconds():
            self._wait = AT_ONCE
        self._ready_at = None
        wait, self._wait = self._wait, min(max(self._wait * 2, FIRST_WAIT), LONGEST_WAIT)
        log("keeper.waits", ms=int(wait.total_seconds() * 1000))
        return wait

    def _listen(self) -> None:
        """Hear whether the process lives; kill -9 for one that is silent: it may hold a lock or a lease (finding 13)."""
        current = self._current
        if current is None:
            return
        try:
            while True:
                current.line.recv(4096, socket.MSG_DONTWAIT)
                self._heard_at = time.monotonic()
        except OSError:  # nothing more to hear
            pass
        if time.monotonic() - self._heard_at > self._silent_after.total_seconds():
            log("keeper.silent", pid=current.pid)
            os.kill(current.pid, signal.SIGKILL)
            self._heard_at = time.monotonic()

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
        try:
            pid = os.posix_spawn(
                self._command[0], self._command, environment, file_actions=actions, setsigmask=(),
                setsigdef=_HEARD,
            )  # fmt: skip
        except OSError:
            line.close()
            raise
        self._children[pid] = Child(pid=pid, line=line)
        return self._children[pid]

    def _is_ready(self, child: Child) -> bool:
        end = time.monotonic() + READY_WITHIN.total_seconds()
        while time.monotonic() < end:
            self._reap()
            if child.pid not in self._children:
                return False
            sockets.tell("WATCHDOG=1")
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
        if pid not in self._children:  # it has ended by itself, and its number may be somebody else's
            return
        end = time.monotonic() + LEAVE_WITHIN.total_seconds()
        os.kill(pid, signal.SIGTERM)
        while pid in self._children:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            self._reap()


def keep(bound: socket.socket | None, arguments: Sequence[str], *, may_overlap: bool = True) -> None:
    """Keep ``python -m tocsin <arguments>`` running behind `bound`."""
    if bound is not None:
        bound.listen(2048)  # uvicorn's own; connections of the first seconds wait instead of being refused
        high = socket.socket(fileno=os.dup(bound.fileno()))  # never the number that the child gets
        bound.close()
        bound = high
    Keeper(bound, [sys.executable, "-m", "tocsin", *arguments], may_overlap=may_overlap).run()
