"""The queue of the duty room, its search, and the shelf of what could not be used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.responses import Response

from domain.errors import BadInput, Conflict
from domain.ids import is_id
from domain.person import Person, Role
from domain.report import Report, State
from duty import shelf as duty
from store import areas, inbox, incidents, journal, reports, shelf, threads, verdicts
from store.unit import Unit
from web.console.history import event_name, name_of
from web.console.visit import Visit
from web.page import go

PAGE = 50  # rows: what an officer scrolls through before he filters
REFRESH = 20  # s between reloads without JavaScript; nothing can be typed on that page
NAMED = 100  # rows asked for by name at once; a page that missed more reads the list
EACH = "&each=1"
TITLE = 80  # characters of a text that has no subject
OPEN = (State.FILED, State.CLAIMED, State.VERIFIED)
VIEWS: Mapping[str, tuple[str, ...]] = {
    "open": OPEN, "filed": (State.FILED,), "mine": (State.CLAIMED, State.VERIFIED), "claimed": (State.CLAIMED,),
    "verified": (State.VERIFIED,), "handed": (State.TRANSFERRED, State.SIGNED_FOR),
    "closed": (State.CLOSED,), "all": (), "aside": (),
}  # fmt: skip
CHANNELS = ("phone", "voice", "sms", "telegram", "email", "web", "api", "peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A report as one line."""

    report: Report
    title: str
    place: str
    event: str
    holder: str
    is_out: bool = False  # no longer of the view that asks; shown in place until the page is left
    incident: str = ""  # that it is of
    told: int = 0  # how many reports of that incident there are
    following: int = 0  # 续报 that came
    is_urgent: bool = False  # of a blocked sender, and tells of danger


def queue(visit: Visit) -> Response:
    """Newest first; the page follows the stream, and without JavaScript renews itself."""
    view, channel, wanted = _view(visit)
    before = _cursor(visit.query("before"))
    values = visit.read(lambda unit: _listed(unit, visit, wanted, before))
    last = None if values["rows"] else next(iter(visit.read(_newest)), None)
    return visit.show(
        "queue.html", here="/console", view=view, channel=channel, views=list(VIEWS), channels=CHANNELS,
        refresh=0 if before else REFRESH, is_first=not before, last=last, is_each=_is_each(visit),
        list_at=f"/console/rows?view={view}&channel={channel}{EACH if _is_each(visit) else ''}", **values,
    )  # fmt: skip


def rows(visit: Visit) -> Response:
    """The rows named by ``?ids=``, or all of the first page; those that left the view are marked."""
    _, _, wanted = _view(visit)
    ids = [name for name in visit.query("ids").split(",")[:NAMED] if is_id("rep", name)]

    def work(unit: Unit) -> list[Row]:
        if visit.query("all"):
            listed: list[Row] = _listed(unit, visit, wanted, None)["rows"]
            return listed
        found = [report for name in ids if (report := reports.get(unit, name))]
        found.sort(key=lambda report: (report.received_at, report.id), reverse=True)
        return _rows(unit, visit, found, wanted)

    return visit.fragment("rows_only.html", rows=visit.read(work))


def counts(visit: Visit) -> Response:
    """The views with how many reports each has."""
    view, channel, _ = _view(visit)
    values = visit.read(lambda unit: _counts(unit, visit))
    return visit.fragment("counts.html", view=view, channel=channel, views=list(VIEWS), **values)


def find(visit: Visit) -> Response:
    """Search by receipt code, number, place or words; nothing reloads while one types."""
    text, view = visit.query("q")[:100], visit.query("view")
    values: dict[str, Any] = {"rows": [], "counts": {}, "shelved": 0, "older": ""}
    if text:
        wanted = reports.Filter(
            states=VIEWS.get(view, ()), text=text, holder=_holder(visit, view), is_aside=True if view == "aside" else None
        )  # fmt: skip
        values = visit.read(lambda unit: _listed(unit, visit, wanted, None))
    return visit.show("find.html", q=text, view=view, views=list(VIEWS), list_at="", **values)


def shelf_page(visit: Visit) -> Response:
    """What could not be used, each with its reason."""
    rows = visit.read(lambda unit: shelf.pending(unit, PAGE * 4))
    marked = [(row, row.origin if is_id("rep", row.origin) else "") for row in rows]
    tried = {row.id for row in rows if duty.can_be_tried(row.kind, row.reason)}
    return visit.show("shelf.html", rows=marked, tried=tried)


def settle(visit: Visit) -> Response:
    """An officer has dealt with something on the shelf."""

    def work(unit: Unit, by: Any) -> None:
        by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER, Role.ADMIN)
        if shelf.settle(unit, visit.part("id"), by.id, visit.at):
            journal.append(unit, "shelf", visit.part("id"), "settle", by=by.id, at=visit.at)

    visit.act(work)
    return go("/console/shelf?done=settle")


def take_up(visit: Visit) -> Response:
    """A message on the shelf is one after all: it goes into the queue, read like any other."""

    def work(unit: Unit, by: Person) -> str:
        by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
        shelf_id = visit.part("id")
        inbound_id = shelf.origin(unit, shelf_id)
        if not inbox.reprocess(unit, inbound_id, by=by.id, at=visit.at):
            raise Conflict("it does not lie on the shelf any more", code="illegal_move")
        if shelf.settle(unit, shelf_id, by.id, visit.at):
            journal.append(unit, "shelf", shelf_id, "settle", by=by.id, at=visit.at)
        return inbound_id

    visit.hub.bell("file_report", visit.act(work))
    return go("/console/shelf?done=take_up")


def again(visit: Visit) -> Response:
    """What failed again and again is tried once more."""
    visit.hub.bell(*visit.act(lambda unit, by: duty.again(unit, visit.part("id"), by=by, at=visit.at)))
    return go("/console/shelf?done=again")


def _view(visit: Visit) -> tuple[str, str, reports.Filter]:
    view = visit.query("view") if visit.query("view") in VIEWS else "open"
    channel = visit.query("channel") if visit.query("channel") in CHANNELS else ""
    is_aside = view == "aside"
    wanted = reports.Filter(
        states=VIEWS[view], channel=channel, holder=_holder(visit, view), is_aside=is_aside
    )
    return view, channel, wanted


def _holder(visit: Visit, view: str) -> str:
    return visit.person.id if view == "mine" else ""


def _newest(unit: Unit) -> list[Report]:
    return reports.page(unit, reports.Filter(), limit=1)


def _listed(
    unit: Unit, visit: Visit, wanted: reports.Filter, before: tuple[datetime, str] | None
) -> dict[str, Any]:
    found = reports.page(unit, wanted, limit=PAGE + 1, before=before)
    last = found[PAGE - 1] if len(found) > PAGE else None
    return {
        "rows": _gathered(_rows(unit, visit, found[:PAGE], wanted), is_each=_is_each(visit)),
        "older": f"{last.received_at.isoformat()}~{last.id}" if last else "",
        **_counts(unit, visit),
    }


def _counts(unit: Unit, visit: Visit) -> dict[str, Any]:
    counts = reports.counts(unit)
    mine = reports.counts(unit, holder=visit.person.id)
    told = {
        view: _number(mine if view == "mine" else counts, states or tuple(State))
        for view, states in VIEWS.items()
    }
    return {
        "counts": told | {"aside": reports.count_aside(unit)},
        "shelved": shelf.count(unit),
    }


def _number(counts: Mapping[str, int], states: Sequence[str]) -> int | str:
    """The reports of some states; ``9999+`` when one of them was not counted to its end."""
    if any(counts.get(state, 0) >= reports.COUNTED for state in states):
        return f"{reports.COUNTED - 1}+"
    return sum(counts.get(state, 0) for state in states)


def _rows(unit: Unit, visit: Visit, found: Sequence[Report], wanted: reports.Filter) -> list[Row]:
    places = areas.names(unit, {r.where for r in found if r.where})
    known: dict[str, str] = {}
    made = [_row(unit, report, places, visit.language, known) for report in found]
    names = [report.id for report in found]
    of = incidents.of_reports(unit, names)
    sizes = incidents.sizes(unit, list(set(of.values())))
    following = threads.counts(unit, names)
    urgent = verdicts.urgent_of(unit, names)
    return [
        replace(row, is_out=not reports.fits(row.report, wanted), incident=of.get(row.report.id, ""),
                told=sizes.get(of.get(row.report.id, ""), 0), following=following.get(row.report.id, 0),
                is_urgent=row.report.id in urgent)
        for row in made
    ]  # fmt: skip


def _is_each(visit: Visit) -> bool:
    """Whether every report is a line of its own, also those of one incident."""
    return visit.query("each") == "1"


def _gathered(made: Sequence[Row], *, is_each: bool) -> list[Row]:
    """The newest report of each incident stands for those of it that are on this page, unless one is in other hands."""
    seen: set[tuple[str, str, str]] = set()
    shown = []
    for row in made:
        what = (row.incident, row.report.state.value, row.report.claimed_by)
        if is_each or not row.incident or what not in seen:
            shown.append(row)
        seen.add(what)
    return shown


def _row(
    unit: Unit, report: Report, places: Mapping[str, tuple[str, str]], language: str, known: dict[str, str]
) -> Row:
    names = places.get(report.where, ("", ""))
    lines = [line for line in report.content.text.split("\n") if line.strip()]
    return Row(
        report=report,
        title=(report.content.first("subject") or (lines[0] if lines else ""))[:TITLE],
        place=report.content.first("place") or names[0 if language == "zh-CN" else 1],
        event=event_name(report.event_code, language),
        holder=name_of(unit, report.claimed_by, language, known) if report.claimed_by else "",
    )


def _cursor(text: str) -> tuple[datetime, str] | None:
    if not text:
        return None
    moment, _, report_id = text.partition("~")
    try:
        at = datetime.fromisoformat(moment.replace(" ", "+"))
    except ValueError:
        raise BadInput("the place in the list cannot be read") from None
    if at.tzinfo is None or not is_id("rep", report_id):
        raise BadInput("the place in the list cannot be read")
    return at, report_id
