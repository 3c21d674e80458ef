"""What several reports tell of: opened, joined, taken apart, merged, split; every act is undone by another one."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from domain.errors import BadInput, Conflict, IllegalMove, NotAllowed, NotFound
from domain.incident import MOVES, IncidentState
from domain.person import Person, Role
from duty import incidents as duty
from duty import reports as report_duty
from store import incidents, journal, people, reports
from tests.conftest import open_store
from tests.reports_kit import filed

OFFICER = Person(id="per_o", name="值班员", organisation="", roles=frozenset({Role.OFFICER}))
AUDITOR = Person(id="per_a", name="审计员", organisation="", roles=frozenset({Role.AUDITOR}))


@pytest.fixture
def three(store, areas, at):
    for person in (OFFICER, AUDITOR):
        store.run(lambda u, p=person: people.add(u, p, login=p.id, password_hash="", at=at))
    return [
        filed(store, at, text, sender=f"+861390000000{n}")
        for n, text in enumerate(("甲村着火", "甲村大火", "乙村停电"))
    ]


def run(store, work, *args, **more):
    return store.run(lambda u: work(u, *args, by=OFFICER, at=more.pop("at"), **more))


def in_it(store, incident):
    return {m.report for m in store.read(lambda u: incidents.members(u, incident))}


def acts(store, kind, entity):
    return [row.act for row in store.read(lambda u: journal.entries(u, kind, entity))]


def test_an_incident_begins_with_a_report_and_takes_others_in(store, three, at) -> None:
    made = run(store, duty.open_incident, three[0], at=at)
    assert (made.title, made.state) == ("甲村着火", IncidentState.OPEN)
    run(store, duty.attach, made.id, three[1], at=at)
    run(store, duty.attach, made.id, three[1], at=at)  # a double click
    assert in_it(store, made.id) == set(three[:2])
    count = duty.corroboration(store.read(lambda u: duty.told(u, made.id, by=OFFICER)))
    assert (count.reports, count.senders, count.unknown) == (2, 2, 0)
    run(store, duty.detach, made.id, three[1], at=at)
    run(store, duty.attach, made.id, three[1], at=at)
    assert in_it(store, made.id) == set(three[:2])
    assert acts(store, "incident", made.id) == ["open_incident", "attach_incident", "attach_incident", "detach_incident",
                                               "attach_incident"]  # fmt: skip
    assert acts(store, "report", three[1])[-3:] == ["attach_incident", "detach_incident", "attach_incident"]
    assert b"\xe7\x94\xb2\xe6\x9d\x91" not in bytes(store.read(lambda u: u.connection.exec_driver_sql(
        "SELECT title FROM incident").scalar()))  # fmt: skip


def test_two_reports_join_whichever_of_them_has_an_incident(store, three, at) -> None:
    made = store.run(lambda u: duty.attach_to_report(u, three[1], three[0], by=OFFICER, at=at))
    again = store.run(lambda u: duty.attach_to_report(u, three[0], three[2], by=OFFICER, at=at))
    assert again.id == made.id
    assert in_it(store, made.id) == set(three)
    with pytest.raises(BadInput):
        store.run(lambda u: duty.attach_to_report(u, three[0], three[0], by=OFFICER, at=at))


def test_a_merge_is_undone_and_what_came_since_stays(store, three, at) -> None:
    one, two = (run(store, duty.open_incident, name, at=at).id for name in three[:2])
    run(store, duty.merge, one, two, at=at)
    assert in_it(store, two) == set(three[:2])
    assert store.read(lambda u: incidents.root_of(u, one)) == two
    with pytest.raises(IllegalMove):
        run(store, duty.attach, one, three[2], at=at)
    run(store, duty.attach, two, three[2], at=at)
    run(store, duty.unmerge, one, at=at)
    assert (in_it(store, one), in_it(store, two)) == ({three[0]}, {three[1], three[2]})
    assert acts(store, "incident", two)[-1] == "give_back"


def test_what_is_taken_apart_leaves_also_where_its_other_was_merged_further(store, three, at) -> None:
    one, two, last = (run(store, duty.open_incident, name, at=at).id for name in three)
    run(store, duty.merge, one, two, at=at)
    run(store, duty.merge, two, last, at=at)
    assert in_it(store, last) == set(three)
    run(store, duty.unmerge, one, at=at)
    assert [in_it(store, name) for name in (one, two, last)] == [{three[0]}, {three[1]}, {three[1], three[2]}]
    assert acts(store, "incident", last)[-1] == "give_back"
    run(store, duty.merge, one, last, at=at)
    run(store, duty.unmerge, two, at=at)
    assert [in_it(store, name) for name in (two, last)] == [{three[1]}, {three[0], three[2]}]


def test_a_report_that_two_have_brought_stays_while_one_of_them_is_merged(store, three, at) -> None:
    one, two, last = (run(store, duty.open_incident, name, at=at).id for name in three)
    run(store, duty.attach, two, three[0], at=at)
    for name in (one, two):
        run(store, duty.merge, name, last, at=at)
    run(store, duty.unmerge, one, at=at)
    assert in_it(store, last) == set(three)
    run(store, duty.unmerge, two, at=at)
    assert in_it(store, last) == {three[2]}


def test_two_officers_at_once_open_one_incident_for_a_report(database_url, store, three, at) -> None:
    other, gate = open_store(database_url), Barrier(2, timeout=60)

    def act(of, begins: bool) -> str:
        def work(unit) -> str:
            made = duty.open_incident(unit, three[0], by=OFFICER, at=at).id
            if begins and not gate.broken:
                with suppress(BrokenBarrierError):
                    gate.wait(0.3)  # the other one has time to look; here he waits for the row
            return made

        try:
            return str(of.run(work))
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(2) as both:
        found = [f.result() for f in [both.submit(act, store, True), both.submit(act, other, True)]]
    other.close()
    assert sorted(name.partition("_")[0] for name in found) == ["in", "inc"]
    assert len(store.read(lambda u: incidents.memberships(u, three[0]))) == 1


def test_what_is_merged_and_taken_apart_crosswise_waits_in_no_circle(database_url, store, three, at) -> None:
    one, two = sorted(run(store, duty.open_incident, name, at=at).id for name in three[:2])
    other = open_store(database_url)

    def act(of, n: int) -> None:
        with suppress(Conflict, BadInput, IllegalMove, NotFound):
            if n % 3:
                of.run(lambda u: duty.merge(u, two, one, by=OFFICER, at=at))
            of.run(lambda u: duty.unmerge(u, two, by=OFFICER, at=at))
            of.run(lambda u: duty.merge(u, one, two, by=OFFICER, at=at))

    with ThreadPoolExecutor(4) as several:
        for done in [several.submit(act, (store, other)[n % 2], n) for n in range(24)]:
            done.result()  # a circle would end as Unavailable
    other.close()


def test_a_split_is_undone_by_merging_back(store, three, at) -> None:
    made = run(store, duty.open_incident, three[0], at=at)
    for name in three[1:]:
        run(store, duty.attach, made.id, name, at=at)
    new = store.run(lambda u: duty.split(u, made.id, three[2:], by=OFFICER, at=at))
    assert (in_it(store, made.id), in_it(store, new.id)) == (set(three[:2]), {three[2]})
    run(store, duty.merge, new.id, made.id, at=at)
    assert in_it(store, made.id) == set(three)
    for wrong in ([], three, ["rep_other"]):
        with pytest.raises(BadInput):
            store.run(lambda u, wrong=wrong: duty.split(u, made.id, wrong, by=OFFICER, at=at))


def test_merging_with_itself_or_in_a_circle_is_refused(store, three, at) -> None:
    one, two = (run(store, duty.open_incident, name, at=at).id for name in three[:2])
    run(store, duty.merge, one, two, at=at)
    for into in (two, one):
        with pytest.raises((BadInput, IllegalMove)):
            run(store, duty.merge, two, into, at=at)


def test_every_move_that_is_not_in_the_table_is_refused(store, three, at) -> None:
    made = run(store, duty.open_incident, three[0], at=at)
    other = run(store, duty.open_incident, three[1], at=at)
    tries = {
        "attach_incident": lambda: run(store, duty.attach, made.id, three[2], at=at),
        "detach_incident": lambda: run(store, duty.detach, made.id, three[0], at=at),
        "merge_incident": lambda: run(store, duty.merge, made.id, other.id, at=at),
        "unmerge_incident": lambda: run(store, duty.unmerge, made.id, at=at),
        "close_incident": lambda: run(store, duty.close, made.id, at=at, reason="毕"),
        "reopen_incident": lambda: run(store, duty.reopen, made.id, at=at),
    }
    for state in (IncidentState.OPEN, IncidentState.CLOSED):
        for action, act in tries.items():
            if not MOVES.allows(state, action):
                with pytest.raises(IllegalMove):
                    act()
        if state is IncidentState.OPEN:
            tries["close_incident"]()


def test_only_the_duty_room_acts_and_a_stale_page_changes_nothing(store, three, at) -> None:
    with pytest.raises(NotAllowed):
        store.run(lambda u: duty.open_incident(u, three[0], by=AUDITOR, at=at))
    made = run(store, duty.open_incident, three[0], at=at)
    run(store, duty.retitle, made.id, at=at, title="甲村火灾")
    with pytest.raises(Conflict):
        run(store, duty.retitle, made.id, at=at, title="x", revision=made.revision)
    with pytest.raises(Conflict):
        run(store, duty.open_incident, three[0], at=at)
    with pytest.raises(NotFound):
        run(store, duty.attach, "inc_nobody", three[0], at=at)
    assert store.read(lambda u: incidents.get(u, made.id)).title == "甲村火灾"


def test_a_refused_candidate_is_not_proposed_again(store, three, at) -> None:
    def again():
        store.run(lambda u: incidents.propose(u, three[1], [(three[0], 0.9, (("minutes", 3),))], at))

    again()
    assert [c.other for c in store.read(lambda u: incidents.candidates(u, three[0]))] == [three[1]]
    assert store.run(lambda u: duty.refuse(u, three[0], three[1], by=OFFICER, at=at))
    again()
    for name in three[:2]:
        assert store.read(lambda u, n=name: incidents.candidates(u, n)) == []
    assert acts(store, "report", three[1])[-1] == "keep_apart"


def test_a_repeat_is_merged_into_its_other_and_stands_for_itself_again(store, three, at) -> None:
    first, second = three[:2]
    run(store, report_duty.claim, second, at=at)
    run(store, report_duty.merge, second, at=at, into=first)
    with pytest.raises((BadInput, IllegalMove)):
        run(store, report_duty.merge, first, at=at, into=second)
    back = run(store, report_duty.unmerge, second, at=at)
    assert (back.state.value, back.merged_into, back.claimed_by) == ("claimed", "", OFFICER.id)
    assert acts(store, "report", first)[-1] == "take_in"
    assert store.read(lambda u: reports.get(u, second)).merged_into == ""
