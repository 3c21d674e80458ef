"""The door and the page of people in the field: their tasks, what they send, and nothing of the desk."""

import asyncio
import re
import secrets
from datetime import datetime
from functools import partial

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from domain.errors import BadInput, HubError, NotAllowed
from domain.person import Person, Role
from domain.report import Kept
from duty import tasks as duty
from hub.wiring import Hub
from intake import desk
from intake import field as field_desk
from intake.field import Item
from store import people
from store.unit import Unit
from web import citizen_form, problems
from web.citizen_form import Sent
from web.citizen_offline import Offline
from web.citizen_page import language_of
from web.field_page import FieldPage, form_of
from web.page import HEADERS, go
from web.sessions import current, must_be_our_page, same_token, token_of

FIELDS = ("to", "text", "place", "lat", "lon", "accuracy", "position_at")
CSRF = "csrf"
OWN = re.compile(
    r"own:([0-9A-Za-z]{1,60})"
)  # of his own accord; the rest is his telephone's name for the matter


class Field:
    """/field of one application."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._page = FieldPage(hub)
        self.offline = Offline(form_of(hub))

    def routes(self) -> list[Route]:
        """Mount before anything that catches all paths."""
        return [
            Route("/field", self.page, methods=["GET"]),
            Route("/field", self.send, methods=["POST"]),
            Route("/field/me", self.me, methods=["GET"]),
            Route("/field/tasks/{id}/{act}", self.step, methods=["POST"]),
            *self.offline.routes(),
        ]

    async def page(self, request: Request) -> Response:
        """His tasks and the form; the login page for somebody who is not in."""
        found = await current(self._hub, request)
        return await asyncio.to_thread(self._page.show, request, *found) if found else go("/login")

    async def me(self, request: Request) -> Response:
        """Who is in, and the token that his telephone sends with each item."""
        hub = self._hub
        found = await current(hub, request)
        if found is None or Role.FIELD not in found[0].roles:
            return problems.answer(request, NotAllowed("nobody of the field is in", code="role_missing"))
        return JSONResponse({"person": found[0].id, "csrf": found[1]}, headers=HEADERS)

    async def send(self, request: Request) -> Response:
        """Keep one item before it is answered: 201 for a script, 303 for a form; or give it back with the reason."""
        sent = Sent()
        try:
            must_be_our_page(request)
            raw, cut = await citizen_form.body(request, is_wanted=not _is_too_large(request))
            kind = request.headers.get("content-type", "")
            is_cut = cut is not None or _is_too_large(request)
            read = partial(citizen_form.read, raw, kind, names=FIELDS, apart=(CSRF,), may_be_cut=is_cut)
            sent = await anyio.to_thread.run_sync(read)
            if is_cut:
                raise cut or BadInput("the request is too large", code="too_large")
            if not (sent.fields["text"] or sent.files or sent.fields["lat"]):
                raise BadInput("nothing is said", code="no_text")
            kept, code = await self._keep(request, raw, sent)
        except HubError as error:
            return await self._refused(request, error, sent)
        if kept.is_fresh:
            self._hub.bell("file_report", kept.inbound_id)
        return self._taken(request, "sent", code, is_repeat=not kept.is_fresh)

    async def step(self, request: Request) -> Response:
        """How far he is with a task; the same again changes nothing."""
        hub, at, act = self._hub, self._hub.clock(), request.path_params["act"]
        sent = Sent()
        try:
            must_be_our_page(request)
            raw, cut = await citizen_form.body(request, is_wanted=True)
            if cut:
                raise cut
            kind = request.headers.get("content-type", "")
            sent = citizen_form.read(raw, kind, names=("reason", "said_at"), apart=(CSRF,))

            def work(unit: Unit) -> str:
                by = self._by(unit, request, sent, at)
                task = duty.step(
                    unit, request.path_params["id"], act, by=by, at=at, said_at=_moment(sent.fields["said_at"]),
                    reason=sent.fields["reason"],
                )  # fmt: skip
                return self._page.code_of(unit, task.report)

            code = await asyncio.to_thread(hub.store.run, work)
        except HubError as error:
            return await self._refused(request, error, Sent())
        return self._taken(request, act, code)

    async def _keep(self, request: Request, raw: bytes, sent: Sent) -> tuple[Kept, str]:
        """In one transaction with a look at his session: one that was ended takes nothing more."""
        hub, at = self._hub, self._hub.clock()
        hub.room.admit(len(raw))
        key = request.headers.get("idempotency-key", "")[:255] or sent.token or secrets.token_hex(16)
        own = OWN.fullmatch(sent.fields["to"])
        matter = own[1] if own else "" if sent.fields["to"] else key[:60]
        await asyncio.to_thread(
            hub.store.read, lambda unit: self._by(unit, request, sent, at)
        )  # before any blob
        minted, blob = desk.mint_names(at), await desk.keep_large(raw, hub.blobs)

        def work(unit: Unit) -> tuple[Kept, str]:
            by = self._by(unit, request, sent, at)
            task = None if own or not sent.fields["to"] else duty.own(unit, sent.fields["to"], by=by)
            item = Item(raw=raw, media_type=sent.media_type, key=key, fingerprint=sent.fingerprint, files=sent.files,
                        task=task, matter="" if task else matter)  # fmt: skip
            return field_desk.keep(unit, item, minted, by=by, blob=blob, at=at)

        return await asyncio.to_thread(hub.store.run, work)

    def _by(self, unit: Unit, request: Request, sent: Sent, at: datetime) -> Person:
        """Who sends it. Raises NotAllowed(session_over, csrf, role_missing)."""
        found = people.session(unit, token_of(self._hub, request), at)
        if found is None:
            raise NotAllowed("the session is over", code="session")
        person, csrf = found
        given = request.headers.get("x-csrf-token", "") or sent.fields.get(CSRF, "")
        if not same_token(given, csrf):
            raise NotAllowed("the form is not from this session", code="csrf")
        person.must_be(Role.FIELD)
        return person

    def _taken(self, request: Request, what: str, code: str, *, is_repeat: bool = False) -> Response:
        place = f"/field?lang={language_of(request)}&done={what}&code={code}"
        if problems.is_for_a_script(request):
            again = {"Idempotent-Replayed": "true"} if is_repeat else {}
            return JSONResponse({"code": code, "page": place}, 201, {**HEADERS, **again})
        big = "&big=1" if request.query_params.get("big") == "1" else ""
        return RedirectResponse(place + big, 303, HEADERS)

    async def _refused(self, request: Request, error: HubError, sent: Sent) -> Response:
        """The page with what was typed, and why it comes back; the problem for a script."""
        if problems.is_for_a_script(request):
            return problems.answer(request, error)
        found = None
        try:
            found = await current(self._hub, request)
        except HubError:  # the database is down: what was typed comes back all the same
            return self._page.without(request, error, sent)
        if found is None:
            return self._page.without(request, error, sent)
        return await asyncio.to_thread(partial(self._page.show, request, *found, error=error, sent=sent))


def _is_too_large(request: Request) -> bool:
    return bool(getattr(request.state, "is_too_large", False))


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text[:40])
    except ValueError:
        return None
    return at if at.tzinfo else None
