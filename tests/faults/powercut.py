"""Power cuts without a power switch: run a program under strace, replay its calls on a model disk, stop anywhere.

Stronger than kill -9, which leaves the page cache whole.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.disk import Disk, Sync
from tests.servers import need

_CALLS = ("openat", "open", "creat", "pwrite64", "write", "writev", "pwritev", "lseek", "ftruncate", "fsync",
          "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "sendto",
          "sendmsg")  # fmt: skip
_HEX = r"(?:\\x[0-9a-f]{2})*"
_LINE = re.compile(r"^(\d+) +(.*)$")
_BEGUN = re.compile(r"^(\w+)\((.*)$")
_DONE = re.compile(r"^(\w+)\((.*)\) += (-?\d+)(.*)$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_QUOTED = re.compile(rf'"({_HEX})"')
_FD = re.compile(rf"^(\d+)<({_HEX})>")
_OPENED = re.compile(rf"^<({_HEX})>")


@dataclass(frozen=True, slots=True)
class Step:
    """The disk has changed (`sent` empty), or these bytes have begun to leave through a socket."""

    what: str
    sent: bytes = b""


def command(trace: Path, program: Sequence[str]) -> list[str]:
    """The command that runs `program` recorded; skips the test, with the reason, where strace is missing."""
    (strace,) = need("strace")
    return [strace, "--seccomp-bpf", "-f", "-y", "-xx", "-s", "100000000", "-e", f"trace={','.join(_CALLS)}",
            "-e", "signal=none", "-o", str(trace), *program]  # fmt: skip


def record(trace: Path, program: Sequence[str]) -> None:
    """Run `program` to its end."""
    subprocess.run(command(trace, program), check=True, stdout=subprocess.DEVNULL)


@dataclass
class Replay:
    """Replays a trace on a disk."""

    disk: Disk
    _unfinished: dict[str, str] = field(default_factory=dict)  # thread -> the call as far as it was printed
    _syncs: dict[str, Sync] = field(default_factory=dict)
    _offsets: dict[int, int] = field(default_factory=dict)
    _appending: set[int] = field(default_factory=set)

    def steps(self, trace: Path) -> Iterator[Step]:
        """Each step in order; between two of them the power may fail."""
        with trace.open(errors="replace") as lines:
            for line in lines:
                found = _LINE.match(line)
                if found:
                    yield from self._line(*found.groups())

    def _line(self, thread: str, text: str) -> Iterator[Step]:
        if text.endswith("<unfinished ...>"):
            begun = text.removesuffix("<unfinished ...>").rstrip()
            self._unfinished[thread] = begun
            yield from self._begin(thread, begun)
            return
        resumed = _RESUMED.match(text)
        if resumed:
            text = self._unfinished.pop(thread, "") + resumed.group(2)
        else:
            yield from self._begin(thread, text)
        done = _DONE.match(text)
        if done and int(done.group(3)) >= 0:
            name, arguments, result, more = done.groups()
            yield from self._end(thread, name, arguments, int(result), more)

    def _begin(self, thread: str, text: str) -> Iterator[Step]:
        """A send may have left as soon as it is called; a sync covers only what was written before it."""
        found = _BEGUN.match(text)
        if not found:
            return
        name, arguments = found.groups()
        fd = _FD.match(arguments)
        if name in ("fsync", "fdatasync") and fd and self.disk.holds(path := _text(fd.group(2))):
            self._syncs[thread] = self.disk.begin_sync(path)
        is_socket = fd is not None and _text(fd.group(2)).startswith("socket:")
        if name in ("sendto", "sendmsg", "write", "writev") and is_socket:
            yield Step(name, b"".join(_bytes(one) for one in _QUOTED.findall(arguments)))

    def _end(self, thread: str, name: str, arguments: str, result: int, more: str) -> Iterator[Step]:
        if name in ("fsync", "fdatasync"):
            sync = self._syncs.pop(thread, None)
            if sync is None:
                return
            sync.end()
        elif name in ("openat", "open", "creat"):
            if not self._open(arguments, result, more):
                return
        elif name.startswith(("rename", "unlink", "mkdir")):
            if not self._name(name, arguments):
                return
        elif not self._data(name, arguments, result):
            return
        yield Step(name)

    def _open(self, arguments: str, fd: int, more: str) -> bool:
        found = _OPENED.match(more)
        path = _text(found.group(1)) if found else ""
        if not self.disk.holds(path) or "O_DIRECTORY" in arguments:
            return False
        if "O_WRONLY" not in arguments and "O_RDWR" not in arguments:
            return False
        file = self.disk.file(path)
        if "O_TRUNC" in arguments:
            file.cut(0)
        self._offsets[fd] = 0
        self._appending.discard(fd)
        if "O_APPEND" in arguments:
            self._appending.add(fd)
        return True

    def _name(self, name: str, arguments: str) -> bool:
        paths = [_text(one) for one in _QUOTED.findall(arguments)]
        if not self.disk.holds(paths[0]):
            return False
        if name.startswith("rename"):
            self.disk.rename(paths[0], paths[1])
        elif name.startswith("unlink"):
            self.disk.unlink(paths[0])
        else:
            self.disk.make_directory(paths[0])
        return True

    def _data(self, name: str, arguments: str, result: int) -> bool:
        found = _FD.match(arguments)
        if not found or not self.disk.holds(path := _text(found.group(2))):
            return False
        fd = int(found.group(1))
        if name == "lseek":
            self._offsets[fd] = result
            return False
        file = self.disk.file(path)
        if name == "ftruncate":
            file.cut(int(arguments.rsplit(",", 1)[1]))
            return True
        data = b"".join(_bytes(one) for one in _QUOTED.findall(arguments))[:result]
        if name == "pwrite64":
            file.write(int(arguments.rsplit(",", 1)[1]), data)
            return True
        offset = file.size if fd in self._appending else self._offsets.get(fd, 0)
        file.write(offset, data)
        self._offsets[fd] = offset + len(data)
        return True


def _bytes(quoted: str) -> bytes:
    return bytes.fromhex(quoted.replace("\\x", ""))


def _text(quoted: str) -> str:
    return _bytes(quoted).decode(errors="replace")
