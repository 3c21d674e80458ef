"""What a test or the demo tells a simulated Twilio, beside the API: /sim/..."""

import asyncio
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import BadInput
from simulators.callbacks import form_of_inbound
from simulators.media import attach
from simulators.phones import new_sid
from simulators.script import USUAL, Script, parse
from simulators.twilio_state import Simulator
from simulators.voice import Call, play


def of(request: Request) -> Simulator:
    """The simulator that answers `request`."""
    found: Simulator = request.app.state.simulator
    return found


async def _script(request: Request) -> Response:
    """Read or replace the script."""
    simulator = of(request)
    if request.method == "POST":
        try:
            simulator.script = parse(json.loads(await request.body()), USUAL)
        except BadInput as error:
            flaws = [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in error.flaws]
            return JSONResponse({"detail": error.detail, "errors": flaws}, status_code=400)
        except ValueError:
            return JSONResponse({"detail": "not JSON"}, status_code=400)
    return JSONResponse(simulator.script.to_json())


async def _ledger(request: Request) -> Response:
    """Every message taken, with its callbacks, in order."""
    return JSONResponse([message.to_json() for message in of(request).book.messages.values()])


async def _outbox(request: Request) -> Response:
    """What each phone received."""
    return JSONResponse(of(request).phones())


async def _reset(request: Request) -> Response:
    """Forget messages, script and callbacks under way; the ledger file stays."""
    simulator = of(request)
    simulator.callbacks.forget()
    simulator.book.clear()
    simulator.script = Script(USUAL)
    return Response(status_code=204)


async def _inbound(request: Request) -> Response:
    """Text the hub: {from, body, to?, sid?, times?, extra?, media?}; answers what the hub answered.

    `media` is [{type, base64}], for an MMS.
    The same `sid` again is Twilio's repeat of one message. `times` posts it that often, 16 at a time.
    """
    simulator = of(request)
    try:
        asked = json.loads(await request.body())
        sid = str(asked.get("sid") or new_sid())
        media = attach(simulator, str(request.base_url).rstrip("/"), sid, asked.get("media") or [])
        form = form_of_inbound(
            account_sid=simulator.config.account_sid,
            sid=sid,
            sender=str(asked["from"]),
            to=str(asked.get("to") or simulator.config.number),
            body=str(asked["body"]),
            extra=media | dict(asked.get("extra") or {}),
        )
        times = int(asked.get("times", 1))
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse({"detail": "from and body are needed"}, status_code=400)
    gate = asyncio.Semaphore(16)

    async def knock() -> tuple[int, str]:
        async with gate:
            return await simulator.callbacks.post(simulator.config.inbound_url, form)

    answers = await asyncio.gather(*(knock() for _ in range(times)))
    status, text = answers[0]
    return JSONResponse(
        {"sid": form["MessageSid"], "status": status, "answer": text, "statuses": [one[0] for one in answers]}
    )


async def _call(request: Request) -> Response:
    """Call the hub: {from, script: ["press:1", ...], sid?}; what was heard, and what the hub was told."""
    simulator = of(request)
    try:
        asked = json.loads(await request.body())
        call = Call(
            simulator=simulator, number=str(asked["from"]), sid=str(asked.get("sid") or new_sid("CA"))
        )
        await play(call, list(asked.get("script") or []))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return JSONResponse({"detail": f"from and script are needed: {error}"}, status_code=400)
    return JSONResponse({"sid": call.sid, "heard": call.story, "is_over": call.is_over, "posts": call.posts})


ROUTES = (
    Route("/sim/call", _call, methods=["POST"]),
    Route("/sim/script", _script, methods=["GET", "POST"]),
    Route("/sim/ledger.json", _ledger, methods=["GET"]),
    Route("/sim/outbox.json", _outbox, methods=["GET"]),
    Route("/sim/reset", _reset, methods=["POST"]),
    Route("/sim/inbound", _inbound, methods=["POST"]),
)
