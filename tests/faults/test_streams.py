"""Readers of the journal see each committed entry once, whoever writes, rolls back, dies or forgets to commit."""

import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from domain.handling import Mode
from hub.health import Health, Trouble
from store import hub as hub_row
from store import journal, sessions, stream
from store import tables as t
from store.database import Store
from tests.conftest import open_store
from tests.faults.schedule import seeds
from tests.walks.houses import ROOT

WRITERS = 8


def after(store: Store, cursor: stream.Cursor) -> list[sa.Row[Any]]:
    return store.read(lambda unit: stream.after(unit, cursor))


def start(url: str, n: int, count: int, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.faults.stream_writer", url, f"w{n}", str(count), str(seed)]
    return subprocess.Popen(command, cwd=ROOT)


def is_whole(url: str, count: int, *, kills: int, seed: int, writing: int = WRITERS) -> None:
    """Writers write `count` entries each and are killed and begun again; one reader follows meanwhile."""
    dice, store, cursor = random.Random(seed), open_store(url), stream.Cursor()
    seen: Counter[int] = Counter()
    last = (-1, -1)
    writers = {n: start(url, n, count, seed + n) for n in range(writing)}
    kill_at = sorted(dice.uniform(0.05, 0.95) * writing * count for _ in range(kills))
    is_over = False
    while True:
        rows = after(store, cursor)
        for row in rows:
            assert (row.xid, row.seq) > last, "the order is stable"
            last = (row.xid, row.seq)
            seen[row.seq] += 1
            cursor = stream.Cursor(row.xid, row.seq)
        if not rows and is_over:
            break
        if kill_at and len(seen) > kill_at[0]:
            kill_at.pop(0)
            victim = dice.choice(list(writers))
            writers[victim].kill()
            writers[victim].wait(10)
            writers[victim] = start(url, victim, count, dice.randrange(1 << 30))
        is_over = not rows and all(writer.poll() is not None for writer in writers.values())
    there = store.read(lambda unit: {row.seq for row in unit.rows(sa.select(t.journal.c.seq))})
    store.close()
    assert all(writer.returncode == 0 for writer in writers.values())
    assert max(seen.values()) == 1, "none is seen twice"
    assert seen.keys() == there, "none is missed"
    assert len(there) >= writing * count
    assert kill_at == [], "every kill was dealt"


@pytest.mark.parametrize("seed", seeds(range(1, 2)))
def test_r33_a_reader_sees_each_committed_entry_exactly_once(database_url, seed) -> None:
    is_whole(database_url, 60, kills=1, seed=seed, writing=3)


@pytest.mark.faults
@pytest.mark.parametrize("seed", seeds(range(1, 2)))
def test_r33_a_reader_sees_each_of_80000_entries_exactly_once_though_writers_die(database_url, seed) -> None:
    is_whole(database_url, 10_000, kills=20, seed=seed)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_f48_a_transaction_left_open_is_ended_within_five_seconds_and_nothing_is_skipped(
    database_url, tmp_path
) -> None:
    store = open_store(database_url)
    for name in ("spool", "public"):
        (tmp_path / name).mkdir()

    def write(n: int) -> None:
        store.run(
            lambda u: journal.append(u, "stream", f"e{n}", "w", by="t", at=datetime.now(UTC), is_first=True)
        )

    store.run(lambda unit: hub_row.init(unit, Mode.DEMO, "test", datetime.now(UTC)))
    where = sa.make_url(database_url)
    with psycopg.connect(
        host=where.host, port=where.port, user=where.username, dbname=where.database
    ) as forgotten:
        forgotten.execute("SELECT pg_current_xact_id()")  # and it goes for lunch
        opened = time.monotonic()
        cursor, seen = store.read(stream.head), []
        longest = last = 0.0
        n = 0
        while time.monotonic() - opened < 6 or not seen:
            write(n)
            n += 1
            if time.monotonic() - last > 1:  # the chore of each worker
                last = time.monotonic()
                if store.read(sessions.holding):
                    store.run(lambda unit: sessions.end_idle(unit, datetime.now(UTC)))
            rows = after(store, cursor)
            for row in rows:
                cursor = stream.Cursor(row.xid, row.seq)
                seen.append(row.entity)
                longest = max(longest, (datetime.now(UTC) - row.at).total_seconds())
        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
    rows = after(store, cursor)
    seen += [row.entity for row in rows]
    health = Health(store=store, data_dir=tmp_path, clock=lambda: datetime.now(UTC))
    assert Trouble.STREAM_HELD in health.look().troubles
    assert store.read(lambda unit: journal.entries(unit, *sessions.STREAM)[-1].act) == "session_ended"
    later = Health(store=store, data_dir=tmp_path, clock=lambda: datetime.now(UTC) + timedelta(minutes=6))
    assert Trouble.STREAM_HELD not in later.look().troubles
    store.close()
    assert 2 < longest < 5
    assert [e for e in seen if e.startswith("e")] == [f"e{k}" for k in range(n)]
