"""Webhooks of providers: authenticate, check the shape, keep, commit, and only then answer."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import BadInput, NotAllowed, Unavailable
from domain.report import Inbound, Kept
from hub.log import log
from hub.wiring import Hub
from intake import desk
from outbox import receipts
from store import audience, inbox, journal, shelf
from store.unit import Unit
from web.flood import address_of

T = TypeVar("T")
TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'  # "no reply", Twilio's TwiML for Messaging
FORM = "application/x-www-form-urlencoded"
REFUSALS = 20  # of one address in a minute, then 429 (PROMISES H19)
MINUTE = timedelta(minutes=1)
CUTS = 3  # forms of one signature that are shelved; who recorded one call could fill the shelf with it
ADDRESSES = 10_000  # counted at once; a flood from more is the balancer's to stop


class Doors:
    """The handlers of one application."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._refused: dict[str, deque[datetime]] = {}
        self._proxies = frozenset(p.strip() for p in hub.settings.trusted_proxies.split(",")) - {""}

    def routes(self) -> list[Route]:
        """POST only; a signed GET would be another form (PROMISES H22)."""
        return [
            Route("/hooks/sms/twilio", self.message, methods=["POST"]),
            Route("/hooks/dlr/twilio", self.status, methods=["POST"]),
        ]

    async def message(self, request: Request) -> Response:
        """An incoming SMS. An exact STOP ends subscriptions and stays out of the queue."""
        hub = self._hub
        settings = hub.settings
        raw, signer = await self._verified(
            request, settings.twilio_webhook_url or f"{settings.site}/hooks/sms/twilio"
        )
        at = hub.clock()
        inbound = await self._shaped(
            "sms", request, raw, at, lambda: hub.twilio.parse_message(raw, signer, at)
        )
        if hub.twilio.is_stop(_text(raw)):
            kept = await self._stop(inbound, at)
        else:
            kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        return Response(TWIML, media_type="text/xml")

    async def status(self, request: Request) -> Response:
        """A receipt, applied or held until its message is known; 2xx either way, so that it is not repeated."""
        hub = self._hub
        settings = hub.settings
        url = settings.twilio_status_url or f"{settings.site}/hooks/dlr/twilio"
        raw, signer = await self._verified(request, url)
        at = hub.clock()
        receipt = await self._shaped(
            "receipt", request, raw, at, lambda: hub.twilio.parse_status(raw, request.url.query, signer, at)
        )
        taken = await asyncio.wrap_future(hub.store.submit(lambda unit: receipts.take(unit, receipt, at)))
        log("door.receipt", taken=taken.value)
        return Response(status_code=204)

    async def _verified(self, request: Request, url: str) -> tuple[bytes, str]:
        """The raw body of a signed form, and who signed it.

        `url` is that of the settings: headers can be forged (H22).
        """
        query = request.url.query
        signed = url.partition("?")[0] + (f"?{query}" if query else "")
        raw = await request.body()
        given = request.headers.getlist("x-twilio-signature")
        try:
            signer = self._hub.twilio.verify(signed, raw, given[0] if len(given) == 1 else None)
        except NotAllowed:
            raise self._refusal(request) from None
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            raise BadInput("a form is needed", code="bad_media_type")
        return raw, signer

    def _refusal(self, request: Request) -> Exception:
        """403, or 429 for an address that keeps trying; who signs rightly is never counted or held up."""
        address, at = address_of(request, self._proxies), self._hub.clock()
        if len(self._refused) > ADDRESSES:
            self._refused.clear()
        tries = self._refused.setdefault(address, deque(maxlen=REFUSALS + 1))
        while tries and tries[0] <= at - MINUTE:
            tries.popleft()
        tries.append(at)
        log("door.refused", tries=len(tries))
        code = "too_many_tries" if len(tries) > REFUSALS else "bad_signature"
        self._hub.refused[code] += 1
        return NotAllowed("no valid signature", code=code)

    async def _shaped(
        self, kind: str, request: Request, raw: bytes, at: datetime, parse: Callable[[], T]
    ) -> T:
        """What `parse` gives; a signed form of another shape goes to the shelf before the 400."""
        try:
            return parse()
        except BadInput as error:
            code = error.code
            signature = request.headers.get("x-twilio-signature", "")
            put = self._hub.store.submit(lambda unit: _shelve(unit, kind, code, signature, raw, at))
            log("door.shelved", kind=kind, reason=code, shelf=await asyncio.wrap_future(put))
            # The flaws name what was signed wrongly: for the shelf, not for whoever sent it.
            raise BadInput("not the shape of this webhook", code=code) from None

    async def _stop(self, inbound: Inbound, at: datetime) -> Kept:
        """Keep the message and end the subscriptions in one transaction; without a database, keep it unread."""
        hub = self._hub
        names = desk.mint_names(at)
        try:
            return await asyncio.wrap_future(
                hub.store.submit(lambda unit: _end(unit, hub, inbound, names, at))
            )
        except Unavailable:
            return await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)


def _end(unit: Unit, hub: Hub, inbound: Inbound, names: Kept, at: datetime) -> Kept:
    """A STOP: subscriptions end, and the message is settled without a report.

    A responsible person's changes nothing, so it goes on into the queue, where the duty room sees it.
    """
    kept = desk.receive(unit, inbound, names, at=at)
    if not kept.is_fresh:
        return kept
    scope = audience.opt_out(unit, "sms", inbound.sender, inbound=kept.inbound_id, at=at)
    journal.append(unit, "inbound", kept.inbound_id, "opt_out", by="door:sms", at=at, detail={"scope": scope})
    if scope == audience.RESPONSIBLE:
        return kept
    arrived = inbox.load(unit, kept.inbound_id, hub.blobs.get)
    if arrived is not None:
        inbox.move(unit, arrived, "file")
    return replace(kept, is_fresh=False)  # nothing is left to file: no bell


def _shelve(unit: Unit, kind: str, reason: str, signature: str, raw: bytes, at: datetime) -> str:
    """The shelf id, '' when enough of this signature lie there: one signature has thousands of ways to be cut."""
    origin = f"twilio:{hashlib.sha256(signature.encode()).hexdigest()[:32]}"
    if shelf.held(unit, kind, origin) >= CUTS:
        return ""
    return shelf.put(unit, kind, reason, at=at, origin=origin, raw=raw)


def _text(raw: bytes) -> str:
    """The text of a form whose shape has been checked."""
    return parse_qs(raw.decode("ascii"), keep_blank_values=True)["Body"][0]
