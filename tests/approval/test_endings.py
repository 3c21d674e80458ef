"""Lift, correct and update at the desk: who may, from where, and what each leaves behind."""

import threading
from datetime import timedelta

import pytest

from approval import desk, forms
from channels.codecs.cap_check import validate
from channels.codecs.cap_read import read as read_alert
from domain.artefact import Purpose
from domain.errors import BadInput, Conflict, HubError, IllegalMove, NotAllowed
from domain.release import State
from outbox import ending
from store import journal, promises, releases
from tests.approval import releases_made as made

ENDINGS = {
    "cancel": (desk.lift, State.CANCELLED, "lift"),
    "correct": (desk.correct, State.CORRECTED, "correction"),
}


@pytest.fixture
def released(store, people, areas, at):
    release = made.approved(store, people["officer"], people["approver"], at)
    store.run(lambda u: ending.start(u, release.id, at))
    for dispatch in store.read(lambda u: promises.of_release(u, release.id)):
        store.run(lambda u, d=dispatch: promises.take(u, d.id, at=at, until=at))
    return store.read(lambda u: releases.get(u, release.id))


def get(store, release_id):
    return store.read(lambda u: releases.get(u, release_id))


@pytest.mark.parametrize("act", ENDINGS)
def test_one_officer_ends_a_release_and_its_approved_ending_is_promised_with_the_state(
    store, people, at, released, act
):
    how, state, purpose = ENDINGS[act]
    done = store.run(lambda u: how(u, released.id, reason="雨停了", by=people["officer2"], at=at))
    assert done.state is state
    dispatches = store.read(lambda u: promises.of_release(u, released.id))
    ended = [d for d in dispatches if d.purpose == purpose]
    mains = {d.id for d in dispatches if d.purpose == "main"}
    frozen = store.read(lambda u: releases.artefacts(u, released.id, released.digest))
    assert {d.artefact for d in ended} == {a.id for a in frozen if a.purpose is Purpose(purpose)}
    assert {d.ends for d in ended} == mains
    assert all(d.state.value == "stopped" for d in dispatches if d.purpose == "main")
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "release", released.id))]
    assert acts[-2:] == ["tombstone", act]


@pytest.mark.parametrize("act", ENDINGS)
@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_nobody_without_the_desk_ends_a_release(store, people, at, released, act, who):
    with pytest.raises(NotAllowed):
        store.run(lambda u: ENDINGS[act][0](u, released.id, reason="x", by=people[who], at=at))
    assert get(store, released.id).state is State.PUBLISHING


@pytest.mark.parametrize("act", ENDINGS)
def test_an_ending_needs_a_reason_and_happens_once(store, people, at, released, act):
    how = ENDINGS[act][0]
    with pytest.raises(BadInput):
        store.run(lambda u: how(u, released.id, reason="  ", by=people["officer"], at=at))
    store.run(lambda u: how(u, released.id, reason="r", by=people["officer"], at=at))
    with pytest.raises(IllegalMove):
        store.run(lambda u: how(u, released.id, reason="r", by=people["officer"], at=at))
    purposes = [d.purpose for d in store.read(lambda u: promises.of_release(u, released.id))]
    assert purposes.count("main") * 2 == len(purposes)


@pytest.mark.parametrize("act", ENDINGS)
def test_what_is_not_approved_has_no_ending(store, people, areas, at, act):
    release = made.submitted(store, people["officer"], at)
    with pytest.raises(IllegalMove):
        store.run(lambda u: ENDINGS[act][0](u, release.id, reason="r", by=people["officer"], at=at))


def updated(store, people, at, old, **changes):
    """An update of `old` by the second officer, submitted."""
    draft = store.run(lambda u: desk.draft_update(u, old.id, by=people["officer2"], at=at))
    if changes:
        body = forms.body_from_draft(draft.draft) | changes
        wanted = store.read(
            lambda u: forms.draft_from_body(u, body, by=people["officer2"], at=at, before=draft.draft)
        )
        draft = store.run(lambda u: desk.edit(u, draft.id, wanted, by=people["officer2"], at=at))
    bytes_ = made.frozen(store, draft.id, at)
    return store.run(lambda u: desk.submit(u, draft.id, bytes_, by=people["officer2"], at=at))


def approve(store, people, at, release):
    return store.run(
        lambda u: desk.approve(u, release.id, digest=release.digest, by=people["approver"], at=at)
    )


def test_an_approved_update_replaces_the_release_and_stops_what_is_left_of_it(store, people, at, released):
    update = updated(store, people, at, released, colour="red")
    assert get(store, released.id).state is State.PUBLISHING  # a draft changes nothing
    approve(store, people, at, update)
    assert get(store, released.id).state is State.SUPERSEDED
    assert store.read(lambda u: promises.has_tombstone(u, released.id))
    assert not store.read(lambda u: promises.has_tombstone(u, update.id))
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "release", released.id))]
    assert acts[-2:] == ["tombstone", "supersede"]


def test_the_author_of_what_is_replaced_may_not_approve_his_own_update_but_another_may(
    store, people, at, released
):
    update = updated(store, people, at, released)
    with pytest.raises(NotAllowed):
        store.run(lambda u: desk.approve(u, update.id, digest=update.digest, by=people["officer2"], at=at))
    assert approve(store, people, at, update).state is State.APPROVED


def test_of_two_updates_of_one_release_the_later_approval_is_refused(store, people, at, released):
    first, second = (updated(store, people, at, released) for _ in range(2))
    approve(store, people, at, first)
    with pytest.raises(Conflict) as refused:
        approve(store, people, at, second)
    assert refused.value.code == "superseded_gone"
    assert get(store, second.id).state is State.SUBMITTED


@pytest.mark.parametrize("act", ENDINGS)
def test_an_update_of_what_has_ended_meanwhile_is_refused(store, people, at, released, act):
    update = updated(store, people, at, released)
    store.run(lambda u: ENDINGS[act][0](u, released.id, reason="r", by=people["officer"], at=at))
    with pytest.raises(Conflict):
        approve(store, people, at, update)
    with pytest.raises(IllegalMove):
        store.run(lambda u: desk.draft_update(u, released.id, by=people["officer"], at=at))


@pytest.mark.parametrize("act", ENDINGS)
def test_the_end_of_an_update_ends_every_message_of_the_chain_that_reached_addresses(
    store, people, at, released, act
):
    how, _, purpose = ENDINGS[act]
    addressed = [d for d in store.read(lambda u: promises.of_release(u, released.id)) if d.channel == "sms"]
    for main in addressed:
        store.run(lambda u, d=main: promises.note_expanded(
            u, d.id, cursor="rcp_x", expanded=3, is_expanded=True, next_due=at))  # fmt: skip
    second = approve(store, people, at, updated(store, people, at, released, colour="red"))
    third = approve(store, people, at, updated(store, people, at, second, colour="yellow"))
    store.run(lambda u: how(u, third.id, reason="r", by=people["officer"], at=at))
    ended = [d for d in store.read(lambda u: promises.of_release(u, released.id)) if d.purpose == purpose]
    assert {d.ends for d in ended} == {d.id for d in addressed}
    frozen = {a.id: a for a in store.read(lambda u: releases.artefacts(u, released.id, released.digest))}
    assert {frozen[d.artefact].purpose for d in ended} == {Purpose(purpose)}
    assert get(store, released.id).state is State.SUPERSEDED
    # nothing of the second had become parcels
    assert {d.purpose for d in store.read(lambda u: promises.of_release(u, second.id))} == {"main"}


def test_update_and_endings_name_the_whole_chain_in_valid_cap(store, people, at, released):
    second = approve(store, people, at, updated(store, people, at, released, colour="red"))
    third = approve(store, people, at, updated(store, people, at, second, colour="yellow"))
    frozen = store.read(lambda u: releases.artefacts(u, third.id, third.digest))
    alerts = {a.purpose: a.body for a in frozen if a.channel == "cap_feed"}
    earlier = [released.identifier, second.identifier]
    said = {p: read_alert(body) for p, body in alerts.items()}
    assert said[Purpose.MAIN].msg_type == "Update"
    assert [r.identifier for r in said[Purpose.MAIN].references] == earlier
    for purpose in (Purpose.LIFT, Purpose.CORRECTION):
        assert said[purpose].msg_type == "Cancel"
        assert [r.identifier for r in said[purpose].references] == [*earlier, third.identifier]
    assert all(f.severity != "error" for body in alerts.values() for f in validate(body, as_output=True))


def test_an_update_keeps_the_number_of_the_first_message(store, people, at, released):
    other = made.created(store, people["officer"], at + timedelta(minutes=1))  # takes the next number
    update = updated(store, people, at + timedelta(minutes=2), released)
    sms = {
        r.id: next(a.body.decode() for a in store.read(lambda u, r=r: releases.artefacts(u, r.id, r.digest))
                   if (a.channel, a.language, a.purpose) == ("sms", "zh-CN", Purpose.MAIN))
        for r in (released, update)
    }  # fmt: skip
    assert other.id not in sms
    assert "第1号" in sms[released.id]
    assert "第1号 更新2" in sms[update.id]


def test_editing_an_update_keeps_what_it_replaces(store, people, at, released):
    update = updated(store, people, at, released, colour="red")
    assert get(store, update.id).draft.supersedes == released.id


def test_of_many_acts_at_once_one_ends_the_release(store, people, at, released):
    update = updated(store, people, at, released)
    acts = [
        lambda u: desk.lift(u, released.id, reason="r", by=people["officer"], at=at),
        lambda u: desk.correct(u, released.id, reason="r", by=people["officer2"], at=at),
        lambda u: desk.stop(u, released.id, reason="r", by=people["approver"], at=at),
        lambda u: desk.approve(u, update.id, digest=update.digest, by=people["approver"], at=at),
    ] * 3
    outcomes: list[object] = []

    def run(work) -> None:
        try:
            outcomes.append(store.run(work).state)
        except HubError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = get(store, released.id).state
    assert last in (State.CANCELLED, State.CORRECTED, State.SUPERSEDED)
    ended = {d.purpose for d in store.read(lambda u: promises.of_release(u, released.id))} - {"main"}
    assert (
        ended == {State.CANCELLED: {"lift"}, State.CORRECTED: {"correction"}, State.SUPERSEDED: set()}[last]
    )
    assert (get(store, update.id).state is State.APPROVED) is (last is State.SUPERSEDED)


def test_what_people_are_told_to_do_stands_in_the_alert_too(store, people, areas, at):
    release = made.submitted(store, people["officer"], at, template="hazmat_leak")
    frozen = store.read(lambda u: releases.artefacts(u, release.id, release.digest))
    alert = next(read_alert(a.body) for a in frozen if (a.channel, a.purpose) == ("cap_feed", Purpose.MAIN))
    said = {"evacuate": ("Evacuate",), "shelter": ("Shelter",), "both": ("Evacuate", "Shelter")}
    chosen = said[str(release.draft.fields["action"])]
    assert {(i.response_types, i.severity) for i in alert.infos} == {(chosen, "Severe")}
