"""Clocks of reports: set at once and only once, stopped by a call or a signature, late for ever when late."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta
from threading import Barrier
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from domain.clock import Duty, Rule, StartsFrom, State, examples
from domain.errors import BadInput, NotAllowed
from duty import clocks as duty
from duty import reports as desk
from duty import trust
from duty.clocks import ClockStep, Setting
from intake.study import Student
from store import clocks, journal, study
from store import tables as t
from tests.conftest import open_store
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE = timedelta(minutes=1)
RULES = [
    Rule(id="any", name="all", category="11", phone=20 * MINUTE, written=40 * MINUTE),
    Rule(id="grave", name="I to III", grade=3, phone=10 * MINUTE, written=30 * MINUTE),
    Rule(id="daily", name="III", grade=3, every=timedelta(hours=6)),
]


class House:
    """A report, the rules, and a clock that is stepped."""

    def __init__(self, store, people, at, text="大坪村三组滑坡"):
        self.store, self.people, self.at, self.clock = store, people, at, Standing(at)
        store.run(lambda u: clocks.add_rules(u, RULES, None, at))
        self.report = filed(store, at, text)
        step = ClockStep(setting=Setting(hop="county_city", zone=ZONE), suggest=lambda _u, _r: self.read)
        self.read = ("", None)
        self.student = Student(store=store, clock=self.clock, steps=(step,))

    def study(self):
        self.store.run(lambda u: study.ask(u, self.report, self.clock.at))
        self.student.study(self.report)

    def classify(self, **given):
        self.store.run(
            lambda u: desk.classify(u, self.report, by=self.people["officer"], at=self.clock.at, **given)
        )
        self.student.study(self.report)

    def tick(self, forward=timedelta()):
        self.clock.at += forward
        setting = Setting(hop="county_city", zone=ZONE)
        return self.store.run(lambda u: duty.tick(u, setting, self.clock.at))

    def all(self, duty_=None):
        found = self.store.read(lambda u: clocks.of_reports(u, [self.report]))
        return [one for one in found if duty_ in (None, one.duty)]

    def due(self, duty_=Duty.PHONE):
        return min(one.due_at for one in self.all(duty_) if one.state is State.RUNNING)

    def call(self, **more):
        given = {"whom": "示例市应急局", "who": "李四"} | more
        return self.store.run(
            lambda u: duty.log_call(u, self.report, by=self.people["officer"], at=self.clock.at, **given)
        )

    def sign(self, **more):
        given = {"whom": "示例市应急局", "who": "王五"} | more
        return self.store.run(
            lambda u: duty.sign_for(u, self.report, by=self.people["officer"], at=self.clock.at, **given)
        )

    def acts(self):
        return [e.act for e in self.store.read(lambda u: journal.entries(u, "report", self.report))]


@pytest.fixture
def house(store, people, areas, at):
    return House(store, people, at)


def test_nothing_runs_while_neither_kind_nor_grade_is_known(house) -> None:
    house.study()
    assert house.all() == []


def test_clocks_run_from_the_receipt_and_not_from_the_classification(house, at) -> None:
    house.clock.at += 7 * MINUTE
    house.classify(event_code="11D01")
    assert house.due() == at + 20 * MINUTE
    assert house.due(Duty.WRITTEN) == at + 40 * MINUTE
    house.classify(event_code="11D01")
    assert len(house.all()) == 2


def test_what_the_text_says_sets_clocks_that_are_marked_so_until_an_officer_says_the_same(house, at) -> None:
    house.read = ("11D01", 3)
    house.study()
    assert {(one.rule, one.is_suggested) for one in house.all()} == {
        ("any", True),
        ("grave", True),
        ("daily", True),
    }
    assert house.due() == at + 10 * MINUTE


def test_an_upgrade_adds_the_stricter_clock_and_no_due_time_moves_later(house, at) -> None:
    house.classify(event_code="11D01", grade=4)
    before = {one.id: one.due_at for one in house.all()}
    house.clock.at += 5 * MINUTE
    house.classify(grade=3)
    assert {one.id: one.due_at for one in house.all() if one.id in before} == before
    assert house.due() == at + 10 * MINUTE
    house.classify(grade=4)  # a downgrade takes nothing back
    assert house.due() == at + 10 * MINUTE


def test_only_a_call_with_who_answered_stops_the_phone_clock(house) -> None:
    house.classify(event_code="11D01", grade=3)
    for wrong in (
        {"who": " "},
        {"whom": ""},
        {"said_at": house.clock.at + timedelta(hours=1)},
        {"note": "长" * 501},
    ):
        with pytest.raises(BadInput):
            house.call(**wrong)
    assert house.call() == 2
    assert house.call() == 0
    states = {(one.duty, one.rule): one.state for one in house.all()}
    assert states[Duty.PHONE, "any"] is states[Duty.PHONE, "grave"] is State.STOPPED
    assert states[Duty.WRITTEN, "any"] is State.RUNNING
    assert house.sign() == 2


def test_a_call_before_the_upgrade_has_met_the_stricter_clock_when_it_was_in_time(house, at) -> None:
    house.classify(event_code="11D01", grade=4)
    house.clock.at += 8 * MINUTE
    house.call()
    house.clock.at += 20 * MINUTE
    house.classify(grade=3)
    (grave,) = [one for one in house.all(Duty.PHONE) if one.rule == "grave"]
    assert (grave.state, grave.stopped_at, grave.is_late(house.clock.at)) == (
        State.STOPPED,
        at + 8 * MINUTE,
        False,
    )


def test_a_call_that_is_written_down_late_stays_late_whatever_is_said_of_it(house, at) -> None:
    house.classify(event_code="11D01", grade=3)
    house.clock.at = at + 25 * MINUTE
    house.call(said_at=at + 5 * MINUTE)
    assert all(one.is_late(house.clock.at) for one in house.all(Duty.PHONE))
    assert {one.said_at for one in house.all(Duty.PHONE)} == {at + 5 * MINUTE}
    house.classify(grade=4)
    assert all(one.is_late(house.clock.at) for one in house.all(Duty.PHONE))


@pytest.mark.parametrize("column", ["due_at", "starts_at", "stopped_at", "opened_at"])
def test_what_a_clock_says_cannot_be_changed_in_the_store_either(house, column) -> None:
    house.classify(event_code="11D01", grade=3)
    house.call()
    later = house.clock.at + timedelta(days=1)
    stopped = t.clock.c.state == "stopped"
    with pytest.raises(sa.exc.DBAPIError, match="keeps what was written"):
        house.store.run(lambda u: u.execute(t.clock.update().where(stopped).values({column: later})))
    for statement in (t.clock_stop.update().values(at=later), t.clock_stop.delete()):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            house.store.run(lambda u, one=statement: u.execute(one))


def test_r20_alarms_come_once_before_and_once_after_it_is_due_to_the_second(house, at) -> None:
    house.classify(event_code="11D01", grade=4)
    second = timedelta(seconds=1)
    house.clock.at = at
    assert house.tick(15 * MINUTE - second) == 0
    assert house.tick(second) == 1  # a quarter of the limit is left
    assert house.tick() == 0
    assert house.tick(5 * MINUTE - second) == 0
    assert house.tick(second) == 1
    assert (
        house.tick(timedelta(hours=2)) == 1
    )  # the written one, both its alarms at once: only the worse is told
    assert [act for act in house.acts() if act.startswith("clock_")] == [
        "clock_set", "clock_alarm", "clock_overdue", "clock_overdue",
    ]  # fmt: skip


def test_r20_a_hub_that_was_down_tells_of_what_fell_due_meanwhile_once(house, at) -> None:
    house.classify(event_code="11D01", grade=4)
    assert house.tick(timedelta(days=3)) == 2
    assert house.tick(-timedelta(hours=1)) == 0  # the clock jumps back: nothing is said twice
    assert house.tick(timedelta(hours=2)) == 0


def test_follow_ups_come_one_after_the_other_until_the_matter_is_closed(house, at) -> None:
    house.classify(event_code="11D01", grade=3)
    six = timedelta(hours=6)
    assert [one.due_at for one in house.all(Duty.FOLLOW_UP)] == [at + six]
    house.clock.at = at + six - MINUTE
    house.call(duty=Duty.FOLLOW_UP)
    house.tick()
    house.tick()
    assert [one.due_at for one in house.all(Duty.FOLLOW_UP)] == [at + six, at + 2 * six]
    house.clock.at = at + 3 * six  # late: the one after is due after it was made
    house.sign(duty=Duty.FOLLOW_UP)
    house.tick()
    found = house.all(Duty.FOLLOW_UP)
    assert [one.is_late(house.clock.at) for one in found] == [False, True, False]
    assert found[-1].due_at == at + 4 * six
    officer = house.people["officer"]
    house.store.run(lambda u: desk.claim(u, house.report, by=officer, at=house.clock.at))
    house.store.run(lambda u: desk.close(u, house.report, by=officer, at=house.clock.at, reason="done"))
    assert house.all(Duty.FOLLOW_UP)[-1].state is State.ENDED
    house.tick(timedelta(days=2))
    assert len(house.all(Duty.FOLLOW_UP)) == 3


def test_a_follow_up_that_is_late_stays_late_though_the_matter_is_closed_and_goes_on_when_it_is_taken_up_again(
    house, at
) -> None:
    house.classify(event_code="11D01", grade=3)
    house.clock.at = at + timedelta(hours=7)
    officer = house.people["officer"]
    house.store.run(lambda u: desk.claim(u, house.report, by=officer, at=house.clock.at))
    house.store.run(lambda u: desk.close(u, house.report, by=officer, at=house.clock.at, reason="done"))
    (one,) = house.all(Duty.FOLLOW_UP)
    assert (one.state, one.is_late(house.clock.at)) == (State.ENDED, True)
    house.tick()
    assert len(house.all(Duty.FOLLOW_UP)) == 1
    house.store.run(lambda u: desk.reopen(u, house.report, by=officer, at=house.clock.at))
    house.tick()
    assert house.due(Duty.FOLLOW_UP) == house.clock.at + timedelta(hours=6)


def test_no_follow_up_is_wanted_of_what_lies_in_quarantine_and_goes_on_when_it_comes_back(house, at) -> None:
    house.classify(event_code="11D01", grade=3)
    given = {"by": house.people["officer"], "kind": "abuse", "reason": "恶意"}
    house.store.run(lambda u: trust.give_verdict(u, house.report, at=house.clock.at, **given))
    for _ in range(3):
        house.tick(timedelta(hours=7))
    assert [one.state for one in house.all(Duty.FOLLOW_UP)] == [State.ENDED]
    house.store.run(lambda u: trust.withdraw_verdict(u, house.report, at=house.clock.at, **given))
    house.tick()
    assert [one.state for one in house.all(Duty.FOLLOW_UP)] == [State.ENDED, State.RUNNING]


def test_no_follow_up_is_wanted_of_what_was_destroyed(house, at) -> None:
    house.classify(event_code="11D01", grade=3)
    house.clock.at = at + MINUTE
    house.call(duty=Duty.FOLLOW_UP)
    house.store.run(lambda u: u.vault.destroy(u.connection, house.report, house.clock.at))
    for _ in range(3):
        house.tick(timedelta(hours=7))
    assert [one.state for one in house.all(Duty.FOLLOW_UP)] == [State.STOPPED]


def test_two_processes_tell_of_a_clock_once(house, database_url, at) -> None:
    house.classify(event_code="11D01", grade=4)
    house.clock.at = at + timedelta(hours=1)
    setting = Setting(hop="county_city", zone=ZONE)
    others = [open_store(database_url) for _ in range(4)]
    together = Barrier(len(others))

    def tick(store):
        together.wait()
        return store.run(lambda u: duty.tick(u, setting, house.clock.at))

    with ThreadPoolExecutor(len(others)) as threads:
        list(threads.map(tick, others))
    for store in others:
        store.close()
    assert house.acts().count("clock_overdue") == 2


def test_a_clock_that_is_set_late_is_stopped_by_the_late_call_and_shows_it(house, at) -> None:
    house.clock.at = at + 30 * MINUTE
    house.call()
    house.clock.at = at + 60 * MINUTE
    house.classify(event_code="11D01", grade=4)
    (one,) = house.all(Duty.PHONE)
    assert (one.state, one.stopped_at, one.is_late(house.clock.at)) == (State.STOPPED, at + 30 * MINUTE, True)


def test_only_a_leader_waives_and_says_why(house) -> None:
    house.classify(event_code="11D01", grade=4)
    people, at = house.people, house.clock.at
    with pytest.raises(NotAllowed):
        house.store.run(
            lambda u: duty.waive(u, house.report, by=people["officer"], at=at, duty=Duty.PHONE, note="x")
        )
    with pytest.raises(BadInput):
        house.store.run(
            lambda u: duty.waive(u, house.report, by=people["leader"], at=at, duty=Duty.PHONE, note=" ")
        )
    house.store.run(
        lambda u: duty.waive(u, house.report, by=people["leader"], at=at, duty=Duty.PHONE, note="演练")
    )
    (one,) = house.all(Duty.PHONE)
    assert (one.state, one.note, one.is_late(at + timedelta(days=9))) == (State.WAIVED, "演练", False)


def test_an_hour_that_is_written_down_gains_no_time(house, at) -> None:
    occurrence = replace(RULES[0], id="occurred", starts_from=StartsFrom.OCCURRENCE, phone=60 * MINUTE)
    house.store.run(lambda u: clocks.add_rules(u, [occurrence], None, at))
    house.classify(event_code="11D01")
    assert house.due() == at + 20 * MINUTE
    officer = house.people["officer"]
    house.clock.at += 2 * MINUTE
    house.store.run(
        lambda u: duty.set_times(u, house.report, by=officer, at=house.clock.at, occurred_at=at - 55 * MINUTE)
    )
    house.student.study(house.report)
    assert house.due() == at + 5 * MINUTE  # an hour from the occurrence
    with pytest.raises(BadInput):
        house.store.run(
            lambda u: duty.set_times(
                u, house.report, by=officer, at=house.clock.at, known_at=at + timedelta(days=1)
            )
        )


def test_every_order_sets_its_clock_though_another_comes_before_the_study(house, at) -> None:
    order = Rule(id="order", name="核报", starts_from=StartsFrom.ORDER, phone=30 * MINUTE)
    heard = Rule(id="heard", name="获悉", starts_from=StartsFrom.KNOWLEDGE, phone=25 * MINUTE)
    house.store.run(lambda u: clocks.add_rules(u, [order, heard], None, at))
    house.classify(event_code="12A00")
    officer, minutes = house.people["officer"], (2, 9, 5)
    for n in minutes:
        house.clock.at = at + n * MINUTE
        given = {"ordered_at": house.clock.at, "known_at": at - n * MINUTE}
        house.store.run(
            lambda u, given=given: duty.set_times(u, house.report, by=officer, at=house.clock.at, **given)
        )
    house.student.study(house.report)
    due = {(one.rule, one.due_at) for one in house.all(Duty.PHONE)}
    assert due >= {("order", at + (n + 30) * MINUTE) for n in minutes}
    assert due >= {("heard", at + (25 - n) * MINUTE) for n in minutes}  # no word moves what is due later
    before = len(house.all())
    house.study()
    assert len(house.all()) == before


def test_what_is_sensitive_has_the_clocks_of_grade_two(house, at) -> None:
    house.classify(event_code="11D01", grade=4)
    officer = house.people["officer"]
    house.store.run(lambda u: duty.set_times(u, house.report, by=officer, at=at, is_sensitive=True))
    house.student.study(house.report)
    assert house.due() == at + 10 * MINUTE


def test_a_call_stops_the_clocks_of_what_was_merged_into_the_report_too(house, store, people, at) -> None:
    house.classify(event_code="11D01", grade=4)
    other, officer = filed(store, at, "山塌了"), people["officer"]
    store.run(lambda u: desk.claim(u, house.report, by=officer, at=at))
    store.run(lambda u: u.execute(t.report_row.update().where(t.report_row.c.id == house.report).values(
        state="merged", merged_into=other)))  # fmt: skip
    store.run(lambda u: duty.log_call(u, other, by=officer, at=at, whom="市局", who="李四"))
    assert {one.state for one in house.all(Duty.PHONE)} == {State.STOPPED}


def test_the_shipped_rules_are_examples_with_their_sources(store, at) -> None:
    assert len({rule.id for rule in examples()}) == len(examples()) >= 12
    assert all(rule.source and not rule.is_confirmed for rule in examples())
    store.run(lambda u: clocks.add_rules(u, examples(), None, at))
    assert store.run(lambda u: clocks.add_rules(u, examples(), None, at)) == 0
    assert store.read(clocks.rules) == sorted(examples(), key=lambda rule: rule.id)
    first = examples()[0].id
    assert store.run(lambda u: clocks.confirm_rule(u, first, "per_1", at))
    assert not store.run(lambda u: clocks.confirm_rule(u, first, "per_1", at))
    assert [rule.is_confirmed for rule in store.read(clocks.rules) if rule.id == first] == [True]
    assert store.run(lambda u: clocks.supersede_rule(u, first, at.astimezone(UTC).date()))
