"""The answers of one slice and the attempts of the next, in one transaction."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import CommitUnknown
from domain.parcel import DeliveryState
from outbox import deliver, recall, relay
from store import audience, parcels, slices
from store import tables as t
from store.database import Store
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, run_all, states, subscribe


def claimed(store, at, tmp_path):
    """(release id, a claimed parcel of twelve)."""
    subscribe(store, at, phones(12))
    release_id, (dispatch,) = approve(store, at)
    relay.relay(outgoing(store, at, tmp_path, wire=Wire()), dispatch)
    until = at + deliver.LEASE
    return release_id, store.run(lambda u: parcels.claim(u, f"{dispatch}-0", at=at, until=until))


@pytest.fixture
def opened(store, at, tmp_path):
    """As claimed() says it."""
    return claimed(store, at, tmp_path)


def accepted(slots, start: int = 0) -> list[parcels.Result]:
    return [
        parcels.Result(seq=slot.seq, state=DeliveryState.ACCEPTED, provider_id=f"SM{start + slot.seq}")
        for slot in slots
    ]


def go_on(store, held, results, at, most=4, **more):
    until = at + deliver.LEASE
    return store.run(lambda u: slices.go_on(u, held, results, most=most, at=at, until=until, **more))


def test_slice_after_slice_each_address_has_one_attempt(store, at, opened) -> None:
    release_id, held = opened
    _, slots = go_on(store, held, [], at)
    seen = []
    while slots:
        seen += slots
        _, slots = go_on(store, held, accepted(slots), at)
    assert sorted(slot.address for slot in seen) == phones(12)
    assert {slot.attempt for slot in seen} == {1}
    assert states(store, release_id) == {"accepted": 12}
    assert store.run(lambda u: parcels.settle(u, held, at)) == "settled"


def test_attempts_of_a_commit_without_an_answer_are_begun_again(store, at, opened) -> None:
    release_id, held = opened
    _, first = go_on(store, held, [], at)
    go_on(store, held, accepted(first), at)  # this COMMIT was carried out, and nobody heard of it
    assert states(store, release_id) == {"accepted": 4, "sending": 4, "queued": 4}
    _, again = go_on(store, held, accepted(first), at, takes_back=True)
    # nothing is left behind in sending, and an attempt without a call is as if never begun
    assert {slot.attempt for slot in again} == {1}
    _, rest = go_on(store, held, accepted(again), at)
    assert [slot.attempt for slot in rest] == [1] * 4
    _, none = go_on(store, held, accepted(rest), at)
    assert none == []
    assert states(store, release_id) == {"accepted": 12}


def test_a_receipt_that_came_before_the_answer_is_named(store, at, opened) -> None:
    release_id, held = opened
    _, slots = go_on(store, held, [], at)
    d = t.delivery
    raised = {"state": "delivered", "provider_id": f"SM{slots[0].seq}"}
    where = (d.c.parcel == held.parcel, d.c.seq == slots[0].seq)
    store.run(lambda u: u.execute(d.update().where(*where).values(**raised)))
    waiting_row = {
        "channel": "sms",
        "provider_id": f"SM{slots[1].seq}",
        "state": "delivered",
        "raw": b"",
        "received_at": at,
    }
    store.run(lambda u: u.execute(t.receipt.insert(), waiting_row))
    waiting, _ = go_on(store, held, accepted(slots), at)
    assert waiting == {f"SM{slots[1].seq}"}
    assert states(store, release_id) == {"delivered": 1, "accepted": 3, "sending": 4, "queued": 4}


def test_one_name_does_not_prove_two_messages(store, at, opened) -> None:
    """F40."""
    release_id, held = opened
    _, slots = go_on(store, held, [], at)
    twice = [
        *accepted(slots[:2]),
        parcels.Result(seq=slots[2].seq, state=DeliveryState.ACCEPTED, provider_id="SM0"),
    ]
    go_on(store, held, [*twice, *accepted(slots[3:])], at)
    _, rest = go_on(store, held, [], at, takes_back=True)
    late = [
        parcels.Result(seq=rest[0].seq, state=DeliveryState.ACCEPTED, provider_id="SM1"),
        *accepted(rest[1:]),
    ]
    go_on(store, held, late, at)
    codes = store.read(lambda u: u.rows(sa.select(t.delivery.c.code).where(t.delivery.c.state == "unsure")))
    assert [row.code for row in codes] == ["provider_id_repeated"] * 2
    assert states(store, release_id)["unsure"] == 2


def test_whoever_opted_out_after_the_expansion_has_no_attempt(store, at, opened) -> None:
    release_id, held = opened
    store.run(lambda u: [audience.opt_out(u, "sms", a, inbound="", at=at) for a in phones(5)])
    seen, results, slots = [], [], None
    while slots is None or slots:
        _, slots = go_on(store, held, results, at)
        seen, results = seen + slots, accepted(slots)
    assert sorted(slot.address for slot in seen) == phones(7, 5)
    assert states(store, release_id) == {"accepted": 7, "opted_out": 5}
    tries = store.read(
        lambda u: u.rows(sa.select(t.delivery.c.attempts).where(t.delivery.c.state == "opted_out"))
    )
    assert {row.attempts for row in tries} == {0}


def test_a_recalled_parcel_keeps_its_answers_and_begins_nothing(store, at, opened) -> None:
    release_id, held = opened
    _, slots = go_on(store, held, [], at)
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    waiting, none = go_on(store, held, accepted(slots), at)
    assert (waiting, none) == (frozenset(), None)
    assert states(store, release_id) == {"accepted": 4, "stopped": 8}


def test_who_lost_the_fence_writes_nothing(store, at, opened) -> None:
    release_id, held = opened
    _, slots = go_on(store, held, [], at)
    store.run(lambda u: parcels.recover(u, at + timedelta(seconds=31)))
    assert go_on(store, held, accepted(slots), at + timedelta(seconds=31)) == (None, None)
    assert states(store, release_id) == {"unsure": 4, "queued": 8}


def test_a_commit_that_is_not_answered_leaves_nobody_out_and_tells_nobody_twice(
    store: Store, at, tmp_path, monkeypatch
) -> None:
    subscribe(store, at, phones(100))
    release_id, _ = approve(store, at)
    wire = Wire()
    commit, count = Store._transaction, 0

    def unanswered(self, batch):
        nonlocal count
        count += 1
        found = commit(self, batch)
        if count % 5 == 0 and count > 20:
            raise CommitUnknown("the answer is lost")
        return found

    out = outgoing(store, at, tmp_path, wire=wire)
    monkeypatch.setattr(Store, "_transaction", unanswered)
    run_all(out)
    assert sorted(wire.taken) == phones(100)
    assert states(store, release_id) == {"accepted": 100}


def test_who_opts_out_after_a_commit_without_an_answer_is_not_called(store, at, opened) -> None:
    release_id, held = opened
    _, lost = go_on(store, held, [], at)
    store.run(lambda u: audience.opt_out(u, "sms", lost[0].address, inbound="", at=at))
    _, slots = go_on(store, held, [], at, takes_back=True, most=12)
    assert lost[0].address not in {slot.address for slot in slots}
    go_on(store, held, accepted(slots), at)
    assert states(store, release_id) == {"accepted": 11, "opted_out": 1}


def test_a_recall_after_a_commit_without_an_answer_leaves_nothing_unsure(store, at, opened) -> None:
    release_id, held = opened
    go_on(store, held, [], at)
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    assert go_on(store, held, [], at, takes_back=True) == (frozenset(), None)
    assert states(store, release_id) == {"stopped": 12}


def test_a_recall_between_the_claim_and_the_first_slice_ends_the_turn_quietly(store, at, opened) -> None:
    release_id, held = opened
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    assert go_on(store, held, [], at) == (frozenset(), None)
    assert states(store, release_id) == {"stopped": 12}
