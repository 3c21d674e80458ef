"""Calls: every word of a caller is kept before he hears what comes next."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.call import CHINESE, Step, Turn
from domain.errors import BadInput, HubError, NotFound, Unavailable
from domain.place import canonical
from domain.report import Inbound, Kept
from hub.log import log
from hub.wiring import Hub
from intake import desk
from intake.conversation import NOBODY_KNOWS
from store import areas
from web.porter import Porter

PATH = "/hooks/voice/twilio"


class VoiceDoor:
    """The handlers of one application; a step has its own address, the first one has none."""

    def __init__(self, hub: Hub, porter: Porter) -> None:
        self._hub, self._porter = hub, porter

    def routes(self) -> list[Route]:
        """POST only, as for SMS."""
        return [
            Route(PATH, self.take, methods=["POST"]),
            Route(f"{PATH}/{{step}}", self.take, methods=["POST"]),
        ]

    async def take(self, request: Request) -> Response:
        """Keep what a step tells, then say what to do; a caller is told so too when nothing can be kept."""
        hub, query = self._hub, request.url.query
        step = _step(request)
        url = (hub.settings.twilio_voice_url or f"{hub.settings.site}{PATH}").rstrip("/")
        raw, signer = await self._porter.verified(
            request, url if step is Step.BEGIN else f"{url}/{step.value}"
        )
        at = hub.clock()
        try:
            call, piece = await self._porter.shaped(
                "voice", request, raw, at, lambda: hub.voice.parse(step, raw, query, signer, at)
            )
            kept = await self._keep(call, piece)
        except BadInput:  # on the shelf by now; who calls goes on
            if not step.is_heard:
                raise
            return _twiml(hub.voice.answer(hub.voice.line.onward(step, self._language(query)), url))
        except Unavailable:
            if not step.is_heard:
                raise
            log("door.lost", step=step.value)
            hub.refused["call_lost"] += 1
            return _twiml(hub.voice.answer(hub.voice.line.lost(), url))
        if not step.is_heard:
            return Response(status_code=204)
        turn = await run_in_threadpool(self._turn, step, piece or call, query, kept.code)
        return _twiml(hub.voice.answer(turn, url))

    async def _keep(self, call: Inbound, piece: Inbound | None) -> Kept:
        """The names of the call; what is said now has its own row. Raises Unavailable when it could be kept nowhere."""
        hub = self._hub
        first: Kept | None = None
        for inbound in (call, piece):
            if inbound is None:
                continue
            hub.room.admit(len(inbound.raw))
            kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=hub.clock())
            if kept.is_fresh:
                hub.bell("file_report", kept.inbound_id)
            first = first or kept
        if first is None:
            raise AssertionError
        return first

    def _turn(self, step: Step, said: Inbound, query: str, code: str) -> Turn:
        language, tries = self._hub.voice.state(query)
        return self._hub.voice.line.turn(
            step, said.meta, language=language, tries=tries, code=code, place=self._place
        )

    def _language(self, query: str) -> str:
        try:
            return self._hub.voice.state(query)[0]
        except BadInput:
            return CHINESE

    def _place(self, keyed: str) -> tuple[str, str] | None:
        """The names of an area, None for no code of ours."""
        try:
            code = canonical(keyed)
            return self._hub.store.read(lambda unit: areas.names(unit, [code])).get(code)
        except BadInput:
            return None
        except HubError:
            return NOBODY_KNOWS


def _step(request: Request) -> Step:
    name = request.path_params.get("step", Step.BEGIN.value)
    try:
        step = Step(name)
    except ValueError:
        raise NotFound("no such step") from None
    if step is Step.BEGIN and "step" in request.path_params:
        raise NotFound("the first step has no name")  # one address for one thing
    return step


def _twiml(text: str) -> Response:
    return Response(text, media_type="text/xml")
