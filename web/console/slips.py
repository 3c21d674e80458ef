"""Call slips in hold: opened with the clock running, saved while one types, taken up again by anybody."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from starlette.responses import Response

from domain.errors import NotFound
from domain.ids import mint, minted_at
from domain.person import Role
from store import areas, rings, slips
from store.rings import Ring
from store.unit import Unit
from web.console import calls
from web.console.standing import held as held_lines
from web.console.visit import Visit
from web.page import go
from web.sessions import Form

OLDEST = timedelta(hours=24)  # of a slip that nobody saved: its address was kept somewhere


def new(visit: Visit) -> Response:
    """A slip of its own address, whose name holds the moment of the ring; nothing is kept before one types.

    While a call rings it is that call's slip: one key, and its number stands there.
    """
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    waiting = visit.read(lambda unit: rings.open_ones(unit, visit.at))
    return go(f"/console/calls/{_rung(waiting, visit.person.id) or mint('slp', visit.at)}")


def _rung(waiting: Sequence[Ring], person_id: str) -> str:
    """The slip of the call that this person has on the line, else of the one that has rung longest; '' for none."""
    going = [ring for ring in waiting if ring.ended_at is None]
    mine = [ring for ring in going if ring.answered_by == person_id]
    others = [ring for ring in going if not ring.answered_by]
    return (mine or others)[0].slip if mine or others else ""


def show(visit: Visit) -> Response:
    """The slip as it was last saved; after it has become a report, that report."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    slip_id = visit.part("id")
    found, ring = visit.read(lambda unit: (slips.get(unit, slip_id), rings.of_slip(unit, slip_id)))
    if found is not None and found.report:
        return go(f"/console/reports/{found.report}")
    rang = found.started_at if found else rang_at(slip_id, visit.at)
    typed = {name: tuple(values) for name, values in found.fields.items()} if found else {}
    if found is None and ring is not None:
        typed["caller"] = (ring.caller,)
    return visit.show(
        "call.html", slip=slip_id, ring=ring, rang=rang, saved_at=found.changed_at if found else None,
        typed=Form(fields=typed), elements=calls.ELEMENTS, told=calls.TOLD,
        divisions=visit.read(areas.listing), here="/console/calls/new",
    )  # fmt: skip


def save(visit: Visit) -> Response:
    """Keep what is typed; from a script a word beside the form, from a button the slip again."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    slip_id = visit.part("id")
    rang, fields = rang_at(slip_id, visit.at), kept_fields(visit.form)

    def work(unit: Unit) -> bool:
        return slips.save(unit, slip_id, visit.person.id, fields, started_at=rang, at=visit.at)

    is_kept = visit.act(lambda unit, _: work(unit))
    if "hx-request" in visit.request.headers:
        return visit.fragment("saved.html", slip=slip_id, saved_at=visit.at if is_kept else None)
    return go(f"/console/calls/{slip_id}?done=hold")


def line(visit: Visit) -> Response:
    """What the telephone system says of the call of this slip, while one types."""
    ring = visit.read(lambda unit: rings.of_slip(unit, visit.part("id")))
    return visit.fragment("ring.html", slip=visit.part("id"), ring=ring)


def dismiss(visit: Visit) -> Response:
    """A call needs no slip."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    visit.act(lambda unit, by: rings.dismiss(unit, visit.part("id"), by=by.id, at=visit.at))
    return go("/console?done=dismiss")


def held(visit: Visit) -> Response:
    """The slips in hold with how long each has waited."""
    return visit.fragment(
        "held.html",
        standing={
            "held": visit.read(held_lines),
            "rings": visit.read(lambda unit: rings.open_ones(unit, visit.at)),
        },
    )


def rang_at(slip_id: str, at: datetime) -> datetime:
    """The moment in the slip's name. Raises NotFound for a name that is not ours, or of another day."""
    try:
        rang = minted_at(slip_id)
    except ValueError:
        rang = None
    if rang is None or not slip_id.startswith("slp_") or not timedelta(seconds=-1) <= at - rang <= OLDEST:
        raise NotFound("no such slip")
    return rang


def kept_fields(form: Form) -> Mapping[str, Sequence[str]]:
    """What of the form is the caller's, within the bounds of the fields."""
    return {
        name: [value[:most] for value in form.all(name)[:20]]
        for name, most in calls.LONGEST.items()
        if form.all(name)
    }
