"""What stands around every page of the desk: its place in the stream, the shift, the slips in hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.person import Person
from domain.routing import Body, Handover
from hub.wiring import Hub
from store import incident_news, incidents, rings, routing, shifts, slips, stream
from store.rings import Ring
from store.unit import Unit
from web import live

NEWS = 5  # incidents, or hand-overs, named at once: one line of a screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A call slip in hold, as one line."""

    id: str
    title: str  # where, or who calls; may be ''
    started_at: datetime
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An incident to which reports came that the person has not seen."""

    incident: str
    title: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Read before the page's own rows: what changes after them is told to the page again."""

    mark: str  # where the page's stream begins
    on_since: datetime | None  # of the person's shift
    held: Sequence[Held]
    rings: Sequence[Ring]  # calls nobody has begun a slip for
    news: Sequence[News]  # of incidents in the person's hands
    turned_down: Sequence[tuple[Handover, Body]]  # whoever has the desk sees to it


def standing(unit: Unit, hub: Hub, person: Person, at: datetime) -> Standing:
    """How the desk stands for `person`."""
    mark = live.write(hub.keys.cursor, stream.head(unit))
    shift = shifts.current(unit, person.id)
    on_since = shift.began_at if shift else None
    return Standing(
        mark=mark,
        on_since=on_since,
        held=held(unit),
        rings=rings.open_ones(unit, at),
        news=news(unit, person),
        turned_down=turned_down(unit),
    )


def news(unit: Unit, person: Person) -> Sequence[News]:
    """What came to the incidents that this person holds, the newest first."""
    found = list(incident_news.unseen(unit, person).items())[:NEWS]
    told = ((incidents.get(unit, name), n) for name, n in found)
    return [News(incident=one.id, title=one.title, count=n) for one, n in told if one]


def turned_down(unit: Unit) -> Sequence[tuple[Handover, Body]]:
    """Reports that the body says are not its own, the oldest first."""
    found = routing.turned_down(unit)[:NEWS]
    bodies = routing.bodies(unit, with_ended=True) if found else {}
    return [(one, bodies[one.body]) for one in found]


def held(unit: Unit) -> Sequence[Held]:
    """The slips in hold: everybody at the desk sees them, and anybody may go on with one."""
    return [
        Held(id=slip.id, title=_title(slip), started_at=slip.started_at, who=slip.person_name)
        for slip in slips.held(unit)
    ]


def _title(slip: slips.Slip) -> str:
    for name in ("place", "caller_name", "caller"):
        if value := "".join(slip.fields.get(name, ())[:1]).strip():
            return value[:40]
    return ""
