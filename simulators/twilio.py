"""A Twilio on this machine: the Messages API, signed callbacks, and a script of everything that goes wrong.

Sources: "Message resource", "Twilio's request to your incoming message Webhook URL", "Test Credentials" (the
numbers +1500555000x that are refused), "Error and Warning Dictionary" (twilio.com/docs).
"""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from simulators import controls, media
from simulators.phones import Message
from simulators.script import Act, Rule
from simulators.twilio_state import Simulator, TwilioSimConfig

__all__ = ["Simulator", "TwilioSimConfig", "app"]

_ACCOUNT = "/2010-04-01/Accounts/{account}"
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MAGIC = {"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408}
_MAGIC |= {"+15005550004": 21610, "+15005550009": 21614}
_MAGIC_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_SAYS = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21211: "Invalid 'To' Phone Number",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
}


def app(config: TwilioSimConfig) -> Starlette:
    """The simulator as a web application; its state is `app.state.simulator`.

    Mounted under another application its lifespan does not run: that one calls `simulator.aclose()`.
    """
    simulator = Simulator(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await simulator.aclose()

    routes = [
        Route(f"{_ACCOUNT}/Messages.json", _create, methods=["POST"]),
        Route(f"{_ACCOUNT}/Messages.json", _list, methods=["GET"]),
        Route(f"{_ACCOUNT}/Messages/{{sid}}.json", _fetch, methods=["GET"]),
        *media.ROUTES,
        *controls.ROUTES,
    ]
    made = Starlette(routes=routes, lifespan=lifespan)
    made.state.simulator = simulator
    return made


async def _create(request: Request) -> Response:
    """POST Messages.json."""
    simulator = controls.of(request)
    if not simulator.knows(request, request.path_params["account"]):
        return _error(401, 20003)
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    code = _flaw(form)
    if code:
        return _error(429 if code == 21611 else 400, code)
    rule = simulator.script.draw(form["To"])
    if rule.delay_ms:
        await asyncio.sleep(rule.delay_ms / 1000)
    message = await simulator.take(form, rule) if rule.act.takes else None
    return _answer(simulator, rule, message)


def _flaw(form: dict[str, str]) -> int:
    """The error code of a form that Twilio refuses, 0 of a good one."""
    to, body, sender = form.get("To", ""), form.get("Body", ""), form.get("From", "")
    checks = (
        (not to, 21604),
        (not sender and not form.get("MessagingServiceSid"), 21603),
        (not body, 21602),
        (len(body) > 1600, 21617),
        (not _E164.fullmatch(to), 21211),
        (to in _MAGIC, _MAGIC.get(to, 0)),
        (sender in _MAGIC_FROM, _MAGIC_FROM.get(sender, 0)),
    )
    return next((code for is_flaw, code in checks if is_flaw), 0)


def _answer(simulator: Simulator, rule: Rule, message: Message | None) -> Response:
    match rule.act:
        case Act.REFUSE:
            return _error(400, rule.code)
        case Act.THROTTLE:
            return _error(429, 20429, {"Retry-After": rule.retry_after} if rule.retry_after else None)
        case Act.ERROR | Act.ERROR_TAKEN:
            return _error(500, 20500)
        case Act.HANG | Act.HANG_TAKEN:
            return Hang()
        case Act.RESET | Act.RESET_TAKEN:
            return Reset()
        case Act.GARBAGE | Act.GARBAGE_TAKEN:
            return Response("<html>200 OK</html>", media_type="text/html")
        case Act.REDIRECT:
            return Response(status_code=307, headers={"Location": "/sim/outbox.json"})
    if message is None:
        raise AssertionError(rule.act)
    return JSONResponse(simulator.resource(message) | {"status": "queued"}, status_code=201)


def _error(status: int, code: int, headers: dict[str, str] | None = None) -> Response:
    """An error as the API words it ("Error and Warning Dictionary")."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": _SAYS.get(code, "Refused"), "more_info": more, "status": status}
    return JSONResponse(body, status_code=status, headers=headers)


class Hang(Response):
    """No answer until the caller has gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Reset(Response):
    """A TCP reset in place of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server's request cycle owns `receive`; ASGI itself has no way to drop a connection.
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is None:  # wrapped by another application: half an answer is cut as well
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        wire = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _list(request: Request) -> Response:
    """GET Messages.json?To=&From=&DateSent=&PageSize=&Page=, newest first."""
    simulator = controls.of(request)
    if not simulator.knows(request, request.path_params["account"]):
        return _error(401, 20003)
    query = dict(request.query_params)
    size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    rows = [
        m
        for m in simulator.book.find(to=query.get("To", ""), sender=query.get("From", ""))
        if _is_of(m, query)
    ]
    here = rows[page * size : (page + 1) * size]
    base = request.url.path
    after = base + "?" + urlencode(query | {"Page": str(page + 1)})
    body = {
        "messages": [simulator.resource(message) for message in here],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + len(here),
        "first_page_uri": base + "?" + urlencode(query | {"Page": "0"}),
        "next_page_uri": after if len(rows) > (page + 1) * size else None,
        "previous_page_uri": None,
        "uri": base,
    }
    return JSONResponse(body)


def _is_of(message: Message, query: dict[str, str]) -> bool:
    """DateSent is a day or a moment in GMT, with < or > for up to and from it ("Read multiple Messages")."""
    at = message.at.isoformat()
    day, since, until = (query.get(f"DateSent{sign}", "") for sign in ("", ">", "<"))
    return (
        at.startswith(day[:10])
        and (not since or at >= since[:19])
        and (not until or at[: len(until[:19])] <= until)
    )


async def _fetch(request: Request) -> Response:
    """GET Messages/{sid}.json."""
    simulator = controls.of(request)
    if not simulator.knows(request, request.path_params["account"]):
        return _error(401, 20003)
    message = simulator.book.messages.get(request.path_params["sid"])
    return JSONResponse(simulator.resource(message)) if message else _error(404, 20404)
