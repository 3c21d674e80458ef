"""Hub processes without the two seconds of loading: one process has loaded the command and forks it on demand.

    python -m tests.faults.forge SOCKET

What runs is `python -m tocsin ...` from its first line on, in a process of its own, with an environment of its own.
"""

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import crashpoint
from tests.walks.houses import ROOT, House

_LINE = 1_000_000  # bytes of a request: an environment
_LOADED_WITHIN = 60.0


def _has_word(source: Any, seconds: float) -> bool:
    """Whether it can be read within that time; poll(2), because select(2) fails above descriptor 1,023."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Forged:
    """A forked process; what a test asks of a subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it lives."""
        return 0 if _has_word(self._handle, 0) else None

    def wait(self, timeout: float) -> int:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        if not _has_word(self._handle, timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return 0

    def send_signal(self, number: int) -> None:
        """To it, if it lives, and to no other that got its number."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has died of its crash point in this moment
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


@dataclass
class Forge:
    """A running forge."""

    path: Path
    shim: Path | None  # of crashpoint.c, where there is a compiler

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Forged:
        """Run ``python -m tocsin <arguments>``."""
        asked = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.path))
            line.sendall(json.dumps(asked).encode())
            line.shutdown(socket.SHUT_WR)
            return Forged(int(line.recv(100)))


@dataclass
class WarmHouse(House):
    """A hub whose processes come from a forge, each counted by a crash point of its own."""

    forge: Forge = field(kw_only=True)
    crashpoints: dict[str, crashpoint.Crashpoint] = field(default_factory=dict)
    is_cold: bool = False  # start real `python -m tocsin` processes from now on

    def start(self, name: str, *command: str) -> None:
        """Start `command` as `name`; a name that was used before dies by the same crash point."""
        if self.is_cold:
            super().start(name, *command)
            return
        self.commands[name] = [sys.executable, "-m", "tocsin", *command]
        environment = dict(self.environment)
        if self.forge.shim is not None:
            if name not in self.crashpoints:
                book = self.settings.data_dir.parent / f"{name}.book"
                self.crashpoints[name] = crashpoint.Crashpoint(book, self.forge.shim)
            environment |= self.crashpoints[name].environment
        log = self.settings.data_dir / f"{name}.log"
        made: Any = self.forge.start(command, environment, log)
        self.processes[name] = made


def warm(made: House, forge: Forge) -> WarmHouse:
    """The same hub, from the forge."""
    return WarmHouse(settings=made.settings, secrets=made.secrets, provider=made.provider,
                     environment=made.environment, forge=forge)  # fmt: skip


@contextmanager
def forge(directory: Path, *, shim: Path | None) -> Iterator[Forge]:
    """A forge that has loaded."""
    path = directory / "forge"
    environment = dict(os.environ) | ({"LD_PRELOAD": str(shim)} if shim else {})
    command = [sys.executable, "-m", "tests.faults.forge", str(path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert _has_word(process.stdout, _LOADED_WITHIN), "the forge loads"
            assert process.stdout.readline() == b"loaded\n"
            yield Forge(path, shim)
        finally:
            process.kill()


def _serve(path: str) -> None:
    """Fork one process for each request; the forge itself has one thread, or a fork would not be whole."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(20)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: the kernel takes them away
        print("loaded", flush=True)
        while True:
            line, _ = door.accept()
            asked = json.loads(_whole(line))
            pid = os.fork()
            if pid == 0:
                door.close()
                line.close()
                _become(asked)
            line.sendall(str(pid).encode())
            line.close()


def _whole(line: socket.socket) -> bytes:
    found = b""
    while part := line.recv(_LINE):
        found += part
    return found


def _become(asked: dict[str, Any]) -> None:
    """What execve would do; never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(asked["environment"])
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        if "CRASHPOINT_FILE" in os.environ:
            ctypes.CDLL(None).crashpoint_count()
        sys.argv = ["tocsin", *asked["arguments"]]
        entry.main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


if __name__ == "__main__":
    from tocsin import entry

    assert threading.active_count() == 1
    gc.freeze()
    _serve(sys.argv[1])
