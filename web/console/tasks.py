"""Field tasks at the desk: given and recalled on the pages of reports and incidents; who is in the field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from domain.errors import NotFound
from domain.incident import Incident
from domain.person import Person, Role
from domain.report import Report
from domain.task import Task
from duty import tasks as duty
from store import incidents, people, tasks
from store.unit import Unit
from web.console.clocks import instant_of
from web.console.history import name_of
from web.console.visit import Visit
from web.page import go

LASTS = timedelta(hours=2)  # what the form proposes: there, a look around, a word back
TITLE = 40  # letters of a report in a select
_MAY_SEND = frozenset((Role.OFFICER, Role.LEADER, Role.APPROVER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task as one line."""

    task: Task
    who: str
    giver: str
    count: int  # messages that came of it
    is_late: bool


def for_reports(unit: Unit, visit: Visit, found: Sequence[Report], incident: str = "") -> dict[str, Any]:
    """What a report's or an incident's page shows of tasks."""
    typed = {name: visit.form.first(name) for name in ("person", "what", "where", "due_at", "report")}
    if not typed["due_at"]:
        typed["due_at"] = f"{(visit.at + LASTS).astimezone(visit.hub.zone):%Y-%m-%dT%H:%M}"
    if not (typed["where"] or incident) and found:
        typed["where"] = found[0].content.first("place")
    return {
        "field_tasks": _rows(unit, visit, tasks.of_reports(unit, [one.id for one in found])),
        "field_people": tasks.people(unit), "may_send": bool(visit.person.roles & _MAY_SEND),
        "field_reports": [(one.id, _words(one)) for one in reversed(found)], "typed_task": typed,
    }  # fmt: skip


def given(visit: Visit) -> Mapping[str, Any]:
    """What the form of a new task holds. Raises BadInput for a time that is none."""
    form = visit.form
    return {
        "person": form.first("person")[:40], "what": form.first("what"), "where": form.first("where"),
        "due_at": instant_of(form.first("due_at"), visit.hub.zone, "due_at"),
    }  # fmt: skip


def recall(visit: Visit) -> Response:
    """Recall a task, then the page it stands on."""
    task_id, reason = visit.part("id"), visit.form.first("reason")
    done = visit.act(lambda unit, by: duty.recall(unit, task_id, by=by, at=visit.at, reason=reason))
    from_incident = done.incident and visit.form.first("back") == f"/console/incidents/{done.incident}"
    place = f"/console/incidents/{done.incident}" if from_incident else f"/console/reports/{done.report}"
    return go(f"{place}?done=recall_task")


def show(visit: Visit) -> Response:
    """What is not done yet, and who is in the field with a session."""

    def work(unit: Unit) -> dict[str, Any]:
        found = tasks.open_ones(unit)
        return {
            "field_tasks": _rows(unit, visit, found),
            "field_people": tasks.people(unit),
            "sessions": people.sessions(unit, visit.at),
        }

    may_end = Role.ADMIN in visit.person.roles
    return visit.show("field.html", here="/console/field", may_end=may_end, **visit.read(work))


def end(visit: Visit) -> Response:
    """End the sessions of somebody whose telephone is lost."""
    if visit.part("act") != "end_sessions":
        raise NotFound("no such act")
    visit.act(lambda unit, by: duty.end_sessions(unit, visit.part("id"), by=by, at=visit.at))
    return go("/console/field?done=end_sessions")


def _rows(unit: Unit, visit: Visit, found: Sequence[Task]) -> list[Row]:
    known: dict[str, str] = {}
    counts = tasks.counts(unit, [task.id for task in found])

    def name(person: str) -> str:
        return name_of(unit, person, visit.language, known)

    return [
        Row(task=task, who=name(task.person), giver=name(task.given_by), count=counts.get(task.id, 0),
            is_late=task.is_late(visit.at))
        for task in found
    ]  # fmt: skip


def _words(report: Report) -> str:
    lines = [line for line in report.content.text.split("\n") if line.strip()]
    said = report.content.first("subject") or (lines[0] if lines else "")
    return f"{report.code} {said[:TITLE]}"


def give(
    unit: Unit, report_id: str, *, by: Person, at: Any, revision: int | None = None, **told: Any
) -> None:
    """派出 from a report's page."""
    del revision  # a task does not depend on what else became of the report
    duty.give(unit, report_id, by=by, at=at, **told)


def give_of_incident(
    unit: Unit,
    incident_id: str,
    *,
    by: Person,
    at: Any,
    report: str,
    revision: int | None = None,
    **told: Any,
) -> Incident:
    """派出 from an incident's page, about one of its reports."""
    del revision
    duty.give(unit, report, by=by, at=at, incident=incident_id, **told)
    found = incidents.get(unit, incident_id)
    if found is None:
        raise NotFound("no such incident")
    return found
