"""The power-cut tool finds each mistake that was planted, and none where there is none."""

import contextlib
import random
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.faults import powercut
from tests.faults.disk import Disk
from tests.faults.powercut import Replay

pytestmark = pytest.mark.faults
COUNT = 12


def kept(image: Path, kind: str) -> set[int]:
    """What a door finds when it starts again."""
    if not kind.startswith("sqlite"):
        frames = [path.read_bytes() for path in image.glob("*.frame")]
        return {int(frame.split(b":")[0]) for frame in frames if frame.endswith(b"END")}
    if not (image / "door.db").exists():
        return set()
    with contextlib.closing(sqlite3.connect(image / "door.db")) as connection:
        return {n for (n,) in connection.execute("SELECT n FROM kept")}


def lost(tmp_path: Path, kind: str) -> list[tuple[str, set[int]]]:
    """Every cut after which an answered message is gone, with and without torn writes."""
    root, before = tmp_path / "door", tmp_path / "before"
    root.mkdir()
    shutil.copytree(root, before)
    trace = tmp_path / "trace"
    powercut.record(trace, [sys.executable, "-m", "tests.faults.careless", str(root), kind, str(COUNT)])
    found = []
    disk, answered = Disk(root, before), set()
    for step in Replay(disk).steps(trace):
        answered |= {int(n) for n in re.findall(rb"kept (\d+)", step.sent)}
        for dice in (None, random.Random(1), random.Random(2)):
            image = tmp_path / "image"
            shutil.rmtree(image, ignore_errors=True)
            disk.image(image, dice)
            gone = answered - kept(image, kind) if answered else set()
            if gone:
                found.append((step.what, gone))
    assert answered == set(range(COUNT)), "every answer was seen"
    return found


@pytest.mark.parametrize("kind", ["spool", "sqlite_full"])
def test_a_door_that_syncs_before_it_answers_loses_nothing_at_any_cut(tmp_path, kind) -> None:
    assert lost(tmp_path, kind) == []


@pytest.mark.parametrize("kind", [
    "spool_without_fsync", "spool_without_directory", "spool_answers_first", "sqlite_normal",
    "sqlite_full_answers_first",
])  # fmt: skip
def test_a_door_that_is_careless_is_found_out(tmp_path, kind) -> None:
    assert lost(tmp_path, kind)
