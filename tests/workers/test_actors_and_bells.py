"""Actors, bells and the sweep: in one process, and over a Redis that fails in every way."""

import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_client

from outbox import sweep
from outbox.outgoing import Jobs
from store import inbox
from tests import servers
from tests.outbox.outbox_kit import Wire, approve, jobs_of, outgoing, phones, states, subscribe
from workers import actors
from workers.app import Ringer, Workers, broker, start_workers
from workers.timers import Chore, Timers, outbox_chores


def now() -> datetime:
    return datetime.now(UTC)


def eventually(claim, seconds=15.0):
    """Wait until `claim()` holds; how long it took."""
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() - begun < seconds, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - begun


class Process:
    """What a worker process runs, inside this one: broker, bell, workers, timers."""

    def __init__(self, store, tmp_path, wire, url="", *, with_workers=True, jobs=jobs_of, clock=now):
        self.broker = broker(url)
        self.ringer = Ringer(self.broker)
        self.out = outgoing(store, now(), tmp_path, wire=wire, clock=clock, bell=self.ringer)
        self.jobs = jobs(self.out)
        self.workers: Workers | None = None
        if with_workers:
            self.workers = start_workers(self.jobs, self.broker, 3)
        self.errors: list[str] = []
        self.is_stopped = False
        self.timers = Timers(
            store=store, clock=clock, bell=self.ringer, jobs=self.jobs, sources=[sweep.due],
            chores=outbox_chores(self.out), on_error=lambda what, error: self.errors.append(f"{what}: {error}"),
        )  # fmt: skip
        self.timers.start()

    def stop(self) -> None:
        if self.is_stopped:
            return
        self.is_stopped = True
        self.timers.stop()
        self.ringer.close()
        if self.workers:
            self.workers.stop(timedelta(seconds=5))
        self.out.courier.close()


@pytest.fixture
def process(store, tmp_path):
    made = []

    def make(wire, url="", **more):
        made.append(Process(store, tmp_path, wire, url, **more))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_every_job_has_its_actor_and_an_actor_runs_its_job():
    ran = []
    names = ("file_report", "relay", "deliver", "publish")
    jobs = Jobs(**{name: lambda row_id, name=name: ran.append((name, row_id)) for name in names})
    made = {one.actor_name: one for one in actors.declare(jobs, broker())}
    assert list(made) == list(actors.QUEUES)
    for name in names:
        made[name]("id")
    assert ran == [(name, "id") for name in names]


def test_the_broker_retries_nothing_and_limits_nothing():
    made = broker()
    assert [type(m).__name__ for m in made.middleware] == ["Retries"]
    assert made.middleware[0].max_retries == 0
    for one in actors.declare(Jobs(file_report=print, relay=print, deliver=print, publish=print), made):
        assert one.options["max_retries"] == 0


def test_a_release_leaves_through_the_workers_of_one_process(store, process):
    subscribe(store, now(), phones(1100))
    wire = Wire()
    one = process(wire)
    release_id, dispatches = approve(store, now(), channels=("sms", "web_notice"))
    for dispatch in dispatches:
        one.ringer("relay", dispatch)
    eventually(lambda: states(store, release_id) == {"accepted": 1100}, 30)
    assert sorted(wire.taken) == phones(1100)
    assert (one.out.public_dir / "alerts" / release_id / "index.html").exists()
    assert one.errors == []


def test_r5_without_any_bell_a_release_begins_within_a_second(store, process):
    subscribe(store, now(), phones(10))
    wire = Wire()
    process(wire)
    release_id, _ = approve(store, now())
    eventually(lambda: wire.started, 2)  # relay and deliver are each found by a sweep of 0.5 s
    eventually(lambda: states(store, release_id) == {"accepted": 10})


def test_r5_without_a_broker_and_without_workers_a_release_begins_within_five_seconds(store, process):
    subscribe(store, now(), phones(10))
    wire = Wire()
    process(wire, f"redis://127.0.0.1:{servers.free_port()}/0", with_workers=False)
    release_id, dispatches = approve(store, now(), channels=("sms", "web_notice"))
    assert eventually(lambda: wire.started, 10) < 5
    eventually(lambda: states(store, release_id) == {"accepted": 10})


def test_a_bell_never_blocks_and_never_raises_when_redis_hangs(tmp_path):
    with servers.redis(tmp_path) as url:
        ringer = Ringer(broker(url))
        redis_client.Redis.from_url(url).client_pause(3000)  # answers nobody for 3 s
        slowest = 0.0
        for n in range(12_000):  # more than may wait
            begun = time.monotonic()
            ringer("deliver", f"p{n}")
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 0.25
        ringer.close()


@pytest.mark.parametrize("harm", ["flush", "restart", "kill"])
def test_everything_arrives_whatever_happens_to_redis(store, process, tmp_path, harm):
    subscribe(store, now(), phones(1200))
    port = servers.free_port()
    wire = Wire()
    wire.delay = 0.01
    running = servers.redis(tmp_path, port=port)
    url = running.__enter__()
    try:
        one, two = process(wire, url), process(wire, url)
        release_id, dispatches = approve(store, now(), channels=("sms", "web_notice"))
        one.ringer("relay", dispatches[0])
        eventually(lambda: len(wire.started) > 100)
        if harm == "flush":
            for _ in range(10):
                redis_client.Redis.from_url(url).flushall()
                time.sleep(0.1)
        else:
            running.__exit__(None, None, None)  # SIGKILL
            if harm == "restart":
                running = servers.redis(tmp_path, port=port)
                running.__enter__()
        eventually(lambda: states(store, release_id) == {"accepted": 1200}, 60)
    finally:
        one.stop()
        two.stop()
        if harm != "kill":
            running.__exit__(None, None, None)
    assert sorted(wire.taken) == phones(1200)


def test_r38_a_worker_whose_consumer_has_died_says_so_and_leaves():
    heard: list[int] = []
    made = broker()
    running = start_workers(
        Jobs(file_report=print, relay=print, deliver=print, publish=print), made, 2, on_deaf=heard.append
    )
    time.sleep(2.2)
    assert heard == []
    next(
        iter(running.pools[0].consumers.values())
    ).stop()  # as after finding 14: the thread ends, all else lives
    eventually(lambda: heard == [70], 6)
    running.stop(timedelta(seconds=2))


def test_f41_r38_a_deaf_worker_process_exits_with_70(tmp_path):
    script = textwrap.dedent("""
        import time
        from outbox.outgoing import Jobs
        from workers.app import broker, start_workers
        workers = start_workers(Jobs(file_report=print, relay=print, deliver=print, publish=print), broker(), 1)
        next(iter(workers.pools[1].consumers.values())).stop()
        time.sleep(30)
    """)
    assert subprocess.run([sys.executable, "-c", script], timeout=25, check=False).returncode == 70


def test_a_failing_job_and_a_failing_chore_do_not_end_the_sweep(store, at):
    heard: list[str] = []
    done: list[str] = []

    def fail(row_id: str) -> None:
        raise RuntimeError(row_id)

    timers = Timers(
        store=store, clock=lambda: at, bell=lambda *_: None,
        jobs=Jobs(file_report=fail, relay=fail, deliver=done.append, publish=fail),
        sources=[lambda unit, at: [("relay", "d1"), ("deliver", "p1")]],
        chores=[Chore(name="bad", every=timedelta(seconds=0), run=lambda: 1 / 0)],
        on_error=lambda what, error: heard.append(what),
    )  # fmt: skip
    timers.start()
    eventually(lambda: len(done) > 2 and heard.count("relay") > 2 and heard.count("bad") > 2)
    assert timers.is_alive
    timers.stop()


def test_a_row_is_rung_for_once_in_five_seconds_and_run_here_after_two(store, at):
    rung: list[tuple[str, str]] = []
    ran: list[str] = []
    due_at = at
    times = [at]
    timers = Timers(
        store=store, clock=lambda: times[0], bell=lambda *row: rung.append(row),
        jobs=Jobs(file_report=ran.append, relay=ran.append, deliver=ran.append, publish=ran.append),
        sources=[lambda unit, at: [("deliver", "p1")] if at >= due_at else [],
                 lambda unit, at: [("file_report", i) for i in inbox.due(unit, at)]],
    )  # fmt: skip
    timers.sweep()
    timers.sweep()
    assert rung == [("deliver", "p1")]
    assert ran == []
    times[0] = at + timedelta(seconds=2)
    timers.sweep()
    eventually(lambda: ran == ["p1"])
    assert rung == [("deliver", "p1")]
    timers.stop()


def test_r21_f39_a_flood_of_reports_leaves_runners_and_bells_to_a_release(store, at):
    over, started, ran, rung = threading.Event(), [], [], []

    def file(row_id: str) -> None:
        started.append(row_id)
        over.wait(20)

    due = [[("relay", "d0")], [("file_report", f"i{n}") for n in range(50)]]
    timers = Timers(
        store=store, clock=lambda: at, bell=lambda *row: rung.append(row),
        jobs=Jobs(file_report=file, relay=ran.append, deliver=ran.append, publish=ran.append),
        sources=[lambda unit, at: [], lambda unit, at: due[1]],
    )  # fmt: skip
    timers.sweep()
    timers.sweep()
    eventually(lambda: len(started) == 2)
    again = Timers(
        store=store, clock=lambda: at, bell=lambda *row: rung.append(row),
        jobs=Jobs(file_report=file, relay=ran.append, deliver=ran.append, publish=ran.append),
        sources=[lambda unit, at: due[0], lambda unit, at: due[1]],
    )  # fmt: skip
    rung.clear()
    again.look_first()
    assert rung == [("relay", "d0")]  # before any chore, and nothing else is looked for
    again.sweep()
    eventually(lambda: ran == ["d0"])
    eventually(lambda: len(started) == 4)  # two of each
    over.set()
    timers.stop()
    again.stop()
