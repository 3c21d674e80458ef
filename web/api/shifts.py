"""/v1/shifts: who is on duty; signing on and off."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import NotAllowed
from domain.person import Scope
from duty import shifts as duty
from store import shifts
from store.unit import Unit
from web.api.bodies import Body, checked, json_object
from web.api.caller import caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, READS, body_of
from web.api.idempotent import Effect, knock_of, once
from web.api.shapes import instant

router = APIRouter(tags=["desk"])


class On(Body):
    """Nothing to say."""


class Off(Body):
    """The note is needed when reports are left in hand."""

    note: Annotated[str, Field(max_length=duty.LONGEST_NOTE)] = ""


@router.get("/shifts", responses=READS)
async def listing(
    request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> JSONResponse:  # fmt: skip
    """The latest shifts, newest first; `ended_at` is null for who is on duty."""
    caller = await caller_of(request)
    if not caller.sees_all:
        raise NotAllowed("this is the duty room's", code="scope_missing")
    rows = await anyio.to_thread.run_sync(store_of(request).read, lambda unit: shifts.recent(unit, limit))
    return JSONResponse({"data": [
        {"id": row.id, "person": row.person, "name": row.name, "began_at": instant(row.began_at),
         "ended_at": instant(row.ended_at), "left_open": row.left_open, "note": row.note}
        for row in rows
    ]})  # fmt: skip


@router.post("/shifts/on", responses=ACTS, openapi_extra=body_of(On, needs_key=False, is_optional=True))
async def sign_on(request: Request) -> JSONResponse:
    """签到. 409 for who is on duty already."""
    hub, caller = hub_of(request), await caller_of(request)
    person, at = caller.acting(Scope.DESK), hub.clock()

    def effect(unit: Unit) -> tuple[int, Any]:
        return 201, {"id": duty.sign_on(unit, by=person, at=at), "began_at": instant(at)}

    return await _once(request, On, lambda _: effect)


@router.post("/shifts/off", responses=ACTS, openapi_extra=body_of(Off, needs_key=False, is_optional=True))
async def sign_off(request: Request) -> JSONResponse:
    """签退: what is still in hand is named, kept with the shift, and needs a note."""
    hub, caller = hub_of(request), await caller_of(request)
    person, at = caller.acting(Scope.DESK), hub.clock()

    def with_body(given: dict[str, Any]) -> Effect:
        def effect(unit: Unit) -> tuple[int, Any]:
            left = duty.sign_off(unit, by=person, at=at, note=given["note"])
            return 200, {"left_open": list(left), "ended_at": instant(at)}

        return effect

    return await _once(request, Off, with_body)


async def _once(request: Request, model: type[Body], with_body: Any) -> JSONResponse:
    caller = await caller_of(request)
    raw, value = await json_object(request, may_be_empty=True)
    given = checked(model, value).model_dump()
    knock = knock_of(request, caller, fingerprint(raw), is_required=False)
    outcome = await once(request, knock, with_body(given))
    return outcome.response()
