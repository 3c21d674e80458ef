"""Children that parse strangers' bytes under limits, started when first needed."""

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from domain.errors import BadInput, Flaw, Unavailable
from sandbox.frames import CHUNK, Broken, Late, Pipe

Parser = Callable[[bytes, Mapping[str, Any]], tuple[dict[str, Any], list[bytes]]]

WALL = timedelta(seconds=8)
CPU = timedelta(seconds=5)  # PROMISES finding 6: 5 s CPU and 512 MB hold every mail that is one
MEMORY_BYTES = 512 << 20
CALLS_PER_CHILD = 500  # then a new one: what a parser leaks is bounded, a start (0.1 s) is 0.2 ms a call
NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a parser returned: a JSON object and its binary blobs."""

    value: Mapping[str, Any]
    blobs: tuple[bytes, ...]


class Pool:
    """Up to `size` calls at once, each in a child of its own. Safe to use from many threads."""

    def __init__(
        self,
        *,
        size: int = 1,
        wall: timedelta = WALL,
        cpu: timedelta = CPU,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._wall = wall.total_seconds()
        self._cpu = cpu.total_seconds()
        self._memory_bytes = memory_bytes
        self._is_closed = False
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()  # last in, first out: keep one warm
        for _ in range(size):
            self._free.put(None)

    def run(self, function: Parser, data: bytes, options: Mapping[str, Any] = NO_OPTIONS) -> Result:
        """Call the module-level `function(data, options)` in a child and wait for it.

        Waits for a free child first. Raises BadInput as the function did, or with the code parser_timeout
        (CPU or wall), parser_memory or parser_crashed; Unavailable when the pool is closed or
        no child starts.
        """
        child = self._free.get()
        try:
            child = child or self._start()
            return child.call(function, data, options, wall=self._wall, cpu=self._cpu)
        finally:
            if child and not child.is_usable:
                self._end(child)
                child = None
            self._free.put(child)

    def close(self) -> None:
        """End every child; calls under way raise. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            children = list(self._children)
        for child in children:
            child.stop()
        slots = self._idle_slots()  # those at work are collected by the thread that waits for their answer
        for child in filter(None, slots):
            self._end(child)
        for _ in slots:
            self._free.put(None)

    def _idle_slots(self) -> "list[_Child | None]":
        slots: list[_Child | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                slots.append(self._free.get_nowait())
        return slots

    def _start(self) -> "_Child":
        with self._lock:
            if self._is_closed:
                raise Unavailable("the parsers are closed")
            child = _Child(memory_bytes=self._memory_bytes, cpu=self._cpu)
            self._children.add(child)
        return child

    def _end(self, child: "_Child") -> None:
        with self._lock:
            self._children.discard(child)
        child.collect()


class _Child:
    """One process and its two pipes."""

    def __init__(self, *, memory_bytes: int, cpu: float) -> None:
        lifetime = str(int(cpu * CALLS_PER_CHILD) + 60)  # s of CPU; nothing in the child can raise it
        # -P: the working directory is not searched for modules; the environment holds no secret of the hub.
        command = [sys.executable, "-s", "-P", "-B", "-m", "sandbox.child", str(memory_bytes), lifetime]
        environment = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PATH": os.defpath}
        try:
            self._process = subprocess.Popen(  # noqa: S603 our own module, no stranger's word in it
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                close_fds=True,
                start_new_session=True,  # Ctrl-C is for the hub, which then closes the pool
            )
        except OSError:
            raise Unavailable("no parser could be started") from None
        self.is_usable = True
        self._calls_left = CALLS_PER_CHILD
        self._source, self._sink = (_file(f) for f in (self._process.stdout, self._process.stdin))

    def call(
        self, function: Parser, data: bytes, options: Mapping[str, Any], *, wall: float, cpu: float
    ) -> Result:
        """One call; a child that did not answer soundly is not usable afterwards."""
        head = {
            "function": f"{function.__module__}:{function.__qualname__}",
            "options": dict(options),
            "cpu": cpu,
            "wall": wall,
        }
        self._calls_left -= 1
        pipe = Pipe(source=self._source, sink=self._sink, deadline=time.monotonic() + wall)
        self.is_usable = False
        try:
            pipe.send(head, [data])
            answer, blobs = pipe.receive()
        except Late:
            raise BadInput("the parser took too long", code="parser_timeout") from None
        except Broken:
            raise BadInput("the parser ended without an answer", code=self._cause_of_death()) from None
        if "failed" in answer:
            raise BadInput(f"the parser gave up: {answer.get('what', '')}", code=answer["failed"])
        self.is_usable = self._calls_left > 0
        if "bad" in answer:
            code, detail, flaws = answer["bad"]
            raise BadInput(detail, code=code, flaws=[Flaw(*flaw) for flaw in flaws])
        return Result(value=answer["value"], blobs=tuple(blobs))

    def stop(self) -> None:
        """End the process; its descriptors stay, another thread may be waiting on them."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def collect(self) -> None:
        """End the process, wait for it and give its descriptors back."""
        self.stop()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout):
            if file:
                with contextlib.suppress(OSError):
                    file.close()

    def _cause_of_death(self) -> str:
        """Which limit it was; a child that still lives after a broken frame is killed by the caller."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = self._process.wait(timeout=1)
            if -ended in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):  # SIGKILL: the hard CPU limit
                return "parser_timeout"
        return "parser_crashed"


def _file(pipe: Any) -> int:
    """The descriptor, non-blocking, with room for a large piece (Linux allows 1 MB without privilege)."""
    descriptor: int = pipe.fileno()
    os.set_blocking(descriptor, False)
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CHUNK)
    return descriptor
