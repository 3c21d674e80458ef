"""POST /v1/reports and POST /v1/calls: kept with their answer in one transaction, filed afterwards."""

from dataclasses import replace
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from domain.errors import BadInput, Unavailable
from domain.handling import Handling
from domain.ids import minted_at
from domain.person import Scope
from domain.report import Inbound, Kept
from intake import desk
from intake.desk import Asked
from intake.spool import TOLD
from store.idempotency import Knock
from store.inbox import Arriving
from web import multipart
from web.api import shapes, slips
from web.api.bodies import checked, idempotency_key, json_object, media_type
from web.api.caller import Caller, caller_of, fingerprint, hub_of
from web.api.described import CREATES, body_of
from web.api.idempotent import Outcome, once_kept, required_knock

router = APIRouter(tags=["reports"])
_MEDIA_TYPES = ("application/json", "multipart/form-data")


@router.post(
    "/reports", status_code=201, responses=CREATES, openapi_extra=body_of(slips.ReportBody, is_form=True)
)
async def report(request: Request) -> JSONResponse:
    """Send a report as JSON or as a form with files; 201 means that it is durably kept."""
    caller = await caller_of(request, hands_in=True)
    caller.must_hold(Scope.REPORT)
    idempotency_key(request, is_required=True)
    kind = media_type(request)
    if kind not in _MEDIA_TYPES:
        raise BadInput("application/json or multipart/form-data", code="bad_media_type")
    if kind == "application/json":
        raw, value = await json_object(request)
        told, stored_as = slips.canonical_bytes(value), kind
        body = checked(slips.ReportBody, value)
        slips.check(body)
    else:
        raw = await request.body()
        form = await anyio.to_thread.run_sync(
            lambda: multipart.parse(raw, request.headers["content-type"], names=slips.REPORT_FIELDS)
        )
        told, stored_as = form.fingerprint.encode(), form.media_type
        body = checked(slips.ReportBody, slips.from_form(form.fields))
        slips.check(body, has_files=bool(form.file_sizes))
    inbound = _inbound(
        request, caller, "api", raw, stored_as, sender=caller.key_id, handling=slips.handling_of(body)
    )
    return await _keep(request, caller, inbound, fingerprint(told))


@router.post("/calls", status_code=201, responses=CREATES, openapi_extra=body_of(slips.CallBody))
async def call(request: Request) -> JSONResponse:
    """Keep a call slip: place or text is enough, and an abandoned one is kept too."""
    caller = await caller_of(request, hands_in=True)
    caller.must_hold(Scope.REPORT, Scope.DESK)
    idempotency_key(request, is_required=True)
    raw, value = await json_object(request)
    body = checked(slips.CallBody, value)
    slips.check(body)
    inbound = _inbound(request, caller, "phone", raw, "application/json", sender=body.caller,
                       handling=slips.handling_of(body))  # fmt: skip
    return await _keep(request, caller, inbound, fingerprint(slips.canonical_bytes(value)))


def _inbound(
    request: Request,
    caller: Caller,
    channel: str,
    raw: bytes,
    stored_as: str,
    *,
    sender: str,
    handling: Handling,
) -> Inbound:
    meta = {"client": caller.key_id, "client_name": caller.name}
    if caller.person:
        meta["person"] = caller.person.id
    return Inbound(
        channel=channel,
        external_id=f"{caller.key_id}:{idempotency_key(request, is_required=True)}",
        raw=raw,
        media_type=stored_as,
        received_at=hub_of(request).clock(),
        sender=sender,
        meta=meta,
        organisation=caller.organisation,
        handling=handling,
    )


async def _keep(request: Request, caller: Caller, inbound: Inbound, told: str) -> JSONResponse:
    hub = hub_of(request)
    hub.room.admit(len(inbound.raw))
    minted = desk.mint_names(inbound.received_at)
    knock = required_knock(request, caller, told)
    waiting = _waiting(inbound, minted, knock, told)
    if not hub.spool.is_clear and (known := await anyio.to_thread.run_sync(hub.spool.known, waiting)):
        return _taken(known, is_replay=True)
    try:
        outcome = await _stored(request, inbound, minted, knock)
    except (Unavailable, OSError):  # an unknown COMMIT too: the drain finds the row by its key
        kept = await anyio.to_thread.run_sync(hub.spool.put, waiting, minted)
        return _taken(kept, is_replay=not kept.is_fresh)
    answer = outcome.response(Location=outcome.body["links"]["self"])
    if not outcome.is_replay:
        hub.bell("file_report", minted.inbound_id)
    return answer


def _waiting(inbound: Inbound, minted: Kept, knock: Knock, told: str) -> Inbound:
    """The message as the spool keeps it: with what its repeats are answered once it has been drained."""
    answer = {"client": knock.client, "route": knock.route, "key": knock.key, "body": _told(minted)}
    return replace(inbound, meta={**inbound.meta, TOLD: told, desk.KNOCK: answer})


def _taken(kept: Kept, *, is_replay: bool) -> JSONResponse:
    """The answer to what waits in the spool; that of a repeat bears the names of the first one."""
    outcome = Outcome(status=201, body=_told(kept), is_replay=is_replay)
    return outcome.response(Location=outcome.body["links"]["self"])


def _told(kept: Kept) -> dict[str, Any]:
    return shapes.received(kept.report_id, kept.code, minted_at(kept.report_id))


async def _stored(request: Request, inbound: Inbound, minted: Kept, knock: Knock) -> Outcome:
    blob = await desk.keep_large(inbound.raw, hub_of(request).blobs)
    arriving = Arriving(inbound=inbound, minted=minted, blob=blob, at=inbound.received_at)

    def told(kept: Kept) -> dict[str, Any]:
        return shapes.received(kept.report_id, kept.code, inbound.received_at)

    return await once_kept(request, Asked(arriving=arriving, knock=knock, told=told))
