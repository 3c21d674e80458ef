"""Who may do what: roles, the second pair of eyes, digests, lapses, votes."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from approval import desk
from approval.attempts import attempt
from approval.policy import Policy
from domain.errors import BadInput, Conflict, IllegalMove, NotAllowed, NotFound, Tampered
from domain.handling import Mode
from domain.release import State
from store import audience, journal, promises, releases
from store import people as people_book
from store import tables as t
from tests.approval import releases_made as made
from tests.outbox.outbox_kit import write_past_guards

TWO = (Policy(id="two", quorum=2),)


def current(store, release_id: str):
    return store.read(lambda u: releases.get(u, release_id))


def acts_of(store, release_id: str) -> list[tuple[str, str]]:
    return [(e.act, e.by) for e in store.read(lambda u: journal.entries(u, "release", release_id))]


def approve(store, release, by, at, **more):
    digest = more.pop("digest", release.digest)
    return store.run(lambda u: desk.approve(u, release.id, digest=digest, by=by, at=at, **more))


def test_an_approval_holds_state_vote_promises_and_journal_together(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    approve(store, release, people["approver"], at)
    assert current(store, release.id).state is State.APPROVED
    assert store.read(lambda u: releases.votes(u, release.id, release.digest)) == {"per_approver"}
    dispatches = store.read(lambda u: promises.of_release(u, release.id))
    entries = store.read(lambda u: journal.entries(u, "release", release.id))
    assert [e.act for e in entries] == ["create", "submit", "approve"]
    assert entries[-1].detail["digest"] == release.digest
    assert sorted(entries[-1].detail["dispatches"]) == sorted(d.id for d in dispatches)


def test_r4_what_was_approved_besides_bytes_is_kept_under_the_digest(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at, repeat_unsure=True)
    approve(store, release, people["approver"], at)
    kept = store.read(lambda u: releases.manifest(u, release.id))
    assert kept["repeat_unsure"] is True and kept["identifier"] == release.identifier
    write_past_guards(store, t.artefact, sha256="0" * 64)
    assert store.read(lambda u: releases.manifest(u, release.id)) == {}


def test_nothing_of_an_approval_stays_when_its_last_step_fails(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)

    def fails_late(unit):
        desk.approve(unit, release.id, digest=release.digest, by=people["approver"], at=at)
        raise Conflict("the caller's own row is taken")

    with pytest.raises(Conflict, match="own row"):
        store.run(fails_late)
    assert current(store, release.id) == release
    assert store.read(lambda u: promises.of_release(u, release.id)) == []
    assert store.read(lambda u: releases.votes(u, release.id, release.digest)) == set()


@pytest.mark.parametrize("name", ["admin", "auditor"])
def test_admin_and_auditor_change_nothing(store, people, areas, at, name: str) -> None:
    by = people[name]
    with pytest.raises(NotAllowed):
        made.created(store, by, at)
    release = made.submitted(store, people["officer"], at)
    bytes_ = made.frozen(store, release.id, at)
    for work in (
        lambda u: desk.edit(u, release.id, release.draft, by=by, at=at),
        lambda u: desk.submit(u, release.id, bytes_, by=by, at=at),
        lambda u: desk.approve(u, release.id, digest=release.digest, by=by, at=at),
        lambda u: desk.send_back(u, release.id, reason="x", by=by, at=at),
        lambda u: desk.reject(u, release.id, reason="x", by=by, at=at),
        lambda u: desk.stop(u, release.id, reason="x", by=by, at=at),
    ):
        with pytest.raises(NotAllowed) as error:
            store.run(work)
        assert error.value.code == "role_missing"
    assert current(store, release.id) == release


def test_an_officer_neither_approves_nor_returns_nor_rejects(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    by = people["officer2"]
    for work in (
        lambda u: desk.approve(u, release.id, digest=release.digest, by=by, at=at),
        lambda u: desk.send_back(u, release.id, reason="x", by=by, at=at),
        lambda u: desk.reject(u, release.id, reason="x", by=by, at=at),
    ):
        with pytest.raises(NotAllowed):
            store.run(work)


@pytest.mark.parametrize("author", ["approver", "both"])
def test_r7_h83_nobody_approves_what_he_wrote(store, people, areas, at, author: str) -> None:
    release = made.submitted(store, people[author], at)
    with pytest.raises(NotAllowed) as error:
        approve(store, release, people[author], at)
    assert error.value.code == "own_work"
    assert approve(store, release, people["approver2"], at).state is State.APPROVED


def test_r7_h83_an_editor_of_an_old_version_never_approves(store, people, areas, at) -> None:
    release = made.created(store, people["officer"], at)
    store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["approver"], at=at))
    store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["officer2"], at=at))
    bytes_ = made.frozen(store, release.id, at)
    release = store.run(lambda u: desk.submit(u, release.id, bytes_, by=people["officer"], at=at))
    assert release.editors == {"per_officer", "per_approver", "per_officer2"}
    with pytest.raises(NotAllowed):
        approve(store, release, people["approver"], at)
    assert approve(store, release, people["approver2"], at).state is State.APPROVED


def test_nobody_sends_out_anothers_draft_alone(store, people, areas, at) -> None:
    release = made.created(store, people["officer"], at)
    bytes_ = made.frozen(store, release.id, at)
    release = store.run(lambda u: desk.submit(u, release.id, bytes_, by=people["approver"], at=at))
    with pytest.raises(NotAllowed) as error:
        approve(store, release, people["approver"], at)
    assert error.value.code == "own_work"


def test_r7_h83_a_second_account_of_the_same_person_is_the_same_person(store, people, areas, at) -> None:
    release = made.submitted(store, people["approver"], at)
    assert not store.run(
        lambda u: people_book.add(u, people["approver"], login="second", password_hash="", at=at)
    )
    with pytest.raises(NotAllowed):
        approve(store, release, people["approver"], at)


def test_r7_a_role_switched_off_counts_at_once_whatever_the_session_says(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    store.run(lambda u: people_book.set_active(u, "approver", is_active=False))
    with pytest.raises(NotAllowed):
        approve(store, release, people["approver"], at)  # the Person in hand still holds the role


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: "",
        lambda d: d[:63],
        lambda d: d + "0",
        lambda d: d.upper(),
        lambda d: f" {d}",
        lambda d: "0" * 64,
        lambda d: "警" * 64,
        lambda d: "\ud800",
    ],
    ids=["empty", "prefix", "longer", "upper case", "blank", "another", "not ASCII", "surrogate"],
)
def test_r7_h84_anything_but_the_full_lower_case_digest_is_a_conflict(
    store, people, areas, at, spoil
) -> None:
    release = made.submitted(store, people["officer"], at, colour="red")
    assert release.digest.upper() != release.digest
    with pytest.raises(Conflict) as error:
        approve(store, release, people["approver"], at, digest=spoil(release.digest))
    assert error.value.code == "digest_changed"
    assert store.read(lambda u: promises.of_release(u, release.id)) == []


def test_r7_h84_the_digest_of_an_older_version_lets_nothing_out(store, people, areas, at) -> None:
    old = made.submitted(store, people["officer"], at)
    store.run(lambda u: desk.edit(u, old.id, old.draft, by=people["officer"], at=at))
    with pytest.raises(IllegalMove):
        approve(store, old, people["approver"], at)
    bytes_ = made.frozen(store, old.id, at)
    new = store.run(lambda u: desk.submit(u, old.id, bytes_, by=people["officer"], at=at))
    assert new.digest != old.digest
    with pytest.raises(Conflict) as error:
        approve(store, new, people["approver"], at, digest=old.digest)
    assert error.value.code == "digest_changed"


def test_a_submission_of_the_same_words_has_another_digest(store, people, areas, at) -> None:
    first = made.submitted(store, people["officer"], at)
    store.run(lambda u: desk.send_back(u, first.id, reason="再看", by=people["approver"], at=at))
    store.run(lambda u: desk.edit(u, first.id, first.draft, by=people["officer"], at=at))
    bytes_ = made.frozen(store, first.id, at)
    assert bytes_.digest != first.digest


def test_r7_h86_an_edit_after_submit_voids_the_votes(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at, policies=TWO)
    assert approve(store, release, people["approver"], at, policies=TWO).state is State.SUBMITTED
    after = store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["officer2"], at=at))
    assert (after.state, after.revision, after.digest) == (State.DRAFT, 2, "")
    assert store.read(lambda u: releases.votes(u, release.id, release.digest)) == set()


def test_two_of_two_approvers_let_it_out_and_one_twice_does_not(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at, policies=TWO)
    assert approve(store, release, people["approver"], at, policies=TWO).state is State.SUBMITTED
    assert store.read(lambda u: promises.of_release(u, release.id)) == []
    with pytest.raises(Conflict) as error:
        approve(store, release, people["approver"], at, policies=TWO)
    assert error.value.code == "already_voted"
    assert approve(store, release, people["approver2"], at, policies=TWO).state is State.APPROVED
    assert [a for a, _ in acts_of(store, release.id)] == ["create", "submit", "vote", "approve"]


def test_h86_a_policy_that_changed_after_submit_voids_the_submission(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at, policies=TWO)
    with pytest.raises(Tampered):
        approve(store, release, people["approver"], at)


def test_a_step_up_is_asked_for_where_the_policy_says_so(store, people, areas, at) -> None:
    strict = (Policy(id="strict", step_up=timedelta(minutes=5)),)
    release = made.submitted(store, people["officer"], at, policies=strict)
    for proof in (None, at - timedelta(minutes=6), at + timedelta(seconds=1)):
        with pytest.raises(NotAllowed) as error:
            approve(store, release, people["approver"], at, step_up=proof, policies=strict)
        assert error.value.code == "step_up_needed"
    proof = at - timedelta(minutes=5)
    after = approve(store, release, people["approver"], at, step_up=proof, policies=strict)
    assert after.state is State.APPROVED


def test_what_no_policy_names_does_not_leave(store, people, areas, at) -> None:
    only_live = (Policy(id="live", modes=frozenset({Mode.LIVE})),)
    release = made.created(store, people["officer"], at)
    with pytest.raises(NotAllowed) as error:
        made.frozen(store, release.id, at, policies=only_live)
    assert error.value.code == "no_policy"


def test_r7_a_submission_lapses_after_thirty_minutes(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    almost, over = at + timedelta(minutes=29, seconds=59), at + timedelta(minutes=30)
    with pytest.raises(IllegalMove):
        store.run(lambda u: desk.lapse(u, release.id, at=almost))
    assert store.run(lambda u: desk.lapse_overdue(u, at=almost)) == []
    with pytest.raises(Conflict) as error:
        approve(store, release, people["approver"], over)
    assert error.value.code == "lapsed"
    assert store.run(lambda u: desk.lapse_overdue(u, at=over)) == [release.id]
    assert store.run(lambda u: desk.lapse_overdue(u, at=over)) == []
    after = current(store, release.id)
    assert (after.state, after.digest, after.submitted_at) == (State.DRAFT, "", None)
    assert acts_of(store, release.id)[-1] == ("lapse", "system")


def test_what_expired_while_it_waited_is_not_approved(store, people, areas, at) -> None:
    soon = (at + timedelta(minutes=10)).isoformat()
    release = made.submitted(store, people["officer"], at, expires=soon)
    with pytest.raises(Conflict) as error:
        approve(store, release, people["approver"], at + timedelta(minutes=11))
    assert error.value.code == "expired"


def test_a_draft_that_changed_since_its_freeze_is_not_submitted(store, people, areas, at) -> None:
    release = made.created(store, people["officer"], at)
    bytes_ = made.frozen(store, release.id, at)
    store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["officer2"], at=at))
    with pytest.raises(Conflict) as error:
        store.run(lambda u: desk.submit(u, release.id, bytes_, by=people["officer"], at=at))
    assert error.value.code == "release_changed"


def test_the_bytes_of_another_release_are_not_submitted(store, people, areas, at) -> None:
    mine, other = (made.created(store, people["officer"], at) for _ in range(2))
    bytes_ = made.frozen(store, other.id, at)
    with pytest.raises(Conflict):
        store.run(lambda u: desk.submit(u, mine.id, bytes_, by=people["officer"], at=at))


def test_a_list_that_changed_since_it_was_counted_is_counted_again(store, people, areas, at) -> None:
    release = made.created(store, people["officer"], at)
    bytes_ = made.frozen(store, release.id, at)
    row = {"channel": "sms", "address": "+8613800000001", "area": made.DISTRICT}
    store.run(lambda u: audience.add(u, [row], at))
    with pytest.raises(Conflict) as error:
        store.run(lambda u: desk.submit(u, release.id, bytes_, by=people["officer"], at=at))
    assert error.value.code == "list_changed"
    again = made.frozen(store, release.id, at)
    assert again.reach == 1
    after = store.run(lambda u: desk.submit(u, release.id, again, by=people["officer"], at=at))
    assert (after.reach, after.list_version) == (1, 1)


def test_h86_a_list_that_changes_after_submit_does_not_change_whom_it_reaches(
    store, people, areas, at
) -> None:
    release = made.submitted(store, people["officer"], at)
    row = {"channel": "sms", "address": "+8613800000001", "area": made.DISTRICT}
    store.run(lambda u: audience.add(u, [row], at))
    after = approve(store, release, people["approver"], at)
    assert (after.state, after.list_version) == (State.APPROVED, 0)  # expanding reads that version


@pytest.mark.parametrize("revision", [0, 2])
def test_a_stale_revision_is_refused(store, people, areas, at, revision: int) -> None:
    release = made.submitted(store, people["officer"], at)
    with pytest.raises(Conflict) as error:
        approve(store, release, people["approver"], at, revision=revision)
    assert error.value.code == "revision_changed"
    with pytest.raises(Conflict):
        store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["officer"], at=at,
                                      revision=revision))  # fmt: skip


@pytest.mark.parametrize("column", ["body", "sha256", "language", "purpose", "gone", "more"])
def test_a_tampered_artefact_lets_nothing_out(store, people, areas, at, column: str) -> None:
    release = made.submitted(store, people["officer"], at)

    def tamper(unit):
        for act in ("update", "delete"):
            table = " ON artefact" if unit.is_postgres else ""
            unit.connection.exec_driver_sql(f"DROP TRIGGER artefact_no_{act}{table}")
        a = t.artefact
        mine = (a.c.release == release.id, a.c.channel == "sms", a.c.language == "en", a.c.purpose == "main")
        if column == "gone":
            unit.execute(a.delete().where(*mine))
        elif column == "more":
            row = dict(unit.row(sa.select(a).where(*mine))._mapping)
            unit.execute(a.insert(), row | {"id": "art_x", "area_variant": "x"})
        else:
            value = {"body": b"all is well", "sha256": "0" * 64, "language": "fr", "purpose": "lift"}[column]
            if column == "purpose":
                unit.execute(a.delete().where(*mine[:3], a.c.purpose == "lift"))
            unit.execute(a.update().where(*mine).values(**{column: value}))

    store.run(tamper)
    with pytest.raises(Tampered):
        approve(store, release, people["approver"], at)
    assert current(store, release.id).state is State.SUBMITTED
    assert store.read(lambda u: promises.of_release(u, release.id)) == []


@pytest.mark.parametrize(
    "values",
    [{"issuer": "别处"}, {"expires": None}, {"handling": "internal"}, {"reach": 7}, {"colour": "blue"},
     {"list_version": 9}, {"kind": "notice"}],
    ids=lambda v: next(iter(v)),
)  # fmt: skip
def test_a_row_changed_behind_our_back_lets_nothing_out(store, people, areas, at, values) -> None:
    release = made.submitted(store, people["officer"], at)
    if "expires" in values:
        values = {"expires": at + timedelta(days=9)}
    r = t.release_row
    store.run(lambda u: u.execute(r.update().where(r.c.id == release.id).values(**values)))
    with pytest.raises(Tampered):
        approve(store, release, people["approver"], at)


def test_a_stop_ends_every_promise_and_keeps_its_reason(store, people, areas, at) -> None:
    release = made.approved(store, people["officer"], people["approver"], at)
    after = store.run(lambda u: desk.stop(u, release.id, reason=" 发错地区 ", by=people["officer2"], at=at))
    assert (after.state, after.ended_reason) == (State.STOPPED, "发错地区")
    assert {d.state for d in store.read(lambda u: promises.of_release(u, release.id))} == {"stopped"}
    assert store.read(lambda u: promises.has_tombstone(u, release.id))
    assert ("stop", "per_officer2") in acts_of(store, release.id)


@pytest.mark.parametrize("reason", ["", "  \n", "长" * 501])
def test_ending_a_release_needs_a_reason(store, people, areas, at, reason: str) -> None:
    release = made.submitted(store, people["officer"], at)
    for act in (desk.send_back, desk.reject, desk.stop):
        with pytest.raises(BadInput) as error:
            store.run(lambda u, a=act: a(u, release.id, reason=reason, by=people["approver"], at=at))
        assert error.value.flaws[0].pointer == "/reason"


def test_a_returned_release_comes_back_and_leaves(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    back = store.run(lambda u: desk.send_back(u, release.id, reason="电话错", by=people["approver"], at=at))
    assert (back.state, back.ended_reason) == (State.RETURNED, "电话错")
    store.run(lambda u: desk.edit(u, release.id, release.draft, by=people["officer"], at=at, revision=1))
    bytes_ = made.frozen(store, release.id, at)
    again = store.run(lambda u: desk.submit(u, release.id, bytes_, by=people["officer"], at=at))
    assert again.ended_reason == ""
    assert approve(store, again, people["approver"], at).state is State.APPROVED


def test_a_draft_of_an_unknown_report_is_refused(store, people, areas, at) -> None:
    with pytest.raises(BadInput) as error:
        made.created(store, people["officer"], at, from_report="rep_00000000000000000000000000")
    assert error.value.flaws[0].pointer == "/from_report"


def test_every_refused_try_is_in_the_journal(store, people, areas, at) -> None:
    release = made.submitted(store, people["approver"], at)
    own, stale = people["approver"], people["approver2"]
    for by, digest, code in ((own, release.digest, "own_work"), (stale, "0" * 64, "digest_changed"),
                             (people["auditor"], release.digest, "role_missing")):  # fmt: skip
        tried = attempt(
            store,
            lambda u, b=by, d=digest: desk.approve(u, release.id, digest=d, by=b, at=at),
            act="approve", by=by, at=at, release_id=release.id,
        )  # fmt: skip
        with pytest.raises((NotAllowed, Conflict)) as error:
            tried.result(10)
        assert error.value.code == code
        last = store.read(lambda u: journal.entries(u, "release", release.id))[-1]
        assert (last.act, last.by, last.detail) == ("refused", by.id, {"act": "approve", "code": code})


def test_a_refused_draft_is_in_the_journal_of_the_person(store, people, areas, at) -> None:
    by = people["auditor"]
    wanted = made.draft(store, people["officer"], at)
    tried = attempt(store, lambda u: desk.create(u, wanted, by=by, at=at), act="create", by=by, at=at)
    with pytest.raises(NotAllowed):
        tried.result(10)
    entries = store.read(lambda u: journal.entries(u, "person", by.id))
    assert [e.detail for e in entries] == [{"act": "create", "code": "role_missing"}]


def test_a_try_that_succeeds_or_finds_nothing_leaves_no_note(store, people, areas, at) -> None:
    release = made.submitted(store, people["officer"], at)
    by = people["approver"]
    done = attempt(store, lambda u: desk.approve(u, release.id, digest=release.digest, by=by, at=at),
                   act="approve", by=by, at=at, release_id=release.id)  # fmt: skip
    assert done.result(10).state is State.APPROVED
    ghost = "rel_00000000000000000000000000"
    missing = attempt(store, lambda u: desk.approve(u, ghost, digest="x", by=by, at=at),
                      act="approve", by=by, at=at, release_id=ghost)  # fmt: skip
    with pytest.raises(NotFound):
        missing.result(10)
    assert store.read(lambda u: journal.entries(u, "release", ghost)) == []


def test_a_headline_changed_while_it_waits_is_found_at_the_approval(store, people, areas, at):
    release = made.submitted(store, people["officer"], at)
    with pytest.raises(Tampered):
        store.run(lambda u: _approve_after(u, release, people["approver"], at))
    assert store.read(lambda u: releases.get(u, release.id)).state is State.SUBMITTED


def _approve_after(unit, release, by, at):
    """Approve under headlines that are not those that were submitted; the table itself refuses any change."""
    with pytest.raises(sa.exc.DBAPIError), unit.connection.begin_nested():
        unit.execute(t.artefact.update().values(headline="全部解除"))
    unit.execute(sa.text("DROP TRIGGER artefact_no_update" + (" ON artefact" if unit.is_postgres else "")))
    unit.execute(t.artefact.update().where(t.artefact.c.release == release.id).values(headline="全部解除"))
    return desk.approve(unit, release.id, digest=release.digest, by=by, at=at)
