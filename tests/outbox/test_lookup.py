"""Look-ups: what a provider's list proves, and what becomes of deliveries nobody knows the end of."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import NotNow, Unsure
from domain.parcel import DeliveryState, Listed, Receipt
from outbox import deliver, progress, receipts
from outbox.lookup import APART, FIRST_LOOK, REPEATS_AT_MOST, SILENT_FOR, Lookups
from store import audience, journal, parcels, releases, slices
from store import tables as t
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
    write_past_guards,
)
from tests.outbox.test_deliver_slices import open_parcel
from tests.outbox.test_endings import CORRECTION, end

ONE = phones(1)[0]


class Listing(Wire):
    """A wire in memory that can be asked; `has` is what its provider holds, whatever it answered."""

    def __init__(self, say=None, at=None):
        super().__init__(say)
        self.has: list[Listed] = []
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.at = at

    async def look_up(self, address, since):
        self.asked.append(address)
        if self.fails is not None:
            raise self.fails
        return [one for one in self.has if one.address == address and one.created_at >= since]

    def hold(self, address, *, sid, text=TEXT["zh-CN"], state=DeliveryState.SENT, after=0.0):
        made = self.at + timedelta(seconds=after)
        self.has.append(Listed(provider_id=sid, address=address, text=text, created_at=made, state=state))


class House:
    """An outbox whose clock is stepped by hand."""

    def __init__(self, store, at, tmp_path, say=None):
        self.store, self.clock = store, Standing(at)
        self.wire = Listing(say or silent_once, at)
        self.out = outgoing(store, at, tmp_path, wire=self.wire, clock=self.clock)
        self.lookups = Lookups(self.out)

    def send(self):
        run_all(self.out)

    def pass_time(self, wait):
        self.clock.at += wait

    def look(self, wait):
        self.pass_time(wait)
        return self.lookups.run()

    def one(self):
        d = t.delivery.c
        query = sa.select(d.state, d.provider_id, d.attempts).order_by(d.parcel, d.seq)
        rows = self.store.read(lambda u: u.rows(query))
        return [(row.state, row.provider_id, row.attempts) for row in rows]

    def verdicts(self):
        query = sa.select(t.look_up.c.verdict).order_by(t.look_up.c.parcel, t.look_up.c.seq)
        return [row.verdict for row in self.store.read(lambda u: u.rows(query))]


def silent_once(_address, n):
    return Unsure("silence") if n == 1 else None


@pytest.fixture
def house(store, at, tmp_path):
    made = House(store, at, tmp_path)
    yield made
    made.out.courier.close()


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


@pytest.fixture
def dear(house, store, at):
    """As unsure, but its approvers would rather have it come twice than not at all."""
    subscribe(store, at, [ONE])
    house.release, house.dispatches = approve(store, at, repeat_unsure=True)
    house.send()
    house.begun = house.clock.at
    return house


def _says(house, repeat_unsure: bool) -> None:
    """Somebody has written into the row of the release, past all approval."""
    r = t.release_row
    values = {"repeat_unsure": repeat_unsure}
    house.store.run(lambda u: u.execute(r.update().where(r.c.id == house.release).values(**values)))


def test_r4_what_was_approved_says_whether_it_may_come_twice_and_not_the_row(store, at, tmp_path) -> None:
    for approved, begun in ((False, 1), (True, 2)):
        house = House(store, at, tmp_path, lambda _address, _n: Unsure("silence"))
        house.wire.fails = Unsure("no list")
        subscribe(store, at, [ONE])
        house.release, _ = approve(store, at, repeat_unsure=approved, author=f"per_{begun}")
        _says(house, not approved)
        for _ in range(12):
            house.send()
            house.look(APART)
        house.out.courier.close()
        assert len(house.wire.started) == begun


def test_r4_a_manifest_that_is_not_under_the_digest_says_nothing(dear) -> None:
    assert dear.store.read(lambda u: releases.manifest(u, dear.release)) == {"repeat_unsure": True}
    write_past_guards(dear.store, t.release_manifest, manifest=b'{"repeat_unsure":true,"count":1}')
    dear.wire.fails = Unsure("no list")
    assert dear.store.read(lambda u: releases.manifest(u, dear.release)) == {}
    for _ in range(4):
        dear.look(APART)
        dear.send()
    assert len(dear.wire.started) == 1


def marks(house):
    told = house.store.read(lambda u: progress.summary(u, house.release))
    return told["channels"]["sms"]["doubled"]


@pytest.mark.parametrize("is_listed", [True, False])
def test_r4_what_two_looks_cannot_settle_is_sent_once_more_and_marked_where_the_release_says_so(
    dear, is_listed
) -> None:
    if is_listed:  # a list on which no row explains a message of the same phone
        dear.wire.hold(ONE, sid="SM" + "9" * 32, text="something else")
    else:
        dear.wire.fails = Unsure("no list")
    dear.look(FIRST_LOOK)
    dear.send()
    assert [row[0] for row in dear.one()] == ["unsure"]
    dear.look(APART)
    assert dear.verdicts() == ["doubled"]
    assert marks(dear) == 1
    dear.send()
    assert [(row[0], row[2]) for row in dear.one()] == [("accepted", 2)]
    entries = dear.store.read(lambda u: journal.entries(u, "release", dear.release))
    assert [e.detail["doubled"] for e in entries if e.act == "look_up"] == [1]


def test_r4_nothing_is_sent_once_more_before_its_time_however_often_the_list_fails(dear, store) -> None:
    dear.wire.fails = NotNow("slower", code="20429", retry_after=timedelta(seconds=1))
    for seconds in (15, 16, 17, 40, 73):
        dear.clock.at = dear.begun + timedelta(seconds=seconds)
        dear.lookups.run()
        dear.send()
    assert len(dear.wire.started) == 1
    dear.clock.at = dear.begun + timedelta(seconds=200)
    dear.lookups.run()
    dear.send()
    assert len(dear.wire.started) == 2


def test_r4_a_list_that_shows_the_text_is_never_doubled_against_though_nobody_can_say_whose_it_is(
    store, at, tmp_path
) -> None:
    house = House(store, at, tmp_path, lambda _address, _n: Unsure("silence"))
    subscribe(store, at, [ONE])
    for author in ("per_a", "per_b"):  # the same text twice to one phone, both unsure, one on the list
        approve(store, at, repeat_unsure=True, author=author)
    house.send()
    house.wire.hold(ONE, sid="SM" + "7" * 32)
    begun = len(house.wire.started)
    for _ in range(6):
        house.look(APART)
        house.send()
    house.out.courier.close()
    assert len(house.wire.started) == begun == 2
    assert {row[0] for row in house.one()} == {"unsure"}


def test_r4_it_is_done_once_and_then_left_to_people(store, at, tmp_path) -> None:
    house = House(store, at, tmp_path, lambda _address, _n: Unsure("silence"))
    house.wire.fails = Unsure("no list")
    subscribe(store, at, [ONE])
    house.release, _ = approve(store, at, repeat_unsure=True)
    for _ in range(12):
        house.send()
        house.look(APART)
    house.out.courier.close()
    assert len(house.wire.started) == 2
    assert [row[0] for row in house.one()] == ["unsure"]
    assert marks(house) == 1


def test_r4_what_the_list_shows_is_believed_and_nothing_is_doubled(dear) -> None:
    dear.wire.hold(ONE, sid="SM" + "8" * 32)
    dear.look(FIRST_LOOK)
    dear.look(APART)
    assert dear.verdicts() == ["found"]
    assert len(dear.wire.started) == 1
    assert marks(dear) == 0


def test_r4_a_recalled_release_is_not_sent_once_more_and_who_may_have_it_hears_its_end(dear, store) -> None:
    dear.wire.fails = Unsure("no list")
    dear.look(FIRST_LOOK)
    end(store, dear.clock.at, dear.release)
    dear.look(APART)  # before the ending has looked whom it goes to
    dear.send()
    assert [row[0] for row in dear.one()] == ["unsure", "accepted"], "nothing has shown that nobody has it"
    assert dear.wire.payloads == {f"{CORRECTION} sms zh-CN".encode()}
    assert len(dear.wire.started) == 2


def test_r4_r10_who_was_sent_it_again_unproven_hears_its_end_however_that_ended(dear, store) -> None:
    dear.wire.fails = Unsure("no list")
    dear.look(FIRST_LOOK)
    dear.look(APART)
    assert dear.verdicts() == ["doubled"]
    end(store, dear.clock.at, dear.release)  # it waits for its second attempt, and never gets it
    dear.send()
    assert [row[0] for row in dear.one()] == ["stopped", "accepted"]
    assert dear.wire.payloads == {f"{CORRECTION} sms zh-CN".encode()}


def test_r4_a_wire_that_cannot_be_asked_repeats_only_what_says_so(store, at, tmp_path) -> None:
    subscribe(store, at, [ONE])
    for repeat_unsure, calls in ((False, 1), (True, 2)):
        release, _ = approve(store, at, repeat_unsure=repeat_unsure, author=f"per_{calls}")
        clock, wire = Standing(at), Wire(lambda _a, _n: Unsure("silence"))
        out = outgoing(store, at, tmp_path, wire=wire, clock=clock)
        lookups = Lookups(out)
        for _ in range(8):
            run_all(out)
            clock.at += timedelta(seconds=30)
            lookups.run()
        out.courier.close()
        assert len(wire.started) == calls
        assert states(store, release) == {"unsure": 1}


def test_a_fenced_worker_writes_nothing_over_what_was_sent_again(unsure, store, at) -> None:
    unsure.look(FIRST_LOOK)
    unsure.look(APART)
    (parcel,) = store.read(lambda u: parcels.due(u, unsure.clock.at))
    assert deliver.deliver(unsure.out, parcel) is deliver.Ended.SETTLED
    assert unsure.one()[0][0] == "accepted"
