"""Shifts: one at a time, and nothing is left in hand without a word."""

import pytest

from domain.errors import BadInput, Conflict, NotAllowed
from domain.handling import Handling
from domain.report import Content, Inbound, Report, State
from duty import reports as reports_of_duty
from duty import shifts as duty
from intake import desk
from store import journal, reports, shifts


def _report(store, at, key: str) -> str:
    names = desk.mint_names(at)
    inbound = Inbound(
        channel="phone", external_id=key, raw=b"{}", media_type="application/json", received_at=at
    )

    def work(unit):
        desk.receive(unit, inbound, names, at=at)
        row = Report(
            id=names.report_id, code=names.code, channel="phone", organisation="", handling=Handling.INTERNAL,
            state=State.FILED, revision=1, received_at=at, filed_at=at,
            content=Content(text=key, language="zh", facts={}),
        )  # fmt: skip
        reports.insert(unit, row, inbound_id=names.inbound_id, by="door", at=at)
        journal.append(unit, "report", names.report_id, "file", by="system", at=at, is_first=True)

    store.run(work)
    return names.report_id


def test_a_shift_begins_and_ends_once(store, people, at) -> None:
    officer = people["officer"]
    with pytest.raises(Conflict):
        store.run(lambda u: duty.sign_off(u, by=officer, at=at))
    shift = store.run(lambda u: duty.sign_on(u, by=officer, at=at))
    with pytest.raises(Conflict):
        store.run(lambda u: duty.sign_on(u, by=officer, at=at))
    assert [row.person for row in store.read(shifts.on_duty)] == [officer.id]
    assert store.run(lambda u: duty.sign_off(u, by=officer, at=at)) == []
    with pytest.raises(Conflict):
        store.run(lambda u: duty.sign_off(u, by=officer, at=at))
    assert store.read(shifts.on_duty) == []
    assert [e.act for e in store.read(lambda u: journal.entries(u, "shift", shift))] == [
        "sign_on",
        "sign_off",
    ]
    assert store.run(lambda u: duty.sign_on(u, by=officer, at=at)) != shift


def test_of_many_who_sign_on_at_once_as_one_person_one_does(store, people, at) -> None:
    futures = [store.submit(lambda u: duty.sign_on(u, by=people["officer"], at=at)) for _ in range(20)]
    assert sum(f.exception() is None for f in futures) == 1


def test_signing_off_with_a_claim_needs_a_note_and_keeps_what_was_left(store, people, areas, at) -> None:
    officer, other = people["officer"], people["officer2"]
    held, given_back, of_another = (_report(store, at, key) for key in "abc")
    store.run(lambda u: duty.sign_on(u, by=officer, at=at))
    for report, who in ((held, officer), (given_back, officer), (of_another, other)):
        store.run(lambda u, r=report, w=who: reports_of_duty.claim(u, r, by=w, at=at))
    store.run(lambda u: reports_of_duty.release_claim(u, given_back, by=officer, at=at))
    with pytest.raises(BadInput) as refused:
        store.run(lambda u: duty.sign_off(u, by=officer, at=at, note="  "))
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/note"]
    assert store.read(lambda u: shifts.current(u, officer.id))
    assert store.run(lambda u: duty.sign_off(u, by=officer, at=at, note="交给乙")) == [held]
    (past,) = store.read(lambda u: shifts.recent(u, 5))
    assert (past.left_open, past.note, past.ended_at) == ([held], "交给乙", at)
    assert store.read(lambda u: reports.get(u, held)).claimed_by == officer.id


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_who_only_looks_has_no_shift(store, people, at, who) -> None:
    with pytest.raises(NotAllowed):
        store.run(lambda u: duty.sign_on(u, by=people[who], at=at))
