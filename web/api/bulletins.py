"""/v1/bulletins: peers push what they issue, byte for byte; whoever may read the queue reads what became of it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from channels.codecs.markup import ALERT_BYTES, has_doctype
from domain.bulletin import ArrivalState
from domain.errors import BadInput, NotFound, Unavailable
from domain.person import Scope
from hub.wiring import Hub
from intake import bulletins as intake
from store import arrivals, bulletins, peers, shelf
from store.bulletins import Bulletin, Filter
from store.unit import Unit
from web.api import cursors
from web.api.bodies import media_type
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import CREATES, READS
from web.api.reports import download, listed

router = APIRouter(tags=["bulletins"])
LIMIT = Annotated[int, Query(ge=1, le=200)]
BYTES = ALERT_BYTES  # PROMISES H55; a document of many alerts is fetched, not pushed
MEDIA_TYPES = ("application/cap+xml", "application/common-alerting-protocol+xml", "application/xml", "text/xml",
               "application/atom+xml", "application/rss+xml", "application/json", "application/cap+json")  # fmt: skip
SIGNATURE = "tocsin-signature"  # a line of channels.codecs.bulletin_seal
SHELVED_A_DAY = 50  # refusals of one key whose bytes are kept: the shelf is no way to fill the disk
_BODY = {
    "requestBody": {"required": True, "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in
                                                  ("application/cap+xml", "application/json")}},
    "parameters": [{"name": "Tocsin-Signature", "in": "header", "schema": {"type": "string", "maxLength": 600},
                    "description": "v1 key=... audience=... value=...: Ed25519 over the purpose tocsin/bulletin/v1, a NUL, the "
                    "audience, a NUL and the body"}],
}  # fmt: skip


@router.post("/bulletins", status_code=202, responses=CREATES, openapi_extra=_BODY)
async def push(request: Request) -> JSONResponse:
    """Send CAP 1.1 or 1.2, JSON CAP, CAP-CN or an EDXL-DE envelope; 202 means that the bytes are durably kept.

    The same bytes again answer 200 with ``state: have_it`` and the first id. It is read afterwards; what is wrong
    with it is found then and never makes it vanish.
    """
    caller = await caller_of(request, hands_in=True)
    caller.must_hold(Scope.PEER)
    hub = hub_of(request)
    raw = await _body(request, hub, caller)
    if media_type(request) not in MEDIA_TYPES:
        raise BadInput("CAP as XML or JSON", code="bad_media_type")
    if not raw.strip():
        raise BadInput("there is nothing in it", code="empty")
    if await anyio.to_thread.run_sync(has_doctype, raw):
        await _refused(hub, caller, "doctype", raw)
        raise BadInput("a DOCTYPE is refused: no alert needs one", code="doctype")
    hub.room.admit(len(raw))
    await _known(request, hub, caller)
    one = intake.arriving(
        raw, peer=caller.key_id, media_type=request.headers.get("content-type", ""), at=hub.clock(),
        signature=request.headers.get(SIGNATURE, "").strip(),
    )  # fmt: skip
    arrival_id, is_fresh = await intake.take(
        one, name=caller.name, store=hub.store, blobs=hub.blobs, spool=hub.peers.spool
    )
    if is_fresh:
        hub.bell("read_bulletin", arrival_id)
    here = f"/v1/bulletins/arrivals/{arrival_id}"
    body = {"id": arrival_id, "state": "received" if is_fresh else "have_it", "links": {"self": here}}
    return JSONResponse(body, 202 if is_fresh else 200, headers={"Location": here})


@router.get("/bulletins/arrivals/{arrival_id}", responses=READS)
async def arrival(request: Request, arrival_id: str) -> JSONResponse:
    """What became of something that was pushed: received, read with its bulletins, or shelved with the reason."""
    hub, caller = hub_of(request), await caller_of(request)
    caller.must_hold(Scope.PEER, Scope.READ, Scope.DESK)

    def work(unit: Unit) -> dict[str, Any]:
        one = arrivals.load(unit, arrival_id, lambda _: b"")
        if one is None or (one.peer != caller.key_id and not _reads(caller)):
            raise NotFound("no such arrival")
        found = [
            _shown(b, hub.clock())
            for i in bulletins.of_arrival(unit, arrival_id)
            if (b := bulletins.get(unit, i))
        ]
        reason = shelf.reason_of(unit, "bulletin", arrival_id) if one.state is ArrivalState.SHELVED else ""
        return {"id": one.id, "state": one.state.value, "received_at": one.received_at.isoformat(), "reason": reason or None,
                "bulletins": found}  # fmt: skip

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).read, work))


@router.get("/bulletins", responses=READS)
async def listing(
    request: Request,
    limit: LIMIT = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    view: Literal["force", "current", "apart", "all"] = "force",
    peer: Annotated[str | None, Query(max_length=40)] = None,
) -> JSONResponse:
    """Newest first: those in force, those that count, those set apart, or all."""
    hub, caller = hub_of(request), await _reader(request)
    filters = {"view": view, "peer": peer}
    owner = cursors.owner(caller.key_id, request.url.path, filters)
    place = cursors.by_time(cursors.read(hub.keys.cursor, owner, cursor, hub.clock()) if cursor else None)
    wanted, at = Filter(view=view, peer=peer or ""), hub.clock()
    found = await anyio.to_thread.run_sync(
        store_of(request).read, lambda unit: bulletins.page(unit, wanted, at, limit=limit + 1, before=place)
    )
    shown = found[:limit]
    last = (shown[-1].received_at.isoformat(), shown[-1].id) if len(found) > limit else None
    return listed(request, [_shown(one, at) for one in shown], last, limit, filters, owner)


@router.get("/bulletins/{bulletin_id}", responses=READS)
async def one(request: Request, bulletin_id: str) -> JSONResponse:
    """A bulletin with its texts, areas, findings, references and chain."""
    hub, _ = hub_of(request), await _reader(request)
    at = hub.clock()

    def work(unit: Unit) -> dict[str, Any]:
        found = bulletins.get(unit, bulletin_id)
        if found is None:
            raise NotFound("no such bulletin")
        return {
            **_shown(found, at),
            "alert": found.alert, "areas": found.areas, "findings": found.findings,
            "references": [{"sender": s, "identifier": i, "sent": at.isoformat() if at else None}
                           for s, i, at in bulletins.references(unit, bulletin_id)],
            "chain": [member.id for member in bulletins.chain(unit, bulletin_id)],
            "original": {"href": f"/v1/bulletins/{bulletin_id}/original"},
        }  # fmt: skip

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).read, work))


@router.get("/bulletins/{bulletin_id}/original", responses=READS)
async def original(request: Request, bulletin_id: str) -> Response:
    """The bytes from which it was read, as they came."""
    hub, _ = hub_of(request), await _reader(request)
    data = await anyio.to_thread.run_sync(
        store_of(request).read, lambda unit: bulletins.original(unit, bulletin_id, hub.blobs.get)
    )
    if data is None:
        raise NotFound("no such bulletin")
    return download(data, f"{bulletin_id}.original", "application/octet-stream")


async def _body(request: Request, hub: Hub, caller: Caller) -> bytes:
    """The body, read no farther than it may go."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BYTES:
            await _refused(hub, caller, "too_large", bytes(data))
            request.scope["state"]["must_close"] = request.scope["state"]["is_over"] = True
            raise BadInput(f"at most {BYTES} bytes", code="too_large")
    return bytes(data)


async def _refused(hub: Hub, caller: Caller, reason: str, raw: bytes) -> None:
    """Shelve what is turned away, its beginning at least; a shelf that cannot be written turns it away all the same."""
    at = hub.clock()
    origin = f"{caller.key_id}:{at:%Y-%m-%d}"

    def work(unit: Unit) -> None:
        if shelf.held(unit, "bulletin", origin) < SHELVED_A_DAY:
            shelf.put(unit, "bulletin", reason, origin=origin, raw=raw, at=at)

    try:
        await anyio.to_thread.run_sync(hub.store.run, work)
    except Unavailable:
        return


async def _known(request: Request, hub: Hub, caller: Caller) -> None:
    """Enter the peer at its first bulletin; while the database is down the drain does."""
    known: set[str] = request.app.state.pushing
    if caller.key_id in known:
        return
    try:
        await anyio.to_thread.run_sync(
            store_of(request).run,
            lambda unit: peers.ensure_push(unit, caller.key_id, caller.name, hub.clock()),
        )
    except Unavailable:
        return
    known.add(caller.key_id)


def _reads(caller: Caller) -> bool:
    return bool(caller.scopes & {Scope.READ, Scope.DESK})


async def _reader(request: Request) -> Caller:
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.DESK)
    return caller


def _shown(one: Bulletin, at: datetime) -> dict[str, Any]:
    """A bulletin in a list, under the names of CAP where it has one."""
    return {
        "id": one.id, "identifier": one.identifier, "sender": one.sender,
        "sent": one.sent.isoformat() if one.sent else None, "status": one.status, "msgType": one.msg_type,
        "scope": one.scope, "format": one.format, "state": one.state.value, "apart": one.apart or None,
        "is_in_force": one.is_in_force(at), "ended_by": one.ended_by or None, "headline": one.headline,
        "event": one.event, "event_code": {"scheme": one.event_scheme, "code": one.event_code},
        "severity": one.severity, "expires": one.expires.isoformat(), "is_expiry_assumed": one.is_expiry_assumed,
        "signature": {"state": one.seal, "key": one.seal_key or None, "reason": one.seal_reason or None},
        "errors": sum(f["level"] == "error" for f in one.findings), "conflicts": one.conflicts, "peer": one.peer,
        "report": one.report or None, "received_at": one.received_at.isoformat(),
        "links": {"self": f"/v1/bulletins/{one.id}"},
    }  # fmt: skip
