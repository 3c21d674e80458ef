"""What is found to tell of the same: the labelled sets through the store, and what is said of it."""

import pytest

from domain.person import Person, Role
from intake.same.step import Sameness
from intake.study import Student
from store import incidents
from tests.outbox.outbox_kit import Standing
from tests.reports_kit import filed
from tocsin.benches import labelled
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
    return store.read(lambda u: incidents.candidates(u, name, seen_by=OFFICER))


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


def test_of_the_labelled_reports_the_same_incident_is_among_the_first_three(store) -> None:
    tuned = [run_part(store, part) for part in labelled.TUNED]
    both = tuned[0] + tuned[1]
    assert both.recall >= 0.9
    assert both.precision >= 0.95
