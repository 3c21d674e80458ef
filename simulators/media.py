"""Media of messages and recordings of calls at a simulated Twilio: the API's address redirects to a message's bytes."""

import base64
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from simulators.twilio_state import Simulator

_LONGEST = 10  # of one message, as at Twilio


def attach(simulator: Simulator, base: str, sid: str, asked: Any) -> dict[str, str]:
    """Keep [{type, base64}] and give the parameters that name them. Raises ValueError, KeyError, TypeError."""
    form = {"NumMedia": str(len(asked))}
    if len(asked) > _LONGEST:
        raise ValueError("at most ten")
    for n, one in enumerate(asked):
        name = f"ME{secrets.token_hex(16)}"
        simulator.media[name] = (str(one["type"]), base64.b64decode(one["base64"], validate=True))
        account = simulator.config.account_sid
        form[f"MediaUrl{n}"] = f"{base}/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{name}"
        form[f"MediaContentType{n}"] = str(one["type"])
    return form


async def _media(request: Request) -> Response:
    """GET Messages/{sid}/Media/{name}: a redirect, as the API answers."""
    simulator: Simulator = request.app.state.simulator
    if not simulator.knows(request, request.path_params["account"]):
        return JSONResponse({"code": 20003, "status": 401}, status_code=401)
    if request.path_params["name"] not in simulator.media:
        return JSONResponse({"code": 20404, "status": 404}, status_code=404)
    return RedirectResponse(
        f"{request.scope.get('root_path', '')}/sim/media/{request.path_params['name']}", 307
    )


async def _bytes(request: Request) -> Response:
    """The media host: the bytes under the type that was given."""
    simulator: Simulator = request.app.state.simulator
    found = simulator.media.get(request.path_params["name"])
    return Response(found[1], media_type=found[0]) if found else Response(status_code=404)


async def _recording(request: Request) -> Response:
    """GET Recordings/{name}: the WAV file itself ("Recording resource": fetch the media)."""
    simulator: Simulator = request.app.state.simulator
    if not simulator.knows(request, request.path_params["account"]):
        return JSONResponse({"code": 20003, "status": 401}, status_code=401)
    found = simulator.recordings.get(request.path_params["name"].partition(".")[0])
    if found is None:
        return JSONResponse({"code": 20404, "status": 404}, status_code=404)
    return Response(found, media_type="audio/x-wav")


ROUTES = (
    Route("/2010-04-01/Accounts/{account}/Recordings/{name}", _recording, methods=["GET"]),
    Route("/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{name}", _media, methods=["GET"]),
    Route("/sim/media/{name}", _bytes, methods=["GET"]),
)
