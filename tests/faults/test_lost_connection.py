"""PostgreSQL's connection is lost inside a slice, at statements that go past SQLAlchemy: nobody is lost or called twice."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from store import in_loop, parcels, promises, slices
from store.database import Store
from tests.conftest import open_store
from tests.faults.wire import Kind, Wire
from tests.outbox.outbox_kit import Wire as Provider
from tests.outbox.outbox_kit import approve, outgoing, phones, run_all, states, subscribe

PEOPLE = 300  # several slices of a parcel
STATEMENTS = {
    "begin": slices._BEGIN, "answers": slices._ANSWERS, "named": slices._NAMED[True],
    "renew": parcels._RENEW, "tombstone": promises._TOMBSTONE,
}  # fmt: skip
STEP = slices._STEP.partition(":")[0].encode()  # as far as psycopg leaves it as it is
SILENCE = 0.5  # seconds that the loop waits for an answer here
pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


async def no_line(_work: object) -> None:
    """What a step answers while the loop has no line: the thread does it."""


@contextlib.contextmanager
def through_a_line(database_url: str) -> Iterator[tuple[Wire, Store]]:
    """A line to the server that can be harmed, and a store whose connections go through it."""
    where = sa.make_url(database_url)
    with Wire(where.host or "", where.port or 0) as line:
        through = open_store(
            where.set(host="127.0.0.1", port=line.port).render_as_string(hide_password=False)
        )
        yield line, through
        through.close()


def to_the_end(out) -> None:
    for _ in range(50):
        try:
            run_all(out)
        except Unavailable:  # a worker leaves the row due, and the sweep finds it again
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it never comes to its end")


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_connection_lost_in_a_slice_is_unavailable_and_costs_nobody_his_message(
    store, database_url, at, tmp_path, monkeypatch, name
) -> None:
    subscribe(store, at, phones(PEOPLE))
    release, _ = approve(store, at)
    sight = STATEMENTS[name].partition(":")[0].encode()
    with through_a_line(database_url) as (line, through):
        monkeypatch.setattr(through, "at_once", no_line)
        provider = Provider()
        out = outgoing(through, at, tmp_path, wire=provider)
        line.turn(Kind.CUT_AT_SIGHT, count=2, sight=sight)
        to_the_end(out)
        assert line.cuts > 0, "the connection was never lost there"
        out.courier.close()
    assert Counter(provider.taken) == dict.fromkeys(phones(PEOPLE), 1)
    assert states(store, release) == {"accepted": PEOPLE}


def unheard(line: Wire) -> None:
    """The server does every second step, and nobody hears of it."""
    line.turn(Kind.CUT_AT_SIGHT, count=2, sight=STEP)


def cut_in_the_middle(line: Wire) -> None:
    line.turn(Kind.CUT_REQUEST, count=700)


def broken(line: Wire) -> None:
    line.reset()


def swallowed(line: Wire) -> None:
    line.turn(Kind.BLACKHOLE)


@pytest.mark.parametrize("harm", [unheard, cut_in_the_middle, broken, swallowed])
def test_a_step_of_which_nobody_hears_leaves_nobody_out_unsure_or_called_twice(
    store, database_url, at, tmp_path, monkeypatch, harm: Callable[[Wire], None]
) -> None:
    monkeypatch.setattr(in_loop, "PATIENCE_SECONDS", SILENCE)
    monkeypatch.setattr(in_loop, "AGAIN_SECONDS", 0.01)
    subscribe(store, at, phones(2 * PEOPLE))
    release, _ = approve(store, at)
    with through_a_line(database_url) as (line, through):
        steps, do = [], slices.step

        def watched(*given, **more):
            steps.append(time.monotonic())
            if len(steps) == 4:
                harm(line)
            return do(*given, **more)

        monkeypatch.setattr(slices, "step", watched)
        provider = Provider()
        provider.delay = 0.002
        out = outgoing(through, at, tmp_path, wire=provider)
        healing = threading.Timer(4 * SILENCE, line.turn, (Kind.PASS,))
        healing.start()
        to_the_end(out)
        healing.join()
        assert len(steps) > 4, "the loop never said a step"
        out.courier.close()
    assert Counter(provider.taken) == dict.fromkeys(phones(2 * PEOPLE), 1)
    assert states(store, release) == {"accepted": 2 * PEOPLE}


@pytest.mark.parametrize("is_first", [True, False])
def test_r4_f12_a_database_that_goes_before_its_answer_and_comes_back_within_the_lease_leaves_nobody_unsure(
    store, database_url, at, tmp_path, monkeypatch, is_first
) -> None:
    """What such a step began has led to no call and is taken back, in the first step of a turn as in any other."""
    monkeypatch.setattr("store.audience.BATCH", PEOPLE // 3)
    subscribe(store, at, phones(PEOPLE))
    release, _ = approve(store, at)
    with through_a_line(database_url) as (line, through):
        gone, do = [], slices.step

        def going(unit, held, results, **more):
            found = do(unit, held, results, **more)
            if not gone and found.slots and (not results) is is_first:
                gone.extend(found.slots)
                line.turn(Kind.REFUSE)
                threading.Timer(4 * SILENCE, line.turn, (Kind.PASS,)).start()
                raise sa.exc.OperationalError("", {}, OSError())
            return found

        monkeypatch.setattr(slices, "step", going)
        provider = Provider()
        out = outgoing(through, at, tmp_path, wire=provider)
        to_the_end(out)
        assert gone, "no such step was lost"
        out.courier.close()
    assert Counter(provider.taken) == dict.fromkeys(phones(PEOPLE), 1)
    assert states(store, release) == {"accepted": PEOPLE}
