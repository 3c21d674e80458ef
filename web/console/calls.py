"""The call slip: what a caller says, typed while he speaks, becomes a report; an abandoned call is kept too."""

import contextlib
import hashlib
import json
import secrets

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import BadInput, Flaw, HubError, NotAllowed
from domain.ids import is_id, minted_at, spoken_digits
from domain.person import Person, Role
from domain.report import Inbound
from hub.wiring import Hub
from intake import desk, rings
from store import areas, inbox, reports, slips
from store import rings as ring_book
from store.unit import Unit
from templates import pages
from web.api import cursors
from web.console.visit import Visit, at_own_door
from web.page import go, language_of, sentence, show
from web.sessions import Form, must_hold_token, read_form

# 首报要素: what a first report has to say, as far as the caller knows it (FIELD: 先报已掌握, 后补).
ELEMENTS = ("source", "time", "place", "nature", "scope", "casualties", "trend", "measures")
TOLD = ("110", "119", "120", "122", "12345")
# Fields of the slip with the most characters of a value; names and bounds as POST /v1/calls has them.
LONGEST = {
    "caller": 40, "caller_name": 80, "place": 300, "occurred_at": 60, "area": 20, "text": 20_000, "told": 200,
    "told_to": 20, "asked": 20,
}  # fmt: skip


def kept(visit: Visit) -> Response:
    """The slip is a report: what to read to the caller. It needs no database, which may be down."""
    report_id, code = cursors.read(
        visit.hub.keys.cursor, _kept_by(visit.person), visit.query("m")[:400], visit.at
    )
    found = None
    with contextlib.suppress(HubError):
        row = visit.read(lambda unit: inbox.by_report(unit, report_id))
        found = visit.read(lambda unit: reports.get(unit, report_id)) if row else None
    return visit.show(
        "kept.html", report_id=report_id, code=code, digits=spoken_digits(code), report=found,
        here="/console/calls/new", here_now=f"/console/calls/kept?m={visit.query('m')}",
    )  # fmt: skip


class CallDoor:
    """Takes slips. It speaks to the intake desk itself, which spools when the database is down."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def take(self, request: Request) -> Response:
        """Keep the slip, then show its code; the same slip sent twice is one report."""

        async def work(person: Person, csrf: str) -> Response:
            form = await read_form(request)
            must_hold_token(form, csrf)
            person.must_be(Role.OFFICER, Role.APPROVER)
            return await self._keep(request, form, person, csrf)

        return await at_own_door(self._hub, request, work)

    async def _keep(self, request: Request, form: Form, person: Person, csrf: str) -> Response:
        hub, at = self._hub, self._hub.clock()
        fields = slip(form)
        raw = json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()
        if not (form.first("is_abandoned") or fields.get("place") or fields.get("text")):
            error = BadInput("an empty slip", flaws=[Flaw("/place", "is required")])
            return self._again(request, form, person, csrf, error)
        inbound = Inbound(
            channel="phone",
            external_id=_external_id(form, person, raw),
            raw=raw,
            media_type="application/json",
            received_at=at,
            sender=str(fields.get("caller", "")),
            meta={"by": person.id, rings.SLIP: form.first("slip")},
            organisation=person.organisation,
        )
        try:
            kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)
        except HubError as error:
            return self._again(request, form, person, csrf, error)
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        await run_in_threadpool(self._let_go, form.first("slip"), kept.report_id, person)
        mark = cursors.write(hub.keys.cursor, _kept_by(person), (kept.report_id, kept.code), at)
        return go(f"/console/calls/kept?m={mark}")

    def _let_go(self, slip_id: str, report_id: str, person: Person) -> None:
        """Take the slip out of hold. With the database down it stays: saved again it is the same report."""
        at = self._hub.clock()

        def work(unit: Unit) -> None:
            slips.done(unit, slip_id, report_id, by=person.id, at=at)
            if ring := ring_book.became(unit, slip_id, report_id):
                rings.join(unit, ring, report_id, at)

        with contextlib.suppress(HubError):
            self._hub.store.run(work)

    def _again(self, request: Request, form: Form, person: Person, csrf: str, error: HubError) -> Response:
        """The slip with what was typed: a caller is not asked twice."""
        language, slip_id = language_of(request, person), form.first("slip")
        divisions = []
        with contextlib.suppress(HubError):
            divisions = self._hub.store.read(areas.listing)
        return show(
            self._hub, request, "call.html", person=person, csrf=csrf, typed=form, elements=ELEMENTS, told=TOLD,
            slip=slip_id, ring=None, rang=minted_at(slip_id) if is_id("slp", slip_id) else self._hub.clock(), saved_at=None,
            divisions=divisions, problem=sentence(error, language), flaws=getattr(error, "flaws", ()),
            flaw_names={"/place": pages.word("field", "place", language)}, here="/console/calls/new",
            status=503 if not isinstance(error, BadInput | NotAllowed) else 400,
        )  # fmt: skip


def slip(form: Form) -> dict[str, object]:
    """The slip's fields as POST /v1/calls has them. Ticked elements stay out: they remind, the text says."""
    lines = ("caller", "caller_name", "place", "occurred_at", "area", "text")
    fields: dict[str, object] = {name: form.first(name)[: LONGEST[name]] for name in lines}
    other = form.first("told")[: LONGEST["told"]]
    fields["told"] = [*form.all("told_to"), *([other] if other else [])]
    name = form.first("slip")
    fields["started_at"] = minted_at(name).isoformat() if is_id("slp", name) else ""
    fields["is_abandoned"] = bool(form.first("is_abandoned"))
    return {name: value for name, value in fields.items() if value}


def _external_id(form: Form, person: Person, raw: bytes) -> str:
    """A slip of ours that says the same is one report whoever saves it; another name counts for its person only.

    What it says is part of it: a page that stood open elsewhere and knows more must not be swallowed.
    """
    name, told = form.first("slip"), hashlib.sha256(raw).hexdigest()[:32]
    if is_id("slp", name):
        return f"console:{name}:{told}"
    return f"console:{person.id}:{name[:64] or secrets.token_hex(16)}:{told}"


def _kept_by(person: Person) -> str:
    return f"call\0{person.id}"
