"""The desk's telephone system: what it tells of a call is kept, and stands on the officers' screens at once."""

import asyncio
import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.codecs import cti_event, slip
from domain.call import DeskCall
from domain.errors import NotFound
from hub.wiring import Hub
from intake import rings
from web.porter import Porter


class CtiDoor:
    """The handler of one application. The token stands in the address, as such systems want it, or in a header."""

    def __init__(self, hub: Hub, porter: Porter) -> None:
        self._hub, self._porter = hub, porter

    def routes(self) -> list[Route]:
        """One address, with the token and without."""
        return [
            Route("/hooks/cti", self.take, methods=["POST"]),
            Route("/hooks/cti/{token}", self.take, methods=["POST"]),
        ]

    async def take(self, request: Request) -> Response:
        """Keep one word about a call; an outgoing one is answered and not kept."""
        self._must_know(request)
        raw, at = await request.body(), self._hub.clock()
        said = await self._read(request, raw)
        if said.is_incoming:
            await asyncio.wrap_future(self._hub.store.submit(lambda unit: rings.take(unit, said, at)))
        return JSONResponse({})

    def _must_know(self, request: Request) -> None:
        """Raises NotFound where no system is expected, NotAllowed for a wrong token."""
        expected = self._hub.settings.cti_token.get_secret_value()
        if not expected:
            raise NotFound("no telephone system")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = request.path_params.get("token") or (bearer if scheme.lower() == "bearer" else "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode()):
            raise self._porter.refusal(request, "bad_token")

    async def _read(self, request: Request, raw: bytes) -> DeskCall:
        media_type, at = request.headers.get("content-type", ""), self._hub.clock()
        if media_type.lower().startswith("multipart/form-data"):  # walked in a child: its parts may be nested
            found = await run_in_threadpool(self._hub.pool.run, slip.read, raw, {"media_type": media_type})
            fields = dict(found.value["fields"])
            fields["user"] = str(fields.get("user[]", fields.get("user", ""))).split("\n")
            return await self._porter.shaped("cti", request, raw, at, lambda: cti_event.event(fields))
        return await self._porter.shaped("cti", request, raw, at, lambda: cti_event.read(raw, media_type))
