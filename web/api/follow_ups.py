"""What comes after a report: 续报 and 更正 of the department that sent it, and which of them are in it."""

from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import BadInput, Flaw, NotFound
from domain.further import Further
from domain.handling import Handling
from domain.person import Scope
from domain.report import Inbound
from intake import desk
from store import follow_ups, inbox, reports
from store.unit import Unit
from web import multipart
from web.api import shapes, slips
from web.api.bodies import Body, checked, idempotency_key, json_object, media_type
from web.api.caller import Caller, caller_of, fingerprint, hub_of, store_of
from web.api.described import CREATES, READS, body_of
from web.api.idempotent import knock_of, once

router = APIRouter(tags=["reports"])


class FurtherBody(Body):
    """What is new, or what is right. One of text, place or a file is needed."""

    text: Annotated[str, Field(max_length=50_000)] = ""
    subject: slips.Line = ""
    place: Annotated[str, Field(max_length=500)] = ""
    occurred_at: slips.Moment | None = None
    contact: slips.Line = ""
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None


FIELDS = tuple(FurtherBody.model_fields)


@router.post("/reports/{report_id}/follow-ups", status_code=201, responses=CREATES | READS,
             openapi_extra=body_of(FurtherBody, is_form=True))  # fmt: skip
async def follow_up(request: Request, report_id: str) -> JSONResponse:
    """续报: what was said stands, and this besides. Of a report that is settled it makes another, linked to it."""
    return await _take(request, report_id, Further.FOLLOW_UP)


@router.post("/reports/{report_id}/corrections", status_code=201, responses=CREATES | READS,
             openapi_extra=body_of(FurtherBody, is_form=True))  # fmt: skip
async def correction(request: Request, report_id: str) -> JSONResponse:
    """更正: this in place of what was said; every earlier version stays to be read."""
    return await _take(request, report_id, Further.CORRECTION)


@router.get("/reports/{report_id}/follow-ups", responses=READS)
async def listing(request: Request, report_id: str) -> JSONResponse:
    """Which messages followed, and the version or the report that says each; null while it is being filed."""
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.REPORT, Scope.DESK)

    def work(unit: Unit) -> list[dict[str, Any]]:
        _must_know(unit, report_id, caller)
        return [
            {"id": row.inbound, "kind": row.kind, "received_at": shapes.instant(row.at), "version": row.version,
             "report": row.linked or (report_id if row.version else None)}
            for row in follow_ups.of_report(unit, report_id)
        ]  # fmt: skip

    return JSONResponse(
        {"data": await anyio.to_thread.run_sync(store_of(request).read, work), "next_cursor": None}
    )


@router.get("/reports/{report_id}/versions/{n}", responses=READS)
async def version(request: Request, report_id: str, n: int) -> JSONResponse:
    """What the report said in its version `n`; it never changes."""
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.DESK)

    def work(unit: Unit) -> dict[str, Any]:
        _must_know(unit, report_id, caller)
        found = reports.version(unit, report_id, n)
        if found is None:
            raise NotFound("no such version")
        content, by, at = found
        return {"n": n, "by": by, "at": shapes.instant(at), **shapes.content_of(report_id, content)}

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).read, work))


async def _take(request: Request, report_id: str, kind: Further) -> JSONResponse:
    hub, caller = hub_of(request), await caller_of(request)
    caller.must_hold(Scope.REPORT)
    key = idempotency_key(request, is_required=True)
    raw, stored_as, told = await _read(request)
    at = hub.clock()
    meta = {"client": caller.key_id, "client_name": caller.name, "follows": report_id, "further": kind.value}
    if caller.person:
        meta["person"] = caller.person.id
    hub.room.admit(len(raw))
    minted, blob = desk.mint_names(at), await desk.keep_large(raw, hub.blobs)
    knock = knock_of(request, caller, told, is_required=True)

    def effect(unit: Unit) -> tuple[int, object]:
        first = _must_know(unit, report_id, caller)
        inbound = Inbound(
            channel="api", external_id=f"{caller.key_id}:{report_id}:{kind.value}:{key}", raw=raw,
            media_type=stored_as, received_at=at, sender=caller.key_id, meta=meta,
            organisation=first.organisation, handling=Handling(first.handling),
        )  # fmt: skip
        kept = desk.receive(unit, inbound, minted, blob=blob, at=at)
        follow_ups.expect(unit, kept.inbound_id, report_id, kind, at)
        return 201, {"id": kept.inbound_id, "kind": kind.value, "report": report_id, "code": first.code,
                     "received_at": shapes.instant(at), "state": "received",
                     "links": {"self": f"/v1/reports/{report_id}/follow-ups", "report": f"/v1/reports/{report_id}"}}  # fmt: skip

    outcome = await once(request, knock, effect, hub.store.submit)
    if not outcome.is_replay:
        hub.bell("file_report", minted.inbound_id)
    return outcome.response(Location=outcome.body["links"]["self"])


async def _read(request: Request) -> tuple[bytes, str, str]:
    """(raw body, its media type, fingerprint). Raises BadInput."""
    kind = media_type(request)
    if kind == "application/json":
        raw, value = await json_object(request)
        _check(checked(FurtherBody, value), has_files=False)
        return raw, kind, fingerprint(slips.canonical_bytes(value))
    if kind != "multipart/form-data":
        raise BadInput("application/json or multipart/form-data", code="bad_media_type")
    raw = await request.body()
    parse = partial(multipart.parse, raw, request.headers["content-type"], names=FIELDS)
    form = await anyio.to_thread.run_sync(parse)
    _check(checked(FurtherBody, slips.from_form(form.fields)), has_files=bool(form.file_sizes))
    return raw, form.media_type, form.fingerprint


def _check(body: FurtherBody, *, has_files: bool) -> None:
    flaws = slips.of_position(body.lat, body.lon)
    if not (body.text.strip() or body.place.strip() or body.lat is not None or has_files):
        flaws.append(Flaw("/text", "text, place, position or a file is needed"))
    if flaws:
        raise BadInput("the report does not fit", code="bad_fields", flaws=flaws)


def _must_know(unit: Unit, report_id: str, caller: Caller) -> Any:
    """The first message of the report. Raises NotFound for another department's (PROMISES H50)."""
    first = inbox.by_report(unit, report_id)
    if first is None or not caller.may_know(first.organisation):
        raise NotFound("no such report")
    return first
