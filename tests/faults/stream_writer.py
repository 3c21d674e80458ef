"""A writer of journal entries in a process of its own, which gets killed: one entry in twenty is rolled back.

python -m tests.faults.stream_writer DATABASE_URL NAME COUNT SEED
"""

import random
import sys
from concurrent.futures import Future
from datetime import UTC, datetime

import sqlalchemy as sa

from store import journal
from store import tables as t
from store.unit import Unit
from tests.conftest import open_store

_HEAD = sa.select(t.journal_head.c.n)
_AT_ONCE = 50  # entries under way: group commit makes transactions of several
ROLLED_BACK = 0.05


class Undone(Exception):
    """Raised to roll an entry back."""


def main(url: str, name: str, count: int, seed: int) -> None:
    """Write until `count` entries of the stream `name` are committed, those of its dead predecessors included."""
    dice, store = random.Random(seed), open_store(url)
    done = store.read(lambda unit: _count(unit, name))

    def one(n: int, *, is_undone: bool) -> "Future[None]":
        def work(unit: Unit) -> None:
            journal.append(unit, "stream", name, "written", by="t", at=datetime.now(UTC), detail={"n": n})
            if is_undone:
                raise Undone

        return store.submit(work)

    while done < count:
        some = [
            one(done + k, is_undone=dice.random() < ROLLED_BACK) for k in range(min(_AT_ONCE, count - done))
        ]
        done += sum(future.exception() is None for future in some)
    store.close()


def _count(unit: Unit, name: str) -> int:
    found = unit.row(_HEAD.where(t.journal_head.c.kind == "stream", t.journal_head.c.entity == name))
    return int(found.n) if found else 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
