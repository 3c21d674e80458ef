"""Group commit, savepoints and what an error at COMMIT means."""

import fcntl
import itertools
import os
import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, wait

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from store import journal, shelf
from store import tables as t
from store.database import Store
from tests.conftest import open_store


def _count(store: Store) -> int:
    return store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.shelf)))


def test_a_failing_closure_takes_nothing_of_its_neighbours_with_it(store: Store, at) -> None:
    def good(unit):
        return shelf.put(unit, "test", "good", at=at)

    def bad(unit):
        shelf.put(unit, "test", "bad", at=at)
        raise ValueError("after the insert")

    futures = [store.submit(bad if n % 3 == 0 else good) for n in range(60)]
    outcomes = [f.exception() for f in futures]
    assert sum(o is None for o in outcomes) == 40
    assert all(isinstance(o, ValueError) for o in outcomes if o is not None)
    assert _count(store) == 40


def test_a_broken_statement_fails_alone(store: Store, at) -> None:
    def clash(unit):
        row = {"id": "shf_1", "kind": "test", "reason": "twin", "at": at}
        unit.execute(t.shelf.insert(), row)

    first, second = store.submit(clash), store.submit(clash)
    assert first.exception() is None
    assert isinstance(second.exception(), sa.exc.IntegrityError)
    assert _count(store) == 1


def test_many_threads_share_commits_and_every_future_resolves(store: Store, at) -> None:
    done: list[str] = []

    def work() -> None:
        done.extend(store.run(lambda u: shelf.put(u, "test", "many", at=at)) for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    [x.start() for x in threads]
    [x.join() for x in threads]
    assert len(set(done)) == 200 == _count(store)


def test_a_closed_store_says_so_and_keeps_nothing(store: Store, at) -> None:
    store.close()
    with pytest.raises(Unavailable):
        store.run(lambda u: shelf.put(u, "test", "late", at=at))


def test_two_appends_to_one_stream_from_many_threads_stay_one_chain(store: Store, at) -> None:
    futures = [
        store.submit(lambda u, n=n: journal.append(u, "release", "rel_1", "vote", by=f"p{n}", at=at))
        for n in range(40)
    ]
    assert [f.exception() for f in futures] == [None] * 40
    entries = store.read(lambda u: journal.entries(u, "release", "rel_1"))
    assert [e.n for e in entries] == list(range(1, 41))
    assert all(a.hash == b.prev_hash for a, b in itertools.pairwise(entries))


def test_sqlite_is_opened_with_full_sync_and_wal(tmp_path) -> None:
    from store.engine import open_engine

    engine = open_engine(f"sqlite:///{tmp_path}/x.db", is_writer=True)
    with engine.connect() as c:
        assert c.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert c.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_caller_that_goes_away_cancels_nothing_and_the_writer_lives(store: Store, at) -> None:
    futures = [store.submit(lambda u: shelf.put(u, "test", "gone", at=at)) for _ in range(20)]
    assert not any(f.cancel() for f in futures)
    store.run(lambda u: shelf.put(u, "test", "after", at=at))
    assert _count(store) == 21


def test_all_who_wait_for_a_held_lock_are_told_together_so_that_doors_can_spool(
    sqlite_model, tmp_path, at
) -> None:
    shutil.copy(sqlite_model, tmp_path / "tocsin.db")
    store = open_store(f"sqlite:///{tmp_path}/tocsin.db")
    handle = os.open(tmp_path / "tocsin.db.lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        futures = [store.submit(lambda u: shelf.put(u, "test", "held", at=at)) for _ in range(12)]
        wait(futures[2:], return_when=FIRST_COMPLETED)  # the first may have begun before the others came
    finally:
        os.close(handle)
    assert all(isinstance(f.exception(), Unavailable) for f in futures)
    store.run(lambda u: shelf.put(u, "test", "after", at=at))
    assert _count(store) == 1
    store.close()


def test_r13_all_statements_of_one_read_see_one_committed_state(store, at) -> None:
    def entries(unit) -> int:
        return unit.scalar(sa.select(sa.func.count()).select_from(t.journal))

    def look(unit) -> tuple[int, int]:
        before = entries(unit)
        store.run(lambda other: journal.append(other, "x", "y", "z", by="t", at=at))
        return before, entries(unit)

    before, after = store.read(look)
    assert before == after
    assert store.read(entries) == before + 1
