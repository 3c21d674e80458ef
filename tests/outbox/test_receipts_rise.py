"""Receipts in any order, any number of times, before and after our own answer."""

import itertools
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.parcel import DELIVERIES, DeliveryState, Receipt
from outbox import deliver, receipts
from outbox.receipts import Taken
from store import parcels, shelf, slices
from store import tables as t
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, run_all, states, subscribe
from tests.outbox.test_deliver_slices import open_parcel

S = DeliveryState
SAID = (S.ACCEPTED, S.SENT, S.DELIVERED, S.READ, S.FAILED)


def receipt(at, state, name="SM1", **more):
    return Receipt(channel="sms", provider_id=name, state=state, received_at=at, code=f"c-{state}", **more)


@pytest.fixture
def sending(store, at, tmp_path):
    """A delivery whose call is under way: (release id, claim, slot)."""
    subscribe(store, at, phones(1))
    release_id, dispatches = approve(store, at)
    out = outgoing(store, at, tmp_path, wire=Wire())
    (parcel,) = open_parcel(out, dispatches)
    held = store.run(lambda u: parcels.claim(u, parcel, at=at, until=at + deliver.LEASE))
    (slot,) = store.run(lambda u: slices.go_on(u, held, [], most=8, at=at, until=at + deliver.LEASE)[1])
    return release_id, held, slot


def row(store):
    d = t.delivery.c
    return tuple(store.read(lambda u: u.rows(sa.select(d.state, d.provider_id, d.code)))[0])


def answered(store, held, slot, at, state=S.ACCEPTED):
    result = parcels.Result(seq=slot.seq, state=state, provider_id="SM1" if state is S.ACCEPTED else "")
    assert store.run(lambda u: deliver._write(u, held, [result], at))


class _Undo(Exception):
    """Ends a trial without keeping it."""


def final_row(store, at, held, slot, sequence):
    """The row after our answer and the receipts of `sequence`; None stands for our own answer."""
    found = []

    def trial(unit):
        for said in sequence:
            if said is None:
                result = parcels.Result(seq=slot.seq, state=S.ACCEPTED, provider_id="SM1")
                deliver._write(unit, held, [result], at)
            else:
                receipts.take(unit, receipt(at, said, address=slot.address), at)
        d = t.delivery.c
        found.append(tuple(unit.rows(sa.select(d.state, d.provider_id))[0]))
        raise _Undo

    with pytest.raises(_Undo):
        store.run(trial)
    return found[0]


def test_r12_every_permutation_of_every_set_of_receipts_ends_in_one_row(store, at, sending):
    _, held, slot = sending
    for size in range(1, len(SAID) + 1):
        for chosen in itertools.combinations(SAID, size):
            ends = {
                final_row(store, at, held, slot, order) for order in itertools.permutations([None, *chosen])
            }
            assert len(ends) == 1, (chosen, ends)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([None, *SAID * 3]))
def test_r12_three_copies_of_each_receipt_in_any_order_end_alike(store, at, sending, order):
    _, held, slot = sending
    assert final_row(store, at, held, slot, order) == ("read", "SM1")


def test_r12_a_receipt_that_overtakes_our_answer_is_held_and_applied_with_it(store, at, sending):
    _, held, slot = sending
    early = receipt(at, S.DELIVERED, address=slot.address)
    assert store.run(lambda u: receipts.take(u, early, at)) is Taken.HELD
    assert row(store)[0] == "sending"
    answered(store, held, slot, at)
    assert row(store) == ("delivered", "SM1", "c-delivered")
    assert store.run(lambda u: receipts.take(u, early, at)) is Taken.REPEATED


def test_a_receipt_that_crossed_our_commit_is_applied_by_the_sweep(store, at, sending):
    _, held, slot = sending
    result = parcels.Result(seq=slot.seq, state=S.ACCEPTED, provider_id="SM1")
    store.run(lambda u: receipts.take(u, receipt(at, S.SENT), at))
    store.run(lambda u: slices.record(u, held, [result], at))  # each transaction saw nothing of the other
    assert store.run(lambda u: receipts.apply_waiting(u, at)) == 1
    assert row(store) == ("sent", "SM1", "c-sent")


@pytest.mark.parametrize("state", SAID)
def test_our_own_tag_settles_what_was_unsure_and_tells_the_providers_name(store, at, sending, state):
    release_id, held, slot = sending
    answered(store, held, slot, at, S.UNSURE)
    tagged = receipt(at, state, name="SM9", delivery_id=f"{held.parcel}-{slot.seq}", address=slot.address)
    assert store.run(lambda u: receipts.take(u, tagged, at)) is Taken.APPLIED
    assert row(store) == (state.value, "SM9", f"c-{state}")
    assert states(store, release_id) == {state.value: 1}


def test_a_receipt_of_another_address_goes_to_the_shelf(store, at, sending):
    _, held, slot = sending
    answered(store, held, slot, at)
    wrong = receipt(at, S.DELIVERED, address="+8613999999999", raw=b"To=...")
    assert store.run(lambda u: receipts.take(u, wrong, at)) is Taken.MISMATCH
    assert row(store)[0] == "accepted"
    (item,) = store.read(shelf.pending)
    assert (item.kind, item.reason, item.raw) == ("receipt", "receipt_mismatch", b"To=...")


def test_a_second_message_under_our_tag_goes_to_the_shelf(store, at, sending):
    _, held, slot = sending
    answered(store, held, slot, at)
    other = receipt(at, S.DELIVERED, name="SM2", delivery_id=f"{held.parcel}-{slot.seq}")
    assert store.run(lambda u: receipts.take(u, other, at)) is Taken.MISMATCH
    assert row(store)[:2] == ("accepted", "SM1")


def test_a_receipt_nobody_knows_waits_ten_minutes_and_is_then_shelved(store, at):
    unknown = receipt(at, S.DELIVERED, name="SM404")
    assert store.run(lambda u: receipts.take(u, unknown, at)) is Taken.HELD
    assert store.run(lambda u: receipts.apply_waiting(u, at + timedelta(minutes=9))) == 0
    assert store.run(lambda u: receipts.apply_waiting(u, at + timedelta(minutes=10))) == 1
    assert [i.reason for i in store.read(shelf.pending)] == ["unknown_receipt"]
    assert store.run(lambda u: receipts.apply_waiting(u, at + timedelta(minutes=20))) == 0


@pytest.mark.parametrize("tag", ["-", "x-y", "dsp_1-0-", "dsp_1-0-99999999999", "dsp_1-0-٣", "a" * 80])
def test_a_tag_that_is_not_ours_is_no_error(store, at, tag):
    assert store.run(lambda u: receipts.take(u, receipt(at, S.SENT, delivery_id=tag), at)) is Taken.HELD


def test_the_answer_after_a_receipt_by_tag_does_not_lower_it(store, at, sending):
    _, held, slot = sending
    tagged = receipt(at, S.DELIVERED, delivery_id=f"{held.parcel}-{slot.seq}", address=slot.address)
    assert store.run(lambda u: receipts.take(u, tagged, at)) is Taken.APPLIED
    answered(store, held, slot, at)
    assert row(store)[:2] == ("delivered", "SM1")


def test_a_throttled_answer_after_a_receipt_by_tag_does_not_queue_it_again(store, at, sending, tmp_path):
    release_id, held, slot = sending
    tagged = receipt(at, S.DELIVERED, delivery_id=f"{held.parcel}-{slot.seq}", address=slot.address)
    store.run(lambda u: receipts.take(u, tagged, at))
    store.run(lambda u: deliver._write(u, held, [parcels.Result(seq=slot.seq, state=S.QUEUED)], at))
    store.run(lambda u: parcels.settle(u, held, at))
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert wire.started == []
    assert states(store, release_id) == {"delivered": 1}


def test_the_moves_never_lead_down_the_ranks():
    rank = {S.ACCEPTED: 1, S.SENT: 2, S.FAILED: 3, S.DELIVERED: 4, S.READ: 5}
    for (before, _action), after in DELIVERIES.table.items():
        if before in rank and after in rank:
            assert rank[before] < rank[after]
