"""What every request passes before a room sees it: its id, its host, its size, its answer's headers."""

from collections.abc import Iterable, MutableMapping
from datetime import timedelta
from typing import Any

import anyio
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import BadInput, HubError, NotFound
from domain.ids import mint
from hub import log as lines
from hub.log import log
from hub.wiring import Hub
from web import full, problems
from web.downloads import host_name

HOOK_BYTES = 64 * 1024  # PROMISES H23: a webhook form is under 4 KB
CHAT_BYTES = 256 * 1024  # 4,096 letters written as \\uXXXX are 25 KB, with what they answer 50 KB
CHAT = "/hooks/telegram"
BODY_TIME = timedelta(seconds=60)  # 25 MB at 3.5 Mbit/s; whoever is slower holds a connection for nothing
FORM_TIME = timedelta(
    minutes=5
)  # the forms of telephones: five photos of 1 MB at 150 kbit/s of a crowded mast
LINGER = timedelta(seconds=2)  # how long, and
LINGER_BYTES = 8 * 1024 * 1024  # how much more of too long a body is heard, and thrown away, after its answer
FORMS = ("/report", "/field")  # answer their own refusals: they give back what was typed
PROBES = ("/healthz", "/readyz")  # a balancer asks by address, whatever the host is called
_ENCODED = ("%2e", "%2f", "%5c", "%25", "%00")  # a second reading of the path; nothing of ours has one
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
    b"content-security-policy": (
        b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
        b" font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Shell:
    """The outermost application. Whatever happens inside, an answer without exception text leaves."""

    def __init__(self, app: ASGIApp, *, hub: Hub, hosts: Iterable[str]) -> None:
        """`hosts`: the names that are answered, lower case, without ports."""
        self._app = app
        self._hub = hub
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request_id = mint("req", self._hub.clock())
        scope.setdefault("state", {})["request_id"] = request_id
        lines.request_id.set(request_id)
        request = Request(scope)
        has_begun = False

        async def speak(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                _dress(message, request_id, must_close=bool(scope["state"].get("must_close")))
            is_over = scope["state"].get("is_over")
            await (_linger(receive, send, message) if is_over else send(message))

        try:
            self._admit(request)
            full.refuse(request, self._hub)
            limit = _limit(request, self._hub.settings.max_body_bytes)
            await self._app(scope, _metered(scope, receive, limit), speak)
        except HubError as error:
            if not has_begun:
                await problems.answer(request, error)(scope, receive, speak)
        except Exception as error:
            log("web.bug", request=request_id, kind=type(error).__name__, where=lines.where(error))
            if not has_begun:
                await problems.refusal(request, 500)(scope, receive, speak)

    def _admit(self, request: Request) -> None:
        """Raises BadInput for a request that two programs could read differently, or of another host."""
        names = [name for name, _ in request.scope["headers"]]
        # RFC 9112 §6.1: what follows such a head may be another's idea of the next request, so nothing more is read.
        request.scope["state"]["must_close"] = True
        if names.count(b"host") > 1 or names.count(b"content-length") > 1:
            raise BadInput("a header came twice", code="bad_request")
        if b"content-length" in names and b"transfer-encoding" in names:
            raise BadInput("two lengths of one body", code="bad_request")
        request.scope["state"]["must_close"] = False
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise BadInput("bodies are not compressed", code="bad_content_encoding")
        self._must_be_ours(request)
        raw_path = request.scope.get("raw_path") or b""
        path = raw_path.decode("latin-1").lower()
        if any(part in path for part in _ENCODED) or "\\" in path:
            raise NotFound  # as for any other address at which there is nothing: it tells a prober no more

    def _must_be_ours(self, request: Request) -> None:
        """Raises BadInput (421) for a host that is not on the list; what a proxy says of hosts is never read.

        An absolute address in the request line is for proxies (RFC 9112 §3.2.2): we are none, and it would
        outrank the Host that was looked at.
        """
        if not (request.scope.get("raw_path") or b"/").startswith(b"/"):
            raise BadInput(code="bad_host")
        name = host_name(request)
        if name not in self._hosts and request.url.path not in PROBES:
            raise BadInput(code="bad_host")


def _limit(request: Request, largest: int) -> int:
    limit = HOOK_BYTES if request.url.path.startswith("/hooks") else largest
    limit = CHAT_BYTES if request.url.path == CHAT else limit
    said = request.headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise BadInput("the length is no number", code="bad_request")
    if int(said) > limit:
        if request.url.path in FORMS:
            request.scope["state"]["is_too_large"] = True
            return limit
        raise BadInput(f"at most {limit} bytes", code="too_large")
    return limit


def _metered(scope: Scope, receive: Receive, limit: int) -> Receive:
    """`receive` that counts what really comes, whatever the headers said, and does not wait for ever.

    A body that breaks either bound may never end: the connection closes with the answer. One that only
    announced too much is drained by the server, and one that came with too much for a moment (`_linger`), so
    that the sender lives to read his 413.
    """
    seen, has_ended = 0, False
    lasts = FORM_TIME if scope["path"] in FORMS else BODY_TIME
    deadline = anyio.current_time() + lasts.total_seconds()

    async def metered() -> Message:
        nonlocal seen, has_ended
        if has_ended:
            return await receive()  # the wait for a disconnect may last
        try:
            with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                message = await receive()
        except TimeoutError:
            scope["state"]["must_close"] = True
            raise BadInput("the body did not end", code="body_timeout") from None
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            has_ended = not message.get("more_body", False)
            if seen > limit:
                scope["state"]["must_close"] = scope["state"]["is_over"] = True
                raise BadInput(f"at most {limit} bytes", code="too_large")
        return message

    return metered


async def _linger(receive: Receive, send: Send, message: Message) -> None:
    """Say a part of an answer; after the last, listen a little before the connection closes.

    Closed over bytes that nobody has read, a connection is reset, and the answer is lost on its way (RFC 9112 §9.6).
    """
    if message["type"] != "http.response.body" or message.get("more_body", False):
        await send(message)
        return
    await send({**message, "more_body": True})
    seen = 0
    with anyio.move_on_after(LINGER.total_seconds()):
        while seen < LINGER_BYTES:
            more = await receive()
            seen += len(more.get("body", b""))
            if more["type"] == "http.disconnect" or not more.get("more_body", False):
                break
    await send({"type": "http.response.body", "body": b""})


def _dress(message: MutableMapping[str, Any], request_id: str, *, must_close: bool) -> None:
    """Add the headers that the answer does not set itself."""
    headers = [*message.get("headers", []), *([(b"connection", b"close")] if must_close else [])]
    given = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in _HEADERS.items() if name not in given]
    message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
