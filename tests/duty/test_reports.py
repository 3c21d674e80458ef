"""The duty room's acts: every row of MOVES that has an act, every refusal, one winner."""

import pytest

from domain.errors import BadInput, Conflict, IllegalMove, NotAllowed, NotFound
from domain.handling import Handling
from domain.report import Content, Inbound, Report, State
from duty import refusals
from duty import reports as duty
from intake import desk
from store import journal, reports


@pytest.fixture
def report(store, people, areas, at) -> str:
    inbound = Inbound(
        channel="phone", external_id="1", raw=b"{}", media_type="application/json", received_at=at
    )
    kept = desk.mint_names(at)

    def work(unit):
        desk.receive(unit, inbound, kept, at=at)
        row = Report(
            id=kept.report_id,
            code=kept.code,
            channel="phone",
            organisation="",
            handling=Handling.INTERNAL,
            state=State.FILED,
            revision=1,
            received_at=at,
            filed_at=at,
            content=Content(text="桥断了", language="zh", facts={}),
        )
        reports.insert(unit, row, inbound_id=kept.inbound_id, by="door", at=at)
        journal.append(unit, "report", kept.report_id, "file", by="system", at=at, is_first=True)

    store.run(work)
    return kept.report_id


def test_of_fifty_claims_at_once_one_wins_and_the_others_hear_who(store, people, report, at) -> None:
    who = [people["officer"], people["officer2"], people["both"]]
    futures = [store.submit(lambda u, p=who[n % 3]: duty.claim(u, report, by=p, at=at)) for n in range(51)]
    errors = [f.exception() for f in futures]
    winner = store.read(lambda u: reports.get(u, report)).claimed_by
    assert sum(e is None for e in errors) == 17  # the winner's own double clicks are no conflict
    assert all(isinstance(e, Conflict) and winner.removeprefix("per_") in e.detail for e in errors if e)


def test_the_whole_life_of_a_report(store, people, report, at) -> None:
    a, b = people["officer"], people["officer2"]
    run = store.run
    run(lambda u: duty.claim(u, report, by=a, at=at))
    with pytest.raises(Conflict):
        run(lambda u: duty.close(u, report, by=b, at=at, reason="not mine"))
    with pytest.raises(NotAllowed):
        run(lambda u: duty.take_over(u, report, by=b, at=at, reason="换班"))
    run(lambda u: duty.release_claim(u, report, by=a, at=at))
    run(lambda u: duty.claim(u, report, by=b, at=at))
    run(lambda u: duty.verify(u, report, by=b, at=at))
    after = run(lambda u: duty.classify(u, report, by=b, at=at, event_code="11B03", grade=2, area="990101"))
    assert (after.event_code, after.grade, after.area) == ("11B03", 2, "990101000000")
    assert run(lambda u: duty.close(u, report, by=b, at=at, reason="已处置")).state is State.CLOSED
    assert run(lambda u: duty.reopen(u, report, by=a, at=at)).claimed_by == a.id
    assert run(lambda u: duty.release_claim(u, report, by=a, at=at)).state is State.FILED
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "report", report))]
    assert acts == ["file", "claim", "release_claim", "claim", "verify", "classify", "close", "reopen",
                    "release_claim"]  # fmt: skip


@pytest.mark.parametrize("is_verified", [False, True])
def test_the_leader_takes_over_any_claim_with_a_reason(store, people, report, at, is_verified) -> None:
    officer, leader = people["officer"], people["leader"]
    store.run(lambda u: duty.claim(u, report, by=officer, at=at))
    if is_verified:
        store.run(lambda u: duty.verify(u, report, by=officer, at=at))
    with pytest.raises(BadInput):
        store.run(lambda u: duty.take_over(u, report, by=leader, at=at, reason=" "))
    after = store.run(lambda u: duty.take_over(u, report, by=leader, at=at, reason="换班"))
    assert (after.claimed_by, after.state) == (leader.id, State.VERIFIED if is_verified else State.CLAIMED)
    assert store.run(lambda u: duty.take_over(u, report, by=leader, at=at, reason="x")) == after
    entry = store.read(lambda u: journal.entries(u, "report", report))[-1]
    assert (entry.act, entry.by) == ("take_over", leader.id)
    assert (entry.detail["reason"], entry.detail["of"]) == ("换班", officer.id)


def test_what_nobody_has_is_claimed_and_not_taken_over(store, people, report, at) -> None:
    with pytest.raises(IllegalMove):
        store.run(lambda u: duty.take_over(u, report, by=people["leader"], at=at, reason="x"))


def test_a_refusal_is_in_the_journal_of_the_report_or_of_who_tried(store, people, report, at) -> None:
    officer = people["officer"]
    for name, where in ((report, ("report", report)), ("rep_none", ("person", officer.id))):
        refusals.note(
            store, NotAllowed(code="role_missing"), act="take_over", report_id=name, by=officer, at=at
        )
        entry = store.read(lambda u, where=where: journal.entries(u, *where))[-1]
        assert (entry.act, entry.detail) == ("refused", {"act": "take_over", "code": "role_missing"})


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_admin_and_auditor_change_nothing(store, people, report, who, at) -> None:
    for act in (duty.claim, duty.verify, duty.release_claim, duty.reopen, duty.classify):
        with pytest.raises(NotAllowed):
            store.run(lambda u, act=act: act(u, report, by=people[who], at=at))
    assert store.read(lambda u: reports.get(u, report)).revision == 1


def test_what_cannot_be_is_refused_with_its_place(store, people, report, at) -> None:
    p = people["officer"]
    with pytest.raises(BadInput) as refused:
        store.run(lambda u: duty.classify(u, report, by=p, at=at, event_code="99999", grade=7, area="330100"))
    assert [f.pointer for f in refused.value.flaws] == ["/event_code", "/grade", "/area"]
    with pytest.raises(BadInput):
        store.run(lambda u: duty.close(u, report, by=p, at=at, reason="  "))
    with pytest.raises(IllegalMove):
        store.run(lambda u: duty.verify(u, report, by=p, at=at))
    with pytest.raises(NotFound):
        store.run(lambda u: duty.claim(u, "rep_none", by=p, at=at))
    with pytest.raises(Conflict):
        store.run(lambda u: duty.claim(u, report, by=p, at=at, revision=9))
