"""Webhooks of providers: authenticate, check the shape, keep, commit, and only then answer."""

import asyncio
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import Unavailable
from domain.report import Inbound, Kept
from hub.log import log
from hub.wiring import Hub
from hub.words import of_receipt
from intake import desk
from outbox import receipts
from store import audience, inbox, journal
from store.unit import Unit
from web.porter import Porter

TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'  # "no reply", Twilio's TwiML for Messaging


class Doors:
    """The handlers of one application."""

    def __init__(self, hub: Hub, porter: Porter) -> None:
        self._hub, self._porter = hub, porter

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
        raw, signer = await self._porter.verified(
            request, settings.twilio_webhook_url or f"{settings.site}/hooks/sms/twilio"
        )
        at = hub.clock()
        inbound = await self._porter.shaped(
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
        raw, signer = await self._porter.verified(request, url)
        at = hub.clock()
        receipt = await self._porter.shaped(
            "receipt", request, raw, at, lambda: hub.twilio.parse_status(raw, request.url.query, signer, at)
        )
        word = of_receipt(raw, request.url.query, signer, at)
        taken = await hub.words.take(word, lambda unit: receipts.take(unit, receipt, at), hub.store)
        log("door.receipt", taken=taken.value if taken else "spooled")
        return Response(status_code=204)

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


def _text(raw: bytes) -> str:
    """The text of a form whose shape has been checked."""
    return parse_qs(raw.decode("ascii"), keep_blank_values=True)["Body"][0]
