"""Group commit, savepoints and what an error at COMMIT means."""

import itertools
import threading

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from store import journal, shelf
from store import tables as t
from store.database import Store


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
