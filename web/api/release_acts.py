"""The acts over a release through /v1: draft, change, preview, submit, approve, return, reject, stop."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from approval.preview import preview as shown
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse

from approval import checks, desk, forms, gather
from approval.attempts import attempt
from approval.freeze import Frozen, Place
from domain.errors import Conflict
from domain.person import Person, Scope
from domain.release import Draft, Release
from hub.wiring import Hub
from store import promises, releases
from store.unit import Unit
from web.api import release_shapes
from web.api.bodies import Body, checked, json_object, revision_seen
from web.api.caller import Caller, caller_of, fingerprint, hub_of
from web.api.described import ACTS, CREATES, body_of, json_body
from web.api.idempotent import Outcome, knock_of, once
from web.api.releases import known, reader

router = APIRouter(tags=["releases"])
Act = Callable[[Unit], Release]


class Decision(Body):
    """Consent to exactly the bytes of one digest."""

    digest: Annotated[str, Field(min_length=1, max_length=128, description="as submit answered it")]
    revision: Annotated[int, Field(ge=1)] | None = None


class Reason(Body):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Nothing(Body):
    """An empty object, or no body."""


@router.post("/releases", status_code=201, responses=CREATES,
             openapi_extra=json_body("as in `example` of GET /v1/templates"))  # fmt: skip
async def create(request: Request) -> JSONResponse:
    """Begin a draft."""
    caller = await caller_of(request)
    person = caller.acting(Scope.RELEASE)
    raw, value = await json_object(request)
    at = hub_of(request).clock()

    def act(unit: Unit) -> Release:
        return desk.create(unit, forms.draft_from_body(unit, value, by=person, at=at), by=person, at=at)

    outcome = await _once(request, caller, person, "create", act, raw, status=201, is_required=True)
    return _answer(outcome, Location=outcome.body["links"]["self"])


@router.patch("/releases/{release_id}", responses=ACTS,
              openapi_extra=json_body("members to change; `fields` and lists whole", needs_key=False))  # fmt: skip
async def edit(request: Request, release_id: str) -> JSONResponse:
    """Change a draft; a submission falls back to draft and loses its votes. Send If-Match."""
    caller = await caller_of(request)
    person = caller.acting(Scope.RELEASE)
    raw, value = await json_object(request)
    seen, at = revision_seen(request), hub_of(request).clock()

    def act(unit: Unit) -> Release:
        before = known(unit, release_id)
        body = release_shapes.draft(before.draft) | value
        draft = _pinned(before, forms.draft_from_body(unit, body, by=person, at=at))
        return desk.edit(unit, release_id, draft, by=person, at=at, revision=seen)

    return _answer(await _seen_once(request, caller, person, "edit", act, raw, release_id, seen))


@router.post("/releases/{release_id}/preview", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def preview(request: Request, release_id: str) -> JSONResponse:
    """What each channel would carry, made by the function that submit uses, and what forbids submitting."""
    await reader(request)
    hub = hub_of(request)
    body = await anyio.to_thread.run_sync(_previewed, hub, release_id, hub.clock())
    return JSONResponse(body)


@router.post("/releases/{release_id}/submit", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def submit(request: Request, release_id: str) -> JSONResponse:
    """Freeze the bytes and put them before the approvers; answers with `digest` and all that it covers."""
    caller = await caller_of(request)
    person = caller.acting(Scope.RELEASE)
    raw, value = await json_object(request, may_be_empty=True)
    checked(Nothing, value)
    hub = hub_of(request)
    at = hub.clock()
    inputs, frozen = await anyio.to_thread.run_sync(_frozen, hub, release_id, at)

    def act(unit: Unit) -> Release:
        return desk.submit(unit, release_id, frozen, by=person, at=at)

    outcome = await _seen_once(request, caller, person, "submit", act, raw, release_id, revision_seen(request))
    told = {"preview": release_shapes.jsonable(shown(frozen)),
            "warnings": checks.warnings(inputs, frozen, at=at)}  # fmt: skip
    return _answer(replace(outcome, body=outcome.body | told))


@router.post("/releases/{release_id}/approve", responses=ACTS, openapi_extra=body_of(Decision, needs_key=False))
async def approve(request: Request, release_id: str) -> JSONResponse:
    """签发: consent to the digest. With the last vote the promises to send are made in the same transaction."""
    caller = await caller_of(request)
    person = caller.acting(Scope.APPROVE)
    raw, value = await json_object(request)
    given = checked(Decision, value)
    hub, seen = hub_of(request), revision_seen(request)
    at = hub.clock()
    revision = given.revision if seen is None else seen
    promised: list[str] = []

    def act(unit: Unit) -> Release:
        found = desk.approve(unit, release_id, digest=given.digest, by=person, at=at, revision=revision)
        promised[:] = [d.id for d in promises.of_release(unit, release_id)]
        return found

    outcome = await _seen_once(request, caller, person, "approve", act, raw, release_id, seen)
    answer = _answer(outcome)
    answer.background = BackgroundTask(_ring, hub, promised)
    return answer


@router.post("/releases/{release_id}/return", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def send_back(request: Request, release_id: str) -> JSONResponse:
    """退回 to its author."""
    return await _with_reason(request, release_id, "return", desk.send_back, Scope.APPROVE)


@router.post("/releases/{release_id}/reject", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def reject(request: Request, release_id: str) -> JSONResponse:
    """驳回: it ends here."""
    return await _with_reason(request, release_id, "reject", desk.reject, Scope.APPROVE)


@router.post("/releases/{release_id}/stop", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def stop(request: Request, release_id: str) -> JSONResponse:
    """停止发送: what has not left stays here, within a second."""
    return await _with_reason(request, release_id, "stop", desk.stop, Scope.RELEASE, Scope.APPROVE)


async def _with_reason(
    request: Request, release_id: str, name: str, act: Callable[..., Release], *scopes: Scope
) -> JSONResponse:
    caller = await caller_of(request)
    person = caller.acting(*scopes)
    raw, value = await json_object(request)
    reason = checked(Reason, value).reason
    at = hub_of(request).clock()
    work = partial(act, release_id=release_id, reason=reason, by=person, at=at)
    return _answer(await _once(request, caller, person, name, work, raw, release_id=release_id))


async def _seen_once(
    request: Request, caller: Caller, person: Person, name: str, act: Act, raw: bytes, release_id: str,
    seen: int | None,
) -> Outcome:  # fmt: skip
    """_once(), where a revision that If-Match named and that is gone is 412."""
    def work(unit: Unit) -> Release:
        if seen is not None and known(unit, release_id).revision != seen:
            raise Conflict("the release has changed since it was read", code="revision_changed")
        return act(unit)

    return await _once(request, caller, person, name, work, raw, release_id=release_id)


async def _once(
    request: Request, caller: Caller, person: Person, name: str, act: Act, raw: bytes, *,
    release_id: str = "", status: int = 200, is_required: bool = False,
) -> Outcome:  # fmt: skip
    """Run the act once under its Idempotency-Key; a refusal is written down before it is answered."""
    hub = hub_of(request)

    def effect(unit: Unit) -> tuple[int, Any]:
        found = act(unit)
        return status, release_shapes.release(found, releases.artefacts(unit, found.id, found.digest))

    told = fingerprint(raw, request.headers.get("if-match", "").encode())
    knock = knock_of(request, caller, told, is_required=is_required)
    tried = partial(attempt, hub.store, act=name, by=person, at=hub.clock(), release_id=release_id)
    return await once(hub, request.app.state.in_flight, knock, effect, tried)


def _answer(outcome: Outcome, **headers: str) -> JSONResponse:
    return outcome.response(ETag=f'"{outcome.body["revision"]}"', **headers)


def _pinned(before: Release, draft: Draft) -> Draft:
    """A draft stays with the version of the template that it was begun with."""
    same = draft.template == before.draft.template
    return replace(draft, template_version=before.draft.template_version) if same else draft


def _place(hub: Hub) -> Place:
    return Place(zone=hub.zone, sender_id=hub.settings.sender_id, public_url=hub.settings.public_site)


def _inputs(hub: Hub, release_id: str) -> gather.Inputs:
    return hub.store.read(lambda unit: gather.prepare_stored(unit, release_id, zone=hub.zone))


def _frozen(hub: Hub, release_id: str, at: datetime) -> tuple[gather.Inputs, Frozen]:
    inputs = _inputs(hub, release_id)
    return inputs, checks.freeze(inputs, _place(hub), at=at)


def _previewed(hub: Hub, release_id: str, at: datetime) -> dict[str, Any]:
    inputs = _inputs(hub, release_id)
    frozen, flaws = checks.trial(inputs, _place(hub), at=at)
    return {
        "release": release_id,
        "revision": inputs.release.revision,
        "preview": release_shapes.jsonable(shown(frozen)) if frozen else None,
        "warnings": checks.warnings(inputs, frozen, at=at) if frozen else [],
        "errors": [{"pointer": f.pointer, "detail": f.detail} for f in flaws],
    }


def _ring(hub: Hub, promised: list[str]) -> None:
    for dispatch_id in promised:
        hub.bell("relay", dispatch_id)
