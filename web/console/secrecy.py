"""Grants of sight at the administrator's desk, and the security officer's shelf of what bears a mark of secrecy."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from domain.errors import BadInput, HubError, NotAllowed, NotFound, Refused
from domain.person import Person, Role
from domain.secrecy import GRANTED
from duty import grants as grant_desk
from duty import quarantine, refusals
from store import grants, purges, reports
from store.reports import Filter
from store.unit import Unit
from web.console.history import name_of
from web.console.visit import Visit
from web.page import go

GRANTS, SHELF = "/console/grants", "/console/quarantine"
LISTED = 200  # the latest; older ones stand in the journal


def listed(visit: Visit, problem: HubError | None = None) -> Response:
    """Who may see what, the latest first."""
    visit.person.must_be(Role.ADMIN, Role.AUDITOR)

    def work(unit: Unit) -> dict[str, Any]:
        holders, known = grants.holders(unit), dict[str, str]()
        found = grants.newest(unit, LISTED)
        names = {row_id: name for row_id, _, name in holders}
        givers = {one.id: name_of(unit, one.given_by, visit.language, known) for one in found}
        return {"grants": found, "holders": holders, "holder_names": names, "givers": givers}

    return visit.show(
        "grants.html", problem=problem, compartments=[one.code for one in GRANTED], here=GRANTS, typed=visit.form,
        may_give=Role.ADMIN in visit.person.roles, **visit.read(work),
    )  # fmt: skip


def give(visit: Visit) -> Response:
    """A grant by the form."""
    form = visit.form
    try:
        visit.act(lambda unit, by: grant_desk.give(
            unit, holder=form.first("holder"), compartment=form.first("compartment"), until=_until(visit),
            reason=form.first("reason"), by=by, at=visit.at,
        ))  # fmt: skip
    except (Refused, BadInput) as error:
        return listed(visit, error)
    return go(f"{GRANTS}?done=give_grant")


def withdraw(visit: Visit) -> Response:
    """End one now."""
    try:
        visit.act(lambda unit, by: grant_desk.withdraw(unit, visit.part("id"), by=by, at=visit.at))
    except Refused as error:
        return listed(visit, error)
    return go(f"{GRANTS}?done=withdraw_grant")


def shelf(visit: Visit, problem: HubError | None = None) -> Response:
    """What is held, with what has been ordered of it; nobody else's page."""
    if Role.SECURITY not in visit.person.roles:
        raise NotFound("no such page")

    def work(unit: Unit) -> dict[str, Any]:
        held = reports.page(unit, Filter(is_marked=True), limit=LISTED)
        orders, known = purges.of_reports(unit, [one.id for one in held]), dict[str, str]()
        by = {one.id: name_of(unit, one.ordered_by, visit.language, known) for one in orders.values()}
        second = {
            one.id: name_of(unit, one.settled_by, visit.language, known)
            for one in orders.values()
            if one.settled_by
        }
        return {"held": held, "orders": orders, "ordered_by": by, "settled_by": second}

    return visit.show("quarantine.html", problem=problem, here=SHELF, typed=visit.form, **visit.read(work))


def decide(visit: Visit) -> Response:
    """One act on what is held."""
    name = visit.part("act")
    if name not in _ACTS or Role.SECURITY not in visit.person.roles:
        raise NotFound("no such act")
    try:
        visit.act(lambda unit, by: _ACTS[name](unit, by, visit))
    except (Refused, BadInput) as error:
        if isinstance(error, NotAllowed):
            refusals.note(
                visit.hub.store, error, act=name, report_id=visit.part("id"), by=visit.person, at=visit.at
            )  # fmt: skip
        return shelf(visit, error)
    if name == "purge_confirm":  # its files; what cannot go yet the sweep deletes
        hub = visit.hub
        quarantine.Sweeper(
            store=hub.store, blobs=hub.blobs, thumbs=hub.thumbnails.forget, clock=hub.clock
        ).sweep()
    return go(f"{SHELF}?done={name}")


def _until(visit: Visit) -> datetime | None:
    try:
        said = datetime.fromisoformat(visit.form.first("until"))
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=visit.hub.zone)


def _order_of(unit: Unit, visit: Visit) -> str:
    found = purges.of_reports(unit, [visit.part("id")]).get(visit.part("id"))
    if found is None:
        raise NotFound("no such order")
    return found.id


def _let_go(unit: Unit, by: Person, visit: Visit) -> None:
    quarantine.let_go(unit, visit.part("id"), by=by, at=visit.at, reason=visit.form.first("reason"))


def _order(unit: Unit, by: Person, visit: Visit) -> None:
    quarantine.order(unit, visit.part("id"), by=by, at=visit.at, reason=visit.form.first("reason"))


def _confirm(unit: Unit, by: Person, visit: Visit) -> None:
    quarantine.confirm(unit, _order_of(unit, visit), by=by, at=visit.at)


def _withdraw(unit: Unit, by: Person, visit: Visit) -> None:
    quarantine.withdraw(unit, _order_of(unit, visit), by=by, at=visit.at)


_ACTS: Mapping[str, Callable[[Unit, Person, Visit], None]] = {
    "let_go": _let_go, "purge_order": _order, "purge_confirm": _confirm, "purge_withdraw": _withdraw,
}  # fmt: skip
