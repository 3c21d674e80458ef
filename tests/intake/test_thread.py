"""Which report follows which: linked only by what we gave to one person, proposed by everything else."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import IllegalMove
from domain.ids import short_code, spoken_digits
from domain.incident import Sign, ThreadState
from domain.person import Person, Role
from duty import threads as duty
from intake.thread import Threading, codes_in
from store import inbox, journal, people, reports, threads
from store import tables as t
from tests.reports_kit import filed

MINE, HIS = "+8613900000001", "+8613900000002"
OFFICER = Person(id="per_o", name="值班员", organisation="", roles=frozenset({Role.OFFICER}))


def study(store, name, at):
    step = Threading(domain="hub.example")
    report = store.read(lambda u: reports.get(u, name))
    found = step.look(store, report)
    if found:
        store.run(lambda u: step.write(u, report, found, at))
    return store.read(lambda u: threads.of(u, name))


def code_of(store, name):
    return store.read(lambda u: reports.get(u, name)).code


@pytest.mark.parametrize(
    "write", [str, str.lower, spoken_digits, lambda c: c.replace("-", ""), lambda c: c.replace("-", "－")]
)
def test_our_code_from_the_same_number_links(store, areas, at, write) -> None:
    first = filed(store, at, "山塌了", sender=MINE)
    second = filed(store, at, f"关于{write(code_of(store, first))}，又塌了一处", sender=MINE)
    [row] = study(store, second, at)
    assert (row.follows, row.sign, row.state, row.is_certain) == (first, Sign.CODE, ThreadState.LINKED, True)
    for name in (first, second):
        assert store.read(lambda u, n=name: journal.entries(u, "report", n))[-1].act == "follow"
    study(store, second, at)  # studied again
    assert (
        len([r for r in store.read(lambda u: journal.entries(u, "report", first)) if r.act == "follow"]) == 1
    )
    assert store.read(lambda u: reports.get(u, first)).content.text == "山塌了"  # never appended


def test_our_code_from_somebody_else_is_only_proposed(store, areas, at) -> None:
    first = filed(store, at, "山塌了", sender=MINE)
    second = filed(store, at, f"{code_of(store, first)} 请撤销", sender=HIS)
    [row] = study(store, second, at)
    assert (row.state, row.is_certain) == (ThreadState.PROPOSED, False)
    assert not [r for r in store.read(lambda u: journal.entries(u, "report", first)) if r.act == "follow"]


def test_a_number_that_was_told_lately_is_proposed_and_later_not(store, areas, at) -> None:
    first = filed(store, at, "山塌了", sender=MINE)
    arrival = store.read(lambda u: inbox.by_report(u, first)).id
    store.run(lambda u: inbox.acknowledge(u, arrival, at))
    soon = filed(store, at + timedelta(hours=3), "路也断了", sender=MINE)
    other = filed(store, at + timedelta(hours=3), "路也断了", sender=HIS)
    late = filed(store, at + timedelta(hours=30), "路也断了", sender=MINE)
    [row] = study(store, soon, at)
    assert (row.follows, row.sign, row.state) == (first, Sign.NUMBER, ThreadState.PROPOSED)
    assert study(store, other, at) == []
    assert study(store, late, at) == []


def test_an_answer_to_our_mail_links_from_the_one_who_got_it_only(store, areas, at) -> None:
    first = filed(store, at, "mail", channel="email", sender="li@a.example")
    dispatch = _acknowledged(store, first, at)
    answers = {"answers": f"<{dispatch.removeprefix('dsp_').lower()}-0-0@hub.example>"}
    mine = filed(store, at, "再补充", channel="email", sender="li@a.example", facts=answers)
    his = filed(store, at, "再补充", channel="email", sender="wang@a.example", facts=answers)
    assert [(r.sign, r.state) for r in study(store, mine, at)] == [(Sign.MAIL, ThreadState.LINKED)]
    assert [(r.sign, r.state) for r in study(store, his, at)] == [(Sign.MAIL, ThreadState.PROPOSED)]


def test_an_officer_links_and_takes_apart_and_every_decision_stays_written(store, areas, at) -> None:
    store.run(lambda u: people.add(u, OFFICER, login="o", password_hash="", at=at))
    first = filed(store, at, "山塌了", sender=MINE)
    second = filed(store, at, f"{code_of(store, first)} 山还在塌", sender=MINE)
    study(store, second, at)
    store.run(lambda u: duty.unlink(u, second, first, by=OFFICER, at=at))
    assert [r.state for r in study(store, second, at)] == [
        ThreadState.DETACHED
    ]  # studying does not link it again
    with pytest.raises(IllegalMove):
        store.run(lambda u: duty.unlink(u, second, first, by=OFFICER, at=at))
    store.run(lambda u: duty.link(u, second, first, by=OFFICER, at=at))
    acts = [r.act for r in store.read(lambda u: journal.entries(u, "report", first))]
    assert acts[-3:] == ["follow", "unlink", "link"]
    assert store.read(lambda u: threads.counts(u, [first])) == {first: 1}


def _acknowledged(store, report, at):
    from domain.ids import mint

    name = mint("dsp", at)
    row = {"id": name, "notice": "acknowledgement", "about": report, "notice_payload": b"x", "channel": "email",
           "language": "zh-CN", "sha256": "0" * 64, "lane": "email", "state": "ready", "next_due": at, "expires": at,
           "created_at": at, "purpose": "notice"}  # fmt: skip
    store.run(lambda u: u.execute(t.dispatch.insert(), row))
    return name


@given(st.text(max_size=200))
def test_any_text_is_looked_through_for_codes(text) -> None:
    code = short_code()
    assert all(len(found) == 9 for found in codes_in(text))
    assert code in codes_in(f"编号 {code}。{text}")
