"""The host of its own for strangers' files: nothing answers there but downloads, each by a link that lives a minute.

What a browser makes of such a file happens on a site without a session, a cookie or a page of ours (PROMISES H18).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import HubError, NotFound
from domain.secrecy import NOBODY
from hub.wiring import Hub
from store import blobs, bulletins, grants, inbox, people, reports
from store.unit import Unit
from web import problems

LIVES = timedelta(
    seconds=60
)  # a redirect is followed at once; nobody else should use what a log or a chat keeps
LONGEST = 2_000  # characters of a link's token: a name of 200 letters in UTF-8 and Base64 is 1,100
_HIDDEN = (b"cookie", b"authorization")  # of no use on this host, and so never seen there
_SAVED = {
    "Content-Security-Policy": "default-src 'none'; sandbox",  # whatever it is taken for, it runs and fetches nothing
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What one link gives away; all of it is under the MAC."""

    what: str  # blob | report | bulletin: whose bytes `id` names
    id: str
    name: str  # as the file will be called
    sha256: str  # of the bytes, '' where the page that gives the link does not know it
    who: str  # the person to whom it was given
    until: int  # second since 1970


def link(hub: Hub, *, what: str, row_id: str, name: str, sha256: str, who: str) -> str:
    """An address on the host of files, good for a minute; '' when the hub has no such host."""
    if not hub.settings.files_url:
        return ""
    until = int((hub.clock() + LIVES).timestamp())
    ticket = Ticket(what=what, id=row_id, name=name[:120], sha256=sha256, who=who, until=until)
    return f"{hub.settings.files_url.rstrip('/')}/f/{write(hub.keys.downloads, ticket)}"


def write(key: bytes, ticket: Ticket) -> str:
    """The ticket and its MAC as letters of an address."""
    said = json.dumps(asdict(ticket), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return f"{_letters(said)}.{_letters(_mac(key, said))}"


def read(key: bytes, token: str, at: datetime) -> Ticket:
    """Raises NotFound for what we did not write, and for what is over: a prober learns no more."""
    said, _, mac = token[:LONGEST].partition(".")
    try:
        body, given = _bytes(said), _bytes(mac)
    except ValueError:
        raise NotFound("no such link") from None
    if not hmac.compare_digest(given, _mac(key, body)):
        raise NotFound("no such link")
    ticket = Ticket(**json.loads(body))
    if at.timestamp() >= ticket.until:
        raise NotFound("the link is over")
    return ticket


def saved(body: bytes, name: str, sha256: str) -> Response:
    """Bytes that a browser stores: unknown type, attachment, no sniffing, no rendering (H37)."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80] or "file"
    shown = quote(re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)[:120], safe="")
    headers = {
        **_SAVED,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{shown}",
        "X-Content-SHA256": sha256,
    }
    return Response(body, 200, headers, media_type="application/octet-stream")


class ByHost:
    """Chooses the application by the name that was asked for, which the shell has looked at."""

    def __init__(self, *, desk: ASGIApp, files: ASGIApp, files_url: str) -> None:
        self._desk, self._files = desk, files
        self._name = (urlsplit(files_url).hostname or "").lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._name or host_name(Request(scope)) != self._name:
            await self._desk(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in _HIDDEN]
        await self._files({**scope, "headers": kept}, receive, send)


def host_name(request: Request) -> str:
    """The Host without its port, lower case; an address of IPv6 with its brackets."""
    host = request.headers.get("host", "").lower()
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def files_app(hub: Hub) -> Starlette:
    """The application of that host."""

    async def give(request: Request) -> Response:
        ticket = read(hub.keys.downloads, request.path_params["token"], hub.clock())
        await anyio.to_thread.run_sync(hub.store.read, lambda unit: _must_see(unit, ticket, hub.clock()))
        body = await anyio.to_thread.run_sync(_READERS[ticket.what], hub, ticket.id)
        return saved(body, ticket.name, ticket.sha256 or hashlib.sha256(body).hexdigest())

    handlers: Any = {HubError: problems.on_hub_error, HTTPException: problems.on_http_error,
                     RuntimeError: problems.on_runtime_error, Exception: problems.on_bug}  # fmt: skip
    app = Starlette(routes=[Route("/f/{token}", give, methods=["GET"])], exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class Known:
    """The routes of several applications, for the log's line."""

    routes: Iterable[Any]


def _must_see(unit: Unit, ticket: Ticket, at: datetime) -> None:
    """Raises NotFound when what he was shown a minute ago is not for him any more."""
    try:
        eyes = grants.of_person(unit, people.get(unit, ticket.who), at)
    except NotFound:
        eyes = NOBODY
    seen = unit.seen_by(eyes)
    if (
        ticket.what == "report"
        and not reports.is_there(seen, ticket.id)
        and reports.is_there(unit, ticket.id)
    ):
        raise NotFound("no such link")
    if ticket.what == "blob" and not blobs.is_of_any(seen, ticket.id) and blobs.is_of_any(unit, ticket.id):
        raise NotFound("no such link")


def _blob(hub: Hub, sha256: str) -> bytes:
    return hub.blobs.get(sha256)


def _report(hub: Hub, report_id: str) -> bytes:
    def work(unit: Unit) -> bytes:
        row = inbox.by_report(unit, report_id)
        arrived = inbox.load(unit, row.id, hub.blobs.get) if row else None
        if arrived is None:
            raise NotFound("no such report")
        return arrived.inbound.raw

    return hub.store.read(work)


def _bulletin(hub: Hub, bulletin_id: str) -> bytes:
    data = hub.store.read(lambda unit: bulletins.original(unit, bulletin_id, hub.blobs.get))
    if data is None:
        raise NotFound("no such bulletin")
    return data


_READERS: dict[str, Callable[[Hub, str], bytes]] = {"blob": _blob, "report": _report, "bulletin": _bulletin}


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, said, hashlib.sha256).digest()


def _letters(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(letters: str) -> bytes:
    """Raises ValueError (binascii.Error is one) for what is not Base64."""
    return base64.b64decode(letters + "=" * (-len(letters) % 4), b"-_", validate=True)
