"""Overload at the doors: who would only wait is sent away before his request costs anything (PROMISES R21, F39)."""

import itertools
import json
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.crowd import CODE, Crowd

# What is handed in, and at which door it is counted. Voice, the desk's telephone, releases, recalls and the console
# stand in none: nothing that floods in holds them up.
_DOORS = (
    ("sms", re.compile(r"/hooks/sms/.*")),
    ("receipts", re.compile(r"/hooks/dlr/.*")),
    ("chat", re.compile(r"/hooks/telegram")),
    ("citizen", re.compile(r"/report|/v1/citizen/reports")),
    ("bulletins", re.compile(r"/v1/bulletins")),
    ("uploads", re.compile(r"/v1/uploads/[^/]+")),
    ("api", re.compile(r"/v1/reports(:import|/[^/]+/(attachments|follow-ups|corrections))?")),
)
_METHODS = ("POST", "PATCH")
_WAITS = range(2, 9)  # seconds: who comes back all in one moment is the next flood
COUNTED = "tocsin.counted"  # in the scope of a request that its connection has counted
_LENGTH = b"\r\ncontent-length:"


class Gate:
    """Counts a request from when its body is here until it is answered; a slow sender takes nobody's place.

    Those that came in one piece were counted by their connection (`Turnstile`), before they waited for the event loop.
    """

    def __init__(self, app: ASGIApp, crowd: Crowd) -> None:
        self._app, self._crowd = app, crowd

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = door_of(scope["method"], scope["path"]) if scope["type"] == "http" else ""
        if not door or scope.get(COUNTED):
            await self._app(scope, receive, send)
            return
        crowd, is_inside = self._crowd, False
        if crowd.is_full(door):
            raise crowd.turn_away(door)

        async def counted() -> Message:
            nonlocal is_inside
            message = await receive()
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            if is_whole and not is_inside:
                crowd.enter(door)
                is_inside = True
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            if is_inside:
                crowd.leave(door)


class Turnstile:
    """At which door a request is that came in one piece, and the answer to it when that is full, from its bytes alone.

    A fiftieth of what any other refusal costs: when all wait for the event loop, reading who waits is what is too much.
    """

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self._answers = itertools.cycle([_refusal(seconds) for seconds in _WAITS])

    def door(self, data: bytes) -> str:
        """Its door, '' for what has to be read properly first.

        Only for what is one request beyond doubt: a head with one length and no transfer encoding, and exactly so
        many bytes behind it (RFC 9112 §6.3).
        """
        if not data.startswith(b"POST /"):
            return ""
        end, path = data.find(b"\r\n\r\n"), data[5 : data.find(b" ", 5)]
        door = door_of("POST", path.decode("latin-1").partition("?")[0])
        if end < 0 or not door:
            return ""
        head = data[:end].lower() + b"\r\n"
        if head.count(_LENGTH) != 1 or b"\r\ntransfer-encoding" in head or b"\r\nexpect" in head:
            return ""
        said = head.partition(_LENGTH)[2].partition(b"\r\n")[0].strip()
        is_whole = said.isdigit() and len(said) < 10 and int(said) == len(data) - end - 4
        return door if is_whole else ""

    def refusal(self, door: str) -> bytes:
        """The answer to who comes to a full door; he is counted."""
        self.crowd.turn_away(door)
        return next(self._answers)


def door_of(method: str, path: str) -> str:
    """At which door a request is counted; '' for the others."""
    if method not in _METHODS:
        return ""
    return next((door for door, pattern in _DOORS if pattern.fullmatch(path)), "")


def _refusal(seconds: int) -> bytes:
    """A whole answer, as `web.problems` writes it for programs."""
    body = json.dumps(
        {"type": f"urn:tocsin:problem:{CODE}", "title": "Try again later", "status": 503, "code": CODE}
    )
    return (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n"
        f"x-content-type-options: nosniff\r\nretry-after: {seconds}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
