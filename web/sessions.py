"""Who is asking: server-side sessions, their cookie, and the proof that a form is our own."""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import BadInput, NotAllowed
from domain.person import Person
from hub.wiring import Hub
from store import people
from store.unit import Unit

SHIFT = 12  # hours: a session ends with the shift at the latest (SCREENS 1b)
FORM_BYTES = 1_000_000  # a call slip is typed; 1 MB is 300,000 Chinese characters
FORM_FIELDS = 2_000  # a release to every township of a province ticks that many boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form's fields as strings, in the order sent."""

    fields: Mapping[str, tuple[str, ...]]

    def first(self, name: str) -> str:
        """The first value, stripped; '' when missing."""
        values = self.fields.get(name, ())
        return values[0].strip() if values else ""

    def all(self, name: str) -> list[str]:
        """Every value that is not blank."""
        return [v.strip() for v in self.fields.get(name, ()) if v.strip()]

    def number(self, name: str) -> int | None:
        """A whole number, or None."""
        text = self.first(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def cookie_name(hub: Hub) -> str:
    """`__Host-` binds the cookie to this host over HTTPS; browsers refuse that prefix without it."""
    return "__Host-tocsin" if hub.settings.secure_cookies else "tocsin"


def token_of(hub: Hub, request: Request) -> str:
    """The session token that the browser sent; '' if none."""
    return request.cookies.get(cookie_name(hub), "")


async def current(hub: Hub, request: Request) -> tuple[Person, str] | None:
    """(person, CSRF token) of the session in force, else None. Roles are read afresh at each request."""
    token = token_of(hub, request)
    if not token:
        return None
    at = hub.clock()
    return await asyncio.to_thread(hub.store.read, lambda unit: people.session(unit, token, at))


def begin(unit: Unit, person: Person, *, old: str, at: datetime, hours: int) -> str:
    """A new session with a new random token; the one the browser brought ends (no fixation)."""
    if old:
        people.close_session(unit, old)
    token = secrets.token_urlsafe(32)
    lasts = timedelta(hours=min(hours, SHIFT))
    people.open_session(unit, token, person.id, secrets.token_urlsafe(32), at=at, lasts=lasts)
    return token


def give(hub: Hub, answer: Response, token: str) -> Response:
    """`answer` with the session's cookie; without Max-Age it ends with the browser, and in the store anyway."""
    answer.set_cookie(
        cookie_name(hub),
        token,
        path="/",
        secure=hub.settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )
    return answer


def drop(hub: Hub, answer: Response) -> Response:
    """`answer` that makes the browser forget the session."""
    answer.delete_cookie(
        cookie_name(hub), path="/", secure=hub.settings.secure_cookies, httponly=True, samesite="strict"
    )
    return answer


async def read_form(request: Request) -> Form:
    """The urlencoded body. Raises BadInput when it is something else or too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadInput("a form is expected", code="csrf")  # text/plain is how other sites' pages post
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > FORM_BYTES:
            raise BadInput("the form is too large", code="too_large")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError:
        raise BadInput("the form cannot be read") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\0", ""))
    return Form(fields={name: tuple(values) for name, values in found.items()})


def must_be_our_page(request: Request) -> None:
    """Raises NotAllowed when a browser says that another site's page sent this form.

    Browsers send Sec-Fetch-Site over HTTPS and to localhost, Origin with every POST. A client that sends
    neither is no browser, and cannot be made by a page to send an officer's cookie.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = (
        site == "same-origin" if site else origin is None or _host(origin) == request.headers.get("host")
    )
    if not is_ours:
        raise NotAllowed("the form comes from another site", code="csrf")


def must_hold_token(form: Form, csrf: str) -> None:
    """Raises NotAllowed unless the form carries the session's CSRF token."""
    if not same_token(form.first("csrf"), csrf):
        raise NotAllowed("the form is not from this session", code="csrf")


def same_token(given: str, csrf: str) -> bool:
    """Whether `given` is the session's CSRF token."""
    return bool(csrf) and hmac.compare_digest(given.encode(), csrf.encode())


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
