"""What the study writes down: places, kind, questions; anew for every version, and never over an officer's word."""

from dataclasses import replace

import pytest

from domain.report import Fact
from domain.whereabouts import Kind, Place
from intake.atlas import FRESH, Atlas
from intake.documents import with_documents
from intake.steps import Kinds, Whereabouts, people_of
from intake.study import Student
from intake.triage import rules, triage
from store import journal, landmarks, places, reports, triages
from store.reports import Filter
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed

RULES = rules()


@pytest.fixture
def student(store, areas, at):
    atlas = Atlas(clock=Standing(at), is_national=False)
    steps = (Whereabouts(atlas=atlas), Kinds(atlas=atlas, rules=RULES))
    return Student(store=store, clock=Standing(at), steps=steps)


def say(store, report, at, text=None, **facts):
    def work(unit):
        before = reports.get(unit, report, lock=True)
        merged = {**before.content.facts, **{n: (Fact(value=v, origin="citizen"),) for n, v in facts.items()}}
        reports.revise(
            unit,
            before,
            replace(before.content, text=text or before.content.text, facts=merged),
            by="system",
            at=at,
        )

    store.run(work)


def seen(store, report):
    return store.read(
        lambda u: (
            reports.get(u, report),
            places.of_report(u, report),
            triages.get(u, report),
            triages.questions(u, report),
        )
    )


def test_a_report_gets_its_place_kind_and_questions(store, student, at) -> None:
    report = filed(store, at, "甲市甲一区大坪村三组滑坡，2人死亡，1人失联")
    assert student.study(report)
    row, found, kind, asked = seen(store, report)
    assert (row.found_area, row.where, row.area) == ("990101000000", "990101000000", "")
    assert (found[0].n, found[0].place.words, found[0].place.detail) == (1, "甲一区", "大坪村三组")
    assert (kind.scheme, kind.event_code, kind.rule, kind.grade) == ("cn.eips", "11D01", "landslide", 4)
    assert kind.found["people"] == {"dead": {"low": 2, "high": 2}, "missing": {"low": 1, "high": 1}}
    assert people_of(kind.found).is_said
    assert {q.element for q in asked} == {"time", "scope", "trend", "measures"}
    assert all((q.asked_at, q.answered_by) == (None, None) for q in asked)


def test_lists_go_by_the_area_that_was_found_until_an_officer_sets_one(store, student, people, at) -> None:
    report = filed(store, at, "甲一区着火")
    student.study(report)

    def listed(prefix):
        return [r.id for r in store.read(lambda u: reports.page(u, Filter(area_prefix=prefix), limit=9))]

    assert (listed("990101"), listed("9902")) == ([report], [])
    store.run(
        lambda u: reports.change(
            u, reports.get(u, report), replace(reports.get(u, report), area="990200000000")
        )
    )
    student.study(report)
    assert (listed("990101"), listed("9902")) == ([], [report])


def test_a_further_version_answers_questions_and_opens_none_for_what_was_said_before(
    store, student, at
) -> None:
    report = filed(store, at, "今天上午8时甲一区滑坡")
    student.study(report)
    say(store, report, at, "已派出救援队，无人员伤亡，险情仍在扩大")  # says neither when nor what again
    student.study(report)
    _, _, kind, asked = seen(store, report)
    assert {q.element: q.answered_by for q in asked} == {
        "casualties": 2,
        "measures": 2,
        "scope": None,
        "trend": 2,
    }
    assert kind.version == 2
    assert {"time", "nature"} <= kind.known


def test_what_an_officer_chose_stays_when_more_is_said(store, student, people, at) -> None:
    report = filed(store, at, "甲一区着火")
    student.study(report)
    mine = Place(
        kind=Kind.AREA, code="990200000000", accuracy=95_000, origin="officer", name="乙市", score=1.0
    )
    store.run(lambda u: places.choose(u, report, mine, by="per_officer", at=at))
    say(store, report, at, "甲二县也着火了")
    student.study(report)
    row, found, _, _ = seen(store, report)
    assert row.found_area == "990200000000"
    assert (found[0].n, found[0].chosen_by, found[0].place.name) == (0, "per_officer", "乙市")
    assert {p.place.code for p in found[1:]} == {"990102000000"}


def test_a_study_that_runs_again_writes_the_same_and_no_further_entry(store, student, at) -> None:
    report = filed(store, at, "甲一区滑坡，3人死亡")
    student.study(report)
    before = seen(store, report)
    say(store, report, at)
    student.study(report)
    after = seen(store, report)
    assert after[1] == before[1]
    assert (after[2].event_code, after[2].grade, after[3]) == (
        before[2].event_code,
        before[2].grade,
        before[3],
    )
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "report", report))]
    assert (acts.count("locate"), acts.count("suggest")) == (1, 1)


def test_documents_that_came_with_it_are_read_too(store, student, at) -> None:
    report = filed(store, at, "详见附件")
    row = store.read(lambda u: reports.get(u, report))
    read = with_documents(row.content, ["甲一区大坪村三组滑坡，死亡2人"])
    assert triage(read, RULES, has_place=True).grade.grade == 4
    assert with_documents(row.content, []) is row.content


def test_words_of_a_report_are_sealed_in_what_was_found(store, student, at) -> None:
    report = filed(store, at, "甲一区滑坡，3人死亡", facts={"position": "30.1,113.1"})
    student.study(report)
    rows = store.read(
        lambda u: [
            *u.plain("SELECT found FROM report_place", ()),
            *u.plain("SELECT found FROM report_triage", ()),
        ]
    )
    raw = b"".join(bytes(row[0]) for row in rows)
    assert len(rows) >= 3
    assert "甲一区".encode() not in raw
    assert b"30.1" not in raw


def test_landmarks_are_found_a_minute_after_they_were_loaded(store, areas, at) -> None:
    clock = Standing(at)
    atlas = Atlas(clock=clock, is_national=False)
    student = Student(store=store, clock=clock, steps=(Whereabouts(atlas=atlas),))
    row = {
        "name": "青石水库",
        "area": "990102000000",
        "aliases": ["青石坝"],
        "lat": 30.4,
        "lon": 113.2,
        "source": "t",
    }
    first = filed(store, at, "青石坝漫水")
    student.study(first)
    assert store.run(lambda u: landmarks.load(u, [row, row], at)) == 2
    clock.at += FRESH
    second = filed(store, at, "青石坝漫水")
    student.study(second)
    assert [len(seen(store, r)[1]) for r in (first, second)] == [0, 1]
    assert seen(store, second)[0].found_area == "990102000000"
