"""The shift: signing on and off, who is on duty, and the claims of those who are not."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from domain.errors import BadInput, HubError, Refused
from domain.person import Role
from domain.report import MOVES, Report
from duty import shifts as duty
from store import people, reports, shifts
from store.unit import Unit
from templates import pages
from web.console.visit import Visit
from web.page import go

RECENT = 12  # shifts shown: three days of four


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A report in somebody's hands, as one line."""

    report: Report
    title: str
    holder: str
    is_mine: bool
    is_left: bool  # its holder is off duty
    may_release: bool


def show(visit: Visit, problem: HubError | None = None) -> Response:
    """The shift's page; with `problem`, after an act that was refused."""
    values = visit.read(lambda unit: _seen(unit, visit))
    values |= {
        "here": "/console/shift",
        "note": visit.form.first("note"),
        "is_leader": Role.LEADER in visit.person.roles,
        "may_sign": bool(visit.person.roles & {Role.OFFICER, Role.LEADER, Role.APPROVER}),
        "flaw_names": {"/note": pages.word("field", "note", visit.language)},
    }
    return visit.show("shift.html", problem=problem, **values)


def sign_on(visit: Visit) -> Response:
    """签到."""
    try:
        visit.act(lambda unit, by: duty.sign_on(unit, by=by, at=visit.at))
    except Refused as error:
        return show(visit, error)
    return go("/console/shift?done=sign_on")


def sign_off(visit: Visit) -> Response:
    """签退; what is left in hand needs a note."""
    try:
        visit.act(lambda unit, by: duty.sign_off(unit, by=by, at=visit.at, note=visit.form.first("note")))
    except (Refused, BadInput) as error:
        return show(visit, error)
    return go("/console/shift?done=sign_off")


def title_of(report: Report) -> str:
    """A report in a few words."""
    lines = [line for line in report.content.text.split("\n") if line.strip()]
    return (report.content.first("subject") or (lines[0] if lines else "") or report.content.first("place"))[
        :80
    ]


def _seen(unit: Unit, visit: Visit) -> dict[str, Any]:
    on_duty = shifts.on_duty(unit)
    working = {row.person for row in on_duty}
    claims = [_claim(unit, report, visit, working) for report in reports.claimed(unit)]
    return {
        "shift": shifts.current(unit, visit.person.id),
        "on_duty": on_duty,
        "recent": shifts.recent(unit, RECENT),
        "mine": [claim for claim in claims if claim.is_mine],
        "left": [claim for claim in claims if claim.is_left and not claim.is_mine],
        "others": [claim for claim in claims if not claim.is_left and not claim.is_mine],
    }


def _claim(unit: Unit, report: Report, visit: Visit, working: set[str]) -> Claim:
    return Claim(
        report=report,
        title=title_of(report),
        holder=people.get(unit, report.claimed_by).name,
        is_mine=report.claimed_by == visit.person.id,
        is_left=report.claimed_by not in working,
        may_release=MOVES.allows(report.state, "release_claim"),
    )
