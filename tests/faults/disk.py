"""What a disk holds after a power cut: rebuilt, call by call, from a program's own system calls.

The model is strict POSIX, worse than ext4: bytes are there only after fsync or fdatasync of their file, a name
only after fsync of its directory. Not modelled: mmap writes (SQLite's -shm needs none), disks that lie.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SECTOR = 512


@dataclass(eq=False)
class File:
    """Durable bytes, and the writes since then in their order; None for data means "cut to `offset`"."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    size: int = 0
    is_directory: bool = False

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def cut(self, size: int) -> None:
        self.pending.append((size, None))
        self.size = size

    def sync(self, count: int) -> None:
        """The first `count` pending writes are on the disk."""
        for offset, data in self.pending[:count]:
            _apply(self.durable, offset, data)
        del self.pending[:count]

    def after_cut(self, dice: random.Random | None) -> bytes:
        """What is read after the power cut; with dice some of what was never synced is there too, torn."""
        found = bytearray(self.durable)
        for offset, data in self.pending if dice else ():
            if dice and dice.random() < 0.5:
                whole = data is None or dice.random() < 0.7
                _apply(found, offset, data if whole or data is None else data[: _torn(dice, len(data))])
        return bytes(found)


class Disk:
    """The files below one directory, as the kernel shows them and as the disk has them."""

    def __init__(self, root: Path, before: Path) -> None:
        """`before` is a copy of `root` as it was, whole and durable, when the recording began."""
        self._root = str(root)
        self._names: dict[str, File] = {}
        for path in sorted(before.rglob("*")):
            kept = File(is_directory=path.is_dir())
            if path.is_file():
                kept.durable = bytearray(path.read_bytes())
                kept.size = len(kept.durable)
            self._names[f"{root}/{path.relative_to(before)}"] = kept
        self._durable_names = dict(self._names)
        self.version = 0  # of what is durable: between two equal ones a cut without dice leaves the same

    def holds(self, path: str) -> bool:
        """Whether `path` lies here. SQLite's shared memory is rebuilt from the log, so it does not count."""
        is_here = path == self._root or path.startswith(self._root + "/")
        return is_here and not path.endswith(("-shm", " (deleted)"))

    def file(self, path: str) -> File:
        return self._names.setdefault(path, File())

    def make_directory(self, path: str) -> None:
        self._names.setdefault(path, File(is_directory=True))

    def rename(self, before: str, after: str) -> None:
        self._names[after] = self._names.pop(before)

    def unlink(self, path: str) -> None:
        self._names.pop(path, None)

    def begin_sync(self, path: str) -> "Sync":
        """An fsync begins: what it will have made durable when it returns is what there is now."""
        if path == self._root or (path in self._names and self._names[path].is_directory):
            entries = {name: kept for name, kept in self._names.items() if _parent(name) == path}
            return Sync(self, path, entries=entries)
        kept = self.file(path)
        return Sync(self, path, file=kept, count=len(kept.pending))

    def settle_names(self, directory: str, entries: dict[str, File]) -> None:
        """The names of `directory` are `entries`, durably."""
        for name in [name for name in self._durable_names if _parent(name) == directory]:
            del self._durable_names[name]
        self._durable_names |= entries

    def image(self, where: Path, dice: random.Random | None = None) -> None:
        """Write into `where` what is left; with dice some unsynced names and bytes survived."""
        where.mkdir(parents=True)
        names = dict(self._durable_names)
        if dice:
            for name in {*names, *self._names}:
                now = self._names.get(name)
                if names.get(name) is not now and dice.random() < 0.5:
                    names.pop(name, None) if now is None else names.__setitem__(name, now)
        for name, kept in sorted(names.items()):
            if not all(parent in names for parent in self._parents(name)):
                continue  # the name is on the disk, the way to it is not
            path = where / name[len(self._root) + 1 :]
            if kept.is_directory:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(kept.after_cut(dice))

    def _parents(self, name: str) -> Iterator[str]:
        while (name := _parent(name)) != self._root:
            yield name


@dataclass(frozen=True)
class Sync:
    """An fsync under way."""

    disk: Disk
    path: str
    entries: dict[str, File] | None = None
    file: File | None = None
    count: int = 0

    def end(self) -> None:
        """It has returned."""
        if self.entries is not None:
            self.disk.settle_names(self.path, self.entries)
        elif self.file is not None:
            self.file.sync(self.count)
        self.disk.version += 1


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _torn(dice: random.Random, length: int) -> int:
    return dice.randrange(length + 1) // _SECTOR * _SECTOR


def _apply(found: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del found[offset:]
    if len(found) < offset:
        found.extend(bytes(offset - len(found)))
    if data is not None:
        found[offset : offset + len(data)] = data
