"""What balancers and monitors ask: is the process alive, would a message be kept, how does everything stand."""

import asyncio
import hmac
import ipaddress
import os
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import HubError
from hub import metrics, quarantine
from hub.health import Trouble
from hub.wiring import Hub
from store import hub as hub_row

READY_SECONDS = 3.0  # a balancer's probe waits 5 s
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")  # who adds one speaks for somebody else


def routes() -> list[Route]:
    """/healthz and /readyz for everybody, /metrics for who may."""
    return [
        Route("/healthz", _alive, methods=["GET"]),
        Route("/readyz", _ready, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


async def _alive(_: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "alive"})


async def _ready(request: Request) -> Response:
    """Whether a message would be kept: in the database, or else in the spool (law 2).

    Everything else that fails makes the hub degraded: it goes on, and a balancer must not take it away.
    """
    hub: Hub = request.app.state.hub
    database, seen = await asyncio.gather(_keeps(hub), run_in_threadpool(hub.health.look))
    spool = os.access(hub.settings.data_dir / "spool", os.W_OK)
    troubles = quarantine.told(seen.troubles, None)
    body: dict[str, Any] = {
        "status": "ready", "mode": hub.mode.value, "database": database, "spool": spool,
        "disk": not {Trouble.DISK_LOW, Trouble.DISK_FULL} & set(seen.troubles),
        "doors": hub.room.is_open, "broker": Trouble.BROKER_DOWN not in seen.troubles,
        "worker": seen.strain is not None and Trouble.NO_WORKER not in seen.troubles,
        "troubles": [trouble.value for trouble in troubles],
    }  # fmt: skip
    if not database or troubles:
        body["status"] = "degraded" if (database or spool) and hub.room.is_open else "down"
    return JSONResponse(body, 503 if body["status"] == "down" else 200)


async def _keeps(hub: Hub) -> bool:
    """Whether the writer commits in time."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(hub.store.submit(hub_row.mode)), READY_SECONDS)
    except (HubError, TimeoutError):
        return False
    return True


async def _metrics(request: Request) -> Response:
    """The figures; for everybody else there is no such page (PROMISES H103)."""
    hub: Hub = request.app.state.hub
    if not _may_read(request, hub.settings.metrics_token.get_secret_value()):
        raise HTTPException(404)
    return Response(await run_in_threadpool(metrics.text, hub), headers={"Content-Type": metrics.MEDIA_TYPE})


def _may_read(request: Request, token: str) -> bool:
    if token:
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    return _is_here(request)


def _is_here(request: Request) -> bool:
    """Whether a program of this machine asks for itself; a proxy on this machine asks for others."""
    host = request.url.hostname or ""
    peer = request.client.host if request.client else ""
    return _is_loopback(peer) and _is_loopback(host) and not any(name in request.headers for name in _PROXIED)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
