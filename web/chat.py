"""The webhook of a chat's bot: its secret, its shape, kept, and only then answered."""

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import NotAllowed
from hub.wiring import Hub
from intake import desk
from web.porter import Porter


class ChatDoor:
    """The handler of one application."""

    def __init__(self, hub: Hub, porter: Porter) -> None:
        self._hub, self._porter = hub, porter

    def routes(self) -> list[Route]:
        """POST only, as setWebhook has it."""
        return [Route("/hooks/telegram", self.update, methods=["POST"])]

    async def update(self, request: Request) -> Response:
        """An update; the 200 confirms it to the provider, so it is kept before."""
        hub = self._hub
        try:
            hub.chat.verify(request.headers.getlist("x-telegram-bot-api-secret-token"))
        except NotAllowed:
            raise self._porter.refusal(request) from None
        raw = await request.body()
        at = hub.clock()
        origin = f"telegram:{hashlib.sha256(raw).hexdigest()[:32]}"
        inbound = await self._porter.shaped(
            "chat", request, raw, at, lambda: hub.chat.parse(raw, at), origin=origin
        )
        kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        return Response(status_code=200)
