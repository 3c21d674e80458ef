"""The door into the outbox, the token bucket, and sums that hold."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.artefact import Artefact, Purpose
from domain.errors import BadInput, IllegalMove, NotFound, NotNow
from domain.release import State
from outbox import ledger, progress, relay
from outbox.pace import Pace
from store import audience, promises, releases
from store import tables as t
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, run_all, subscribe


def test_r8_promises_are_written_in_the_callers_transaction_or_not_at_all(store, at):
    release_id, before = approve(store, at)
    release = store.read(lambda u: releases.get(u, release_id))

    def fails(unit):
        other = Artefact(id="art_x", channel="sms", language="en", media_type="text/plain", body=b"x")
        releases.put_artefacts(unit, release_id, "d", [(other, "")])
        assert len(ledger.put(unit, release=release, artefacts=[other], at=at)) == 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.run(fails)
    assert [d.id for d in store.read(lambda u: promises.of_release(u, release_id))] == before


def test_the_same_artefact_twice_is_one_promise_and_endings_wait(store, at):
    release_id, before = approve(store, at, channels=("sms", "web_notice"))
    release = store.read(lambda u: releases.get(u, release_id))
    artefacts = store.read(lambda u: releases.artefacts(u, release_id, release.digest))
    again = store.run(lambda u: ledger.put(u, release=release, artefacts=artefacts, at=at))
    assert sorted(again) == sorted(before)
    ending = replace(artefacts[0], id="art_e", purpose=Purpose.LIFT)
    assert store.run(lambda u: ledger.put(u, release=release, artefacts=[ending], at=at)) == []


@pytest.mark.parametrize("state", [s for s in State if s is not State.APPROVED])
def test_only_an_approved_release_gets_promises(store, at, state):
    release_id, _ = approve(store, at)
    release = replace(store.read(lambda u: releases.get(u, release_id)), state=state)
    with pytest.raises(IllegalMove):
        store.run(lambda u: ledger.put(u, release=release, artefacts=[], at=at))


def test_a_promise_without_an_approved_artefact_cannot_be_a_row(store, at):
    _, (dispatch,) = approve(store, at)
    row = store.read(lambda u: promises.get(u, dispatch))
    with pytest.raises(sa.exc.IntegrityError):
        store.run(lambda u: promises.add(u, replace(row, id="dsp_x", artefact="art_unknown"), at))
    with pytest.raises(sa.exc.IntegrityError):
        store.run(lambda u: u.execute(t.dispatch.update().values(artefact=None)))


def test_r13_sums_are_the_reach_before_during_and_after(store, at, tmp_path, monkeypatch):
    # A constant is patched: 10,000 recipients for each chunk would only make the same test slower.
    monkeypatch.setattr(audience, "PARCELS_PER_CHUNK", 1)
    subscribe(store, at, phones(1300))
    release_id, dispatches = approve(store, at, channels=("sms", "web_notice"))
    out = outgoing(store, at, tmp_path, wire=Wire())

    def summary():
        found = store.read(lambda u: progress.summary(u, release_id))
        sms = found["channels"]["sms"]
        assert found["adds_up"] and found["reach"] == sms["reach"] == 1300
        return sms["unexpanded"], sms["states"]

    assert summary() == (1300, {})
    sms = next(d for d in dispatches if store.read(lambda u, d=d: promises.get(u, d)).channel == "sms")
    store.run(lambda u: relay._take(u, out, sms))
    store.run(lambda u: relay._expand(u, out, sms))
    assert summary() == (800, {"queued": 500})
    store.run(lambda u: promises.postpone(u, sms, at))
    run_all(out)
    assert summary() == (0, {"accepted": 1300})
    found = store.read(lambda u: progress.summary(u, release_id))
    assert found["state"] == "published"
    assert found["channels"]["web_notice"]["reach"] is None
    assert found["channels"]["sms"]["first_at"] == found["channels"]["sms"]["last_at"] == at
    with pytest.raises(NotFound):
        store.read(lambda u: progress.summary(u, "rel_unknown"))


def test_the_first_calls_begin_before_thousands_are_written_down(store, at, tmp_path):
    subscribe(store, at, phones(5000))
    _, (sms,) = approve(store, at)
    rung: list[tuple[str, int]] = []

    def bell(_job: str, parcel: str) -> None:
        there = store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.delivery)))
        rung.append((parcel, there))

    relay.relay(outgoing(store, at, tmp_path, wire=Wire(), bell=bell), sms)
    assert [there for _, there in rung] == [2000] * 4 + [5000] * 6
    assert [parcel for parcel, _ in rung] == [f"{sms}-{n}" for n in range(10)]


def test_a_list_grows_by_versions_and_keeps_one_row_for_the_same_thing(store, at):
    first = subscribe(store, at, phones(3))
    assert subscribe(store, at, phones(4)) == first + 1
    assert store.read(lambda u: audience.count(u, channel="sms", areas=["990101"])) == (first + 1, 4)
    older = store.read(lambda u: audience.count(u, channel="sms", areas=["99"], list_version=first))
    assert older == (first, 3)
    assert len(store.read(lambda u: u.rows(sa.select(t.recipient.c.id)))) == 4
    with pytest.raises(BadInput):
        store.run(lambda u: audience.add(u, [{"channel": "sms", "address": "", "area": "990101"}], at))


def test_an_opt_out_of_someone_who_became_responsible_later_ends_nothing(store, at):
    (phone,) = phones(1)
    subscribe(store, at, [phone])
    assert store.run(lambda u: audience.opt_out(u, "sms", phone, inbound="inb_1", at=at)) == "subscriptions"
    subscribe(store, at, [phone], group=audience.RESPONSIBLE)
    assert store.run(lambda u: audience.opt_out(u, "sms", phone, inbound="inb_2", at=at)) == "responsible"
    assert store.read(lambda u: audience.opted_out(u, "sms", [phone])) == frozenset()


async def _times(pace: Pace, count: int) -> list[float]:
    loop, begun = asyncio.get_running_loop(), []

    async def one() -> None:
        await pace.take()
        begun.append(loop.time())

    await asyncio.gather(*(one() for _ in range(count)))
    return sorted(begun)


def test_a_burst_is_followed_by_the_steady_rate():
    times = asyncio.run(_times(Pace(100, burst=5), 25))
    assert times[4] - times[0] < 0.01
    assert 0.19 < times[-1] - times[0] < 0.4


def test_a_pause_the_provider_asked_for_holds_everyone_and_then_ends():
    clock = [0.0]
    pace = Pace(10, burst=2, monotonic=lambda: clock[0])
    pace.hold(timedelta(seconds=30))
    with pytest.raises(NotNow) as held:
        asyncio.run(pace.take())
    assert held.value.retry_after == timedelta(seconds=30)
    clock[0] = 30.0
    asyncio.run(pace.take())


def test_a_call_that_is_several_messages_takes_as_many_of_the_pace(store, at, tmp_path):
    class Counted(Pace):
        taken = 0

        def try_take(self) -> bool:
            self.taken += 1
            return True

    class Long(Wire):
        def weight(self, payload: bytes) -> int:
            return len(payload) // 10

    pace, wire = Counted(100, burst=10), Long()
    out = outgoing(store, at, tmp_path, wire=wire, pace=pace)
    subscribe(store, at, phones(3))
    approve(store, at)
    run_all(out)
    (payload,) = wire.payloads
    assert (len(wire.taken), pace.taken) == (3, 3 * (len(payload) // 10))


@pytest.mark.parametrize("rate", [0, -1])
def test_no_share_lets_nothing_through(rate):
    with pytest.raises(NotNow):
        asyncio.run(Pace(rate).take())
