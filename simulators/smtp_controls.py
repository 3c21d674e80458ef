"""What a test or the demo tells the simulated relay over HTTP: /sim/..."""

import json
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any

import aiosmtplib
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import BadInput
from simulators.mail_script import USUAL
from simulators.script import Script, parse
from simulators.smtp_sink import Sink


def app(sink: Sink) -> Starlette:
    """The controls of `sink` as a web application."""
    made = Starlette(routes=list(_ROUTES))
    made.state.sink = sink
    return made


def _of(request: Request) -> Sink:
    found: Sink = request.app.state.sink
    return found


async def _script(request: Request) -> Response:
    """Read or replace the script."""
    sink = _of(request)
    if request.method == "POST":
        try:
            sink.script = parse(json.loads(await request.body()), USUAL)
        except BadInput as error:
            flaws = [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in error.flaws]
            return JSONResponse({"detail": error.detail, "errors": flaws}, status_code=400)
        except ValueError:
            return JSONResponse({"detail": "not JSON"}, status_code=400)
    return JSONResponse(sink.script.to_json())


async def _ledger(request: Request) -> Response:
    """Every mail taken, with its headers and what was sent back, in order."""
    return JSONResponse([mail.to_json() for mail in _of(request).boxes.mails])


async def _mailboxes(request: Request) -> Response:
    """What each mailbox holds."""
    return JSONResponse(_of(request).boxes.shown())


async def _reset(request: Request) -> Response:
    """Forget mails, script and what was to go back."""
    sink = _of(request)
    sink.forget()
    sink.boxes.mails.clear()
    sink.script = Script(USUAL)
    return Response(status_code=204)


async def _inbound(request: Request) -> Response:
    """Mail the hub: {from, to, subject, text}; answers what its door answered."""
    try:
        asked = json.loads(await request.body())
        sender, to = str(asked["from"]), str(asked["to"])
        raw = _mail(sender, to, asked)
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse({"detail": "from and to are needed"}, status_code=400)
    try:
        return JSONResponse({"answer": await _of(request).deliver(raw, sender=sender, to=to)})
    except (aiosmtplib.SMTPException, OSError) as error:
        return JSONResponse({"detail": f"the door took nothing: {type(error).__name__}"}, status_code=502)


def _mail(sender: str, to: str, asked: dict[str, Any]) -> bytes:
    made = EmailMessage()
    made["From"], made["To"] = sender, to
    made["Subject"] = str(asked.get("subject", ""))
    made["Message-ID"] = make_msgid(domain="mail.example")
    made.set_content(str(asked.get("text", "")), cte="base64")
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


_ROUTES = (
    Route("/sim/script", _script, methods=["GET", "POST"]),
    Route("/sim/ledger.json", _ledger, methods=["GET"]),
    Route("/sim/mailbox.json", _mailboxes, methods=["GET"]),
    Route("/sim/reset", _reset, methods=["POST"]),
    Route("/sim/inbound", _inbound, methods=["POST"]),
)
