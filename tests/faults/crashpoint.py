"""Kills a hub at its n-th durable call: the shim of crashpoint.c, built and switched."""

import mmap
import struct
import subprocess
from pathlib import Path

from tests.servers import need

_SOURCE = Path(__file__).with_name("crashpoint.c")
_SIZE = 64  # a counter, the fatal number, the name of the fatal call


def build(directory: Path) -> Path:
    """The shim, built; skips the test, with the reason, where there is no C compiler."""
    (compiler,) = need("gcc")
    shim = directory / "crashpoint.so"
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(shim), str(_SOURCE), "-ldl"],
        check=True,
    )
    return shim


class Crashpoint:
    """Counts the durable calls of every hub process started with `environment`."""

    def __init__(self, book: Path, shim: Path) -> None:
        """`book`: the shared file, begun anew."""
        book.write_bytes(bytes(_SIZE))
        self.environment = {"LD_PRELOAD": str(shim), "CRASHPOINT_FILE": str(book)}
        with book.open("r+b") as file:
            self._book = mmap.mmap(file.fileno(), _SIZE)

    @property
    def made(self) -> int:
        """Durable calls so far."""
        return int(struct.unpack_from("Q", self._book, 0)[0])

    @property
    def fatal_call(self) -> str:
        """What the dead process was about to do; '' while none has died here."""
        return self._book[16:56].rstrip(b"\0").decode()

    def arm(self, calls: int) -> None:
        """Kill whoever makes the `calls`-th durable call from now."""
        self._book[16:56] = bytes(40)
        struct.pack_into("Q", self._book, 8, self.made + calls)

    def disarm(self) -> None:
        """Kill nobody."""
        struct.pack_into("Q", self._book, 8, 0)
