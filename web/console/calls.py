"""The call slip: what a caller says, typed while he speaks; an abandoned call is kept too."""

import json
import secrets

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import BadInput, Flaw, HubError, NotAllowed
from domain.person import Person, Role
from domain.report import Inbound
from hub.wiring import Hub
from intake import desk
from store import areas
from templates import pages
from web.console.visit import Visit
from web.page import go, language_of, problem_page, sentence, show
from web.sessions import Form, current, must_be_our_page, must_hold_token, read_form

# 首报要素: what a first report has to say, as far as the caller knows it; names of the slip's fields.
ELEMENTS = ("happened", "nature", "scope", "casualties", "trend", "measures")
TOLD = ("110", "119", "120", "122", "12345")
_TEXTS = {"caller": 40, "caller_name": 80, "place": 300, "occurred_at": 60, "area": 20, "told": 200}
LONGEST_TEXT = 20_000  # characters typed during a call


def new(visit: Visit) -> Response:
    """An empty slip; its clock has started."""
    visit.person.must_be(Role.OFFICER, Role.APPROVER)
    slip = {"started_at": visit.at.isoformat(), "slip": secrets.token_hex(16)}
    return visit.show("call.html", divisions=visit.read(areas.listing), elements=ELEMENTS, told=TOLD,
                      typed=Form(fields={k: (v,) for k, v in slip.items()}))  # fmt: skip


class CallDoor:
    """Takes slips. It speaks to the intake desk itself, which spools when the database is down."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def take(self, request: Request) -> Response:
        """Keep the slip, then show its report; the same slip sent twice is one report."""
        hub, person, csrf = self._hub, None, ""
        try:
            must_be_our_page(request)
            found = await current(hub, request)
            if found is None:
                return go("/login")
            person, csrf = found
            form = await read_form(request)
            must_hold_token(form, csrf)
            person.must_be(Role.OFFICER, Role.APPROVER)
            return await self._keep(request, form, person, csrf)
        except HubError as error:
            return problem_page(hub, request, error, person=person, csrf=csrf)

    async def _keep(self, request: Request, form: Form, person: Person, csrf: str) -> Response:
        hub, at = self._hub, self._hub.clock()
        fields = slip(form)
        is_abandoned = bool(form.first("is_abandoned"))
        flaws = (
            []
            if is_abandoned or fields.get("place") or fields.get("text")
            else [Flaw("/place", "is required")]
        )
        if flaws:
            return self._again(request, form, person, csrf, BadInput("an empty slip", flaws=flaws))
        inbound = Inbound(
            channel="phone",
            external_id=f"console:{person.id}:{form.first('slip')[:64] or secrets.token_hex(16)}",
            raw=json.dumps(fields, ensure_ascii=False, sort_keys=True).encode(),
            media_type="application/json",
            received_at=at,
            sender=str(fields.get("caller", "")),
            meta={"by": person.id},
            organisation=person.organisation,
        )
        try:
            kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)
        except HubError as error:
            return self._again(request, form, person, csrf, error)
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        return go(f"/console/reports/{kept.report_id}")

    def _again(self, request: Request, form: Form, person: Person, csrf: str, error: HubError) -> Response:
        """The slip with what was typed: a caller is not asked twice."""
        language = language_of(request, person)
        try:
            divisions = self._hub.store.read(areas.listing)
        except HubError:
            divisions = []
        return show(
            self._hub, request, "call.html", person=person, csrf=csrf, typed=form, elements=ELEMENTS, told=TOLD,
            divisions=divisions, problem=sentence(error, language), flaws=getattr(error, "flaws", ()),
            flaw_names={"/place": pages.word("field", "place", language)}, here="/console/calls/new",
            status=503 if not isinstance(error, BadInput | NotAllowed) else 400,
        )  # fmt: skip


def slip(form: Form) -> dict[str, object]:
    """The slip's fields as POST /v1/calls has them. Ticked elements stay out: they remind, the text says."""
    fields: dict[str, object] = {name: form.first(name)[:most] for name, most in _TEXTS.items()}
    fields["text"] = form.first("text")[:LONGEST_TEXT]
    fields["told"] = [*form.all("told_to"), *([form.first("told")[:200]] if form.first("told") else [])]
    fields["started_at"] = form.first("started_at")[:40]
    fields["is_abandoned"] = bool(form.first("is_abandoned"))
    return {name: value for name, value in fields.items() if value}
