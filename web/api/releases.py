"""GET /v1/releases and /v1/templates: drafts, submissions, their bytes and how far they have got."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from approval import forms
from domain.errors import NotFound
from domain.parcel import DeliveryState
from domain.person import Scope
from domain.release import Release, State
from outbox import progress
from store import areas, deliveries, releases
from store.unit import Unit
from templates.library import Template, library
from web.api import cursors, release_shapes
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import READS
from web.api.reports import LIMIT, bad_query, download, listed

EXAMPLES_FROM = 500  # divisions among which the example's area is looked for
COUNTY = 6  # digits: warnings are issued for counties and up; a smaller area reads oddly in an example
ANYWHERE = "990101000000"  # the demo's; a hub without divisions can take no draft at all

router = APIRouter(tags=["releases"])
T = TypeVar("T")
Cursor = Annotated[str | None, Query(max_length=400)]


@router.get("/releases", responses=READS)
async def listing(
    request: Request,
    limit: LIMIT = 50,
    cursor: Cursor = None,
    status: Annotated[str | None, Query(max_length=200, description="comma separated")] = None,
) -> JSONResponse:
    """Newest first."""
    hub, caller = hub_of(request), await reader(request)
    states = status.split(",") if status else []
    if not set(states) <= {s.value for s in State}:
        raise bad_query("status", "no such state")
    filters = {"status": status}
    owner = cursors.owner(caller.key_id, request.url.path, filters)
    place = cursors.read(hub.keys.cursor, owner, cursor, hub.clock()) if cursor else None

    def work(unit: Unit) -> list[Release]:
        return releases.page(unit, limit=limit + 1, before=cursors.by_time(place), states=states)

    found = await _read(request, work)
    shown = found[:limit]
    last = (shown[-1].created_at.isoformat(), shown[-1].id) if len(found) > limit else None
    return listed(request, [release_shapes.release(r) for r in shown], last, limit, filters, owner)


@router.get("/releases/{release_id}", responses=READS)
async def one(request: Request, release_id: str) -> JSONResponse:
    """A release with the bytes of the submission that stands. The ETag is the draft's revision."""
    await reader(request)

    def work(unit: Unit) -> tuple[int, dict[str, Any]]:
        found = known(unit, release_id)
        return found.revision, release_shapes.release(found, releases.artefacts(unit, found.id, found.digest))

    revision, body = await _read(request, work)
    return JSONResponse(body, headers={"ETag": f'"{revision}"'})


@router.get("/releases/{release_id}/artefacts/{artefact_id}", responses=READS)
async def artefact(request: Request, release_id: str, artefact_id: str) -> Response:
    """The exact bytes of one channel and language, as they were or would be sent."""
    await reader(request)

    def work(unit: Unit) -> Response:
        found = known(unit, release_id)
        mine = {a.id: a for a in releases.artefacts(unit, release_id, found.digest)}
        if artefact_id not in mine:
            raise NotFound("no such bytes")
        chosen = mine[artefact_id]
        name = f"{release_id}.{chosen.channel}.{chosen.language}.{chosen.purpose.value}"
        return download(chosen.body, name, chosen.media_type)

    return await _read(request, work)


@router.get("/releases/{release_id}/deliveries", responses=READS)
async def delivered(
    request: Request,
    release_id: str,
    limit: LIMIT = 50,
    cursor: Cursor = None,
    status: Annotated[str | None, Query(max_length=20)] = None,
) -> JSONResponse:
    """Every address and what is known of it."""
    hub, caller = hub_of(request), await reader(request)
    if status and status not in {s.value for s in DeliveryState}:
        raise bad_query("status", "no such state")
    filters = {"status": status}
    owner = cursors.owner(caller.key_id, request.url.path, filters)
    place = cursors.read(hub.keys.cursor, owner, cursor, hub.clock()) if cursor else None
    after = (place[0], int(place[1])) if place else None

    def work(unit: Unit) -> list[Any]:
        known(unit, release_id)
        return deliveries.page(unit, release_id, limit=limit + 1, after=after, state=status or "")

    rows = await _read(request, work)
    shown = rows[:limit]
    last = (shown[-1].parcel, str(shown[-1].seq)) if len(rows) > limit else None
    return listed(request, [release_shapes.delivery(r) for r in shown], last, limit, filters, owner)


@router.get("/releases/{release_id}/summary", responses=READS)
async def summary(request: Request, release_id: str) -> JSONResponse:
    """Counts by channel and state, which add up to the reach."""
    await reader(request)
    found = await _read(request, lambda unit: progress.summary(unit, release_id))
    return JSONResponse(release_shapes.jsonable(found))


@router.get("/templates", responses=READS)
async def templates(request: Request) -> JSONResponse:
    """Each template with its fields and a complete body that POST /v1/releases takes as it is."""
    hub, _ = hub_of(request), await caller_of(request)
    places = await _read(request, lambda unit: areas.listing(unit, limit=EXAMPLES_FROM))
    codes = ([r.code for r in places if len(r.prefix) >= COUNTY] or [r.code for r in places] or [ANYWHERE])[
        :1
    ]
    issuer, at = hub.settings.organisation, hub.clock()
    found = [
        _template(t, hub.lanes)
        | {"example": forms.example(t, at, zone=hub.zone, issuer=issuer, codes=codes, lanes=hub.lanes)}
        for t in library().values()
    ]
    return JSONResponse({"data": found})


async def reader(request: Request) -> Caller:
    """A caller who may see releases: who writes or decides on them, the duty room, an auditor."""
    caller = await caller_of(request)
    if not caller.sees_all:
        caller.must_hold(Scope.RELEASE, Scope.APPROVE)
    return caller


def known(unit: Unit, release_id: str) -> Release:
    """The release. Raises NotFound."""
    found = releases.get(unit, release_id)
    if found is None:
        raise NotFound("no such release")
    return found


async def _read(request: Request, work: Callable[[Unit], T]) -> T:
    return await anyio.to_thread.run_sync(store_of(request).read, work)


def _template(found: Template, lanes: Collection[str]) -> dict[str, Any]:
    return {
        "id": found.id,
        "version": found.version,
        "kind": found.kind.value,
        "event_code": found.event_code,
        "names": dict(found.names),
        "events": dict(found.events),
        "needs_colour": found.needs_colour,
        "channels": [c for c in found.channels if c in lanes],
        "fields": [
            {
                "name": f.name, "type": f.type, "labels": dict(f.labels), "is_required": f.is_required,
                "max_length": f.max_length or None, "least": f.least, "most": f.most or None, "example": f.example,
                "options": {value: dict(words) for value, words in f.options.items()},
            }
            for f in found.fields
        ],
    }  # fmt: skip
