"""The study of reports: after the queue, step by step, anew for what is new, and by one worker at a time."""

from dataclasses import replace

import pytest

from domain.errors import Unavailable
from domain.person import Person, Role
from duty import shelf as duty
from intake.study import AGAIN, DIED, FAILED, LEASE, Student
from store import reports, shelf, study
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed


class Step:
    """Notes what it saw; breaks as often as it is told to."""

    def __init__(self, name, breaks=0, error=Unavailable):
        self.name, self.breaks, self.error = name, breaks, error
        self.seen, self.written = [], []

    def look(self, store, report):
        self.seen.append(report.content.text)
        if self.breaks:
            self.breaks -= 1
            raise self.error("broken")
        return report.content.text or None

    def write(self, unit, report, found, at):
        self.written.append(found)
        return [(self.name, report.id)]


@pytest.fixture
def report(store, areas, at):
    return filed(store, at, "水漫过桥了")


def students(store, at, *steps):
    clock, rung, bugs = Standing(at), [], []
    made = Student(store=store, clock=clock, steps=steps, bell=lambda *row: rung.append(row),
                   on_bug=lambda step, _error: bugs.append(step))  # fmt: skip
    return made, clock, rung, bugs


def due(store, at):
    return store.read(lambda u: study.due(u, at))


def test_a_filed_report_is_due_and_studied_once(store, report, at) -> None:
    step = Step("place")
    student, _, rung, _ = students(store, at, step)
    assert due(store, at) == [report]
    assert student.study(report)
    assert not student.study(report)
    assert step.written == ["水漫过桥了"]
    assert rung == [("place", report)]
    assert due(store, at) == []
    assert store.read(lambda u: study.is_studied(u, report))


def test_a_step_that_breaks_leaves_the_others_alone_and_is_tried_again_a_few_times(store, report, at) -> None:
    bad, good = Step("bad", breaks=99), Step("good")
    student, clock, _, bugs = students(store, at, bad, good)
    tries = 0
    for wait in (*AGAIN, LEASE * 100):
        tries += student.study(report)
        clock.at += wait
    assert not student.study(report)
    assert (tries, len(good.written), bugs) == (len(AGAIN) + 1, len(AGAIN) + 1, [])


def test_r16_what_can_never_be_studied_lies_on_the_shelf_and_is_studied_when_somebody_asks(
    store, report, at
) -> None:
    step = Step("bad", breaks=len(AGAIN) + 1, error=ZeroDivisionError)
    student, clock, _, _ = students(store, at, step)
    for wait in (*AGAIN, LEASE):
        student.study(report)
        clock.at += wait
    (left,) = store.read(shelf.pending)
    assert (left.kind, left.reason, left.origin) == ("study", FAILED, report)
    officer = Person(id="per_o", name="甲", organisation="o", roles=frozenset({Role.OFFICER}))
    ring = store.run(lambda u: duty.again(u, left.id, by=officer, at=clock.at))
    assert ring == ("study_report", report) and student.study(report)
    assert step.written == ["水漫过桥了"]
    assert store.read(shelf.pending) == []


def test_r16_a_report_that_ends_every_worker_is_left_and_another_is_studied(store, report, at) -> None:
    step = Step("place")
    student, clock, _, _ = students(store, at, step)
    for _ in range(len(AGAIN) + 1):  # each takes it in hand and dies
        assert store.run(lambda u: study.begin(u, report, clock.at, clock.at + LEASE))
        clock.at += LEASE
    assert student.study(report)
    assert step.seen == [] and due(store, clock.at + LEASE * 100) == []
    assert [row.reason for row in store.read(shelf.pending)] == [DIED]
    other = filed(store, clock.at, "桥塌了")
    assert student.study(other) and step.written == ["桥塌了"]


def test_r16_a_report_whose_key_is_destroyed_is_not_studied_for_ever(store, report, at) -> None:
    student, clock, _, _ = students(store, at, Step("place"))
    store.run(lambda u: u.vault.destroy(u.connection, report, at))
    assert student.study(report)
    for wait in (*AGAIN, LEASE):
        clock.at += wait
        student.study(report)
    assert due(store, clock.at + LEASE * 100) == []


def test_a_bug_of_a_step_is_heard_of(store, report, at) -> None:
    student, _, _, bugs = students(store, at, Step("bad", breaks=1, error=ZeroDivisionError), Step("good"))
    student.study(report)
    assert bugs == ["bad"]


def test_a_further_version_is_studied_anew_also_when_it_comes_meanwhile(store, report, at) -> None:
    class Slow(Step):
        def look(self, store, seen):
            if len(self.seen) == 0:
                say_more(store, report, "又塌了", at)
            return super().look(store, seen)

    step = Slow("place")
    student, clock, _, _ = students(store, at, step)
    student.study(report)
    assert due(store, at) == [report]  # what came meanwhile was not in what was read
    assert student.study(report)
    assert step.seen == ["水漫过桥了", "又塌了"]
    assert due(store, clock.at + LEASE) == []


def test_a_worker_that_died_over_it_leaves_it_to_another(store, report, at) -> None:
    store.run(lambda u: study.begin(u, report, at, at + LEASE))
    step = Step("place")
    student, clock, _, _ = students(store, at, step)
    assert not student.study(report)
    clock.at += LEASE
    assert student.study(report)
    assert step.written == ["水漫过桥了"]


def test_any_id_may_be_given(store, at) -> None:
    student, _, _, _ = students(store, at, Step("place"))
    assert not student.study("rep_nobody")


def say_more(store, report, text, at):
    def work(unit):
        before = reports.get(unit, report, lock=True)
        reports.revise(unit, before, replace(before.content, text=text), by="system", at=at)

    store.run(work)
