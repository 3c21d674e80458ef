"""The acts over a release through /v1: draft, change, preview, submit, approve, return, reject, stop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from approval import checks, desk, forms, freeze, gather, reach
from approval.attempts import attempt, note_refusal
from approval.preview import preview as shown
from domain.errors import Conflict, NotAllowed
from domain.person import Person, Scope
from domain.release import MOVES, Release, State
from hub.wiring import Hub
from store import promises, releases
from store.database import SeenStore
from store.unit import Unit
from web.api import release_shapes
from web.api.bodies import Body, checked, json_object, revision_seen
from web.api.caller import Caller, caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, CREATES, body_of, json_body
from web.api.idempotent import Outcome, knock_of, once, replayed
from web.api.releases import known, reader

router = APIRouter(tags=["releases"])
Act = Callable[[Unit], Release]
Told = dict[str, Any]


class Decision(Body):
    """Consent to exactly the bytes of one digest."""

    digest: Annotated[str, Field(min_length=1, max_length=128, description="as submit answered it")]
    revision: Annotated[int, Field(ge=1)] | None = None


class Reason(Body):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Nothing(Body):
    """An empty object, or no body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One request for an act: who asks, over what, and what he has seen of it."""

    request: Request
    hub: Hub
    caller: Caller
    person: Person
    name: str
    release_id: str
    raw: bytes
    value: dict[str, Any]
    seen: int | None  # the revision in If-Match

    async def once(self, act: Act, *, status: int = 200, told: Told | None = None) -> Outcome:
        """Run the act under its Idempotency-Key; a refusal is written down before it is answered.

        `told` is what the answer says beside the release. A revision in If-Match that is gone is 412.
        """

        def effect(unit: Unit) -> tuple[int, Any]:
            if self.seen is not None and known(unit, self.release_id).revision != self.seen:
                raise Conflict("the release has changed since it was read", code="revision_changed")
            found = act(unit)
            frozen = releases.artefacts(unit, found.id, found.digest)
            return status, release_shapes.release(found, frozen) | (told or {})

        tried = partial(attempt, store_of(self.request), act=self.name, by=self.person, at=self.hub.clock(),
                        release_id=self.release_id)  # fmt: skip
        return await once(self.request, self.knock(), effect, tried)

    def knock(self) -> Any:
        """The Idempotency-Key of this request; a new draft needs one."""
        told = fingerprint(self.raw, str(self.seen).encode())
        return knock_of(self.request, self.caller, told, is_required=not self.release_id)


@router.post("/releases", status_code=201, responses=CREATES,
             openapi_extra=json_body("as in `example` of GET /v1/templates"))  # fmt: skip
async def create(request: Request) -> JSONResponse:
    """Begin a draft."""
    made = await try_of(request, "create", "", Scope.RELEASE)
    at = made.hub.clock()

    def act(unit: Unit) -> Release:
        draft = forms.draft_from_body(unit, made.value, by=made.person, at=at)
        return desk.create(unit, draft, by=made.person, at=at)

    outcome = await made.once(act, status=201)
    return answer(outcome, Location=outcome.body["links"]["self"])


@router.patch("/releases/{release_id}", responses=ACTS,
              openapi_extra=json_body("members to change; `fields` and lists whole", needs_key=False))  # fmt: skip
async def edit(request: Request, release_id: str) -> JSONResponse:
    """Change a draft; a submission falls back to draft and loses its votes. Send If-Match."""
    made = await try_of(request, "edit", release_id, Scope.RELEASE)
    at = made.hub.clock()

    def act(unit: Unit) -> Release:
        before = known(unit, release_id).draft
        body = forms.body_from_draft(before) | made.value
        draft = forms.draft_from_body(unit, body, by=made.person, at=at, before=before)
        return desk.edit(unit, release_id, draft, by=made.person, at=at, revision=made.seen)

    return answer(await made.once(act))


@router.post("/releases/{release_id}/preview", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def preview(request: Request, release_id: str) -> JSONResponse:
    """What each channel carries: of a submission the frozen bytes, of a draft what submit would freeze."""
    await reader(request)
    _, value = await json_object(request, may_be_empty=True)
    checked(Nothing, value)
    return JSONResponse(
        await anyio.to_thread.run_sync(_previewed, store_of(request), hub_of(request), release_id)
    )


@router.post("/releases/{release_id}/submit", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def submit(request: Request, release_id: str) -> JSONResponse:
    """Freeze the bytes and put them before the approvers; answers with `digest` and all that it covers."""
    made = await try_of(request, "submit", release_id, Scope.RELEASE)
    checked(Nothing, made.value)
    earlier = await replayed(made.hub, made.knock())
    if earlier is not None:
        return answer(earlier)
    hub, at = made.hub, made.hub.clock()
    inputs = await anyio.to_thread.run_sync(_inputs, store_of(request), hub, release_id)
    if not MOVES.allows(inputs.release.state, "submit"):
        # Nothing to freeze: the refusal takes the way of every other one, into the journal.
        return answer(await made.once(lambda unit: _refused(unit, release_id)))
    frozen = await anyio.to_thread.run_sync(lambda: checks.freeze(inputs, hub.place, at=at))
    told = {"preview": shown(frozen), "warnings": checks.warnings(inputs, frozen, at=at)}

    def act(unit: Unit) -> Release:
        return desk.submit(unit, release_id, frozen, by=made.person, at=at)

    return answer(await made.once(act, told=told))


@router.post(
    "/releases/{release_id}/approve", responses=ACTS, openapi_extra=body_of(Decision, needs_key=False)
)
async def approve(request: Request, release_id: str) -> JSONResponse:
    """签发: consent to the digest. With the last vote the promises to send are made in the same transaction."""
    made = await try_of(request, "approve", release_id, Scope.APPROVE)
    given = checked(Decision, made.value)
    revision = given.revision if made.seen is None else made.seen
    at = made.hub.clock()
    promised: list[str] = []

    def act(unit: Unit) -> Release:
        found = desk.approve(unit, release_id, digest=given.digest, by=made.person, at=at, revision=revision)
        promised[:] = [d.id for d in promises.of_release(unit, release_id)]
        return found

    told = answer(await made.once(act))
    ring(made.hub, promised)
    return told


@router.post("/releases/{release_id}/return", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def send_back(request: Request, release_id: str) -> JSONResponse:
    """退回 to its author."""
    return await with_reason(await try_of(request, "return", release_id, Scope.APPROVE), desk.send_back)


@router.post("/releases/{release_id}/reject", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def reject(request: Request, release_id: str) -> JSONResponse:
    """驳回: it ends here."""
    return await with_reason(await try_of(request, "reject", release_id, Scope.APPROVE), desk.reject)


@router.post("/releases/{release_id}/stop", responses=ACTS, openapi_extra=body_of(Reason, needs_key=False))
async def stop(request: Request, release_id: str) -> JSONResponse:
    """停止发送: what has not left stays here, within a second."""
    return await with_reason(
        await try_of(request, "stop", release_id, Scope.RELEASE, Scope.APPROVE), desk.stop
    )


async def with_reason(made: Try, act: Callable[..., Release]) -> JSONResponse:
    """Run an act that needs a reason, and ring for what it has promised."""
    reason = checked(Reason, made.value).reason
    at = made.hub.clock()
    promised: list[str] = []

    def work(unit: Unit) -> Release:
        found = act(unit, made.release_id, reason=reason, by=made.person, at=at)
        promised[:] = [d.id for d in promises.of_release(unit, made.release_id) if d.purpose != "main"]
        return found

    told = answer(await made.once(work))
    ring(made.hub, promised)
    return told


async def try_of(request: Request, name: str, release_id: str, *scopes: Scope) -> Try:
    """The caller as a person with one of `scopes`; whoever is not is written down before he is told."""
    hub, caller = hub_of(request), await caller_of(request)
    try:
        person = caller.acting(*scopes)
    except NotAllowed as error:
        by, code, at = caller.person.id if caller.person else caller.key_id, error.code, hub.clock()

        def note(unit: Unit) -> None:
            if release_id:
                known(unit, release_id)
            note_refusal(unit, release_id, name, by=by, at=at, code=code)

        await asyncio.wrap_future(hub.store.submit(note))
        raise
    raw, value = await json_object(request, may_be_empty=True)
    return Try(request=request, hub=hub, caller=caller, person=person, name=name, release_id=release_id,
               raw=raw, value=value, seen=revision_seen(request) if release_id else None)  # fmt: skip


def answer(outcome: Outcome, **headers: str) -> JSONResponse:
    """The answer of an act, its revision as ETag."""
    return outcome.response(ETag=f'"{outcome.body["revision"]}"', **headers)


def _refused(unit: Unit, release_id: str) -> Release:
    found = known(unit, release_id)
    MOVES.after(found.state, "submit")
    raise Conflict("the release has just changed", code="release_changed")


def _inputs(store: SeenStore, hub: Hub, release_id: str) -> gather.Inputs:
    return store.read(lambda unit: gather.prepare_stored(unit, release_id, zone=hub.zone))


def _previewed(store: SeenStore, hub: Hub, release_id: str) -> Told:
    inputs, at = _inputs(store, hub, release_id), hub.clock()
    release = inputs.release
    known_counts = {} if release.list_version else inputs.counts
    counted = store.read(lambda unit: reach.counts(unit, release, known_counts))
    told: Told = {
        "release": release_id, "revision": release.revision, "state": release.state.value,
        "audience": [{"channel": c.channel, "reach": c.reach, "opted_out": c.silenced, "receives": c.receives}
                     for c in counted],
    }  # fmt: skip
    if release.digest and release.state is not State.DRAFT:
        standing = store.read(
            lambda unit: freeze.stored(unit, release, mode=inputs.mode, policy=inputs.policy)
        )
        return told | {"preview": shown(standing), "warnings": [], "errors": []}
    frozen, flaws = checks.trial(inputs, hub.place, at=at)
    return told | {
        "preview": shown(frozen) if frozen else None,
        "warnings": checks.warnings(inputs, frozen, at=at) if frozen else [],
        "errors": [{"pointer": f.pointer, "detail": f.detail} for f in flaws],
    }


def ring(hub: Hub, promised: list[str]) -> None:
    """Tell workers of dispatches that are due."""
    for dispatch_id in promised:
        hub.bell("relay", dispatch_id)
