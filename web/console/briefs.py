"""Reports upwards at the desk: drafted from a report, signed off by a leader, printed, sent, signed for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from domain.brief import Brief, Kind, State, Way
from domain.errors import BadInput, Flaw, HubError, NotFound, Refused
from domain.person import Person, Role
from domain.report import Report
from duty import briefs as room
from store import briefs, people, reports, scans, triages
from store.unit import Unit
from templates import brief_pdf, pages
from web.console.clocks import instant_of
from web.console.findings import found_of, place_name
from web.console.shifts import title_of
from web.console.visit import Visit
from web.page import HEADERS, go

SHOWN = 100
DOCUMENTS = 3  # of a report that a first report upwards begins with
_WRITERS = {Role.OFFICER, Role.LEADER, Role.APPROVER}


def listed(visit: Visit) -> Response:
    """The latest of all reports, with their numbers."""

    def work(unit: Unit) -> list[tuple[Brief, str]]:
        known: dict[str, str] = {}
        found = briefs.newest(unit, SHOWN)
        for one in found:
            if one.report not in known:
                report = reports.get(unit, one.report)
                known[one.report] = report.code if report else ""
        return [(one, known[one.report]) for one in found]

    return visit.show("briefs.html", here="/console/briefs", rows=visit.read(work), number_of=room.number_of)


def on_report(visit: Visit, report: Report) -> dict[str, Any]:
    """What the report's page shows of its reports upwards."""
    found = visit.read(lambda unit: briefs.of_report(unit, report.id))
    may = bool(visit.person.roles & _WRITERS)
    return {
        "briefs": found,
        "brief_kinds": room.kinds_left(found) if may else [],
        "brief_number": room.number_of,
    }


def new(visit: Visit, problem: HubError | None = None) -> Response:
    """The form of a new one, begun with what the report says."""
    report_id = visit.form.first("report") or visit.query("report")
    wanted = visit.form.first("kind") or visit.query("kind")
    if wanted not in list(Kind):
        raise NotFound("no such kind")
    report = visit.read(lambda unit: reports.get(unit, report_id))
    if report is None:
        raise NotFound("no such report")
    title, body = visit.read(lambda unit: _begun(unit, report, Kind(wanted)))
    typed = {name: visit.form.first(name) for name in ("title", "body", "to")}
    if problem is None:
        typed = {"title": title, "body": body, "to": ""}
    return visit.show(
        "brief_form.html", here="/console/briefs", problem=problem, report=report, kind=wanted, typed=typed, one=None,
        flaw_names=_names(visit), action="/console/briefs",
    )  # fmt: skip


def _begun(unit: Unit, report: Report, kind: Kind) -> tuple[str, str]:
    """Title and body to begin with, in Chinese, of what the study found: the office above reads it."""
    found = found_of(unit, report, pages.SOURCE)
    title = dict(found.titles).get(pages.SOURCE) or title_of(report)
    place = place_name(found.places[0], found.names, pages.SOURCE) if found.places else ""
    open_ones = [
        pages.word("element", q.element, pages.SOURCE) for q in found.questions if q.answered_at is None
    ]
    line = pages.word("brief_print", "missing", pages.SOURCE).format(elements="、".join(open_ones))
    return room.suggested(
        report, kind, place=report.content.first("place") or place, title=title,
        documents=scans.texts(unit, report.id)[:DOCUMENTS], missing=line if open_ones else "",
    )  # fmt: skip


def create(visit: Visit) -> Response:
    """Save the draft."""
    form = visit.form
    if form.first("kind") not in list(Kind):
        raise NotFound("no such kind")

    def work(unit: Unit, by: Person) -> Brief:
        report = form.first("report")
        missing = [one.element for one in triages.questions(unit, report) if one.answered_at is None]
        return room.draft(
            unit, report, by=by, at=visit.at, kind=Kind(form.first("kind")), missing=missing, **_words(visit)
        )

    try:
        made = visit.act(work)
    except (Refused, BadInput) as error:
        return new(visit, error)
    return go(f"/console/briefs/{made.id}?done=brief_draft")


def show(visit: Visit, problem: HubError | None = None) -> Response:
    """One of them: its words, how far it is, and what may be done with it."""
    one, report = visit.read(lambda unit: _found(unit, visit))
    typed = {"title": one.title, "body": one.body, "to": one.to}
    if problem is not None and visit.form.first("title"):
        typed = {name: visit.form.first(name) for name in typed}
    return visit.show(
        "brief.html", here="/console/briefs", problem=problem, one=one, report=report, typed=typed,
        number=room.number_of(one), written_by=_people(visit, one), may=_may(one, visit.person), ways=[w.value for w in Way],
        flaw_names=_names(visit),
    )  # fmt: skip


def change(visit: Visit) -> Response:
    """One act, then its page again."""
    act, brief_id = visit.part("act"), visit.part("id")
    if act not in _ACTS:
        raise NotFound("no such act")
    try:
        visit.act(lambda unit, by: _ACTS[act](visit, unit, brief_id, by))
    except (Refused, BadInput) as error:
        return show(visit, error)
    return go(f"/console/briefs/{brief_id}?done=brief_{act}")


def printed(visit: Visit) -> Response:
    """On A4, for the printer of the duty room."""
    one, _ = visit.read(lambda unit: _found(unit, visit))
    return visit.fragment("brief_print.html", words=_printed(visit, one), body=one.body.split("\n"))


def as_pdf(visit: Visit) -> Response:
    """The same as PDF, for mail and fax."""
    one, _ = visit.read(lambda unit: _found(unit, visit))
    name = f"{one.year}-{one.number}" if one.number else "draft"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="brief-{name}.pdf"'}
    return Response(brief_pdf.pdf(_printed(visit, one)), 200, headers, media_type="application/pdf")


def _edit(visit: Visit, unit: Unit, brief_id: str, by: Person) -> None:
    revision = visit.form.number("revision")
    room.edit(unit, brief_id, by=by, at=visit.at, revision=revision, **_words(visit))


def _sign(visit: Visit, unit: Unit, brief_id: str, by: Person) -> None:
    revision = visit.form.number("revision") or 0
    room.sign(unit, brief_id, by=by, at=visit.at, zone=visit.hub.zone, revision=revision)


def _withdraw(visit: Visit, unit: Unit, brief_id: str, by: Person) -> None:
    room.withdraw(unit, brief_id, by=by, at=visit.at)


def _send(visit: Visit, unit: Unit, brief_id: str, by: Person) -> None:
    room.send(unit, brief_id, by=by, at=visit.at, way=visit.form.first("way"))


def _receive(visit: Visit, unit: Unit, brief_id: str, by: Person) -> None:
    form = visit.form
    said_at = instant_of(form.first("said_at"), visit.hub.zone, "said_at")
    room.receive(
        unit, brief_id, by=by, at=visit.at, whom=form.first("whom"), who=form.first("who"), said_at=said_at
    )


_ACTS = {"edit": _edit, "sign": _sign, "withdraw": _withdraw, "send": _send, "receive": _receive}


def urged(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None, **given: Any
) -> None:
    """催报: an act on the report's page."""
    room.urged(unit, report_id, by=by, at=at, **given)


def order(visit: Visit) -> Mapping[str, Any]:
    """What the form of an order holds."""
    at = instant_of(visit.form.first("ordered_at"), visit.hub.zone, "ordered_at")
    if at is None:
        raise BadInput("the time is missing", code="bad_entry", flaws=[Flaw("/ordered_at", "is required")])
    return {"whom": visit.form.first("whom"), "ordered_at": at}


def _words(visit: Visit) -> dict[str, Any]:
    return {name: visit.form.first(name) for name in ("title", "body", "to")}


def _found(unit: Unit, visit: Visit) -> tuple[Brief, Report]:
    one = briefs.get(unit, visit.part("id"))
    report = reports.get(unit, one.report) if one else None
    if one is None or report is None:
        raise NotFound("no such report upwards")
    return one, report


def _may(one: Brief, person: Person) -> set[str]:
    if not person.roles & _WRITERS:
        return set()
    found = {State.DRAFT: {"edit", "withdraw"}, State.SIGNED: {"send"}, State.SENT: {"receive"}}.get(
        one.state, set()
    )
    may_sign = person.roles & {Role.LEADER, Role.APPROVER} and person.id != one.author
    return found | ({"sign"} if one.state is State.DRAFT and may_sign else set())


def _people(visit: Visit, one: Brief) -> dict[str, str]:
    def work(unit: Unit) -> dict[str, str]:
        return {who: people.get(unit, who).name for who in {one.author, one.signed_by} - {""}}

    return visit.read(work)


def _printed(visit: Visit, one: Brief) -> dict[str, str]:
    """What stands on the sheet, in Chinese: it goes to an office."""
    hub, names = visit.hub, _people(visit, one)
    kind = pages.word("brief_kind", one.kind.value, "zh-CN") + one.ordinal
    at = (one.signed_at or one.created_at).astimezone(hub.zone)
    signer = names.get(one.signed_by, "") if one.signed_by else pages.word("brief_state", "draft", "zh-CN")
    return {
        "head": pages.word("brief_print", "head", "zh-CN"), "number": f"{room.number_of(one)}（{kind}）",
        "mark": pages.word("mark", hub.mode.value, "zh-CN") if not hub.mode.may_reach_the_world else "",
        "office": hub.settings.organisation, "signer": pages.word("brief_print", "signer", "zh-CN") + signer,
        "to": one.to, "title": one.title, "body": one.body, "missing": "", "signed": "",
        "day": f"{at.year}年{at.month}月{at.day}日 {at:%H:%M}",
    }  # fmt: skip


def _names(visit: Visit) -> dict[str, str]:
    return {f"/{n}": pages.word("field", n, visit.language) for n in pages.codes()["field"]}
