"""What comes after a release through /v1: update it, lift it, correct it."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from approval import desk
from domain.person import Scope
from domain.release import Release
from store.unit import Unit
from web.api.bodies import checked
from web.api.described import ACTS, body_of
from web.api.release_acts import Nothing, Reason, answer, try_of, with_reason

router = APIRouter(tags=["releases"])


@router.post("/releases/{release_id}/update", status_code=201, responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def update(request: Request, release_id: str) -> JSONResponse:
    """发布更新: a draft that replaces this release once it is approved; change it with PATCH."""
    made = await try_of(request, "update", release_id, Scope.RELEASE)
    checked(Nothing, made.value)
    at = made.hub.clock()

    def act(unit: Unit) -> Release:
        return desk.draft_update(unit, release_id, by=made.person, at=at)

    outcome = await made.once(act, status=201)
    return answer(outcome, Location=outcome.body["links"]["self"])


@router.post("/releases/{release_id}/cancel", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def cancel(request: Request, release_id: str) -> JSONResponse:
    """解除: the danger is over; the approved lift goes to all whom the warning reached."""
    return await with_reason(
        await try_of(request, "cancel", release_id, Scope.RELEASE, Scope.APPROVE), desk.lift
    )


@router.post("/releases/{release_id}/correct", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def correct(request: Request, release_id: str) -> JSONResponse:
    """误发更正: a false alarm; the approved correction goes to exactly those whom the warning reached."""
    return await with_reason(
        await try_of(request, "correct", release_id, Scope.RELEASE, Scope.APPROVE), desk.correct
    )
