"""R4 (b): what two look-ups cannot settle comes twice where its approvers would rather have it so, and nowhere else."""

from datetime import timedelta

import pytest

from domain.errors import NotNow, Unsure
from outbox import progress
from outbox.lookup import APART, FIRST_LOOK, Lookups
from store import journal, releases
from store import tables as t
from tests.outbox.lookup_kit import ONE, House
from tests.outbox.outbox_kit import (
    Standing,
    Wire,
    approve,
    outgoing,
    run_all,
    states,
    subscribe,
    write_past_guards,
)
from tests.outbox.test_endings import CORRECTION, end


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
