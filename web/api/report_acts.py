"""POST /v1/reports/{id}/...: the acts of the duty room, the same ones as on its pages."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import Conflict, NotAllowed
from domain.person import Scope
from domain.report import Report
from duty import refusals, trust, whereabouts
from duty import reports as desk
from store.unit import Unit
from web.api import shapes
from web.api.bodies import Body, checked, json_object, revision_seen
from web.api.caller import caller_of, fingerprint, hub_of
from web.api.described import ACTS, body_of
from web.api.idempotent import knock_of, once

router = APIRouter(tags=["desk"])
Act = Callable[..., Report]


class Plain(Body):
    """An act that needs nothing but the report."""

    revision: Annotated[int, Field(ge=0, description="refused when the report has changed since")] | None = (
        None
    )


class Reasoned(Plain):
    """An act that needs its reason."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Classification(Plain):
    """What stays out stays as it is."""

    event_code: Annotated[str, Field(max_length=10)] | None = None
    grade: Annotated[int, Field(ge=1, le=4)] | None = None
    area: Annotated[str, Field(max_length=14)] | None = None


@router.post("/reports/{report_id}/claim", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def claim(request: Request, report_id: str) -> JSONResponse:
    """受理. 409 names who has it."""
    return await _act(request, report_id, desk.claim, Plain)


@router.post("/reports/{report_id}/release-claim", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def release_claim(request: Request, report_id: str) -> JSONResponse:
    """Give it back to the queue."""
    return await _act(request, report_id, desk.release_claim, Plain)


@router.post(
    "/reports/{report_id}/take-over", responses=ACTS, openapi_extra=body_of(Reasoned, needs_key=False)
)
async def take_over(request: Request, report_id: str) -> JSONResponse:
    """接手 what another officer has; the leader's act."""
    return await _act(request, report_id, desk.take_over, Reasoned)


@router.post("/reports/{report_id}/verify", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def verify(request: Request, report_id: str) -> JSONResponse:
    """核实."""
    return await _act(request, report_id, desk.verify, Plain)


@router.post("/reports/{report_id}/classify", responses=ACTS,
             openapi_extra=body_of(Classification, needs_key=False))  # fmt: skip
async def classify(request: Request, report_id: str) -> JSONResponse:
    """分类: event type, grade, area."""
    return await _act(request, report_id, desk.classify, Classification)


class Whereabouts(Plain):
    """Either a candidate as GET showed it, with its code, or a division."""

    candidate: Annotated[int, Field(ge=1, le=100)] | None = None
    seen: Annotated[str, Field(max_length=12, description="the candidate's code as it was shown")] = ""
    area: Annotated[str, Field(max_length=14)] = ""


@router.post("/reports/{report_id}/place", responses=ACTS,
             openapi_extra=body_of(Whereabouts, needs_key=False))  # fmt: skip
async def place(request: Request, report_id: str) -> JSONResponse:
    """Confirm or correct where it is; an area that is still empty becomes that division."""
    return await _act(request, report_id, whereabouts.choose, Whereabouts)


class Judgement(Reasoned):
    """What is said of it."""

    kind: Annotated[
        str, Field(pattern="^(false|abuse|blocked)$", description="blocked can only be withdrawn")
    ]


@router.post("/reports/{report_id}/give-verdict", responses=ACTS,
             openapi_extra=body_of(Judgement, needs_key=False))  # fmt: skip
async def give_verdict(request: Request, report_id: str) -> JSONResponse:
    """不实 or 恶意; what is abuse lies in quarantine (`GET /v1/reports?aside=true`)."""
    return await _act(request, report_id, trust.give_verdict, Judgement)


@router.post("/reports/{report_id}/withdraw-verdict", responses=ACTS,
             openapi_extra=body_of(Judgement, needs_key=False))  # fmt: skip
async def withdraw_verdict(request: Request, report_id: str) -> JSONResponse:
    """It holds no longer."""
    return await _act(request, report_id, trust.withdraw_verdict, Judgement)


@router.post("/reports/{report_id}/close", responses=ACTS, openapi_extra=body_of(Reasoned, needs_key=False))
async def close(request: Request, report_id: str) -> JSONResponse:
    """办结."""
    return await _act(request, report_id, desk.close, Reasoned)


@router.post("/reports/{report_id}/reopen", responses=ACTS,
             openapi_extra=body_of(Plain, needs_key=False, is_optional=True))  # fmt: skip
async def reopen(request: Request, report_id: str) -> JSONResponse:
    """Take a closed report up again."""
    return await _act(request, report_id, desk.reopen, Plain)


async def _act(request: Request, report_id: str, act: Act, model: type[Plain]) -> JSONResponse:
    hub, caller = hub_of(request), await caller_of(request)
    person = caller.acting(Scope.DESK)
    raw, value = await json_object(request, may_be_empty=True)
    given: dict[str, Any] = checked(model, value).model_dump()
    seen = revision_seen(request)
    if seen is not None:
        given["revision"] = seen
    at = hub.clock()

    def effect(unit: Unit) -> tuple[int, Any]:
        return 200, shapes.report(act(unit, report_id, by=person, at=at, **given))

    knock = knock_of(request, caller, fingerprint(raw, str(seen).encode()), is_required=False)
    try:
        outcome = await once(request, knock, effect)
    except NotAllowed as error:
        note = partial(
            refusals.note, hub.store, error, act=act.__name__, report_id=report_id, by=person, at=at
        )
        await anyio.to_thread.run_sync(note)
        raise
    except Conflict as error:
        if seen is not None and error.code == "report_changed":
            raise Conflict(error.detail, code="revision_changed") from None
        raise
    return outcome.response(ETag=f'"{outcome.body["revision"]}"')
