"""Who reports, at the desk: known reporters and block lists, and on a report what is known of its sender."""

from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import Any

from starlette.responses import Response

from domain.errors import HubError
from domain.person import Person
from domain.report import Report
from domain.trust import CHANNELS, KnownKind, VerdictState
from duty import trust as duty
from duty.trust import MAY_JUDGE, MAY_KEEP, block_sender, give_verdict, withdraw_verdict
from store import areas, senders, verdicts
from store.unit import Unit
from web.console.history import name_of
from web.console.visit import Visit

__all__ = [
    "block_sender",
    "blocked",
    "change",
    "give_verdict",
    "lists",
    "on_report",
    "said",
    "withdraw_verdict",
]
HERE = "/console/senders"


def on_report(unit: Unit, visit: Visit, report: Report) -> Mapping[str, Any]:
    """Who sent it as far as that is known, what came of his others, what was said of this one."""
    known, history = duty.who_is(unit, report.id)
    names: dict[str, str] = {}
    given = [(v, name_of(unit, v.by, visit.language, names)) for v in verdicts.of_report(unit, report.id)]
    holds = {v.kind.value for v, _ in given if v.state is VerdictState.GIVEN}
    elsewhere = [k for k in known if k.area and report.where and not _inside(report.where, k.area)]
    return {
        "known": known, "history": history, "verdicts": given, "held_verdicts": holds, "elsewhere": elsewhere,
        "may_judge": bool(visit.person.roles & MAY_JUDGE), "said_verdicts": [k.value for k in duty.SAID],
        "may_block": _may_block(visit.person) and report.channel in CHANNELS and not known,
    }  # fmt: skip


def lists(visit: Visit, problem: HubError | None = None) -> Response:
    """All who are known, and all who are blocked, each with the day it ends."""

    def work(unit: Unit) -> dict[str, Any]:
        known, blocks = senders.known(unit, visit.at), senders.blocks(unit, visit.at)
        names: dict[str, str] = {}
        return {"known": known, "blocks": [(b, name_of(unit, b.by, visit.language, names)) for b in blocks],
                "places": areas.names(unit, {k.area for k in known if k.area})}  # fmt: skip

    return visit.show(
        "senders.html", problem=problem, here=HERE, may_keep=bool(visit.person.roles & MAY_KEEP), channels=CHANNELS,
        kinds=[kind.value for kind in KnownKind], typed=visit.form,
        flaw_names=visit.field_names,
        **visit.read(work),
    )  # fmt: skip


def change(visit: Visit) -> Response:
    """One act on the lists."""
    return visit.change(_ACTS, lists, HERE)


def said(visit: Visit) -> Mapping[str, Any]:
    """A verdict and why."""
    return {"kind": visit.form.first("kind")[:10], "reason": visit.form.first("reason")}


def blocked(visit: Visit) -> Mapping[str, Any]:
    """For how long, and why."""
    return {"days": visit.form.number("days"), "reason": visit.form.first("reason")}


def _may_block(person: Person) -> bool:
    return bool(person.roles & MAY_KEEP and person.roles & MAY_JUDGE)


def _inside(area: str, duty_area: str) -> bool:
    return area.startswith(duty_area.rstrip("0") or duty_area)


def _add_known(unit: Unit, by: Person, visit: Visit) -> None:
    form = visit.form
    try:
        day = datetime.fromisoformat(form.first("until")[:10]).date()
        until = datetime.combine(day, time(23, 59, 59), tzinfo=visit.hub.zone)
    except ValueError:
        until = None
    duty.add_known(unit, kind=form.first("kind"), name=form.first("name"), body=form.first("body"),
                   area=form.first("area"), until=until, addresses=form.first("addresses")[:4000], by=by,
                   at=visit.at)  # fmt: skip


def _block(unit: Unit, by: Person, visit: Visit) -> None:
    form = visit.form
    duty.block(unit, channel=form.first("channel"), address=form.first("address")[:200], days=form.number("days"),
               reason=form.first("reason"), by=by, at=visit.at)  # fmt: skip


_ACTS: Mapping[str, Callable[[Unit, Person, Visit], object]] = {
    "add_known": _add_known,
    "end_known": lambda unit, by, visit: duty.end_known(
        unit, visit.form.first("id")[:40], by=by, at=visit.at
    ),
    "block_sender": _block,
    "lift_block": lambda unit, by, visit: duty.lift_block(
        unit, visit.form.first("id")[:40], by=by, at=visit.at
    ),
}
