"""What a broker does to us: a real Redis that forgets, stops, hangs, is full or read-only, or tells lies.

Every promise is a row, so each of these may cost seconds and nothing else: the provider's book has every address once.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import redis as redis_client
import sqlalchemy as sa
from dramatiq import Message

from domain.errors import NotNow
from outbox.outgoing import Jobs, Outgoing
from store import tables as t
from tests import servers
from tests.outbox.outbox_kit import Wire, approve, jobs_of, phones, states, subscribe
from tests.workers.test_actors_and_bells import Process, eventually, now
from workers.actors import QUEUES
from workers.app import Ringer, broker

LATE = 5.0  # seconds that a due row may wait whatever the broker does (R5)
SEED = int(os.environ.get("TOCSIN_FAULT_SEED", "7"))


class Redis:
    """A server that can be stopped, started again, hung, and asked."""

    def __init__(self, directory) -> None:
        self.directory, self.port = directory, servers.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._running: contextlib.AbstractContextManager[str] | None = None
        self.start()

    def start(self, *, is_empty: bool = False) -> None:
        if is_empty:
            for path in sorted(self.directory.rglob("*appendonly*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        self._running = servers.redis(self.directory, port=self.port)
        self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            running.__exit__(None, None, None)

    @property
    def client(self) -> redis_client.Redis:
        return redis_client.Redis.from_url(self.url, socket_timeout=2)

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        pid = self.client.info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def redis(tmp_path) -> Iterator[Redis]:
    (tmp_path / "redis").mkdir()
    made = Redis(tmp_path / "redis")
    yield made
    made.stop()


@pytest.fixture
def process(store, tmp_path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(wire: Wire, url: str, **more) -> Process:
        started.append(Process(store, tmp_path, wire, url, **more))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def longest_gap(wire: Wire) -> float:
    """Seconds between two calls, the longest."""
    moments = sorted(at for _, at in wire.started)
    return max((b - a for a, b in pairwise(moments)), default=0.0)


def is_over(store, release: str) -> bool:
    return set(states(store, release)) == {"accepted"}


@pytest.mark.parametrize("people", [600, pytest.param(10_000, marks=pytest.mark.faults)])
def test_r5_f6_a_broker_that_is_emptied_each_second_costs_seconds_and_nothing_else(
    store, process, redis, people
) -> None:
    subscribe(store, now(), phones(people))
    wire = Wire()
    wire.delay = 0.02
    one, _two = process(wire, redis.url), process(wire, redis.url)
    release, dispatches = approve(store, now())
    over = threading.Event()

    def flush() -> None:
        while not over.wait(1.0):
            redis.client.flushall()

    thread = threading.Thread(target=flush, daemon=True)
    redis.client.flushall()
    thread.start()
    one.ringer("relay", dispatches[0])
    try:
        eventually(lambda: is_over(store, release), 30 + people / 30)
    finally:
        over.set()
        thread.join(5)
    assert sorted(wire.taken) == phones(people)
    assert longest_gap(wire) < LATE


def failing_once(out: Outgoing) -> Jobs:
    """Jobs whose first run for each parcel fails, as code does that has a fault or a database that is away."""
    whole, failed = jobs_of(out), set()

    def deliver(row_id: str) -> None:
        if row_id not in failed:
            failed.add(row_id)
            raise RuntimeError("a failing job")
        whole.deliver(row_id)

    return replace(whole, deliver=deliver)


LONG = [
    pytest.param(s, e, marks=pytest.mark.faults)
    for s in (5.0, 15.0, 60.0)
    for e in (False, True)
    if (s, e) != (5, True)
]


@pytest.mark.parametrize(("seconds", "is_empty"), [(5.0, True), *LONG])
def test_r5_f7_f44_a_job_that_fails_while_the_broker_is_away_is_a_row_and_runs_again(
    store, process, redis, seconds, is_empty
) -> None:
    subscribe(store, now(), phones(30))
    wire = Wire(lambda _a, n: NotNow("later", retry_after=timedelta(seconds=1)) if n == 1 else None)
    process(wire, redis.url, jobs=failing_once)
    release, _ = approve(store, now())
    eventually(lambda: store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.id))), 20)
    redis.stop()
    stopped_at = time.monotonic()
    begun = eventually(lambda: is_over(store, release), 40)  # without the broker
    redis_away = seconds - (time.monotonic() - stopped_at)
    threading.Event().wait(max(redis_away, 0))
    redis.start(is_empty=is_empty)
    later, _ = approve(store, now(), author="per_later")
    eventually(lambda: is_over(store, later), 40)
    assert begun < 40
    assert sorted(wire.taken) == sorted(phones(30) * 2)
    assert {
        key for key in redis.client.keys("*.DQ") if redis.client.llen(key)
    } == set()  # nothing is ever delayed


@pytest.mark.parametrize("harm", ["hung", "full", "replica"])
def test_f8_a_broker_that_hangs_is_full_or_read_only_holds_up_neither_a_caller_nor_a_release(
    store, process, redis, harm
) -> None:
    subscribe(store, now(), phones(20))
    wire = Wire()
    one = process(wire, redis.url)
    with contextlib.ExitStack() as stack:
        if harm == "hung":
            stack.enter_context(redis.hung())
        elif harm == "full":
            redis.client.config_set("maxmemory", "1")
            redis.client.config_set("maxmemory-policy", "noeviction")
        else:
            redis.client.replicaof("127.0.0.1", servers.free_port())
        release, dispatches = approve(store, now())
        slowest = 0.0
        for _ in range(200):
            begun = time.monotonic()
            one.ringer("relay", dispatches[0])
            slowest = max(slowest, time.monotonic() - begun)
        assert (
            eventually(lambda: wire.started, 20) < 2 * LATE
        )  # a relay and a delivery, each found within LATE
        eventually(lambda: is_over(store, release), 20)
    assert slowest < 0.25
    assert sorted(wire.taken) == phones(20)


def test_f9_bells_that_are_doubled_shuffled_old_or_of_nothing_wake_nobody_twice(
    store, process, redis
) -> None:
    dice = random.Random(SEED)
    subscribe(store, now(), phones(300))
    wire = Wire()
    wire.delay = 0.005
    process(wire, redis.url), process(wire, redis.url)
    release, dispatches = approve(store, now())
    by_hand = broker(redis.url)
    rings = [("relay", dispatches[0])] * 10 + [("deliver_urgent", f"{dispatches[0]}-0")] * 10
    rings += [
        ("deliver", "par_nobody"),
        ("publish", "dsp_nobody"),
        ("file_report", "x" * 60),
        ("deliver", ""),
    ]
    for _ in range(3):
        dice.shuffle(rings)
        for job, row_id in rings:
            by_hand.enqueue(
                Message(queue_name=QUEUES[job], actor_name=job, args=(row_id,), kwargs={}, options={})
            )
    eventually(lambda: is_over(store, release), 40)
    old = [("relay", dispatches[0]), ("deliver_urgent", f"{dispatches[0]}-0")] * 5  # of what is long done
    for job, row_id in old:
        by_hand.enqueue(
            Message(queue_name=QUEUES[job], actor_name=job, args=(row_id,), kwargs={}, options={})
        )
    eventually(lambda: not any(redis.client.llen(f"dramatiq:{name}") for name in QUEUES.values()), 20)
    assert sorted(wire.taken) == phones(300)
    assert is_over(store, release)


def test_f42_a_worker_whose_clock_is_a_minute_and_a_half_ahead_sends_nothing_twice(
    store, process, redis
) -> None:
    subscribe(store, now(), phones(400))
    wire = Wire()
    wire.delay = 0.05
    process(wire, redis.url)
    process(wire, redis.url, clock=lambda: datetime.now(UTC) + timedelta(seconds=90))
    release, _ = approve(store, now())
    eventually(lambda: set(states(store, release)) in ({"accepted"}, {"unsure"}, {"accepted", "unsure"}), 60)
    assert len(set(wire.taken)) == len(wire.taken), "nobody is called twice"
    unsure = states(store, release).get("unsure", 0)  # a lease was taken over between the row and the call
    assert set(wire.taken) <= set(phones(400)) and len(wire.taken) >= 400 - unsure


def test_f42_the_same_bell_in_two_workers_at_once_is_one_claim(store, process, redis) -> None:
    subscribe(store, now(), phones(100))
    wire = Wire()
    wire.delay = 0.01
    one, two = process(wire, ""), process(wire, "")
    release, _ = approve(store, now())
    eventually(lambda: store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.id))), 20)
    parcel = store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.id)))
    together = threading.Barrier(8)

    def run(jobs: Jobs) -> None:
        together.wait()
        jobs.deliver(parcel)

    threads = [threading.Thread(target=run, args=(jobs,)) for jobs in (one.jobs, two.jobs) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    eventually(lambda: is_over(store, release), 20)
    assert sorted(wire.taken) == phones(100)


@pytest.mark.parametrize("harm", ["full", "refuses_writes"])
def test_f43_a_broker_that_cannot_note_an_acknowledgement_rings_again_for_what_is_done(
    store, process, redis, harm
) -> None:
    subscribe(store, now(), phones(40))
    wire = Wire()
    wire.delay = 0.05
    one = process(wire, redis.url)
    release, dispatches = approve(store, now())
    one.ringer("relay", dispatches[0])
    eventually(lambda: wire.started, 20)
    if harm == "full":  # while the job runs: its acknowledgement meets a full Redis
        redis.client.config_set("maxmemory-policy", "noeviction")
        redis.client.config_set("maxmemory", "1")
    else:  # NOREPLICAS, refused like MISCONF; the latter wants a disk that cannot be written
        redis.client.config_set("min-replicas-to-write", "1")
    eventually(lambda: is_over(store, release), 40)
    redis.client.config_set("maxmemory", "0")
    redis.client.config_set("min-replicas-to-write", "0")
    later, dispatches = approve(store, now(), author="per_later")
    one.ringer("relay", dispatches[0])
    eventually(lambda: is_over(store, later), 40)
    assert sorted(wire.taken) == sorted(phones(40) * 2)


def test_a_bell_that_nobody_can_take_is_dropped_and_not_raised(tmp_path) -> None:
    ringer = Ringer(broker(f"redis://127.0.0.1:{servers.free_port()}/0"))
    for n in range(100):
        ringer("deliver", f"p{n}")
    ringer.close()
