"""A worker that hears nothing any more says so by leaving (R38)."""

import secrets
import threading
import time

import pytest
from dramatiq import Message

from outbox.outgoing import Jobs
from tests.conftest import _psql
from tests.faults.lines import events
from tests.faults.wire import Kind, Wire
from tests.servers import free_port, redis
from tests.walks.houses import house, until
from tocsin.pulse import EXIT_DEAF
from workers.actors import QUEUES
from workers.app import broker, start_workers


def test_f41_r38_after_redis_was_away_no_worker_lives_on_deaf(tmp_path) -> None:
    """Finding 14: more delayed messages than a consumer holds, due while Redis is away."""
    left: list[int] = []
    ran: list[str] = []
    port = free_port()
    server = redis(tmp_path, port=port)
    rooms = broker(server.__enter__())
    workers = start_workers(_jobs(ran), rooms, 2, on_deaf=left.append)
    try:
        for n in range(3):
            rooms.enqueue(_bell(f"late {n}"), delay=4_000)
        consumers = [one for pool in workers.pools for one in pool.consumers.values()]
        until(lambda: any(one.delay_queue.qsize() for one in consumers), "one of them is taken up", 20)
        server.__exit__(None, None, None)
        time.sleep(5)  # they are due while nobody answers
        with redis(tmp_path, port=port):
            rooms.enqueue(_bell("fresh"))
            until(lambda: left == [EXIT_DEAF] or "fresh" in ran, "it leaves, or it hears", 30)
    finally:
        threading.Thread(target=workers.stop, daemon=True).start()


def _bell(row: str) -> Message:
    return Message(queue_name=QUEUES["relay"], actor_name="relay", args=(row,), kwargs={}, options={})


def _jobs(ran: list[str]) -> Jobs:
    return Jobs(**dict.fromkeys(Jobs.__dataclass_fields__, ran.append))


@pytest.mark.faults
def test_r38_a_worker_whose_database_is_silent_for_5_s_leaves_and_one_that_is_refused_waits(
    tmp_path, postgres_url
) -> None:
    host, port = postgres_url.rpartition("@")[2].split(":")
    name = f"d{secrets.token_hex(4)}"
    _psql(postgres_url, f"CREATE DATABASE {name} TEMPLATE model")
    with Wire(host, int(port)) as line:
        url = f"postgresql+psycopg://tocsin@127.0.0.1:{line.port}/{name}"
        with house(tmp_path / "data", database_url=url) as made:
            made.start("kept", "keep", "worker")
            until(lambda: bool(events(made, "kept", "keeper.ready")), "a worker")
            line.turn(Kind.REFUSE)
            line.reset()
            time.sleep(8)  # longer than a silent database is borne
            assert events(made, "kept", "keeper.ended") == []
            line.turn(Kind.PASS)
            time.sleep(3)
            line.turn(Kind.BLACKHOLE)
            until(lambda: bool(events(made, "kept", "keeper.ended")), "it leaves", 40)
            assert events(made, "kept", "process.deaf")[0]["parts"] == ["leases"]
            assert events(made, "kept", "keeper.ended")[0]["code"] == EXIT_DEAF
            line.turn(Kind.PASS)
            until(lambda: len(events(made, "kept", "keeper.ready")) == 2, "another hears", 60)
