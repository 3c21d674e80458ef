"""Statutory clocks at the desk: what is due first, what was late, the rules behind them, and the acts that stop them."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from starlette.responses import Response

from domain.clock import Duty, State
from domain.errors import BadInput, Flaw, HubError, NotAllowed, NotFound
from domain.instants import of_our_days
from domain.person import Person, Role
from domain.report import Report
from duty import clocks as duty
from store import clocks as book
from store import journal, reports
from store.clocks import Clock
from store.unit import Unit
from templates import pages
from web.console.shifts import title_of
from web.console.visit import Visit
from web.page import HEADERS, go

SHOWN = 200  # running clocks on one page: a bad night of a province
REPORTED = timedelta(days=31)  # of lateness at first sight
LONGEST = timedelta(days=400)
FIRST_DAY = date(2000, 1, 1)  # no hub is older
_MANAGERS = {Role.LEADER, Role.ADMIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A clock with the report it is of."""

    clock: Clock
    code: str
    title: str
    is_late: bool
    late_by: timedelta
    kind: str  # late | missing | waived | in_time | running
    is_first: bool = False  # of its duty: what counts of all the rules that ask for it


def show(visit: Visit) -> Response:
    """What is due upwards, the first due first."""

    def work(unit: Unit) -> list[Row]:
        first: dict[tuple[str, Duty], Clock] = {}
        for one in book.first_due(unit):
            first.setdefault((one.report, one.duty), one)
        return _rows(unit, list(first.values())[:SHOWN], visit.at)

    return visit.show("clocks.html", here="/console/clocks", rows=visit.read(work), shown=SHOWN)


def late(visit: Visit) -> Response:
    """迟报、漏报: what was due in a time and not done in it."""
    since, until = _span(visit)
    rows = visit.read(lambda unit: _rows(unit, book.due_between(unit, since, until), visit.at))
    tally = {
        kind: sum(row.kind == kind for row in rows)
        for kind in ("late", "missing", "waived", "in_time", "running")
    }
    if visit.query("format") == "csv":
        return _as_csv(visit, rows)
    wanted = [row for row in rows if row.kind in ("late", "missing", "waived")]
    zone = visit.hub.zone
    return visit.show(
        "clocks_late.html", here="/console/clocks", rows=wanted, tally=tally, since=since.astimezone(zone).date(),
        until=(until - timedelta(seconds=1)).astimezone(zone).date(),
    )  # fmt: skip


def rules(visit: Visit, problem: HubError | None = None) -> Response:
    """The limits that set clocks here; what nobody has confirmed is an example."""
    found = visit.read(book.rules)
    may = bool(visit.person.roles & _MANAGERS)
    return visit.show("clock_rules.html", here="/console/clocks", rules=found, may_manage=may, problem=problem,
                      hop=visit.hub.reports_up.hop, flaw_names=_names(visit))  # fmt: skip


def decide(visit: Visit) -> Response:
    """Confirm a rule, or say from which day it holds no longer."""
    act, rule_id = visit.part("act"), visit.part("id")
    if act not in ("confirm", "supersede"):
        raise NotFound("no such act")

    def work(unit: Unit, by: Person) -> None:
        if not by.roles & _MANAGERS:
            raise NotAllowed("rules are for leaders and administrators", code="role_missing")
        is_done = (
            book.confirm_rule(unit, rule_id, by.id, visit.at)
            if act == "confirm"
            else book.supersede_rule(unit, rule_id, _day(visit.form.first("from")))
        )
        if is_done:
            journal.append(unit, "clock_rule", rule_id, f"rule_{act}", by=by.id, at=visit.at,
                           detail={"from": visit.form.first("from")[:10]})  # fmt: skip

    try:
        visit.act(work)
    except BadInput as error:
        return rules(visit, error)
    return go(f"/console/clocks/rules?done=rule_{act}")


def on_report(visit: Visit, report: Report) -> dict[str, Any]:
    """What the report's page shows of its clocks."""

    def work(unit: Unit) -> tuple[list[Clock], Any, bool]:
        ids = [report.id, *reports.merged_into(unit, report.id)]
        times, is_sensitive = book.times(unit, report.id, report.received_at)
        return book.of_reports(unit, ids), times, is_sensitive

    found, times, is_sensitive = visit.read(work)
    first = _first(found)
    may = bool(visit.person.roles & {Role.OFFICER, Role.LEADER, Role.APPROVER})
    running = {one.duty.value for one in found if one.state is State.RUNNING}
    return {
        "clocks": [
            replace(_row(one, report.code, "", visit.at), is_first=one.id in first) for one in found
        ],
        "times": {name: _local(getattr(times, name), visit.hub.zone) for name in _INSTANTS},
        "is_sensitive": is_sensitive, "may_report_up": may, "running": running,
        "may_waive": Role.LEADER in visit.person.roles,
        "typed_clock": {name: visit.form.first(name) for name in ("whom", "who", "said_at", "note")},
    }  # fmt: skip


def log_call(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None, **given: Any
) -> None:
    """电话已报, or a follow-up told by phone."""
    duty.log_call(unit, report_id, by=by, at=at, **given)


def sign_for(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None, **given: Any
) -> None:
    """书面签收."""
    duty.sign_for(unit, report_id, by=by, at=at, **given)


def waive(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None, **given: Any
) -> None:
    """免报, with the leader's reason."""
    duty.waive(unit, report_id, by=by, at=at, **given)


def set_times(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None, **given: Any
) -> None:
    """The instants that limits count from."""
    duty.set_times(unit, report_id, by=by, at=at, **given)


def _first(found: list[Clock]) -> set[str]:
    """Of each duty the running clock that is due first, else the one that ended last."""
    chosen: dict[Duty, Clock] = {}
    for one in found:  # the first due first
        known = chosen.get(one.duty)
        if known is None or known.state is not State.RUNNING:
            chosen[one.duty] = one
    return {one.id for one in chosen.values()}


_INSTANTS = ("occurred_at", "known_at", "ordered_at")


def stop_of(default: Duty) -> Any:
    """What the forms of a call and of a signature hold."""

    def read(visit: Visit) -> Mapping[str, Any]:
        form = visit.form
        return {
            "whom": form.first("whom"), "who": form.first("who"), "note": form.first("note"),
            "said_at": instant_of(form.first("said_at"), visit.hub.zone, "said_at"), "duty": _duty(form.first("duty"), default),
        }  # fmt: skip

    return read


def waived(visit: Visit) -> Mapping[str, Any]:
    """What the form of a waiver holds."""
    return {"duty": _duty(visit.form.first("duty"), Duty.PHONE), "note": visit.form.first("reason")}


def instants(visit: Visit) -> Mapping[str, Any]:
    """What the form of the report's instants holds."""
    zone = visit.hub.zone
    found: dict[str, Any] = {name: instant_of(visit.form.first(name), zone, name) for name in _INSTANTS}
    return found | {"is_sensitive": bool(visit.form.first("is_sensitive"))}


def _duty(text: str, default: Duty) -> Duty:
    return Duty(text) if text in list(Duty) else default


def instant_of(text: str, zone: tzinfo, name: str) -> datetime | None:
    """What a field for a time holds, in the hub's zone; None when it is empty. Raises BadInput."""
    if not text.strip():
        return None
    at = of_our_days(text)
    if at is None:
        raise BadInput("no such time", code="bad_entry", flaws=[Flaw(f"/{name}", "is no time")])
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _local(at: datetime | None, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%dT%H:%M}" if at else ""


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise BadInput("no such day", code="bad_entry", flaws=[Flaw("/from", "is no day")]) from None


def _span(visit: Visit) -> tuple[datetime, datetime]:
    """The days asked for, whole, in the hub's zone; the last month when none or nonsense is."""
    zone, today = visit.hub.zone, visit.at.astimezone(visit.hub.zone).date()
    try:
        since, until = date.fromisoformat(visit.query("since")), date.fromisoformat(visit.query("until"))
    except ValueError:
        since, until = today - REPORTED, today
    until = min(max(until, FIRST_DAY), today + LONGEST)
    since = max(since, until - LONGEST)
    begins = datetime.combine(since, datetime.min.time(), zone)
    return begins, datetime.combine(until, datetime.min.time(), zone) + timedelta(days=1)


def _rows(unit: Unit, found: list[Clock], at: datetime) -> list[Row]:
    known: dict[str, tuple[str, str]] = {}
    for one in found:
        if one.report not in known:
            report = reports.get(unit, one.report)
            known[one.report] = (report.code, title_of(report)) if report else ("", "")
    return [_row(one, *known[one.report], at) for one in found]


def _row(one: Clock, code: str, title: str, at: datetime) -> Row:
    is_late = one.is_late(at)
    kinds = {
        State.WAIVED: "waived",
        State.ENDED: "missing" if is_late else "in_time",
        State.RUNNING: "missing" if is_late else "running",
        State.STOPPED: "late" if is_late else "in_time",
    }
    late_by = max((one.stopped_at or at) - one.due_at, timedelta())
    return Row(clock=one, code=code, title=title, is_late=is_late, late_by=late_by, kind=kinds[one.state])


def _as_csv(visit: Visit, rows: list[Row]) -> Response:
    """The whole time as a table for Excel: a byte order mark, and no cell that is a formula (PROMISES H72)."""
    out = io.StringIO()
    table = csv.writer(out)
    head = pages.codes()["lateness_column"]
    table.writerow([pages.word("lateness_column", name, visit.language) for name in head])
    for row in rows:
        one, zone = row.clock, visit.hub.zone
        instants = [f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at else "" for at in
                    (one.starts_at, one.due_at, one.stopped_at, one.said_at)]  # fmt: skip
        words = [pages.word("duty", one.duty.value, visit.language), one.rule_name]
        verdict = pages.word("lateness", row.kind, visit.language)
        cells = [row.code, row.title, *words, *instants, verdict, str(int(row.late_by.total_seconds())), one.whom,
                 one.who, one.note]  # fmt: skip
        table.writerow([_harmless(cell) for cell in cells])
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="lateness.csv"'}
    return Response("\ufeff" + out.getvalue(), 200, headers, media_type="text/csv; charset=utf-8")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _names(visit: Visit) -> dict[str, str]:
    return {"/from": pages.word("field", "from", visit.language)}
