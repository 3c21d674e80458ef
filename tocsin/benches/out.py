"""The way out: a release to many, carried by a worker process of its own."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from domain.errors import Unavailable
from tocsin.benches import place as places
from tocsin.benches.figure import Figure, in_turn
from tocsin.benches.place import Place
from tocsin.sockets import free_port

MANY, FEW = "990101", "990102"  # counties of the demo's province
_CARRIER, _BARE = "tocsin.benches.carrier", "tocsin.benches.bare"
SLICE = 32
WINDOW, WORKERS = 32, 2  # calls at a time, of so many processes


def many(place: Place, size: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """`size` recipients to a wire that answers at once; then a tenth of them, for the worker's memory."""
    few = max(size // 10, 1)
    with place.hub() as hub:
        places.subscribe(hub, size, MANY)
        places.subscribe(hub, few, FEW, start=size)
    with ExitStack() as running:
        # PostgreSQL is for several workers, an SQLite file has one writer at a time
        workers = [
            running.enter_context(place.process(_CARRIER, "taker"))
            for _ in range(WORKERS if place.store == "postgres" else 1)
        ]
        for process in workers:
            _line(process)
        peak = 0.0

        def carried() -> float:
            nonlocal peak
            found = _carried(workers[0], MANY, size)
            peak = float(found["peak_kb"])
            return size / float(found["seconds"])

        rate, bare, runs = in_turn(carried, lambda: _written(place, size), pairs, step)
    yield Figure(name="out", store=place.store, value=rate, unit="recipients/s", ceiling=bare, runs=runs, reach=15_000,
                 against="bare sqlite3: 32 attempts, 32 answers, a COMMIT each, nothing else", is_ratio=False)  # fmt: skip
    with place.process(_CARRIER, "taker") as worker:
        _line(worker)
        small = [float(_carried(worker, FEW, few)["peak_kb"]) for _ in range(pairs)][-1]
    yield Figure(name="memory", store=place.store, value=peak / 1024, unit=f"MB at {size:,} recipients",
                 ceiling=small / 1024, against=f"the same at {few:,}", reach=1.1, is_ratio=True, is_at_most=True)  # fmt: skip


def http(place: Place, size: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """`size` recipients through the SMS wire, one HTTP call each, 32 at a time in all.

    Two worker processes, as the shipped units start them: an interpreter calls with one core, like the loop
    it is compared with.
    """
    port = free_port("127.0.0.1")
    given = {
        "TOCSIN_TWILIO_BASE_URL": f"http://127.0.0.1:{port}",
        "TOCSIN_SMS_CALLS_IN_FLIGHT": str(WINDOW // WORKERS),
    }
    there = replace(place, environment={**place.environment, **given})
    with place.hub() as hub:
        places.subscribe(hub, size, MANY)
    with ExitStack() as running:
        running.enter_context(there.process(_BARE, "provider", str(port), port=port))
        loop = running.enter_context(there.process(_CARRIER, "bare", MANY))
        workers = [running.enter_context(there.process(_CARRIER, "wire")) for _ in range(WORKERS)]
        for process in (loop, *workers):
            _line(process)

        def ours() -> float:
            return size / float(_carried(workers[0], MANY, size)["seconds"])

        def bare() -> float:
            return size / float(json.loads(_ask(loop, str(size)))["seconds"])

        ours()
        bare()
        value, ceiling, runs = in_turn(ours, bare, pairs, step)
    yield Figure(name="out_http", store=place.store, value=value, unit="recipients/s", ceiling=ceiling, runs=runs,
                 against="a bare loop of the same client, 32 at a time", reach=0.8, is_ratio=True)  # fmt: skip


def _carried(worker: "subprocess.Popen[str]", area: str, count: int) -> dict[str, Any]:
    """A fresh release to `area`, carried by a worker; what is not `count` times accepted is no figure."""
    found: dict[str, Any] = json.loads(_ask(worker, area))
    if found["states"] != {"accepted": count}:
        raise Unavailable(f"{count} were to be accepted: {found['states']}", code="bench")
    return found


def _ask(process: "subprocess.Popen[str]", line: str) -> str:
    if process.stdin is None:
        raise Unavailable("a process of the bench has no input", code="bench")
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return _line(process)


def _line(process: "subprocess.Popen[str]") -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise Unavailable("a process of the bench has ended: see bench.log", code="bench")
    return line


def _written(place: Place, size: int) -> float:
    """Recipients a second when 32 attempts, then 32 answers are written by the bare library, a COMMIT each."""
    path = place.settings.data_dir / "ceiling.db"
    path.unlink(missing_ok=True)
    base = sqlite3.connect(path, isolation_level=None)
    base.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
    base.execute(
        "CREATE TABLE d (parcel TEXT, seq INTEGER, address TEXT, state TEXT, attempts INTEGER, name TEXT,"
        " PRIMARY KEY (parcel, seq))"
    )
    base.execute("BEGIN")
    base.executemany("INSERT INTO d VALUES (?, ?, ?, 'queued', 0, NULL)",
                     ((f"p{n // 500}", n % 500, f"+8619{n:09d}") for n in range(size)))  # fmt: skip
    base.execute("COMMIT")
    begun = time.perf_counter()
    for first in range(0, size, SLICE):
        names = [(f"p{n // 500}", n % 500) for n in range(first, min(first + SLICE, size))]
        for statement in ("UPDATE d SET state = 'sending', attempts = attempts + 1 WHERE parcel = ? AND seq = ?",
                          "UPDATE d SET state = 'accepted', name = 'SM' WHERE parcel = ? AND seq = ?"):  # fmt: skip
            base.execute("BEGIN IMMEDIATE")
            base.executemany(statement, names)
            base.execute("COMMIT")
    rate = size / (time.perf_counter() - begun)
    base.close()
    path.unlink()
    return rate
