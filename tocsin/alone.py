"""One hub on a data directory."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from domain.errors import Refused


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One `tocsin up` on a data directory. Raises Refused for the second."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("another `tocsin up` runs on this data directory", code="already_up") from None
    try:
        yield
    finally:
        os.close(descriptor)
