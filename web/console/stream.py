"""GET /console/stream: what changes at the desk, told to its open pages by ids."""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import BadInput, HubError
from domain.person import Role
from domain.secrecy import Eyes
from hub.wiring import Hub
from store import grants, people
from store.unit import Unit
from web import problems
from web.events import EventStream
from web.live import Entry, Live, begin
from web.page import HEADERS
from web.sessions import current, token_of

LONGEST_MARK = 200  # characters; ours have 43


class StreamDoor:
    """An ASGI endpoint. Who is not logged in hears 403: a redirect would look like a stream that ended."""

    def __init__(self, hub: Hub, live: Live) -> None:
        self._hub = hub
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the stream, or with why not."""
        request = Request(scope)
        try:
            answer = await self._open(request)
        except HubError as error:
            answer = problems.answer(request, error)
        await answer(scope, receive, send)

    async def _open(self, request: Request) -> Response:
        hub = self._hub
        found = await current(hub, request)
        if found is None or not found[0].roles or not found[0].is_of_the_desk:
            return Response(status_code=403, headers=HEADERS)
        person, csrf = found
        mark = request.headers.get("last-event-id") or request.query_params.get("after", "")
        try:
            cursor, must_reload = await begin(hub, mark if len(mark) <= LONGEST_MARK else "forged")
        except BadInput:  # a page that was open for days: it reads everything anew
            cursor, must_reload = (await begin(hub, ""))[0], True
        listener = await self._live.open(csrf, cursor)
        token = token_of(hub, request)

        def look(unit: Unit) -> tuple[frozenset[Role], Eyes] | None:
            at = hub.clock()
            still = people.session(unit, token, at)
            return (still[0].roles, grants.of_person(unit, still[0], at)) if still else None

        sees = await asyncio.to_thread(hub.store.read, look)

        async def why_not() -> str:
            nonlocal sees
            before, sees = sees, await asyncio.to_thread(hub.store.read, look)
            if before is None or sees is None or sees[0] != person.roles:
                return "session"
            return "sight" if set(before[1].sights) - set(sees[1].sights) else ""

        async def choose(batch: Sequence[Entry]) -> Sequence[Entry]:
            return [entry for entry in batch if sees and entry.is_told(sees[1])]

        return EventStream(hub, self._live, listener, must_reload=must_reload, choose=choose, why_not=why_not)
