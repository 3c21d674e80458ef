"""The citizen's form: what was typed is durable before the page with the code is shown."""

import hashlib
import secrets
from datetime import timedelta

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from domain.errors import BadInput, HubError, NotAllowed, NotFound, Unavailable
from domain.ids import spoken_digits
from domain.report import Inbound, Kept
from hub.wiring import Hub
from intake import desk, secret_link
from intake.contacts import address_in
from web import citizen_form, problems
from web.citizen_form import Sent
from web.citizen_offline import Offline, citizens, icon
from web.citizen_page import SECRET, form_values, language_of, problem_of, show, style
from web.citizen_status import StatePages
from web.flood import Flood, address_of
from web.page import HEADERS, status_of

REPEAT = timedelta(
    minutes=10
)  # the same words from the same address without a token: a reload, no second report
# A bucket fills by one in 2 s; a person who is asked to wait longer than that gives up.
RETRY = {429: {"Retry-After": "5"}, 503: {"Retry-After": "5"}}


class Citizen:
    """The form of one application, for people at /report and for programs below /v1/citizen."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._flood = Flood()
        self._proxies = frozenset(p.strip() for p in hub.settings.trusted_proxies.split(",")) - {""}
        self.states = StatePages(hub, self._proxies, self.refusal)
        self.offline = Offline(citizens(hub))

    def routes(self) -> list[Route]:
        """Mount before anything that catches all paths."""
        return [
            Route("/report", self.form, methods=["GET"]),
            Route("/report", self.send, methods=["POST"]),
            Route("/report/r/{token}", self.taken, methods=["GET"]),
            Route("/report/{style:str}.css", style, methods=["GET"]),
            *self.states.routes(),
            *self.offline.routes(),
            Route("/report/{name:str}.png", icon, methods=["GET"]),
        ]

    async def form(self, request: Request) -> Response:
        """An empty form; nothing is kept by showing it, and no cookie is set."""
        return self._form(request, Sent())

    async def send(self, request: Request) -> Response:
        """Take the form, then 303 to its receipt, which may be reloaded; or give it back with the reason.

        A script that asks for JSON gets the receipt's address, or the problem, in place of a page: it sends again
        under the same Idempotency-Key whatever is no 201.
        """
        refusal = self.refusal(request)
        raw, cut = await citizen_form.body(request, is_wanted=refusal is None)
        refusal, sent = refusal or cut, Sent()
        kind, is_cut = request.headers.get("content-type", ""), refusal is not None
        try:
            sent = await anyio.to_thread.run_sync(lambda: citizen_form.read(raw, kind, may_be_cut=is_cut))
            if refusal is None and not (sent.fields["text"] or sent.files):
                refusal = BadInput("neither text nor a file", code="no_text")
            if refusal is not None:
                return self._form(request, sent, refusal)
            kept = await self.keep(
                request, raw, sent.media_type, contact=sent.fields["contact"], key=_key(request, sent),
                fingerprint=sent.fingerprint, is_trapped=sent.is_trapped,
            )  # fmt: skip
        except HubError as error:
            return self._form(request, sent, refusal or error)
        token = secret_link.token(self._hub.keys.receipt, kept.code)
        if kept.is_fresh:
            self._hub.bell("file_report", kept.inbound_id)
        place = f"/report/r/{token}?lang={language_of(request)}"
        if problems.is_for_a_script(request):
            again = {} if kept.is_fresh else {"Idempotent-Replayed": "true"}
            return JSONResponse({"code": kept.code, "page": place}, 201, {**HEADERS, **SECRET, **again})
        return RedirectResponse(place, 303, {**HEADERS, **SECRET})

    async def taken(self, request: Request) -> Response:
        """The receipt: made from the secret alone, so it opens while the database is down."""
        token = request.path_params["token"]
        try:
            code = secret_link.code_in(self._hub.keys.receipt, token)
        except NotFound:
            return self.states.unknown(request)
        site = self._hub.settings.public_site.rstrip("/")
        return show(
            self._hub, request, "taken.html", code=code, digits=spoken_digits(code),
            link=f"{site}/report/s/{token}", headers=SECRET,
        )  # fmt: skip

    def refusal(self, request: Request) -> HubError | None:
        """Why this request is not taken, whatever its body holds; None for most."""
        if getattr(request.state, "is_too_large", False):
            return BadInput("the request is too large", code="too_large")
        try:
            self._hub.room.admit()
        except Unavailable as error:
            return error
        if not self._flood.has_room(address_of(request, self._proxies), self._hub.clock()):
            return NotAllowed("too many at once; danger to life: call 110, 119 or 120", code="too_many_tries")
        return None

    async def keep(
        self, request: Request, raw: bytes, media_type: str, *, contact: str, key: str, fingerprint: str,
        is_trapped: bool = False,
    ) -> Kept:  # fmt: skip
        """Keep the whole body, in the database or in the spool. Raises Unavailable when it could be kept nowhere.

        What was written is part of what makes two requests one report: a token that somebody else has used,
        from a page kept in some cache, must never swallow this one (decision 0013).
        """
        hub, at, settings = self._hub, self._hub.clock(), self._hub.settings
        peer = address_of(request, self._proxies)
        sender = address_in(contact, region=settings.region, area_code=settings.area_code)
        is_bulk = self._flood.is_bulk(peer, sender, at)
        known_by = f"key\0{key}" if key else f"{peer}\0{int(at.timestamp() // REPEAT.total_seconds())}"
        inbound = Inbound(
            channel="web",
            external_id=hashlib.sha256(f"{known_by}\0{fingerprint}".encode()).hexdigest(),
            raw=raw,
            media_type=media_type,
            received_at=at,
            sender=sender,
            meta={
                "peer": peer,
                **({"trap": True} if is_trapped else {}),
                **({"bulk": True} if is_bulk else {}),
            },
        )
        return await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)

    def _form(self, request: Request, sent: Sent, error: HubError | None = None) -> Response:
        """The form with what was typed, and why it comes back. Files have to be chosen again: browsers want it so."""
        if error and problems.is_for_a_script(request):
            answer = problems.answer(request, error)
            answer.headers.update(RETRY.get(answer.status_code, {}))
            return answer
        status = status_of(error) if error else 200
        values = form_values(
            self._hub, sent, sent.token or secrets.token_hex(16), problem_of(error, "problem")
        )
        return show(self._hub, request, "form.html", status=status, headers=RETRY.get(status, {}), **values)


def _key(request: Request, sent: Sent) -> str:
    """The Idempotency-Key of a program, the token of a form, or ''."""
    return request.headers.get("idempotency-key", "")[:255] or sent.token
