"""Puts the clock of a hub's processes wrong: the shim of clockshift.c, built and turned."""

import struct
import subprocess
from pathlib import Path

from tests.servers import need

_SOURCE = Path(__file__).with_name("clockshift.c")


class Clockshift:
    """The wrong clock of every process started with `environment`."""

    def __init__(self, directory: Path) -> None:
        """Builds the shim; skips the test, with the reason, where there is no C compiler."""
        (compiler,) = need("gcc")
        shim, self._file = directory / "clockshift.so", directory / "clockshift.seconds"
        subprocess.run(
            [compiler, "-Wall", "-Werror", "-O2", "-shared", "-fPIC", "-o", str(shim), str(_SOURCE), "-ldl"],
            check=True,
        )
        self._file.write_bytes(struct.pack("d", 0.0))
        self.environment = {"LD_PRELOAD": str(shim), "CLOCKSHIFT_FILE": str(self._file)}

    def step(self, seconds: float) -> None:
        """From now the clock differs from the world's by `seconds`."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("d", seconds))
