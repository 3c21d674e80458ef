"""The page that says what still works when a part is down, and what is down now."""

from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response

from domain.errors import HubError
from hub import quarantine
from hub.health import COLUMNS, TABLE, Trouble
from hub.proofs import CHANNELS, channels, silent
from store import proofs
from web.console.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """When one channel was last heard."""

    channel: str
    real: datetime | None
    proved: datetime | None
    answer: str
    state: str  # works | waits (the proof is under way) | silent | unproved


def show(visit: Visit) -> Response:
    """The table of the manual, with today's troubles marked."""
    return visit.show(
        "degraded.html",
        here="/console/degraded",
        columns=list(COLUMNS),
        table=[trouble.value for trouble in TABLE],
        others=[t.value for t in quarantine.told(Trouble, visit.person) if t not in TABLE],
        heard=_heard(visit),
        now=[t.value for t in quarantine.told(visit.hub.health.troubles, visit.person)],
    )


def _heard(visit: Visit) -> list[Row]:
    """A row for each channel; none while the database is down, for the page has to open then."""
    hub, wanted = visit.hub, channels(visit.hub.settings)
    try:
        proved, real = visit.read(
            lambda unit: (proofs.all_of(unit, wanted), proofs.last_real(unit, CHANNELS))
        )
    except HubError:
        return []
    known, quiet = {one.channel: one for one in proved}, silent(proved, wanted, hub.clock())
    rows = []
    for channel in CHANNELS:
        one = known.get(channel)
        state = "unproved" if channel not in wanted else "silent" if channel in quiet else "waits"
        if one is not None and one.proved_at is not None and channel not in quiet:
            state = "works"
        rows.append(Row(channel=channel, real=real.get(channel), proved=one.proved_at if one else None,
                        answer=one.answer if one else "", state=state))  # fmt: skip
    return rows
