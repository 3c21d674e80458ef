"""The FastAPI application behind /v1."""

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from domain.errors import BadInput, Flaw, HubError
from hub.wiring import Hub
from web import problems
from web.api import (
    arrivals,
    bulletins,
    changes,
    citizen,
    clocks,
    exchanges,
    follow_ups,
    imports,
    incidents,
    recipients,
    reference,
    release_acts,
    release_endings,
    releases,
    report_acts,
    reports,
    shifts,
    uploads,
    webhooks,
)
from web.api.bodies import known_query
from web.api.caller import Remembered
from web.api.idempotent import InFlight
from web.live import Live

ROOMS = (
    arrivals, bulletins, citizen, reports, report_acts, clocks, shifts, releases, release_acts,
    release_endings, recipients, changes, reference, follow_ups, imports, uploads, incidents, webhooks, exchanges,
)  # fmt: skip


def api_app(hub: Hub, live: Live) -> FastAPI:
    """Every route of /v1, without the prefix. Bodies are read by the routes, never by the framework."""
    app = FastAPI(
        title="Tocsin 警钟",
        openapi_url=None,  # web.api.openapi serves it beside the prefix
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(known_query)],
        exception_handlers={
            HubError: problems.on_hub_error,
            HTTPException: problems.on_http_error,
            RequestValidationError: _on_bad_query,
            RuntimeError: problems.on_runtime_error,
            Exception: problems.on_bug,
        },
    )
    app.state.hub = hub
    app.state.live = live
    app.state.in_flight = InFlight()
    app.state.remembered = Remembered(hub)
    app.state.pushing = set()  # keys that are known as peers; one event loop owns it
    for room in ROOMS:
        app.include_router(room.router)
    return app


async def _on_bad_query(request: Request, error: Exception) -> Response:
    """A parameter out of its range or type; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 (it is registered for no other)
    flaws = [Flaw(str(e["loc"][-1]), str(e["msg"])[:120]) for e in error.errors()]
    return problems.answer(request, BadInput("the query does not fit", code="bad_query", flaws=flaws))
