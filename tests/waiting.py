"""A writer that is kept busy for a while, so that what is asked of it meanwhile is one batch."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from store.database import Store

LONG = 1.0  # seconds: what is to be one batch is read and handed over meanwhile


@contextmanager
def held(store: Store) -> Iterator[None]:
    """The store writes nothing for LONG seconds, then all that waits together."""
    gate, is_held = threading.Event(), threading.Event()

    def wait(_unit: object) -> None:
        is_held.set()
        gate.wait(20)

    store.submit(wait)
    assert is_held.wait(20)
    timer = threading.Timer(LONG, gate.set)
    timer.start()
    try:
        yield
    finally:
        gate.set()
        timer.join()
