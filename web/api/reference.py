"""What a caller looks up: himself, divisions, channels, the shelf, the journal."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from domain.errors import BadInput, NotAllowed, NotFound
from domain.person import Role, Scope
from store import areas, inbox, journal, releases, shelf
from store.unit import Unit
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import READS
from web.api.reports import bad_query
from web.api.shapes import instant

router = APIRouter(tags=["reference"])
KINDS = ("inbound", "report", "release", "incident")  # streams about people and keys are the auditor's only


@router.get("/me", responses=READS)
async def me(request: Request) -> JSONResponse:
    """Whose key this is and what it may do."""
    caller = await caller_of(request)
    person = caller.person
    return JSONResponse({
        "key": caller.key_id, "name": caller.name, "organisation": caller.organisation,
        "scopes": sorted(s.value for s in caller.scopes), "mode": hub_of(request).mode.value,
        "person": {"id": person.id, "name": person.name, "roles": sorted(r.value for r in person.roles),
                   "language": person.language} if person else None,
    })  # fmt: skip


@router.get("/areas", responses=READS)
async def divisions(
    request: Request,
    under: Annotated[str | None, Query(max_length=14, description="a division code")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> JSONResponse:
    """Divisions in code order, those inside `under` if given."""
    await caller_of(request)
    try:
        rows = await anyio.to_thread.run_sync(
            store_of(request).read, lambda unit: areas.listing(unit, under or "", limit=limit)
        )
    except BadInput as error:
        raise bad_query("under", error.detail) from None
    return JSONResponse({"data": [
        {"code": r.code, "name_zh": r.name_zh, "name_en": r.name_en, "parent": r.parent, "lon": r.lon, "lat": r.lat}
        for r in rows
    ]})  # fmt: skip


@router.get("/channels", responses=READS)
async def channels(request: Request) -> JSONResponse:
    """Where a release can leave by."""
    hub, _ = hub_of(request), await caller_of(request)
    wires = [{"channel": c, "name": w.name, "kind": "addressed"} for c, w in hub.wires.items()]
    publishers = [{"channel": c, "name": p.name, "kind": "published"} for c, p in hub.publishers.items()]
    return JSONResponse({"data": [*wires, *publishers]})


@router.get("/shelf", responses=READS)
async def shelved(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 200) -> JSONResponse:
    """What could not be used, with its reason, newest first; never the bytes."""
    caller = await caller_of(request)
    _must_see_all(caller)
    rows = await anyio.to_thread.run_sync(store_of(request).read, lambda unit: shelf.pending(unit, limit))
    return JSONResponse({"data": [
        {"id": r.id, "kind": r.kind, "reason": r.reason, "origin": r.origin, "at": instant(r.at), "count": r.count,
         "size": len(r.raw) if r.raw is not None else None}
        for r in rows
    ]})  # fmt: skip


@router.get("/journal/{kind}/{entity}", responses=READS)
async def entries(request: Request, kind: str, entity: str) -> JSONResponse:
    """Every act on one thing, oldest first, with the hashes that chain them."""
    caller = await caller_of(request)
    is_auditor = caller.person is not None and Role.AUDITOR in caller.person.roles
    if kind not in KINDS and not is_auditor:
        raise NotFound("no such stream")
    caller.must_hold(Scope.READ, Scope.DESK)

    def work(unit: Unit) -> list[dict[str, Any]]:
        if not caller.sees_all and not _is_own(unit, caller, kind, entity):
            raise NotFound("no such stream")
        rows = journal.entries(unit, kind, entity)
        if not rows:
            raise NotFound("no such stream")
        return [
            {"n": r.n, "act": r.act, "by": r.by, "at": instant(r.at), "detail": r.detail, "content": r.content,
             "prev_hash": r.prev_hash, "hash": r.hash}
            for r in rows
        ]  # fmt: skip

    return JSONResponse({"data": await anyio.to_thread.run_sync(store_of(request).read, work)})


def _is_own(unit: Unit, caller: Caller, kind: str, entity: str) -> bool:
    """Whether the thing belongs to the caller's organisation."""
    if kind == "report":
        arrived = inbox.by_report(unit, entity)
        return arrived is not None and caller.may_know(arrived.organisation)
    if kind == "release":
        release = releases.get(unit, entity)
        return release is not None and caller.may_know(release.draft.organisation)
    return False


def _must_see_all(caller: Caller) -> None:
    if not caller.sees_all:
        raise NotAllowed("this is the duty room's", code="scope_missing")
