"""What is found to tell of the same: the labelled sets through the store, and what is said of it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.handling import Handling
from domain.person import Person, Role
from domain.report import Attachment
from intake.same.step import Sameness
from intake.study import Student
from store import blobs, incidents, reports, scans, sketches
from store import tables as t
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed
from tocsin.benches import dedupe, labelled
from tocsin.benches.labelled import ZONE

OFFICER = Person(id="per_1", name="li", organisation="", roles=frozenset({Role.OFFICER}))


def student(store, at):
    return Student(
        store=store,
        clock=Standing(at),
        steps=(Sameness(zone=ZONE),),
        on_bug=lambda _, e: pytest.fail(repr(e)),
    )


def told(store, at, text, **more):
    name = filed(store, at, text, **more)
    student(store, at).study(name)
    return name


def seen(store, name):
    return store.read(lambda u: incidents.candidates(u, name))


def run_part(store, part):
    """The score of a part, each report filed and studied in its turn."""
    ids: dict[str, str] = {}

    def propose(one, _):
        report = one.report
        facts = {name: facts[0].value for name, facts in report.content.facts.items()}
        ids[told(store, report.received_at, report.content.text, channel=report.channel, area=report.area,
                 sender=report.id, facts=facts)] = one.incident  # fmt: skip
        name = list(ids)[-1]
        return [labelled.Labelled(ids[c.other], report) for c in seen(store, name)]

    return labelled.score(labelled.read(part), propose)


def test_of_the_labelled_reports_the_same_incident_is_among_the_first_three() -> None:
    tuned, held_out = dedupe.scored(labelled.TUNED), dedupe.scored(labelled.HELD_OUT)
    assert sum(len(labelled.read(part)) for part in (*labelled.TUNED, *labelled.HELD_OUT)) >= 400
    assert (tuned.recall >= 0.9, tuned.precision >= 0.95) == (True, True)
    assert held_out.recall >= 0.9
    assert held_out.precision >= 0.93  # what it is today; the aim is 0.95, and these texts are not tuned to


def test_through_the_store_the_search_by_keys_loses_next_to_nothing(store) -> None:
    found = run_part(store, "part2")
    assert found.recall >= dedupe.scored(["part2"]).recall - 0.02
    assert found.precision >= 0.93


def test_the_index_holds_no_word_of_a_report(store, areas, at) -> None:
    told(store, at, "大坪村三组滑坡，埋了两家")
    rows = store.read(lambda u: u.rows(sa.select(t.sketch_key.c.key)))
    sealed = store.read(lambda u: u.scalar(sa.select(t.sketch.c.sealed)))
    assert rows and all(isinstance(row.key, int) for row in rows)
    assert "大坪".encode() not in bytes(sealed) and b"|da|pin|" not in bytes(sealed)


def test_a_report_whose_key_was_destroyed_is_proposed_to_nobody(store, areas, at) -> None:
    first = told(store, at, "大坪村三组滑坡，埋了两家")
    store.run(lambda u: u.vault.destroy(u.connection, first, at))
    second = told(store, at + timedelta(minutes=5), "大平村滑坡，埋了2家", sender="+8613900000009")
    assert seen(store, second) == []
    store.run(lambda u: sketches.forget(u, first))
    assert store.read(lambda u: u.rows(sa.select(t.sketch.c.report))) == [(second,)]


def test_what_a_mail_says_in_its_attachment_is_compared_too(store, areas, at) -> None:
    first = told(store, at, "大平村山塌了埋了2家")
    plain = told(store, at, "详见附件", channel="email", sender="a@example.org")
    assert seen(store, plain) == []
    attached = filed(store, at, "详见附件", channel="email", sender="b@example.org")

    def scanned(unit):
        file = Attachment(
            name="a.docx", media_type="application/zip", declared_type="", size=1, sha256="0" * 64
        )
        blobs.note(unit, file.sha256, file.size, Handling.INTERNAL, at)
        scans.expect(unit, attached, [file], at)
        mine = scans.claim(unit, scans.due(unit, at)[0], at, timedelta(minutes=1))
        said = "大坪村三组发生山体滑坡，两户被埋"
        scans.move(unit, mine, "scan", at=at, found={"documents": [{"text": said}]})

    store.run(scanned)
    student(store, at).study(attached)
    assert [c.other for c in seen(store, attached)] == [first]


def test_two_that_are_looked_at_side_by_side_find_each_other(store, areas, at) -> None:
    step = Sameness(zone=ZONE)
    names = [
        filed(store, at, text, sender=f"+861390000000{n}")
        for n, text in enumerate(("大坪村滑坡", "大坪村滑坡了"))
    ]
    pairs = [(one, store.read(lambda u, n=one: reports.get(u, n))) for one in names]
    looked = [(report, step.look(store, report)) for _, report in pairs]
    for report, found in looked:
        store.run(lambda u, r=report, f=found: step.write(u, r, f, at))
    assert [c.other for c in seen(store, names[1])] == [names[0]]
    assert [c.other for c in seen(store, names[0])] == [names[1]]
