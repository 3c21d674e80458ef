"""What officers write to whoever reported, on the page of the secret link, and the form that answers them.

Who can neither hear nor call finishes here: nothing of it needs a call back.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.errors import BadInput, HubError, NotFound
from domain.exchange import PAGE, Line
from domain.further import Further
from domain.report import Inbound
from hub.wiring import Hub
from intake import desk, secret_link
from store import exchanges, inbox
from store.unit import Unit
from web import citizen_form
from web.citizen_form import Sent
from web.citizen_page import SECRET, language_of, problem_of
from web.page import HEADERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What the page shows: what officers wrote, and when its reader answered. His own words are not shown again."""

    lines: tuple[Line, ...] = ()
    token: str = ""  # of the form: sent twice it is one answer
    problem: str = ""
    typed: str = ""
    is_kept: bool = False  # an answer has just been kept


async def read(hub: Hub, request: Request, code: str, at: datetime) -> Thread:
    """The thread of this report; what is seen here for the first time is marked as fetched."""
    report_id, lines = await asyncio.to_thread(hub.store.read, lambda unit: _lines(unit, code))
    if any(line.is_ours and line.fetched_at is None for line in lines):
        await asyncio.wrap_future(
            hub.store.submit(lambda unit: exchanges.note_fetched(unit, report_id, PAGE, at))
        )
    kept = request.query_params.get("done") == "answer"
    return Thread(lines=tuple(lines), token=secrets.token_hex(16), is_kept=kept)


async def answer(
    hub: Hub, request: Request, peer: str, refusal: HubError | None
) -> Response | tuple[str, Sent]:
    """303 to the page once the answer is durable; or why it is not taken, with what was typed."""
    token = request.path_params["token"]
    code = secret_link.code_in(hub.keys.receipt, token)
    raw, cut = await citizen_form.body(request, is_wanted=refusal is None)
    error, sent = refusal or cut, Sent()
    try:
        kind, is_cut = request.headers.get("content-type", ""), error is not None
        sent = await anyio.to_thread.run_sync(lambda: citizen_form.read(raw, kind, may_be_cut=is_cut))
        if error is None and not (sent.fields["text"] or sent.files):
            error = BadInput("the text is missing", code="no_text")
        if error is None:
            await _keep(hub, raw, sent, code, peer)
            place = f"/report/s/{token}?lang={language_of(request)}&done=answer"
            return RedirectResponse(place, 303, {**HEADERS, **SECRET})
    except HubError as found:
        error = error or found
    return problem_of(error, "problem"), sent


def messages(lines: tuple[Line, ...], instant: Any) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {"from": "duty_room" if line.is_ours else "reporter", "at": instant(line.at),
         "text": line.text if line.is_ours else None}
        for line in lines
    ]  # fmt: skip


async def _keep(hub: Hub, raw: bytes, sent: Sent, code: str, peer: str) -> None:
    at = hub.clock()
    row = await asyncio.to_thread(hub.store.read, lambda unit: inbox.by_code(unit, code))
    if row is None:
        raise NotFound("no such report")
    meta = {"peer": peer, "follows": row, "further": Further.FOLLOW_UP.value}
    inbound = Inbound(
        channel="web", external_id=hashlib.sha256(f"answer\0{code}\0{sent.token}\0{sent.fingerprint}".encode()).hexdigest(),
        raw=raw, media_type=sent.media_type, received_at=at, meta=meta | ({"trap": True} if sent.is_trapped else {}),
    )  # fmt: skip
    kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=at)
    if kept.is_fresh:
        hub.bell("file_report", kept.inbound_id)


def _lines(unit: Unit, code: str) -> tuple[str, list[Line]]:
    report_id = inbox.by_code(unit, code)
    try:
        return (report_id, exchanges.of_report(unit, report_id)) if report_id else ("", [])
    except NotFound:  # destroyed: how far it is stays known, what was said does not
        return "", []
