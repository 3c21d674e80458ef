"""Reports upwards: signed by who did not write them, numbered without a gap, never changed afterwards, clocks stopped."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from domain.brief import Kind, State, chinese
from domain.clock import Duty, Rule, StartsFrom
from domain.clock import State as ClockState
from domain.errors import BadInput, Conflict, IllegalMove, NotAllowed
from duty import briefs as duty
from duty.clocks import ClockStep, Setting
from intake.study import Student
from store import briefs, clocks
from store import tables as t
from tests.reports_kit import filed

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def report(store, people, areas, at):
    return filed(store, at, "大坪村三组滑坡")


def draft(store, people, report, at, kind=Kind.FIRST, by="officer", **more):
    given = {"title": "大坪村滑坡", "body": "02:14 接报。"} | more
    return store.run(lambda u: duty.draft(u, report, by=people[by], at=at, kind=kind, **given))


def sign(store, people, one, at, by="leader", revision=None):
    return store.run(
        lambda u: duty.sign(u, one.id, by=people[by], at=at, zone=ZONE, revision=revision or one.revision)
    )


def test_a_first_report_may_be_thin_and_comes_once(store, people, report, at) -> None:
    draft(store, people, report, at, title="滑坡", body="大坪村")
    with pytest.raises(Conflict):
        draft(store, people, report, at)
    for wrong in ({"title": " "}, {"body": ""}, {"title": "长" * 121}, {"body": "长" * 8001}):
        with pytest.raises(BadInput):
            draft(store, people, report, at, Kind.FOLLOW_UP, **wrong)


def test_follow_ups_are_numbered_and_what_was_withdrawn_leaves_no_gap(store, people, report, at) -> None:
    one, two = (draft(store, people, report, at, Kind.FOLLOW_UP) for _ in range(2))
    assert [one.ordinal, two.ordinal] == ["一", "二"]
    store.run(lambda u: duty.withdraw(u, two.id, by=people["officer"], at=at))
    assert draft(store, people, report, at, Kind.FOLLOW_UP).ordinal == "二"
    assert [chinese(n) for n in (1, 10, 11, 20, 21, 99, 100)] == [
        "一",
        "十",
        "十一",
        "二十",
        "二十一",
        "九十九",
        "100",
    ]


def test_who_wrote_the_last_words_does_not_sign_and_what_was_shown_is_signed(
    store, people, report, at
) -> None:
    one = draft(store, people, report, at, by="leader")
    with pytest.raises(NotAllowed):
        sign(store, people, one, at)
    with pytest.raises(NotAllowed):
        sign(store, people, one, at, by="officer")
    edited = store.run(
        lambda u: duty.edit(
            u, one.id, by=people["officer"], at=at, title="大坪村滑坡2死", body="更正。", revision=1
        )
    )
    with pytest.raises(Conflict):
        sign(store, people, one, at)  # the revision that he saw
    with pytest.raises(NotAllowed):
        sign(store, people, edited, at)  # he wrote the words before those
    signed = sign(store, people, edited, at, by="approver")
    assert (signed.state, signed.signed_by, signed.number, signed.year) == (
        State.SIGNED,
        people["approver"].id,
        1,
        2026,
    )


def test_nothing_changes_a_signed_one_not_even_sql(store, people, report, at) -> None:
    one = sign(store, people, draft(store, people, report, at), at)
    with pytest.raises(IllegalMove):
        store.run(lambda u: duty.edit(u, one.id, by=people["officer"], at=at, title="x", body="y"))
    for values in (
        {"words": b"x"},
        {"number": 9},
        {"signed_by": "per_9"},
        {"state": "draft"},
        {"to": "x"},
        {"author": "per_9"},
    ):
        with pytest.raises(sa.exc.DBAPIError):
            store.run(lambda u, v=values: u.execute(t.brief.update().values(**v)))


def test_numbers_of_a_year_have_no_gap_though_many_sign_at_once(store, people, areas, at) -> None:
    made = [draft(store, people, filed(store, at, f"事件{n}"), at) for n in range(24)]
    with ThreadPoolExecutor(8) as threads:
        signed = list(threads.map(lambda one: sign(store, people, one, at), made))
    assert sorted(one.number for one in signed) == list(range(1, 25))
    new_year = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # the first second of 2027 here
    later = sign(store, people, draft(store, people, filed(store, at, "新年"), at), new_year)
    assert (later.year, later.number, duty.number_of(later)) == (2027, 1, "〔2027〕1号")


def test_a_number_whose_transaction_fails_is_not_used_up(store, people, report, at) -> None:
    one = draft(store, people, report, at)

    def fails(unit):
        duty.sign(unit, one.id, by=people["leader"], at=at, zone=ZONE, revision=1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.run(fails)
    assert sign(store, people, one, at).number == 1


def test_what_the_superior_signed_for_stops_the_written_clock_and_an_order_starts_one(
    store, people, report, at
) -> None:
    rules = [Rule(id="w", name="w", written=timedelta(minutes=40)),
             Rule(id="o", name="o", starts_from=StartsFrom.ORDER, phone=timedelta(minutes=30))]  # fmt: skip
    store.run(lambda u: clocks.add_rules(u, rules, None, at))
    step = ClockStep(setting=Setting(hop="county_city", zone=ZONE), suggest=lambda _u, _r: ("11D01", 4))
    student = Student(store=store, clock=lambda: at, steps=(step,))
    student.study(report)
    one = sign(store, people, draft(store, people, report, at), at)
    officer = people["officer"]
    with pytest.raises(BadInput):
        store.run(lambda u: duty.send(u, one.id, by=officer, at=at, way="pigeon"))
    store.run(lambda u: duty.send(u, one.id, by=officer, at=at, way="fax"))
    with pytest.raises(BadInput):
        store.run(lambda u: duty.receive(u, one.id, by=officer, at=at, whom="市局", who=""))
    store.run(lambda u: duty.receive(u, one.id, by=officer, at=at, whom="市局", who="王五"))
    (written,) = store.read(lambda u: clocks.of_reports(u, [report]))
    assert (written.state, written.who, written.note) == (ClockState.STOPPED, "王五", "〔2026〕1号")
    store.run(lambda u: duty.urged(u, report, by=officer, at=at, whom="省厅", ordered_at=at))
    student.study(report)
    found = store.read(lambda u: clocks.of_reports(u, [report]))
    assert [(c.duty, c.due_at) for c in found if c.state is ClockState.RUNNING] == [
        (Duty.PHONE, at + timedelta(minutes=30))
    ]


def test_a_report_that_left_before_an_order_does_not_answer_it(store, people, report, at) -> None:
    rules = [Rule(id="w", name="w", written=timedelta(minutes=40)),
             Rule(id="o", name="o", starts_from=StartsFrom.ORDER, written=timedelta(minutes=30))]  # fmt: skip
    store.run(lambda u: clocks.add_rules(u, rules, None, at))
    step = ClockStep(setting=Setting(hop="county_city", zone=ZONE), suggest=lambda _u, _r: ("11D01", 4))
    now = [at]
    student = Student(store=store, clock=lambda: now[0], steps=(step,))
    student.study(report)
    one = sign(store, people, draft(store, people, report, at), at)
    officer = people["officer"]
    store.run(lambda u: duty.send(u, one.id, by=officer, at=at, way="fax"))
    now[0] = at + timedelta(minutes=5)
    store.run(lambda u: duty.urged(u, report, by=officer, at=now[0], whom="省厅", ordered_at=now[0]))
    student.study(report)
    store.run(lambda u: duty.receive(u, one.id, by=officer, at=now[0], whom="市局", who="王五"))
    found = {c.rule: c.state for c in store.read(lambda u: clocks.of_reports(u, [report]))}
    assert found == {"w": ClockState.STOPPED, "o": ClockState.RUNNING}


def test_nothing_is_drafted_after_the_final_one(store, people, report, at) -> None:
    draft(store, people, report, at)
    draft(store, people, report, at, Kind.FINAL)
    for kind in Kind:
        with pytest.raises(Conflict):
            draft(store, people, report, at, kind)


def test_words_lie_sealed_and_go_with_the_key_of_the_report(store, people, report, at) -> None:
    one = draft(store, people, report, at, body="机密字样")
    raw = store.read(lambda u: u.scalar(sa.select(t.brief.c.words)))
    assert "机密字样".encode() not in raw
    assert store.read(lambda u: briefs.get(u, one.id)).body == "机密字样"
