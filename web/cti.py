"""The desk's telephone system: what it tells of a call is kept, and stands on the officers' screens at once."""

import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.codecs import cti_event, slip
from domain.call import DeskCall
from domain.errors import BadInput, NotFound
from hub.wiring import Hub
from hub.words import of_call
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
            hub = self._hub
            await hub.words.take(of_call(said, at), lambda unit: rings.take(unit, said, at), hub.store)
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
        origin = f"cti:{hashlib.sha256(raw).hexdigest()}"  # each lies there for itself: no other hides it
        if media_type.lower().startswith("multipart/form-data"):  # walked in a child: its parts may be nested
            read = await run_in_threadpool(self._walked, raw, media_type)
            return await self._porter.shaped("cti", request, raw, at, read, origin=origin)
        return await self._porter.shaped(
            "cti", request, raw, at, lambda: cti_event.read(raw, media_type), origin=origin
        )

    def _walked(self, raw: bytes, media_type: str) -> Callable[[], DeskCall]:
        """What gives the event of a multipart form, or raises why there is none."""
        try:
            found = self._hub.pool.run(slip.read, raw, {"media_type": media_type})
        except BadInput as error:
            return partial(_refuse, error)
        fields = dict(found.value["fields"])
        fields["user"] = str(fields.get("user[]", fields.get("user", ""))).split("\n")
        return partial(cti_event.event, fields)


def _refuse(error: BadInput) -> NoReturn:
    raise error
