"""Where the command begins: the modules are loaded without the collector looking at them again and again."""

import contextlib
import ctypes
import gc

_M_MMAP_THRESHOLD = -3  # of mallopt(3)

gc.disable()  # loading makes half a million objects that all stay: looking for garbage in them is a sixth of the start

from tocsin import cli  # noqa: E402 (after the line above, or it would be of no use)


def main() -> None:
    """Run the command; what was loaded is set aside for good."""
    gc.freeze()
    gc.enable()
    # glibc raises this by itself up to 32 MB: a mail of 25 MB would then be cut out of the heap, which keeps it.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)
    cli.main()
