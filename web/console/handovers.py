"""Hand-overs at the desk: who should have a report and why, who has it, who signed; bodies and rules."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from domain.errors import HubError
from domain.further import STILL_READ
from domain.person import Person
from domain.report import Report
from domain.routing import CHANNELS, HandoverState, matching
from duty import handovers as duty
from duty.handovers import MAY_HAND, MAY_KEEP, hand_over, refuse, sign_here, take_back
from store import reports, routing, triages
from store.unit import Unit
from web.console import standing
from web.console.history import name_of
from web.console.shifts import title_of
from web.console.visit import Visit

__all__ = [
    "board",
    "change",
    "hand_over",
    "named",
    "on_report",
    "reasoned",
    "refuse",
    "sign_here",
    "signed",
    "take_back",
    "turned_down",
]
HERE = "/console/handovers"


def on_report(unit: Unit, visit: Visit, report: Report) -> Mapping[str, Any]:
    """All hand-overs of it, the one that goes on, the rules that fit, and what may be done."""
    bodies = routing.bodies(unit, with_ended=True)
    found, names = routing.of_report(unit, report.id), dict[str, str]()
    live = next(
        (h for h in found if h.state in (HandoverState.PROPOSED, HandoverState.SENT, HandoverState.SIGNED)),
        None,
    )
    kept = triages.get(unit, report.id)
    code = report.event_code or (kept.event_code if kept else "")
    fitting = [(rule, bodies[rule.body]) for rule in matching(routing.rules(unit), report.where, code)]
    may = bool(visit.person.roles & MAY_HAND)
    return {
        "handovers": [(h, bodies[h.body], name_of(unit, h.by, visit.language, names)) for h in found],
        "handed": live, "handed_to": bodies[live.body] if live else None, "fitting": fitting,
        "bodies": [b for b in bodies.values() if b.ended_at is None],
        "may_hand": may and (report.state in STILL_READ or bool(live)) and not report.is_aside,
    }  # fmt: skip


def board(visit: Visit, problem: HubError | None = None) -> Response:
    """What bodies have and have not signed for, the first due first; the bodies and the rules."""

    def work(unit: Unit) -> dict[str, Any]:
        bodies, known = routing.bodies(unit, with_ended=True), {}
        for one in routing.going(unit):
            report = reports.get(unit, one.report)
            if report is not None:
                known[one.id] = (one, bodies[one.body], report, title_of(report))
        return {"going": list(known.values()), "bodies": [b for b in bodies.values() if b.ended_at is None],
                "rules": [(rule, bodies[rule.body]) for rule in routing.rules(unit)]}  # fmt: skip

    return visit.show(
        "handovers.html", problem=problem, here=HERE, may_keep=bool(visit.person.roles & MAY_KEEP), channels=CHANNELS,
        typed=visit.form,
        flaw_names=visit.field_names,
        **visit.read(work),
    )  # fmt: skip


def turned_down(visit: Visit) -> Response:
    """What a body says is not its own, for the head of every page."""
    return visit.fragment("turned_down.html", standing={"turned_down": visit.read(standing.turned_down)})


def change(visit: Visit) -> Response:
    """One act on bodies and rules."""
    return visit.change(_ACTS, board, HERE)


def named(visit: Visit) -> Mapping[str, Any]:
    """To whom, and why."""
    return {"body": visit.form.first("body")[:40], "reason": visit.form.first("why"), "post": visit.hub.post}


def signed(visit: Visit) -> Mapping[str, Any]:
    """Who signed, for which."""
    return {"who": visit.form.first("who"), "handover": visit.form.first("handover")[:40]}


def reasoned(visit: Visit) -> Mapping[str, Any]:
    """Why."""
    return {"reason": visit.form.first("why")}


def _add_body(unit: Unit, by: Person, visit: Visit) -> object:
    form = visit.form
    minutes = form.number("minutes") if form.first("minutes") else None
    return duty.add_body(unit, name=form.first("name"), channel=form.first("channel"), address=form.first("address")[:200],
                         minutes=minutes, region=visit.hub.settings.region, by=by, at=visit.at)  # fmt: skip


def _add_rule(unit: Unit, by: Person, visit: Visit) -> object:
    form = visit.form
    return duty.add_rule(unit, area=form.first("area")[:14], category=form.first("category")[:10],
                         body=form.first("body")[:40], by=by, at=visit.at)  # fmt: skip


_ACTS: Mapping[str, Callable[[Unit, Person, Visit], object]] = {
    "add_body": _add_body,
    "add_route": _add_rule,
    "end_body": lambda unit, by, visit: duty.end_body(unit, visit.form.first("id")[:40], by=by, at=visit.at),
    "end_route": lambda unit, by, visit: duty.end_rule(unit, visit.form.first("id")[:40], by=by, at=visit.at),
}
