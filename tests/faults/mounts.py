"""Small disks of memory, mounted where a hub keeps its things, and filled to the last block."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTE = 1 << 20


@contextmanager
def disk(place: Path, *, megabytes: int) -> Iterator["Disk"]:
    """A tmpfs at `place`; what lay there is on it. Skips, with the reason, where nobody may mount."""
    aside = place.with_name(f"{place.name}.aside")
    place.rename(aside)
    place.mkdir(mode=aside.stat().st_mode & 0o777)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        place.rmdir()
        aside.rename(place)
        pytest.skip(f"no disk of memory may be mounted here: {made.stderr.strip()}")
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(place)], check=True)
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class Disk:
    """How full a disk is made."""

    def __init__(self, place: Path) -> None:
        self._filling = place / "filling"
        self._place = place

    @property
    def free(self) -> int:
        """Bytes."""
        found = os.statvfs(self._place)
        return found.f_bavail * found.f_frsize

    @property
    def total(self) -> int:
        """Bytes."""
        found = os.statvfs(self._place)
        return found.f_blocks * found.f_frsize

    def leave(self, free: int) -> None:
        """Fill it, or make room, until `free` bytes are left."""
        with self._filling.open("ab") as file:
            size = max(file.tell() + self.free - free, 0)
            if size < file.tell():
                file.truncate(size)
            elif size:
                os.posix_fallocate(file.fileno(), 0, size)
