"""An ordinary step in one statement of PostgreSQL: all of it, or nothing that cannot be done again."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.parcel import DeliveryState
from outbox import deliver, recall
from store import audience, parcels, slices
from store import tables as t
from tests.outbox.outbox_kit import states
from tests.outbox.test_slices import accepted, claimed, go_on

postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
TICK = timedelta(microseconds=1)


class Stepping:
    """A holder of a parcel who says one step after the other."""

    def __init__(self, store, at, release, held) -> None:
        self.store, self.release, self.held = store, release, held
        self.was = at + deliver.LEASE  # as the fixture claims it

    def step(self, results, at, *, most=4, is_told=True):
        until = at + deliver.LEASE
        found = self.store.run(
            lambda u: slices.step(u, self.held, results, most=most, at=at, was=self.was, until=until)
        )
        if is_told:
            self.was = until
        return found


@pytest.fixture
def stepping(store, at, tmp_path):
    return Stepping(store, at, *claimed(store, at, tmp_path))


@postgres
def test_step_after_step_each_address_has_one_attempt(store, at, stepping) -> None:
    said, seen = [], []
    for n in range(1, 4):
        found = stepping.step(said, at + n * TICK)
        assert found.is_done and not found.is_stopped
        seen += found.slots
        said = accepted(found.slots)
    last = stepping.step(said, at + 4 * TICK)
    assert last.is_done and last.slots == []
    assert [slot.seq for slot in seen] == list(range(12))
    assert {slot.attempt for slot in seen} == {1}
    assert states(store, stepping.release) == {"accepted": 12}


@postgres
def test_a_step_that_comes_late_behind_others_does_nothing(store, at, stepping) -> None:
    first = stepping.step([], at + TICK)
    late = Stepping(store, at, stepping.release, stepping.held)
    late.was = stepping.was
    go_on(
        store, stepping.held, accepted(first.slots), at + 2 * TICK, takes_back=True
    )  # what was done instead
    before = states(store, stepping.release)
    assert before == {"accepted": 4, "sending": 4, "queued": 4}
    for said in (accepted(first.slots), []):
        found = late.step(said, at + 3 * TICK)
        assert not found.is_done and found.slots == []
        assert states(store, stepping.release) == before


@postgres
def test_a_step_that_is_said_twice_is_done_once(store, at, stepping) -> None:
    first = stepping.step([], at + TICK)
    again = accepted(first.slots)
    assert stepping.step(again, at + 2 * TICK, is_told=False).is_done
    found = stepping.step(again, at + 3 * TICK)
    assert not found.is_done and found.slots == []
    _, slots = go_on(store, stepping.held, again, at + 4 * TICK, takes_back=True)
    assert [(slot.seq, slot.attempt) for slot in slots] == [(n, 1) for n in range(4, 8)]
    assert states(store, stepping.release) == {"accepted": 4, "sending": 4, "queued": 4}


@postgres
@pytest.mark.parametrize("where", ["delivery", "receipt"])
def test_a_name_that_is_known_already_is_left_to_who_looks_closer(store, at, stepping, where) -> None:
    first = stepping.step([], at + TICK)
    said = accepted(first.slots)

    def known(unit) -> None:
        if where == "delivery":
            mine = (t.delivery.c.parcel == stepping.held.parcel, t.delivery.c.seq == 11)
            unit.execute(t.delivery.update().where(*mine).values(provider_id=said[0].provider_id))
        else:
            unit.execute(t.receipt.insert().values(channel="sms", provider_id=said[0].provider_id, state="delivered",
                                                   raw=b"", received_at=at))  # fmt: skip

    store.run(known)
    found = stepping.step(said, at + 2 * TICK)
    assert not found.is_done and found.slots == []
    assert states(store, stepping.release) == {"sending": 4, "queued": 8}


@postgres
def test_what_a_receipt_has_raised_meanwhile_is_done_again_and_not_lowered(store, at, stepping) -> None:
    first = stepping.step([], at + TICK)
    said = accepted(first.slots)
    mine = (t.delivery.c.parcel == stepping.held.parcel, t.delivery.c.seq == first.slots[0].seq)
    store.run(lambda u: u.execute(t.delivery.update().where(*mine).values(state="sent")))
    found = stepping.step(said, at + 2 * TICK)
    assert not found.is_done
    go_on(store, stepping.held, said, at + 3 * TICK, takes_back=True)
    assert states(store, stepping.release) == {"sent": 1, "accepted": 3, "sending": 4, "queued": 4}
    attempts = store.read(lambda u: set(u.rows(sa.select(t.delivery.c.state, t.delivery.c.attempts))))
    assert {tuple(row) for row in attempts} == {
        ("sent", 1), ("accepted", 1), ("sending", 1), ("queued", 0),
    }  # fmt: skip


@postgres
def test_who_opted_out_has_no_attempt_and_ends_no_parcel(store, at, stepping) -> None:
    rows = store.read(lambda u: u.rows(sa.select(t.delivery.c.address).order_by(t.delivery.c.seq)))
    for row in rows[:4]:
        store.run(lambda u, row=row: audience.opt_out(u, "sms", row.address, inbound="", at=at))
    found = stepping.step([], at + TICK)
    assert not found.is_done and found.slots == []  # all of this slice are out: not that nobody is queued
    assert states(store, stepping.release) == {"opted_out": 4, "queued": 8}
    mixed = stepping.step([], at + 2 * TICK, most=8)
    assert mixed.is_done and [slot.seq for slot in mixed.slots] == list(range(4, 12))


@postgres
def test_a_recalled_or_lost_parcel_is_not_stepped(store, at, stepping) -> None:
    release, held = stepping.release, stepping.held
    first = stepping.step([], at + TICK)
    store.run(lambda u: recall.stop(u, release, by="x", at=at, reason="r"))
    found = stepping.step(accepted(first.slots), at + 2 * TICK)
    assert not found.is_done and found.slots == [] and found.is_stopped
    go_on(store, held, accepted(first.slots), at + 3 * TICK, takes_back=True)
    assert states(store, release) == {"accepted": 4, "stopped": 8}


@pytest.mark.parametrize(
    "odd",
    [
        parcels.Result(seq=0, state=DeliveryState.UNSURE, code="deadline"),
        parcels.Result(seq=0, state=DeliveryState.QUEUED),
        parcels.Result(seq=0, state=DeliveryState.QUEUED, moved_to="+861390001"),
        parcels.Result(seq=0, state=DeliveryState.FAILED, gone="+861390000"),
        parcels.Result(seq=0, state=DeliveryState.ACCEPTED, provider_id="SM9"),
    ],
)
def test_what_is_not_ordinary_takes_the_longer_way(odd) -> None:
    usual = parcels.Result(seq=1, state=DeliveryState.ACCEPTED, provider_id="SM9")
    assert slices.is_ordinary([usual])
    assert not slices.is_ordinary([usual, odd])
