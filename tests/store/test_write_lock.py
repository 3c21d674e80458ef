"""Processes that write all the time into one SQLite file each get their turns."""

import multiprocessing
import shutil
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import pytest

from store import shelf
from tests.conftest import open_store

SECONDS = 2.0
STARVES = 1.0  # seconds that no writer may wait: with BEGIN IMMEDIATE and a busy timeout one waited for three


def write_all_the_time(url: str, line: Connection) -> None:
    """Say that it begins, write until the time is over, tell how often and the longest wait."""
    store = open_store(url)
    line.send("ready")
    line.recv()
    count, longest, end = 0, 0.0, time.monotonic() + SECONDS
    while (begun := time.monotonic()) < end:
        store.run(lambda unit: shelf.put(unit, "test", "turn", at=datetime.now(UTC)))
        count, longest = count + 1, max(longest, time.monotonic() - begun)
    line.send((count, longest))
    store.close()


@pytest.mark.parametrize("writers", [2, 3])
def test_writers_in_several_processes_take_turns_and_none_starves(sqlite_model, tmp_path, writers) -> None:
    shutil.copy(sqlite_model, tmp_path / "tocsin.db")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    lines = []
    for _ in range(writers):
        ours, theirs = context.Pipe()
        context.Process(
            target=write_all_the_time, args=(f"sqlite:///{tmp_path}/tocsin.db", theirs), daemon=True
        ).start()
        lines.append(ours)
    for line in lines:
        assert line.poll(30)
        assert line.recv() == "ready"
    for line in lines:
        line.send("go")
    found = [line.recv() for line in lines if line.poll(60)]
    assert len(found) == writers
    counts, waits = [count for count, _ in found], [longest for _, longest in found]
    assert max(waits) < STARVES, found
    assert min(counts) > max(counts) / 3, found
