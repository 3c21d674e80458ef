"""GET /v1/reports: the queue, one report, its attachments and its original."""

import base64
import hashlib
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from domain.errors import BadInput, Flaw, NotFound
from domain.instants import of_our_days
from domain.person import Scope
from domain.place import prefix
from domain.report import Report, State
from store import blobs, inbox, reports, scans, sender_checks
from store.reports import Filter
from store.unit import Unit
from web.api import cursors, findings, shapes
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import READS

router = APIRouter(tags=["reports"])
LIMIT = Annotated[int, Query(ge=1, le=200)]


@router.get("/reports", responses=READS)
async def listing(
    request: Request,
    limit: LIMIT = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    area: Annotated[str | None, Query(max_length=14)] = None,
    level: Annotated[int | None, Query(ge=1, le=4)] = None,
    status: Annotated[str | None, Query(max_length=100, description="comma separated")] = None,
    since: Annotated[str | None, Query(max_length=40)] = None,
    until: Annotated[str | None, Query(max_length=40)] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    channel: Annotated[str | None, Query(max_length=20)] = None,
    aside: Annotated[
        bool | None, Query(description="true: what lies in quarantine, for the duty room")
    ] = None,
) -> JSONResponse:
    """Newest first. A program sees its own organisation's reports, the duty room all."""
    hub, caller = hub_of(request), await _reader(request)
    filters = {"area": area, "level": level, "status": status, "since": since, "until": until, "q": q,
               "channel": channel, "aside": "true" if aside else None}  # fmt: skip
    wanted = _filter(caller, filters)
    owner = cursors.owner(caller.key_id, request.url.path, filters)
    place = cursors.read(hub.keys.cursor, owner, cursor, hub.clock()) if cursor else None
    if not caller.sees_all and not caller.organisation:
        return JSONResponse({"data": [], "next_cursor": None})

    def work(unit: Unit) -> list[Report]:
        return reports.page(unit, wanted, limit=limit + 1, before=cursors.by_time(place))

    found = await anyio.to_thread.run_sync(store_of(request).read, work)
    return _page(request, found, limit, filters, owner)


@router.get("/reports/{report_id}", responses=READS)
async def one(request: Request, report_id: str) -> JSONResponse:
    """A report, or ``state: received`` while it is kept and not yet filed."""
    caller = await _reader(request)

    def work(unit: Unit) -> tuple[dict[str, Any], str]:
        arrived = inbox.by_report(unit, report_id)
        if arrived is None or not caller.may_know(arrived.organisation):
            raise NotFound("no such report")
        found = reports.get(unit, report_id)
        if found is None:
            state = shapes.arrival_state(arrived.state)
            return shapes.received(report_id, arrived.code, arrived.received_at, state=state), '"0"'
        original = {"sha256": arrived.raw_sha256, "media_type": arrived.media_type,
                    "href": f"/v1/reports/{report_id}/original"}  # fmt: skip
        body = {**shapes.report(found), "original": original, "found": findings.found(unit, found)}
        seen = scans.of_report(unit, report_id)
        for attachment in body["attachments"]:
            attachment["scan"] = shapes.scan(seen.get(attachment["sha256"]))
        if found.sender:
            body["sender_check"]["results"] = sender_checks.results(unit, report_id)
        return body, f'"{found.revision}"'

    body, etag = await anyio.to_thread.run_sync(store_of(request).read, work)
    return JSONResponse(body, headers={"ETag": etag})


@router.get("/reports/{report_id}/attachments/{sha256}", responses=READS)
async def attachment(request: Request, report_id: str, sha256: str) -> Response:
    """The bytes of an attachment, always as a download."""
    hub, caller = hub_of(request), await _reader(request)

    def work(unit: Unit) -> tuple[str, str]:
        found = reports.get(unit, report_id)
        if found is None or not caller.may_know(found.organisation):
            raise NotFound("no such report")
        if not blobs.is_of_report(unit, report_id, sha256):
            raise NotFound("no such attachment")
        return next((a.name, a.media_type) for a in found.content.attachments if a.sha256 == sha256)

    name, media_type = await anyio.to_thread.run_sync(store_of(request).read, work)
    data = await anyio.to_thread.run_sync(hub.blobs.get, sha256)
    return download(data, name, media_type)


@router.get("/reports/{report_id}/original", responses=READS)
async def original(request: Request, report_id: str) -> Response:
    """The message byte for byte as it came, with its SHA-256; for keys of the duty room."""
    hub, caller = hub_of(request), await _reader(request)
    if not caller.sees_all:
        caller.must_hold(Scope.DESK)

    def work(unit: Unit) -> inbox.Arrived:
        known = inbox.by_report(unit, report_id)
        found = inbox.load(unit, known.id, hub.blobs.get) if known else None
        if found is None:
            raise NotFound("no such report")
        return found

    found = await anyio.to_thread.run_sync(store_of(request).read, work)
    return download(found.inbound.raw, f"{found.code}.original", "application/octet-stream")


def download(data: bytes, name: str, media_type: str) -> Response:
    """Bytes of a stranger: never shown in a page of ours (PROMISES H37), with the digest of RFC 9530."""
    told = hashlib.sha256(data)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)[:100] or "file"
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:100], safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Repr-Digest": f"sha-256=:{base64.b64encode(told.digest()).decode()}:",
        "X-SHA256": told.hexdigest(),
        "Content-Type": media_type,  # by content; set whole, so that no charset is added to it
    }
    return Response(data, headers=headers)


def moment(name: str, text: str | None) -> datetime | None:
    """A time of the query. Raises BadInput(bad_query) unless it is RFC 3339 with an offset."""
    if text is None:
        return None
    at = of_our_days(text.replace(" ", "+"))  # an unescaped + arrives as a space
    if at is None or at.tzinfo is None:
        raise bad_query(name, "RFC 3339 with an offset")
    return at


def listed(
    request: Request,
    data: list[Any],
    last: tuple[str, str] | None,
    limit: int,
    filters: dict[str, Any],
    owner: str,
) -> JSONResponse:
    """A page of a list; `last` is the place it ended at, None at the end of the list."""
    hub = hub_of(request)
    if last is None:
        return JSONResponse({"data": data, "next_cursor": None})
    mark = cursors.write(hub.keys.cursor, owner, last, hub.clock())
    headers = {"Link": cursors.link(request.url.path, filters, limit, mark)}
    return JSONResponse({"data": data, "next_cursor": mark}, headers=headers)


def bad_query(name: str, detail: str) -> BadInput:
    """One parameter that does not fit."""
    return BadInput("the query does not fit", code="bad_query", flaws=[Flaw(name, detail)])


async def _reader(request: Request) -> Caller:
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.DESK)
    return caller


def _filter(caller: Caller, filters: dict[str, Any]) -> Filter:
    states = tuple((filters["status"] or "").split(",")) if filters["status"] else ()
    if not set(states) <= {s.value for s in State}:
        raise bad_query("status", "no such state")
    try:
        area_prefix = prefix(filters["area"]) if filters["area"] else ""
    except BadInput as error:
        raise bad_query("area", error.detail) from None
    return Filter(
        states=states,
        channel=filters["channel"] or "",
        area_prefix=area_prefix,
        organisation="" if caller.sees_all else caller.organisation,
        grade=filters["level"],
        since=moment("since", filters["since"]),
        until=moment("until", filters["until"]),
        text=filters["q"] or "",
        is_aside=bool(filters["aside"])
        if caller.sees_all
        else None,  # who sent it hears nothing of quarantine
    )


def _page(
    request: Request, found: list[Report], limit: int, filters: dict[str, Any], owner: str
) -> JSONResponse:
    shown = found[:limit]
    last = (shown[-1].received_at.isoformat(), shown[-1].id) if len(found) > limit else None
    return listed(request, [shapes.report(r) for r in shown], last, limit, filters, owner)
