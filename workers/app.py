"""The broker of a process, its bell and its worker threads."""

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import redis
from dramatiq import Broker, Message, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from outbox.outgoing import Jobs
from workers import heard
from workers.actors import QUEUES, declare
from workers.heard import HeardRedis, HeardStub

# LIMITS.md, "dramatiq + Redis": stock settings poll at up to 1 s and re-run a dead worker's message after
# minutes. Rows recover what is lost either way; these make the common case quick.
HEARTBEAT_MS = 5_000
MAINTENANCE_PER_MILLION = 1_000_000
POLL_MS = 100  # 47/88 ms idle latency (p50/p95) at 2 % of a core
SOCKET_SECONDS = 2.0  # a hung Redis costs a consumer this long; nobody else waits for it
BELLS_WAITING = 10_000  # then rings are dropped: the sweep finds the rows
DEAF_AFTER = timedelta(seconds=2)
SILENT_LOOKS = 5  # a consumer that asks for nothing in 10 s is stuck: twice what a hung Redis costs it
EXIT_DEAF = 70  # sysexits.h EX_SOFTWARE: the supervisor starts a new process


def broker(redis_url: str = "") -> Broker:
    """In this process, or Redis when its URL is given. No server is contacted here."""
    middleware = [Retries(max_retries=0)]
    made: Broker
    if not redis_url:
        made = HeardStub(middleware=list(middleware), fail_fast_default=False)
    else:
        pool = redis.ConnectionPool.from_url(
            redis_url, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        made = HeardRedis(  # type: ignore[no-untyped-call]  # its __init__ has no types
            client=redis.Redis(connection_pool=pool), middleware=list(middleware),
            heartbeat_timeout=HEARTBEAT_MS, maintenance_chance=MAINTENANCE_PER_MILLION,
        )  # fmt: skip
    for name in QUEUES.values():
        made.declare_queue(name)
    return made


class Ringer:
    """``ringer(job, id)`` puts a bell into the broker: at once for the caller, whatever the broker does."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._rings: queue.Queue[tuple[str, str] | None] = queue.Queue(BELLS_WAITING)
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
        self._thread.start()

    def __call__(self, job: str, row_id: str) -> None:
        """Ring; dropped when too many wait. Never raises, never blocks."""
        try:
            self._rings.put_nowait((job, row_id))
        except queue.Full:
            return

    def close(self) -> None:
        """Drop what waits and end the thread."""
        while True:
            try:
                self._rings.put_nowait(None)
            except queue.Full:
                try:
                    self._rings.get_nowait()
                except queue.Empty:
                    continue
            else:
                break
        self._thread.join(SOCKET_SECONDS * 2)

    def _run(self) -> None:
        while (ring := self._rings.get()) is not None:
            job, row_id = ring
            try:
                self._broker.enqueue(
                    Message(queue_name=QUEUES[job], actor_name=job, args=(row_id,), kwargs={}, options={})
                )
            except Exception:  # noqa: S112 (any failure of a broker costs one bell and nothing else)
                continue


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Running worker threads."""

    pools: tuple[Worker, ...]
    watch: threading.Thread
    leaving: threading.Event

    def stop(self, timeout: timedelta = timedelta(seconds=10)) -> None:
        """Let what runs finish, for `timeout` at most: with Redis gone a thread may wait to acknowledge."""
        self.leaving.set()
        half = int(timeout.total_seconds() * 500)  # dramatiq waits that long for workers, then for consumers
        ends = [threading.Thread(target=pool.stop, args=(half,), daemon=True) for pool in self.pools]
        for end in ends:
            end.start()
        deadline = time.monotonic() + timeout.total_seconds()
        for end in ends:
            end.join(max(deadline - time.monotonic(), 0))


def start_workers(
    jobs: Jobs, broker: Broker, threads: int = 4, *, on_deaf: Callable[[int], object] = os._exit
) -> Workers:
    """Run the actors, half of `threads` for each lane: two slices fill the window of a wire, more only wait for the store.

    `on_deaf(70)` is called when one of their threads has died: the process would look healthy and hear no
    bell (R38). One call per broker.
    """
    declare(jobs, broker)
    few = max(threads // 2, 2)
    sizes = {
        ("deliver",): few, ("deliver_urgent",): few, ("deliver_mail",): few, ("relay",): few,
        ("publish",): 1,  # the public directory has one writer; and no call waits behind a page
        ("file_report",): max(threads // 2, 1), ("study_report",): 1, ("fetch_media", "attach_upload"): 2, ("scan_file",): 1,
        ("read_bulletin",): 1, ("pull_peer",): 2, ("tell_webhook",): 2,
        ("check_sender",): few,
    }  # fmt: skip
    pools = tuple(_pool(broker, {QUEUES[job] for job in lane}, size) for lane, size in sizes.items())
    leaving = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(pools, broker, leaving, on_deaf), name="hearing", daemon=True
    )
    watch.start()
    return Workers(pools=pools, watch=watch, leaving=leaving)


def _pool(broker: Broker, names: set[str], size: int) -> Worker:
    pool = Worker(broker, queues=names, worker_timeout=POLL_MS, worker_threads=size)
    pool.queue_prefetch = size  # never holds more than it runs (finding 16)
    pool.delay_prefetch = 1  # nothing is ever delayed by the broker
    pool.start()
    return pool


def _watch(
    pools: tuple[Worker, ...], broker: Broker, leaving: threading.Event, on_deaf: Callable[[int], object]
) -> None:
    seen: dict[str, int] = {}
    silent: Counter[str] = Counter()
    while not leaving.wait(DEAF_AFTER.total_seconds()):
        threads = [t for pool in pools for t in (*pool.consumers.values(), *pool.workers)]
        polls = dict(heard.polls(broker))
        for name, count in polls.items():  # looks are counted, not seconds: a stopped process was not silent
            silent[name] = silent[name] + 1 if seen.get(name) == count else 0
        seen = polls
        is_deaf = any(not t.is_alive() for t in threads) or max(silent.values(), default=0) >= SILENT_LOOKS
        if is_deaf and not leaving.is_set():
            on_deaf(EXIT_DEAF)
            return


def answers(broker: Broker) -> bool:
    """Whether a bell would be heard now; one in this process always is."""
    return bool(broker.client.ping()) if isinstance(broker, RedisBroker) else True


def append_only(redis_url: str) -> bool:
    """Whether that Redis writes bells down (AOF). Raises redis.RedisError when it does not answer."""
    with redis.Redis.from_url(redis_url, socket_timeout=SOCKET_SECONDS) as client:
        return bool(client.info("persistence").get("aof_enabled"))
