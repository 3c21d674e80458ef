"""A turn with a parcel inside the courier's loop: what a provider said is written down, whatever happens around it."""

import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from outbox import deliver, relay, sweep, window
from outbox.guard import is_switched_off
from outbox.window import Courier
from store import parcels, slices
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, states, subscribe
from tests.outbox.test_slices import accepted, claimed
from tests.outbox.test_steps_at_once import TICK, Stepping, postgres

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def now() -> datetime:
    return datetime.now(UTC)


@sqlite
@pytest.mark.parametrize(("width", "turns", "slow"), [(16, 1, 0.9), (16, 2, 0.5), (16, 2, 0.7), (4, 1, 0.8)])
def test_a_provider_that_becomes_slow_has_its_answers_written_within_the_lease(
    store, tmp_path, monkeypatch, width, turns, slow
) -> None:
    """At a tenth of the real times; each lease is as long as three calls may be."""
    monkeypatch.setattr(deliver, "LEASE", timedelta(seconds=3))
    monkeypatch.setattr(deliver, "CALLS_LAST", timedelta(seconds=1.2))
    monkeypatch.setattr(window, "DEADLINE", timedelta(seconds=1))
    people = phones(200 * turns)
    subscribe(store, now(), people)
    release, (dispatch,) = approve(store, now())
    provider = Wire(
        lambda _address, _n: setattr(provider, "delay", slow if len(provider.taken) > 100 else 0.01)
    )
    provider.window = width
    out = outgoing(store, now(), tmp_path, wire=provider, clock=now)
    monkeypatch.setattr("store.audience.BATCH", 200)
    relay.relay(out, dispatch)
    is_over = threading.Event()

    def recovering() -> None:
        while not is_over.wait(0.1):
            store.run(lambda unit: sweep.recover(unit, now()))

    ends: list[deliver.Ended] = []
    names = [f"{dispatch}-{n}" for n in range(turns)]
    taking = [threading.Thread(target=lambda n=name: ends.append(deliver.deliver(out, n))) for name in names]
    watching = threading.Thread(target=recovering)
    for one in (watching, *taking):
        one.start()
    for one in taking:
        one.join()
    is_over.set()
    watching.join()
    found = states(store, release)
    out.courier.close()
    assert set(ends) <= {deliver.Ended.SETTLED, deliver.Ended.TURN_OVER}
    assert found["accepted"] == len(provider.taken) > 100
    assert set(found) <= {"accepted", "queued"}
    assert max(Counter(provider.taken).values()) == 1


@postgres
def test_a_step_that_comes_late_behind_what_the_thread_wrote_does_nothing(store, at, tmp_path) -> None:
    release, held = claimed(store, at, tmp_path)
    stepping = Stepping(store, at, release, held)
    first = stepping.step([], at + TICK)
    store.run(lambda u: slices.record(u, held, accepted(first.slots), at + 2 * TICK, takes_back=True))
    late = stepping.step([], at + 3 * TICK)
    assert not late.is_done and late.slots == []
    assert store.run(lambda u: parcels.settle(u, held, at + 4 * TICK)) == "ready"
    assert states(store, release) == {"accepted": 4, "queued": 8}


def test_what_was_said_is_kept_when_the_turn_itself_fails(store, at, tmp_path, monkeypatch) -> None:
    subscribe(store, at, phones(40))
    release, (dispatch,) = approve(store, at)
    provider = Wire()
    out = outgoing(store, at, tmp_path, wire=provider)
    relay.relay(out, dispatch)
    usual, looks = deliver._end_of_turn, []

    def failing(*given, **more):
        looks.append(1)
        if len(looks) == 2:
            raise TimeoutError("a mistake, or a disk that does not answer")
        return usual(*given, **more)

    monkeypatch.setattr(deliver, "_end_of_turn", failing)
    with pytest.raises(TimeoutError):
        deliver.deliver(out, f"{dispatch}-0")
    found = states(store, release)
    out.courier.close()
    assert found == {"accepted": len(provider.taken), "queued": 40 - len(provider.taken)}
    assert len(provider.taken) > 0


def test_a_turn_that_times_out_by_itself_ends_at_once() -> None:
    courier = Courier()

    async def late() -> None:
        raise TimeoutError("ETIMEDOUT")

    with pytest.raises(TimeoutError, match="ETIMEDOUT"):
        courier.run(late())
    courier.close()
    assert courier.run(late()) is None  # its loop has ended


@sqlite
def test_a_kill_switch_of_which_nobody_can_tell_is_set(store, at, tmp_path) -> None:
    subscribe(store, at, phones(3))
    release, (dispatch,) = approve(store, at)
    provider = Wire()
    out = outgoing(store, at, tmp_path, wire=provider)
    assert not is_switched_off(os.fspath(out.stop_file))
    relay.relay(out, dispatch)
    os.symlink(out.stop_file, out.stop_file)  # ELOOP for whoever looks
    assert deliver.deliver(out, f"{dispatch}-0") is deliver.Ended.WAITS
    out.courier.close()
    assert provider.started == [] and states(store, release) == {"queued": 3}


def test_f31_a_courier_that_gets_too_few_threads_fails_and_holds_nothing(monkeypatch) -> None:
    usual, named = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("names"):
            named.append(thread)
            if len(named) == 3:
                raise RuntimeError("can't start new thread")
        usual(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start"):
        Courier()
    for thread in named[:2]:
        thread.join(5)
        assert not thread.is_alive()
