"""Incidents at the desk: their list, one with its reports and timeline, and the acts upon them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from domain.errors import BadInput, HubError, NotFound, Refused
from domain.incident import MOVES, Incident, IncidentState, Membership, ThreadState
from domain.person import Person, Role
from domain.report import Report
from duty import incidents as duty
from duty import threads as thread_duty
from store import areas, incident_news, incidents, reports, threads
from store.unit import Unit
from templates import pages
from web.console import standing, tasks
from web.console.history import Moment, event_name, name_of, timeline
from web.console.visit import Visit
from web.page import go

PAGE = 50  # incidents of one page
VIEWS: Mapping[str, tuple[str, ...]] = {
    "open": (IncidentState.OPEN.value,), "closed": (IncidentState.CLOSED.value,), "all": (),
}  # fmt: skip
_MAY_ACT = frozenset((Role.OFFICER, Role.LEADER, Role.APPROVER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An incident, or a report of one, as one line."""

    incident: Incident
    count: int
    place: str
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """A candidate with what the officer compares: its words, and the grounds in words."""

    candidate: incidents.Candidate
    title: str
    count: int  # reports of its incident; 0: it is of none
    grounds: tuple[str, ...]


def listed(visit: Visit) -> Response:
    """The incidents, newest first."""
    view = visit.query("view") if visit.query("view") in VIEWS else "open"
    lines = visit.read(lambda unit: _lines(unit, visit, VIEWS[view]))
    return visit.show("incidents.html", here="/console/incidents", view=view, views=list(VIEWS), lines=lines)


def show(visit: Visit, problem: HubError | None = None) -> Response:
    """One incident: what is told, by how many, and what was done."""
    values = visit.read(lambda unit: _seen(unit, visit))
    found: Incident = values["incident"]
    may = {action for (state, action) in MOVES.table if state is found.state} if _may_act(visit) else set()
    names = {f"/{n}": pages.word("field", n, visit.language) for n in pages.codes()["field"]}
    typed = {name: visit.form.first(name) for name in ("title", "reason")}
    return visit.show("incident.html", problem=problem, here="/console/incidents", may=may, flaw_names=names, typed=typed,
                      event=event_name(found.event_code, visit.language), **values)  # fmt: skip


def change(visit: Visit) -> Response:
    """One act on the incident, then its page again, or that of the new one."""
    act, incident_id = visit.part("act"), visit.part("id")
    if act not in _ACTS:
        raise NotFound("no such act")
    try:
        given = {"at": visit.at, "revision": visit.form.number("revision"), **_ACTS[act][1](visit)}
        done = visit.act(lambda unit, by: _ACTS[act][0](unit, incident_id, by=by, **given))
    except (Refused, BadInput) as error:
        return show(visit, error)
    return go(f"/console/incidents/{done.merged_into or done.id}?done={act}&of={incident_id}")


def relate(visit: Visit) -> Response:
    """One act on a report and another, or an incident, from the report's page."""
    act, report_id, other = visit.part("act"), visit.part("id"), visit.form.first("other")[:40]
    if act not in _RELATIONS:
        raise NotFound("no such act")
    done = visit.act(lambda unit, by: _RELATIONS[act](unit, report_id, other, by, visit.at))
    if act == "merge" and isinstance(done, Incident):
        return go(
            f"/console/incidents/{done.merged_into}?done=merge&of={done.id}"
        )  # where the undoing stands
    return go(f"/console/reports/{report_id}?done={act}")


def news(visit: Visit) -> Response:
    """What came to the incidents that this person holds."""
    return visit.fragment(
        "news.html", standing={"news": visit.read(lambda unit: standing.news(unit, visit.person))}
    )


def on_report(unit: Unit, visit: Visit, report: Report) -> dict[str, Any]:
    """What a report's page shows of incidents and threads."""
    found = [_likely(unit, visit, one) for one in incidents.candidates(unit, report.id)]
    mine = [m.incident for m in incidents.memberships(unit, report.id)]
    sizes = incidents.sizes(unit, mine)
    of = [(one, sizes.get(name, 0)) for name in mine if (one := incidents.get(unit, name))]
    rows = threads.of(unit, report.id)
    ends = [(row, _report(unit, row.follows if row.report == report.id else row.report)) for row in rows]
    return {
        "likely": found, "incidents": of, "may_relate": _may_act(visit),
        "threads": [(row, other, _title(other), row.report == report.id) for row, other in ends
                    if other and row.state is not ThreadState.DETACHED],
        "apart": [(row, other, _title(other), row.report == report.id) for row, other in ends
                  if other and row.state is ThreadState.DETACHED],
    }  # fmt: skip


def _lines(unit: Unit, visit: Visit, states: tuple[str, ...]) -> list[Line]:
    found = incidents.page(unit, states, limit=PAGE)
    sizes = incidents.sizes(unit, [one.id for one in found])
    places = areas.names(unit, {one.area for one in found if one.area})
    side = 0 if visit.language == pages.SOURCE else 1
    return [Line(incident=one, count=sizes.get(one.id, 0), event=event_name(one.event_code, visit.language),
                 place=places.get(one.area, ("", ""))[side]) for one in found]  # fmt: skip


def _seen(unit: Unit, visit: Visit) -> dict[str, Any]:
    found = incidents.get(unit, visit.part("id"))
    if found is None:
        raise NotFound("no such incident")
    told = duty.told(unit, found.id, by=visit.person)
    known: dict[str, str] = {}
    added = {m.report: m for m in incidents.members(unit, found.id)}
    others = [one for one in _lines(unit, visit, VIEWS["open"]) if one.incident.id != found.id]
    into = incidents.get(unit, found.merged_into) if found.merged_into else None
    return {
        "incident": found, "into": into, "others": others, "count": duty.corroboration(told),
        "told": [(report, _title(report), _added(unit, visit, added.get(report.id), known)) for report in told],
        "moments": _moments(unit, visit, found, told),
        "undo": _undo(visit, unit),
        "news": incident_news.unseen(unit, visit.person).get(found.id, 0),
        **tasks.for_reports(unit, visit, told, found.id),
    }  # fmt: skip


def _moments(unit: Unit, visit: Visit, found: Incident, told: list[Report]) -> list[Moment]:
    """The incident's own entries with those of its reports, but each joining and leaving once."""
    own = timeline(unit, [("incident", found.id)], visit.language)
    streams = [("report", report.id) for report in told]
    of_reports = [
        m
        for m in timeline(unit, streams, visit.language)
        if m.act not in ("attach_incident", "detach_incident")
    ]
    return sorted([*own, *of_reports], key=lambda moment: moment.at)


def _undo(visit: Visit, unit: Unit) -> tuple[str, str, str]:
    """(act, of which incident, into which) takes back what has just been done, by ``?done=`` and ``&of=``."""
    of, here = visit.query("of")[:40], visit.part("id")
    other = incidents.get(unit, of) if of and of != here else None
    if other and visit.query("done") == "merge" and other.state is IncidentState.MERGED:
        return "unmerge", other.id, ""
    if other and visit.query("done") == "split" and other.state is IncidentState.OPEN:
        return "merge", here, other.id
    return "", "", ""


def _added(unit: Unit, visit: Visit, row: Membership | None, known: dict[str, str]) -> str:
    return name_of(unit, row.added_by, visit.language, known) if row else ""


def _likely(unit: Unit, visit: Visit, one: incidents.Candidate) -> Likely:
    other = _report(unit, one.other)
    found = incidents.get(unit, one.incident) if one.incident else None
    count = incidents.sizes(unit, [found.id]).get(found.id, 0) if found else 0
    grounds = tuple(_ground(visit, code, number) for code, number in one.reasons)
    return Likely(candidate=one, title=_title(other) if other else one.code, count=count, grounds=grounds)


def _ground(visit: Visit, code: str, number: int) -> str:
    """A reason in words: 12 minutes earlier, about 300 m away, the same kind of event."""
    if code == "minutes":
        code, number = ("earlier", number) if number >= 0 else ("later", -number)
        if number >= 120:
            code, number = f"hours_{code}", round(number / 60)
    return pages.word("ground", code, visit.language).format(n=number)


def _report(unit: Unit, report_id: str) -> Report | None:
    return reports.get(unit, report_id)


def _title(report: Report | None) -> str:
    if report is None:
        return ""
    lines = [line for line in report.content.text.split("\n") if line.strip()]
    return (report.content.first("subject") or (lines[0] if lines else ""))[:80]


def _may_act(visit: Visit) -> bool:
    return bool(visit.person.roles & _MAY_ACT)


def _join(unit: Unit, report_id: str, other: str, by: Person, at: Any) -> object:
    if other.startswith("inc_"):
        return duty.attach(unit, other, report_id, by=by, at=at)
    return duty.attach_to_report(unit, report_id, other, by=by, at=at)


_RELATIONS: Mapping[str, Callable[[Unit, str, str, Person, Any], object]] = {
    "join": _join,
    "merge": lambda unit, report, other, by, at: duty.merge_of(unit, report, other, by=by, at=at),
    "open_incident": lambda unit, report, _, by, at: duty.open_incident(unit, report, by=by, at=at),
    "leave": lambda unit, report, other, by, at: duty.detach(unit, other, report, by=by, at=at),
    "keep_apart": lambda unit, report, other, by, at: duty.refuse(unit, report, other, by=by, at=at),
    "link": lambda unit, report, other, by, at: thread_duty.link(unit, report, other, by=by, at=at),
    "unlink": lambda unit, report, other, by, at: thread_duty.unlink(unit, report, other, by=by, at=at),
}


def _plain(visit: Visit) -> Mapping[str, Any]:
    return {}


def _field(name: str, to: str) -> Callable[[Visit], Mapping[str, Any]]:
    return lambda visit: {to: visit.form.first(name)[:500]}


_ACTS: Mapping[str, tuple[Callable[..., Incident], Callable[[Visit], Mapping[str, Any]]]] = {
    "merge": (duty.merge, _field("into", "into_id")),
    "unmerge": (duty.unmerge, _plain),
    "split": (
        duty.split,
        lambda visit: {"report_ids": visit.form.all("report"), "title": visit.form.first("title")},
    ),
    "retitle": (duty.retitle, _field("title", "title")),
    "close": (duty.close, _field("reason", "reason")),
    "reopen": (duty.reopen, _plain),
    "seen": (duty.seen, _plain),
    "tasks": (
        tasks.give_of_incident,
        lambda visit: {**tasks.given(visit), "report": visit.form.first("report")[:40]},
    ),
}
