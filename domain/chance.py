"""Random bytes of the kernel, fetched a page at a time: each fetch gives the interpreter away, and a busy thread keeps it."""

import os
import threading

_PAGE = 2048  # bytes


class _Stock(threading.local):
    left = b""


_stock = _Stock()


def random_bytes(count: int) -> bytes:
    """`count` bytes that nobody else gets, in no thread and no process that forks from here. Not for keys."""
    if len(_stock.left) < count:
        _stock.left = os.urandom(_PAGE + count)
    found, _stock.left = _stock.left[:count], _stock.left[count:]
    return found


def _forget() -> None:
    _stock.left = b""  # a child is the one thread that forked, and would go on with its parent's bytes


os.register_at_fork(after_in_child=_forget)
