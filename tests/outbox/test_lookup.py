"""Look-ups: what a provider's list proves, and what becomes of deliveries nobody knows the end of."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import NotNow, Unsure
from domain.parcel import DeliveryState, Receipt
from outbox import deliver, receipts
from outbox.lookup import APART, FIRST_LOOK, REPEATS_AT_MOST, SILENT_FOR, Lookups
from store import audience, journal, parcels, slices
from store import tables as t
from tests.outbox.lookup_kit import ONE
from tests.outbox.outbox_kit import (
    TEXT,
    Standing,
    Wire,
    approve,
    outgoing,
    phones,
    run_all,
    states,
    subscribe,
)
from tests.outbox.test_deliver_slices import open_parcel
from tests.outbox.test_endings import end


@pytest.fixture
def unsure(house, store, at):
    """The house with one unsure delivery, and its release."""
    subscribe(store, at, [ONE])
    house.release, house.dispatches = approve(store, at)
    house.send()
    assert states(store, house.release) == {"unsure": 1}
    return house


def test_nobody_is_asked_before_a_receipt_has_had_its_time(unsure) -> None:
    assert unsure.look(timedelta(seconds=1)) == 0
    assert unsure.wire.asked == []
    assert unsure.look(FIRST_LOOK) == 1


@pytest.mark.parametrize(
    "state", [DeliveryState.ACCEPTED, DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED]
)
def test_a_message_on_the_list_is_written_down_with_its_name_and_how_it_stands(unsure, state) -> None:
    unsure.wire.hold(ONE, sid="SMfound", state=state)
    unsure.look(FIRST_LOOK)
    assert unsure.one() == [(state.value, "SMfound", 1)]
    assert unsure.look(timedelta(minutes=2)) == 0
    entries = unsure.store.read(lambda u: journal.entries(u, "release", unsure.release))
    assert [e.detail for e in entries if e.act == "look_up"] == [
        {"parcel": unsure.dispatches[0] + "-0", "found": 1}
    ]


def test_absent_twice_a_minute_apart_is_sent_again_and_once_is_not(unsure) -> None:
    assert unsure.look(FIRST_LOOK) == 1
    assert unsure.look(APART - timedelta(seconds=1)) == 0
    assert unsure.one() == [("unsure", None, 1)]
    assert unsure.look(timedelta(seconds=1)) == 1
    assert unsure.one() == [("queued", None, 1)]
    unsure.send()
    assert unsure.one() == [("accepted", f"SM{unsure.dispatches[0]}-0-0", 2)]
    assert len(unsure.wire.started) == 2
    assert states(unsure.store, unsure.release) == {"accepted": 1}


def test_a_message_that_the_list_shows_late_is_found_at_the_second_look(unsure) -> None:
    unsure.look(FIRST_LOOK)
    unsure.wire.hold(ONE, sid="SMlate")
    unsure.look(APART)
    assert unsure.one() == [("sent", "SMlate", 1)]
    assert len(unsure.wire.started) == 1


@pytest.mark.parametrize(
    "error", [Unsure("500"), NotNow("429", retry_after=timedelta(seconds=7)), KeyError("x")]
)
def test_a_list_that_does_not_come_proves_nothing(unsure, error) -> None:
    unsure.wire.fails = error
    for _ in range(4):
        unsure.look(timedelta(minutes=10))
    assert unsure.one() == [("unsure", None, 1)]
    assert unsure.verdicts() == [""]


def test_a_message_of_another_text_that_no_row_explains_proves_no_absence(unsure) -> None:
    unsure.wire.hold(ONE, sid="SMother", text="Sent from your trial account - " + TEXT["zh-CN"])
    for _ in range(4):
        unsure.look(timedelta(minutes=2))
    assert unsure.one() == [("unsure", None, 1)]
    assert unsure.verdicts() == ["unclear"]


def test_a_message_that_another_delivery_bears_is_neither_ours_nor_a_riddle(house, store, at) -> None:
    subscribe(store, at, [ONE])
    house.wire._say = lambda _a, n: None if n == 1 else Unsure("silence") if n == 2 else None
    _, first = approve(store, at)
    house.send()
    house.wire.hold(ONE, sid=f"SM{first[0]}-0-0")
    house.pass_time(timedelta(seconds=1))
    approve(store, house.clock.at, author="per_other")
    house.send()
    house.look(FIRST_LOOK)
    house.look(APART)
    assert [state for state, _, _ in house.one()] == ["accepted", "queued"]


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_two_unsure_ones_of_one_text_to_one_phone_are_found_together_or_not_at_all(
    house, store, at, held
) -> None:
    house.wire._say = lambda _a, n: Unsure("silence") if n <= 2 else None
    subscribe(store, at, [ONE])
    approve(store, at)
    approve(store, at, author="per_other")
    house.send()
    for n in range(held):
        house.wire.hold(ONE, sid=f"SM{n}", after=n)
    house.look(FIRST_LOOK)
    house.look(APART)
    expected = {
        0: [("queued", None, 1)] * 2,
        1: [("unsure", None, 1)] * 2,
        2: [("sent", "SM0", 1), ("sent", "SM1", 1)],
    }
    if held < 3:
        assert sorted(house.one(), key=str) == expected[held]
    else:  # one more than was ever asked for: each has one, whose the third is nobody knows
        assert {state for state, _, _ in house.one()} <= {"sent", "unsure"}


def test_while_the_same_text_is_being_sent_to_the_phone_its_message_may_be_the_others(
    house, store, at
) -> None:
    house.wire._say = lambda _a, n: Unsure("silence") if n == 1 else None
    subscribe(store, at, [ONE])
    approve(store, at)
    house.send()
    _, dispatches = approve(store, at, author="per_other")
    (parcel,) = [p for p in open_parcel(house.out, dispatches) if p.startswith(dispatches[0])]
    until = at + timedelta(hours=1)
    claim = store.run(lambda u: parcels.claim(u, parcel, at=at, until=until))
    store.run(lambda u: slices.go_on(u, claim, [], most=9, at=at, until=until))
    house.wire.hold(ONE, sid="SM0")
    house.look(FIRST_LOOK)
    assert sorted(state for state, _, _ in house.one()) == ["sending", "unsure"]
    assert house.verdicts() == ["unclear"]


def test_what_is_absent_of_a_stopped_release_is_stopped_and_of_an_expired_one_expired(unsure, store) -> None:
    unsure.look(FIRST_LOOK)
    end(store, unsure.clock.at, unsure.release)
    unsure.look(APART)
    assert unsure.one()[0] == ("stopped", None, 1)
    assert states(store, unsure.release)["stopped"] == 1


def test_what_is_absent_after_the_end_of_its_release_expires(house, store, at) -> None:
    subscribe(store, at, [ONE])
    release, _ = approve(store, at, lasts=timedelta(seconds=40))
    house.send()
    house.look(FIRST_LOOK)
    house.look(APART)
    assert house.one() == [("expired", None, 1)]
    assert states(store, release) == {"expired": 1}
    house.send()
    assert len(house.wire.started) == 1


def test_whoever_has_opted_out_meanwhile_is_not_sent_to_again(unsure, store) -> None:
    unsure.look(FIRST_LOOK)
    store.run(lambda u: audience.opt_out(u, "sms", ONE, inbound="inb_1", at=unsure.clock.at))
    unsure.look(APART)
    unsure.send()
    assert unsure.one() == [("opted_out", None, 1)]


def test_a_receipt_settles_before_anybody_is_asked(unsure, store) -> None:
    unsure.look(FIRST_LOOK)
    told = Receipt(channel="sms", provider_id="SMtold", state=DeliveryState.DELIVERED, address=ONE,
                   delivery_id=unsure.dispatches[0] + "-0-0", received_at=unsure.clock.at)  # fmt: skip
    store.run(lambda u: receipts.take(u, told, unsure.clock.at))
    unsure.look(APART)
    assert unsure.wire.asked == [ONE]
    assert unsure.one() == [("delivered", "SMtold", 1)]


def test_a_receipt_that_waits_on_for_its_message_is_applied_when_the_list_names_it(unsure, store) -> None:
    told = Receipt(channel="sms", provider_id="SMfound", state=DeliveryState.DELIVERED, address=ONE,
                   received_at=unsure.clock.at)  # fmt: skip
    store.run(lambda u: receipts.take(u, told, unsure.clock.at))
    unsure.wire.hold(ONE, sid="SMfound")
    unsure.look(FIRST_LOOK)
    assert unsure.one() == [("delivered", "SMfound", 1)]


def test_what_is_never_taken_is_sent_again_a_few_times_and_then_left_to_people(house, store, at) -> None:
    house.wire._say = lambda _a, _n: Unsure("silence")
    subscribe(store, at, [ONE])
    approve(store, at)
    for _ in range(REPEATS_AT_MOST + 3):
        house.pass_time(timedelta(minutes=1))
        house.send()
        house.look(FIRST_LOOK)
        house.look(APART)
    assert house.one() == [("unsure", None, 1 + REPEATS_AT_MOST)]
    assert len(house.wire.started) == 1 + REPEATS_AT_MOST
    assert house.verdicts() == ["unclear"]


def test_two_processes_ask_about_each_delivery_once(unsure) -> None:
    other = Lookups(unsure.out)
    unsure.pass_time(FIRST_LOOK)
    assert unsure.lookups.run() + other.run() == 1
    assert unsure.wire.asked == [ONE]


def test_a_look_up_that_died_is_made_again(unsure) -> None:
    unsure.pass_time(FIRST_LOOK)
    unsure.out.courier.close()
    with pytest.raises(Exception, match="leaving"):
        unsure.lookups.run()
    fresh = outgoing(
        unsure.store, unsure.clock.at, unsure.out.public_dir.parent, wire=unsure.wire, clock=unsure.clock
    )
    unsure.wire.hold(ONE, sid="SMfound")
    unsure.pass_time(timedelta(minutes=3))
    assert Lookups(fresh).run() == 1
    fresh.courier.close()
    assert unsure.one() == [("sent", "SMfound", 1)]


def test_f23_a_message_without_any_receipt_is_asked_about_after_ten_minutes(house, store, at) -> None:
    house.wire._say = lambda _a, _n: None
    subscribe(store, at, phones(70))
    release, _ = approve(store, at)
    house.send()
    assert house.look(SILENT_FOR - timedelta(seconds=1)) == 0
    d = t.delivery.c
    for row in store.read(lambda u: u.rows(sa.select(d.address, d.provider_id))):
        house.wire.hold(row.address, sid=row.provider_id, state=DeliveryState.DELIVERED)
    house.pass_time(timedelta(seconds=1))
    for _ in range(20):
        house.look(timedelta(seconds=16))
        if states(store, release) == {"delivered": 70}:
            break
    assert states(store, release) == {"delivered": 70}
    assert len(house.wire.asked) == 70


def test_a_repeat_that_reads_as_the_same_message_is_made_once(store, at, tmp_path) -> None:
    class Mail(Wire):
        repeats_after = timedelta(seconds=60)

    subscribe(store, at, [ONE])
    release, _ = approve(store, at)
    clock, wire = Standing(at), Mail(lambda _a, _n: Unsure("silence"))
    out = outgoing(store, at, tmp_path, wire=wire, clock=clock)
    lookups = Lookups(out)
    for _ in range(8):
        run_all(out)
        clock.at += timedelta(seconds=30)
        lookups.run()
    out.courier.close()
    assert len(wire.started) == 2
    assert states(store, release) == {"unsure": 1}


def test_a_fenced_worker_writes_nothing_over_what_was_sent_again(unsure, store, at) -> None:
    unsure.look(FIRST_LOOK)
    unsure.look(APART)
    (parcel,) = store.read(lambda u: parcels.due(u, unsure.clock.at))
    assert deliver.deliver(unsure.out, parcel) is deliver.Ended.SETTLED
    assert unsure.one()[0][0] == "accepted"
