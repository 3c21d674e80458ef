"""The process that parses strangers' bytes: it gives up its rights, then answers until its input ends."""

import ctypes
import importlib
import math
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from domain.errors import BadInput
from sandbox.frames import Broken, Pipe

PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # unshare(2)
OPEN_FILES = 32  # an import holds a handful at a time; the parsers open none
REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "sqlite3.connect")

Parser = Callable[[bytes, Mapping[str, Any]], tuple[dict[str, Any], list[bytes]]]


def main() -> int:
    """Answer frames of standard input on standard output.

    Ends with 0 when the input closes (the hub has gone), with 1 after an answer that may have left the
    process in disorder: the hub starts a new one.
    """
    pipe = _private_pipe()
    _give_up_rights(memory_bytes=int(sys.argv[1]), lifetime_cpu=int(sys.argv[2]))
    while True:
        try:
            head, blobs = pipe.receive()
        except Broken:
            return 0
        _arm(cpu=float(head["cpu"]), wall=float(head["wall"]))
        answer, out, is_sound = _call(head, blobs[0])
        pipe.send(answer, out)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not is_sound:
            return 1


def _call(head: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes], bool]:
    """The answer of one parser, and whether this process may be used again."""
    try:
        value, blobs = _find(head["function"])(data, head["options"])
    except BadInput as error:
        flaws = [[flaw.pointer, flaw.detail] for flaw in error.flaws]
        return {"bad": [error.code, error.detail, flaws]}, [], True
    except MemoryError:
        return {"failed": "parser_memory"}, [], False
    except Exception as error:  # a parser's bug must come back as an answer: its class, never its text
        return {"failed": "parser_crashed", "what": type(error).__name__}, [], False
    return {"value": value}, blobs, True


def _find(reference: str) -> Parser:
    module, _, name = reference.partition(":")
    found: Any = importlib.import_module(module)
    for step in name.split("."):
        found = getattr(found, step)
    parser: Parser = found
    return parser


def _private_pipe() -> Pipe:
    """Move the pipes off descriptors 0 and 1, so that a parser's print() cannot break a frame."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return Pipe(source=source, sink=sink)


def _give_up_rights(*, memory_bytes: int, lifetime_cpu: int) -> None:
    """Limits first, then the network; what the kernel here does not offer is left to the audit hook."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Only root gets a network namespace without a user namespace; not every kernel gives anybody one.
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CPU, lifetime_cpu),
    ):
        resource.setrlimit(what, (limit, limit))
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    """Sockets, programs and databases are refused to Python code even where the kernel would allow them."""
    if event.startswith(REFUSED):
        raise PermissionError(event)


def _arm(*, cpu: float, wall: float) -> None:
    """Death by the kernel: SIGXCPU at the CPU limit, SIGALRM shortly after the hub would have given up.

    The alarm is for the case that the hub itself has died meanwhile: no child outlives its hub by more.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + cpu)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, wall + 1)


if __name__ == "__main__":
    sys.exit(main())
