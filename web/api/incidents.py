"""/v1/incidents: what several reports tell of, and which report follows which."""

from collections.abc import Callable
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import Conflict, NotAllowed, NotFound
from domain.incident import Incident, IncidentState, Thread
from domain.person import Person, Scope
from duty import incidents as desk
from duty import threads as thread_desk
from store import incidents, reports, threads
from store.unit import Unit
from web.api import cursors
from web.api.bodies import Body, checked, json_object, revision_seen
from web.api.caller import caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, READS, body_of
from web.api.idempotent import knock_of, once
from web.api.reports import LIMIT, bad_query, listed
from web.api.shapes import instant

router = APIRouter(tags=["incidents"])


class Plain(Body):
    """An act that needs nothing but the incident."""

    revision: (
        Annotated[int, Field(ge=0, description="refused when the incident has changed since")] | None
    ) = None


class Opening(Body):
    """The first report of a new incident."""

    report: Annotated[str, Field(max_length=40)]
    title: Annotated[str, Field(max_length=200)] = ""


class OfReport(Plain):
    """An act with one report."""

    report_id: Annotated[str, Field(max_length=40, alias="report")]


class Merging(Plain):
    """The incident that goes on."""

    into_id: Annotated[str, Field(max_length=40, alias="into")]


class Splitting(Plain):
    """The reports that tell of something else."""

    report_ids: Annotated[list[str], Field(min_length=1, max_length=desk.AT_ONCE, alias="reports")]
    title: Annotated[str, Field(max_length=200)] = ""


class Reasoned(Plain):
    """An act that needs its reason."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Following(Body):
    """The report that is followed."""

    follows_id: Annotated[str, Field(max_length=40, alias="follows")]


@router.get("/incidents", responses=READS)
async def listing(
    request: Request,
    limit: LIMIT = 50,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    status: Annotated[
        str | None, Query(max_length=60, description="comma separated: open, merged, closed")
    ] = None,
) -> JSONResponse:
    """Newest first; for the duty room and the auditor."""
    hub, caller = hub_of(request), await caller_of(request)
    await _looker(request)
    filters = {"status": status}
    states = tuple(status.split(",")) if status else ()
    if not set(states) <= {s.value for s in IncidentState}:
        raise bad_query("status", "no such state")
    owner = cursors.owner(caller.key_id, request.url.path, filters)
    place = cursors.read(hub.keys.cursor, owner, cursor, hub.clock()) if cursor else None

    def work(unit: Unit) -> tuple[list[Incident], dict[str, int]]:
        found = incidents.page(unit, states, limit=limit + 1, before=cursors.by_time(place))
        return found, incidents.sizes(unit, [one.id for one in found])

    found, sizes = await anyio.to_thread.run_sync(store_of(request).read, work)
    last = found[limit - 1] if len(found) > limit else None
    data = [{**shape(one), "reports": sizes.get(one.id, 0)} for one in found[:limit]]
    mark = (last.opened_at.isoformat(), last.id) if last else None
    return listed(request, data, mark, limit, filters, owner)


@router.get("/incidents/{incident_id}", responses=READS)
async def one(request: Request, incident_id: str) -> JSONResponse:
    """An incident with its reports, and how many told of it each by himself."""
    person = await _looker(request)

    def work(unit: Unit) -> dict[str, Any]:
        found = incidents.get(unit, incident_id)
        if found is None:
            raise NotFound("no such incident")
        members = incidents.members(unit, incident_id)
        count = desk.corroboration(desk.told(unit, incident_id, by=person))
        return {
            **shape(found),
            "reports": [{"report": m.report, "added_by": m.added_by, "added_at": instant(m.added_at), "score": m.score}
                        for m in members],
            "corroboration": {"reports": count.reports, "senders": count.senders, "unknown": count.unknown,
                              "channels": count.channels},
        }  # fmt: skip

    body = await anyio.to_thread.run_sync(store_of(request).read, work)
    return JSONResponse(body, headers={"ETag": f'"{body["revision"]}"'})


@router.get("/reports/{report_id}/related", responses=READS)
async def related(request: Request, report_id: str) -> JSONResponse:
    """What a report may be one with, what it is one with, what it follows and what follows it."""
    await _looker(request)

    def work(unit: Unit) -> dict[str, Any]:
        if not reports.is_there(unit, report_id):
            raise NotFound("no such report")
        likely = incidents.candidates(unit, report_id)
        return {
            "incidents": [one.incident for one in incidents.memberships(unit, report_id)],
            "candidates": [
                {"report": c.other, "code": c.code, "incident": c.incident or None, "score": round(c.score, 3),
                 "reasons": [{"code": code, "number": number} for code, number in c.reasons]}
                for c in likely
            ],
            "threads": [thread_shape(row) for row in threads.of(unit, report_id)],
        }  # fmt: skip

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).read, work))


@router.post("/incidents", responses=ACTS, status_code=201, openapi_extra=body_of(Opening, needs_key=False))
async def opening(request: Request) -> JSONResponse:
    """A new incident that begins with one report."""
    return await _act(request, Opening, lambda unit, by, at, g: shape(
        desk.open_incident(unit, g["report"], by=by, at=at, title=g["title"])), status=201)  # fmt: skip


@router.post(
    "/incidents/{incident_id}/attach", responses=ACTS, openapi_extra=body_of(OfReport, needs_key=False)
)
async def attach(request: Request, incident_id: str) -> JSONResponse:
    """The report tells of it, too."""
    return await _of_incident(request, incident_id, desk.attach, OfReport)


@router.post(
    "/incidents/{incident_id}/detach", responses=ACTS, openapi_extra=body_of(OfReport, needs_key=False)
)
async def detach(request: Request, incident_id: str) -> JSONResponse:
    """The report tells of something else; `attach` undoes it."""
    return await _of_incident(request, incident_id, desk.detach, OfReport)


@router.post(
    "/incidents/{incident_id}/merge", responses=ACTS, openapi_extra=body_of(Merging, needs_key=False)
)
async def merge(request: Request, incident_id: str) -> JSONResponse:
    """This one is the same as another, which goes on; `unmerge` undoes it."""
    return await _of_incident(request, incident_id, desk.merge, Merging)


@router.post("/incidents/{incident_id}/unmerge", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def unmerge(request: Request, incident_id: str) -> JSONResponse:
    """They are two after all."""
    return await _of_incident(request, incident_id, desk.unmerge, Plain)


@router.post(
    "/incidents/{incident_id}/split", responses=ACTS, openapi_extra=body_of(Splitting, needs_key=False)
)
async def split(request: Request, incident_id: str) -> JSONResponse:
    """Some of its reports become an incident of their own, which is the answer; merging it back undoes it."""
    return await _of_incident(request, incident_id, desk.split, Splitting)


@router.post(
    "/incidents/{incident_id}/close", responses=ACTS, openapi_extra=body_of(Reasoned, needs_key=False)
)
async def close(request: Request, incident_id: str) -> JSONResponse:
    """办结."""
    return await _of_incident(request, incident_id, desk.close, Reasoned)


@router.post("/incidents/{incident_id}/reopen", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def reopen(request: Request, incident_id: str) -> JSONResponse:
    """It is not over."""
    return await _of_incident(request, incident_id, desk.reopen, Plain)


@router.post("/reports/{report_id}/link", responses=ACTS, openapi_extra=body_of(Following, needs_key=False))
async def link(request: Request, report_id: str) -> JSONResponse:
    """It follows that one indeed."""
    return await _of_thread(request, report_id, thread_desk.link)


@router.post("/reports/{report_id}/unlink", responses=ACTS, openapi_extra=body_of(Following, needs_key=False))
async def unlink(request: Request, report_id: str) -> JSONResponse:
    """It does not follow that one."""
    return await _of_thread(request, report_id, thread_desk.unlink)


def shape(found: Incident) -> dict[str, Any]:
    """An incident in JSON."""
    return {
        "id": found.id, "title": found.title, "state": found.state.value, "revision": found.revision,
        "event_code": found.event_code, "area": found.area, "opened_by": found.opened_by,
        "opened_at": instant(found.opened_at), "merged_into": found.merged_into or None,
        "closed_reason": found.closed_reason,
        "links": {"self": f"/v1/incidents/{found.id}", "journal": f"/v1/journal/incident/{found.id}"},
    }  # fmt: skip


def thread_shape(row: Thread) -> dict[str, Any]:
    """A thread in JSON."""
    return {"report": row.report, "follows": row.follows, "sign": row.sign.value, "state": row.state.value,
            "is_certain": row.is_certain, "by": row.by, "at": instant(row.at)}  # fmt: skip


async def _looker(request: Request) -> Person:
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.DESK)
    if not caller.sees_all or caller.person is None:
        raise NotAllowed("incidents are for the duty room", code="scope_missing")
    return caller.person


async def _of_incident(
    request: Request, incident_id: str, act: Callable[..., Incident], model: type[Body]
) -> JSONResponse:
    return await _act(
        request, model, lambda unit, by, at, g: shape(act(unit, incident_id, by=by, at=at, **g))
    )


async def _of_thread(request: Request, report_id: str, act: Callable[..., Thread]) -> JSONResponse:
    def work(unit: Unit, by: Person, at: Any, given: dict[str, Any]) -> dict[str, Any]:
        act(unit, report_id, given["follows_id"], by=by, at=at)
        row = threads.get(unit, report_id, given["follows_id"])
        return thread_shape(row) if row else {}

    return await _act(request, Following, work)


async def _act(
    request: Request, model: type[Body], work: Callable[[Unit, Person, Any, dict[str, Any]], dict[str, Any]], *, status: int = 200
) -> JSONResponse:  # fmt: skip
    hub, caller = hub_of(request), await caller_of(request)
    person = caller.acting(Scope.DESK)
    raw, value = await json_object(request, may_be_empty=True)
    given: dict[str, Any] = checked(model, value).model_dump()
    seen = revision_seen(request)
    if seen is not None and "revision" in given:
        given["revision"] = seen
    at = hub.clock()

    def effect(unit: Unit) -> tuple[int, Any]:
        return status, work(unit, person, at, given)

    knock = knock_of(request, caller, fingerprint(raw, str(seen).encode()), is_required=False)
    try:
        outcome = await once(request, knock, effect)
    except Conflict as error:
        if seen is not None and error.code == "incident_changed":
            raise Conflict(error.detail, code="revision_changed") from None
        raise
    revision = outcome.body.get("revision")
    return outcome.response(**({"ETag": f'"{revision}"'} if revision else {}))
