"""/v1/clocks and the acts that stop a report's clocks: what is due upwards, and who has heard or signed."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.clock import Duty
from domain.errors import NotAllowed
from domain.person import Scope
from duty import clocks as room
from store import clocks
from store.clocks import Clock
from store.unit import Unit
from web.api.bodies import Body, checked, json_object
from web.api.caller import caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, READS, body_of
from web.api.idempotent import knock_of, once
from web.api.reports import moment
from web.api.shapes import instant

router = APIRouter(tags=["desk"])
Moment = Annotated[str, Field(max_length=40, description="RFC 3339 with its offset")]


class Told(Body):
    """Who has heard it or signed for it; `said_at` is kept beside the moment of this entry, which counts."""

    duty: Literal["phone", "written", "follow_up"] | None = None
    whom: Annotated[str, Field(min_length=1, max_length=room.LONGEST_OFFICE)]
    who: Annotated[str, Field(min_length=1, max_length=room.LONGEST_NAME)]
    said_at: Moment | None = None
    note: Annotated[str, Field(max_length=room.LONGEST_NOTE)] = ""


class Waiver(Body):
    """A leader's reason why such a report is not owed."""

    duty: Literal["phone", "written", "follow_up"]
    note: Annotated[str, Field(min_length=1, max_length=room.LONGEST_NOTE)]


class Instants(Body):
    """What limits count from; what is null stays as it is. Sensitivity is set and never taken back."""

    occurred_at: Moment | None = None
    known_at: Moment | None = None
    ordered_at: Moment | None = None
    is_sensitive: bool = False


@router.get("/clocks", responses=READS)
async def listing(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> JSONResponse:
    """Running clocks of all reports, the first due first."""
    hub, caller = hub_of(request), await caller_of(request)
    if not caller.sees_all:
        raise NotAllowed("this is the duty room's", code="scope_missing")
    at = hub.clock()
    found = await anyio.to_thread.run_sync(store_of(request).read, lambda unit: clocks.first_due(unit, limit))
    return JSONResponse({"data": [shape(one, at) for one in found]})


@router.get("/reports/{report_id}/clocks", responses=READS)
async def of_report(request: Request, report_id: str) -> JSONResponse:
    """Every clock of a report, the first due first, with what stopped it."""
    hub, caller = hub_of(request), await caller_of(request)
    if not caller.sees_all:
        raise NotAllowed("this is the duty room's", code="scope_missing")
    at = hub.clock()
    found = await anyio.to_thread.run_sync(
        store_of(request).read, lambda unit: clocks.of_reports(unit, [report_id])
    )
    return JSONResponse({"data": [shape(one, at) for one in found]})


@router.post("/reports/{report_id}/clock-call", responses=ACTS, openapi_extra=body_of(Told, needs_key=False))
async def call(request: Request, report_id: str) -> JSONResponse:
    """电话已报: stops the running clocks of that duty, `phone` unless said."""
    return await _act(request, report_id, Told, room.log_call, Duty.PHONE)


@router.post("/reports/{report_id}/clock-sign", responses=ACTS, openapi_extra=body_of(Told, needs_key=False))
async def sign(request: Request, report_id: str) -> JSONResponse:
    """签收: stops the running clocks of that duty, `written` unless said."""
    return await _act(request, report_id, Told, room.sign_for, Duty.WRITTEN)


@router.post(
    "/reports/{report_id}/clock-waive", responses=ACTS, openapi_extra=body_of(Waiver, needs_key=False)
)
async def waive(request: Request, report_id: str) -> JSONResponse:
    """免报: a leader's act, with its reason."""
    return await _act(request, report_id, Waiver, room.waive, None)


@router.post(
    "/reports/{report_id}/clock-times", responses=ACTS, openapi_extra=body_of(Instants, needs_key=False)
)
async def times(request: Request, report_id: str) -> JSONResponse:
    """When it happened, was known, was asked for; no due time moves later by it."""
    return await _act(request, report_id, Instants, room.set_times, None)


def shape(one: Clock, at: datetime) -> dict[str, Any]:
    """A clock as JSON."""
    return {
        "id": one.id, "report": one.report, "duty": one.duty.value, "state": one.state.value,
        "rule": {"id": one.rule, "name": one.rule_name, "is_example": one.is_example}, "grade": one.grade,
        "is_suggested": one.is_suggested, "starts_at": instant(one.starts_at), "starts_from": one.starts_from.value,
        "due_at": instant(one.due_at), "alarm_at": instant(one.alarm_at), "opened_at": instant(one.opened_at),
        "stopped_at": instant(one.stopped_at), "is_late": one.is_late(at),
        "stop": {"kind": one.stop_kind, "whom": one.whom, "who": one.who, "said_at": instant(one.said_at),
                 "note": one.note} if one.stop_kind else None,
    }  # fmt: skip


async def _act(
    request: Request, report_id: str, model: type[Body], act: Callable[..., Any],
    default: Duty | None,
) -> JSONResponse:  # fmt: skip
    hub, caller = hub_of(request), await caller_of(request)
    person, at = caller.acting(Scope.DESK), hub.clock()
    raw, value = await json_object(request)
    given: dict[str, Any] = checked(model, value).model_dump()
    given |= {name: moment(name, text) for name, text in given.items() if name.endswith("_at")}
    if model is not Instants:
        given["duty"] = Duty(str(given["duty"] or default))

    def effect(unit: Unit) -> tuple[int, Any]:
        stopped = act(unit, report_id, by=person, at=at, **given)
        return 200, {"report": report_id, "stopped": stopped}

    knock = knock_of(request, caller, fingerprint(raw), is_required=False)
    outcome = await once(request, knock, effect)
    return outcome.response()
