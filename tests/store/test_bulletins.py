"""Bulletins in the store: one of each name, what ends them, chains, and what never mixes."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.bulletin import Apart, Standing
from domain.errors import IllegalMove
from domain.handling import Mode
from store import arrivals, bulletin_pairs, bulletins, journal, shelf
from store.arrivals import Arriving
from store.bulletins import Entered, Filter
from store.tables_peers import bulletin as table
from tests.bulletin_kit import SENDER, a_peer, around, said

HOUR = timedelta(hours=1)


@pytest.fixture
def enter(store, at):
    """Enter what is said; (what became of it, id)."""
    a_peer(store, at), a_peer(store, at, "peer-two")
    for name in ("peer-one", "peer-two"):
        one = Arriving(id=f"bar_{name}", peer=name, raw=name.encode(), media_type="text/xml", at=at)
        store.run(lambda unit, one=one: arrivals.keep_many(unit, [one]))
    count = iter(range(10_000))

    def work(what, *, received=at, peer="peer-one", **more):
        where = around(received, next(count), arrival=f"bar_{peer}", peer=peer, **more)
        return store.run(lambda unit: bulletins.enter(unit, what, where, received))

    return work


def get(store, bulletin_id):
    return store.read(lambda unit: bulletins.get(unit, bulletin_id))


def test_h57_h61_the_same_again_is_a_repeat_and_another_under_its_name_leaves_the_first(
    store, enter, at
) -> None:
    first = enter(said("a", at))
    assert first[0] is Entered.NEW
    assert enter(said("a", at), peer="peer-two") == (Entered.REPEAT, first[1])
    assert enter(said("a", at, text="other"), peer="peer-two") == (Entered.CONFLICT, first[1])
    stored = get(store, first[1])
    assert (stored.headline, stored.conflicts, stored.peer) == ("a", 1, "peer-one")
    assert [row.reason for row in store.read(shelf.pending)] == ["conflict"]
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "bulletin", first[1]))]
    assert acts == ["enter", "conflict"]


def test_h57_what_is_told_again_with_better_proof_counts_from_then_on(store, enter, at) -> None:
    first = enter(said("a", at, seal="broken"))[1]
    assert (
        enter(said("a", at), peer="peer-two")[0] is Entered.REPEAT
    )  # to take a bad signature off is no proof
    assert get(store, first).apart == "broken_seal"
    proved = said("a", at, seal="verified", seal_key="key")
    assert enter(proved, peer="peer-two") == (Entered.RAISED, first)
    now = get(store, first)
    assert (now.state, now.apart, now.seal, now.peer) == (Standing.CURRENT, "", "verified", "peer-two")
    assert enter(said("a", at, seal="broken"))[0] is Entered.REPEAT
    assert get(store, first).seal == "verified"


def test_who_may_speak_for_a_sender_is_believed_though_another_was_first(store, enter, at) -> None:
    first = enter(said("a", at), senders=("other.example",))[1]
    assert get(store, first).apart == "other_sender"
    assert enter(said("a", at), peer="peer-two") == (Entered.RAISED, first)
    assert (get(store, first).apart, get(store, first).peer) == ("", "peer-two")
    officer = enter(said("b", at))[1]
    store.run(lambda u: bulletins.move(u, get(store, officer), "set_aside", by="per_1", at=at))
    assert enter(said("b", at, seal="verified"), peer="peer-two")[0] is Entered.REPEAT
    assert get(store, officer).apart == "quarantined"  # what an officer decided, a peer does not undo


def test_what_is_proved_later_ends_what_it_could_not_end_before(store, enter, at) -> None:
    old = enter(said("a", at))[1]
    later = at + timedelta(minutes=1)
    what = {"msg_type": "Cancel", "references": (("w-nws.example", "a", at),)}
    enter(said("c", later, **what), peer="peer-two", received=later)
    assert get(store, old).ended_by == ""
    enter(said("c", later, seal="verified", **what), peer="peer-two", received=later)
    assert get(store, old).ended_by


def test_two_without_a_name_do_not_hide_each_other(store, enter, at) -> None:
    one, other = enter(said("", at, sender="", text="1")), enter(said("", at, sender="", text="2"))
    assert [one[0], other[0]] == [Entered.NEW, Entered.NEW]
    assert enter(said("", at, sender="", text="1")) == (Entered.REPEAT, one[1])


def test_an_update_ends_what_it_refers_to_and_a_cancel_ends_the_update(store, enter, at) -> None:
    first = enter(said("a", at - 2 * HOUR))[1]
    ref = ((SENDER, "a", at - 2 * HOUR),)
    update = enter(said("b", at - HOUR, msg_type="Update", references=ref))[1]
    assert get(store, first).ended_by == update
    assert get(store, update).is_in_force(at)
    cancel = enter(said("c", at, msg_type="Cancel", references=((SENDER, "b", at - HOUR),)))[1]
    assert get(store, update).ended_by == cancel
    assert not get(store, cancel).is_in_force(at)
    assert store.read(lambda u: bulletins.in_force(u, at, limit=9)) == []
    for member in (first, update, cancel):
        assert [b.id for b in store.read(lambda u, m=member: bulletins.chain(u, m))] == [
            first,
            update,
            cancel,
        ]


def test_a_cancel_of_the_same_second_ends_its_alert(store, enter, at) -> None:
    first = enter(said("a", at))[1]
    cancel = enter(said("c", at, msg_type="Cancel", references=((SENDER, "a", at),)))[1]
    assert get(store, first).ended_by == cancel


def test_what_ends_an_alert_may_come_before_it(store, enter, at) -> None:
    cancel = enter(said("c", at, msg_type="Cancel", references=((SENDER, "a", at - HOUR),)))[1]
    first = enter(said("a", at - HOUR))[1]
    assert get(store, first).ended_by == cancel


def test_h59_a_cancel_of_an_unknown_alert_is_kept_and_is_no_alert(store, enter, at) -> None:
    what, cancel = enter(said("c", at, msg_type="Cancel", references=((SENDER, "nobody", at - HOUR),)))
    assert what is Entered.NEW
    assert not get(store, cancel).is_in_force(at)
    assert store.read(lambda u: bulletins.page(u, Filter(view="force"), at)) == []
    assert len(store.read(lambda u: bulletins.page(u, Filter(view="all"), at))) == 1


def test_h59_only_the_same_sender_over_the_same_peer_or_with_its_signature_may_end(store, enter, at) -> None:
    first = enter(said("a", at - HOUR))[1]
    ref = ((SENDER, "a", at - HOUR),)
    enter(said("x", at, sender="other.example", msg_type="Cancel", references=ref))
    assert get(store, first).ended_by == ""
    enter(said("y", at, msg_type="Cancel", references=ref), peer="peer-two")  # claims the name from elsewhere
    assert get(store, first).ended_by == ""
    signed = enter(said("z", at, msg_type="Cancel", references=ref, seal="verified"), peer="peer-two")[1]
    assert get(store, first).ended_by == signed


def test_h59_references_to_itself_in_a_circle_or_ten_thousand_of_them_end(store, enter, at) -> None:
    itself = enter(said("s", at, msg_type="Update", references=((SENDER, "s", at),)))[1]
    assert get(store, itself).ended_by == ""
    a = enter(said("a", at, msg_type="Update", references=((SENDER, "b", at),)))[1]
    b = enter(said("b", at, msg_type="Update", references=((SENDER, "a", at),)))[1]
    assert (get(store, a).ended_by, get(store, b).ended_by) == ("", "")
    assert {m.id for m in store.read(lambda u: bulletins.chain(u, a))} == {a, b}
    many = tuple((SENDER, f"r{n}", at) for n in range(10_000))
    long = enter(said("long", at, msg_type="Update", references=many))[1]
    assert len(store.read(lambda u: bulletins.references(u, long))) == 100


def test_h59_a_chain_of_many_updates_is_followed_for_a_hundred(store, enter, at) -> None:
    last = enter(said("u0", at - 2 * HOUR))[1]
    for n in range(1, 130):
        before = ((SENDER, f"u{n - 1}", at - 2 * HOUR + timedelta(seconds=n - 1)),)
        when = at - 2 * HOUR + timedelta(seconds=n)
        last = enter(said(f"u{n}", when, msg_type="Update", references=before))[1]
    assert len(store.read(lambda u: bulletins.chain(u, last))) == 100
    assert [b.id for b in store.read(lambda u: bulletins.in_force(u, at, limit=9))] == [last]


def test_a_format_that_names_the_first_message_only_means_all_that_followed(store, enter, at) -> None:
    ref = ((SENDER, "a", None),)
    first = enter(said("a", at - 2 * HOUR))[1]
    update = enter(said("b", at - HOUR, msg_type="Update", references=ref))[1]
    cancel = enter(said("c", at, msg_type="Cancel", references=ref))[1]
    assert (get(store, first).ended_by, get(store, update).ended_by) == (update, cancel)
    assert not get(store, update).is_in_force(at)


MODES = [
    (Mode.LIVE, "Actual", ""), (Mode.LIVE, "Test", "other_mode"), (Mode.LIVE, "Exercise", "other_mode"),
    (Mode.LIVE, "Draft", "no_warning"), (Mode.LIVE, "System", "no_warning"), (Mode.LIVE, "actual", "other_mode"),
    (Mode.EXERCISE, "Actual", "other_mode"), (Mode.EXERCISE, "Exercise", ""), (Mode.EXERCISE, "Test", ""),
    (Mode.DEMO, "Actual", "other_mode"), (Mode.DEMO, "Test", ""),
]  # fmt: skip


def test_r11_h62_what_is_practised_never_stands_beside_what_is_real(store, enter, at) -> None:
    for n, (mode, status, apart) in enumerate(MODES):
        one = get(store, enter(said(f"a{n}", at, status=status), mode=mode)[1])
        assert (one.apart, one.state is Standing.CURRENT, one.is_in_force(at)) == (
            apart,
            not apart,
            not apart,
        )
        if apart:
            with pytest.raises(sa.exc.DBAPIError, match=r"(?i)never_mixed"):
                is_one, values = table.c.id == one.id, {"state": "current", "apart": ""}
                store.run(lambda u, i=is_one, v=values: u.execute(table.update().where(i).values(**v)))


def test_h62_what_is_not_for_all_is_kept_and_apart(store, enter, at) -> None:
    cases = [
        ({"scope": "Private"}, Apart.NOT_FOR_ALL), ({"scope": "Restricted"}, Apart.NOT_FOR_ALL),
        ({"msg_type": "Error"}, Apart.NO_WARNING), ({"msg_type": "Ack"}, Apart.NO_WARNING),
        ({"seal": "broken"}, Apart.BROKEN_SEAL), ({"sender": "tocsin@us.example"}, Apart.OURSELVES),
    ]  # fmt: skip
    for n, (what, apart) in enumerate(cases):
        one = get(store, enter(said(f"a{n}", at, **what))[1])
        assert (one.state, one.apart) == (Standing.APART, apart.value)
    one = get(store, enter(said("b", at), senders=("other.example",))[1])
    assert one.apart == "other_sender"


def test_h57_h58_what_comes_from_another_time_waits_for_an_officer(store, enter, at) -> None:
    cases = [
        (timedelta(minutes=11), "ahead"), (timedelta(minutes=9), ""), (timedelta(days=365 * 73), "ahead"),
        (-timedelta(days=6), ""), (-timedelta(days=8), "late"), (-timedelta(days=365 * 126), "late"),
    ]  # fmt: skip
    for n, (ahead, apart) in enumerate(cases):
        one = get(store, enter(said(f"a{n}", at + ahead))[1])
        assert one.apart == apart
        if apart:
            store.run(lambda u, one=one: bulletins.move(u, one, "admit", by="per_1", at=at))
            assert get(store, one.id).state is Standing.CURRENT


def test_h58_a_message_without_a_time_that_can_be_read_waits_too(store, enter, at) -> None:
    one = get(store, enter(replace(said("a", None), sent_as="2026-11-23T06:05:00Z"))[1])
    assert (one.sent, one.sent_key, one.apart) == (None, "2026-11-23T06:05:00Z", "ahead")


def test_h63_a_missing_expiry_or_one_before_it_was_sent_is_a_day_and_marked(store, enter, at) -> None:
    for name, expires in (("a", None), ("b", at - HOUR)):
        one = get(store, enter(said(name, at, expires=expires))[1])
        assert (one.expires, one.is_expiry_assumed) == (at + timedelta(hours=24), True)
    assert not get(store, enter(said("c", at))[1]).is_expiry_assumed


def test_an_exercise_cancels_nothing_real(store, enter, at) -> None:
    real = enter(said("a", at - HOUR, status="Actual"), mode=Mode.LIVE)[1]
    ref = ((SENDER, "a", at - HOUR),)
    enter(said("c", at, status="Exercise", msg_type="Cancel", references=ref), mode=Mode.LIVE)
    assert get(store, real).is_in_force(at)


def test_h65_what_a_peer_sent_since_a_time_is_set_apart_at_once(store, enter, at) -> None:
    before, after = enter(said("a", at))[1], enter(said("b", at), received=at + HOUR)[1]
    other = enter(said("c", at), received=at + HOUR, peer="peer-two")[1]
    count = store.run(lambda u: bulletins.quarantine(u, "peer-one", at + HOUR, by="per_1", at=at + HOUR))
    assert count == 1
    assert [get(store, i).state is Standing.CURRENT for i in (before, after, other)] == [True, False, True]


def test_a_pair_is_decided_undone_and_written_down(store, enter, at) -> None:
    one, other = enter(said("a", at))[1], enter(said("b", at, sender="other.example"))[1]
    reasons = {"area": 1.0, "event": 1.0, "time": 1.0}
    propose = lambda u: bulletin_pairs.propose(u, one, other, 1.0, reasons, at)  # noqa: E731
    assert store.run(propose)
    assert not store.run(propose)
    assert not store.run(lambda u: bulletin_pairs.propose(u, other, one, 1.0, reasons, at))
    (pair,) = store.read(lambda u: bulletin_pairs.of(u, one))
    for action, state in (("join", "joined"), ("undo", "proposed"), ("part", "parted"), ("undo", "proposed")):
        store.run(lambda u, action=action: bulletin_pairs.decide(u, pair.id, action, by="per_1", at=at))
        assert store.read(lambda u: bulletin_pairs.of(u, other))[0].state.value == state
    with pytest.raises(IllegalMove):
        store.run(lambda u: bulletin_pairs.decide(u, pair.id, "undo", by="per_1", at=at))
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "bulletin", other))]
    assert acts == ["enter", "propose_pair", "join_pair", "undo_pair", "part_pair", "undo_pair"]
