"""How far a report is: by its secret link, or by its code and the end of the telephone number."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from domain.errors import HubError, NotAllowed, NotFound, Unavailable
from domain.ids import code_of
from hub.wiring import Hub
from intake import secret_link
from intake.phones import phone
from store import inbox, people
from store.inbox import Stand
from store.unit import Unit
from web import citizen_form, citizen_thread, throttle
from web.citizen_page import SECRET, language_of, problem_of, show
from web.citizen_thread import Thread
from web.flood import address_of
from web.form_fields import fields_of
from web.page import HEADERS, status_of

GUESSES = (
    5  # wrong ones about one code in an hour (PROMISES H42): 10,000 endings take 80 days; the link stays open
)
FROM_ADDRESS = 20  # wrong ones of one address in an hour: a street may share one
FORM_BYTES = 4096  # two short fields


class StatePages:
    """The pages of one application."""

    def __init__(
        self, hub: Hub, proxies: Collection[str], refusal: Callable[[Request], HubError | None]
    ) -> None:
        """`refusal`: why a request is not taken whatever it holds, as for the form."""
        self._hub = hub
        self._refusal = refusal
        self._proxies = proxies

    def routes(self) -> list[Route]:
        """POST for the digits: a telephone number has no place in an address."""
        return [
            Route("/report/state", self.ask, methods=["GET"]),
            Route("/report/state", self.look, methods=["POST"]),
            Route("/report/s/{token}", self.state, methods=["GET"]),
            Route("/report/s/{token}", self.answer, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """The two fields."""
        return self._ask(request)

    async def look(self, request: Request) -> Response:
        """303 to the secret link for the right digits; the same answer for wrong ones and unknown codes."""
        typed: dict[str, str] = {}
        try:
            typed = await fields_of(request, FORM_BYTES)
            stand = await self.by_digits(request, typed.get("code", ""), typed.get("phone", ""))
        except HubError as error:
            return self._ask(request, typed.get("code", ""), error)
        token = secret_link.token(self._hub.keys.receipt, stand.code)
        place = f"/report/s/{token}?lang={language_of(request)}"
        return RedirectResponse(place, 303, {**HEADERS, **SECRET})

    async def state(self, request: Request) -> Response:
        """What may be known. A code whose link is right was given by us: it is received, wherever it waits."""
        try:
            code, stand = await self.by_token(request.path_params["token"])
            said = (
                await citizen_thread.read(self._hub, request, code, self._hub.clock()) if stand else Thread()
            )
        except NotFound:
            return self.unknown(request)
        except Unavailable:
            return show(self._hub, request, "later.html", status=503, headers={**SECRET, "Retry-After": "5"})
        return self._state(request, code, stand, said)

    async def answer(self, request: Request) -> Response:
        """What whoever reported says to the officer: durable before he is told so."""
        try:
            code, stand = await self.by_token(request.path_params["token"])
            peer = address_of(request, self._proxies)
            made = await citizen_thread.answer(self._hub, request, peer, self._refusal(request))
            if isinstance(made, Response):  # it is kept: nothing that comes after may say no
                return made
            said = await citizen_thread.read(self._hub, request, code, self._hub.clock())
        except NotFound:
            return self.unknown(request)
        except Unavailable:
            return show(self._hub, request, "later.html", status=503, headers={**SECRET, "Retry-After": "5"})
        problem, sent = made
        status = {"too_many_tries": 429, "too_large": 413, "unavailable": 503}.get(problem, 400)
        said = replace(
            said, problem=problem, typed=sent.fields.get("text", ""), token=sent.token or said.token
        )
        return self._state(request, code, stand, said, status)

    def _state(
        self, request: Request, code: str, stand: Stand | None, said: Thread, status: int = 200
    ) -> Response:
        return show(
            self._hub, request, "state.html", status=status, headers=SECRET, code=code, stand=stand, said=said,
            trap=citizen_form.TRAP, token_name=citizen_form.TOKEN, token=request.path_params["token"],
        )  # fmt: skip

    def unknown(self, request: Request) -> Response:
        """No such link: the two fields, which may still help."""
        return self._ask(request, "", NotFound("no such link"))

    async def by_token(self, token: str) -> tuple[str, Stand | None]:
        """The code, and how far it is; None while it waits in the spool. Raises NotFound, Unavailable."""
        code = secret_link.code_in(self._hub.keys.receipt, token)
        return code, await asyncio.to_thread(self._hub.store.read, lambda unit: inbox.stand(unit, code))

    async def by_digits(self, request: Request, code: str, digits: str) -> Stand:
        """Raises NotFound for a wrong guess, NotAllowed(too_many_tries), Unavailable."""
        hub, at = self._hub, self._hub.clock()
        address = address_of(request, self._proxies)
        settings = hub.settings

        def ends_with(sender: str) -> bool:
            found = phone(sender, region=settings.region, area_code=settings.area_code)
            number = "".join(c for c in (found.e164 or found.as_given) if c.isdigit()) if found else ""
            return hmac.compare_digest(number[-4:].encode(), digits.encode()) and len(number) >= 7

        def work(unit: Unit) -> Stand | None:
            known = _code(code)
            buckets = _buckets(known or code, address)
            if any(_is_closed(unit, *bucket, at) for bucket in buckets):
                raise NotAllowed("too many tries", code="too_many_tries")
            if ends_with(inbox.sender_of(unit, known)):
                return inbox.stand(unit, known)
            for bucket, _ in buckets:
                throttle.count(unit, bucket, at)
            return None

        stand = await asyncio.wrap_future(hub.store.submit(work))
        if stand is None:
            raise NotFound("no such report, or other digits")
        return stand

    def _ask(self, request: Request, code: str = "", error: HubError | None = None) -> Response:
        return show(
            self._hub, request, "ask.html", status=200 if error is None else status_of(error), headers=SECRET,
            code=code[:40], problem=problem_of(error, "ask_problem"),
        )  # fmt: skip


def _code(typed: str) -> str:
    """The short code in `typed`, '' if there is none: that is looked up like any other."""
    try:
        return code_of(typed[:40])
    except ValueError:
        return ""


def _buckets(code: str, address: str) -> tuple[tuple[str, int], ...]:
    """(bucket, wrong guesses that are let pass). Codes that do not exist have theirs too."""
    named = hashlib.sha256(code.encode()).hexdigest()[:32]
    return (f"state-code:{named}", GUESSES), (f"state-address:{address}", FROM_ADDRESS)


def _is_closed(unit: Unit, bucket: str, most: int, at: datetime) -> bool:
    failures, last = people.failures(unit, bucket)
    return failures >= most and last is not None and at - last < throttle.FORGET
