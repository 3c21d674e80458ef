"""The page that says what still works when a part is down, and what is down now."""

from starlette.responses import Response

from hub.health import COLUMNS, TABLE, Trouble
from web.console.visit import Visit


def show(visit: Visit) -> Response:
    """The table of the manual, with today's troubles marked."""
    return visit.show(
        "degraded.html",
        here="/console/degraded",
        columns=list(COLUMNS),
        table=[trouble.value for trouble in TABLE],
        others=[trouble.value for trouble in Trouble if trouble not in TABLE],
        now=[trouble.value for trouble in visit.hub.health.troubles],
    )
