"""/v1/webhook-endpoints: where a department wants to hear what becomes of its reports."""

import base64
import secrets
from datetime import timedelta
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from channels.webhook import PREFIX
from domain.errors import BadInput, Conflict, Flaw, Never, NotFound
from domain.person import Scope
from domain.webhook import WebhookState
from store import journal, webhooks
from store.unit import Unit
from store.webhooks import Webhook
from web.api import shapes
from web.api.bodies import Body, checked, idempotency_key, json_object
from web.api.caller import Caller, caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, CREATES, READS, body_of
from web.api.idempotent import knock_of, once

router = APIRouter(tags=["webhooks"])
MOST = 10  # addresses of one organisation; each is called for every event
CHANGE_OVER = timedelta(days=2)  # both secrets sign: a weekend is enough to bring a new one everywhere


class EndpointBody(Body):
    """An address: https; on a hub that is not live, http to this machine."""

    url: Annotated[str, Field(max_length=2_000)]


class Nothing(Body):
    """An act that needs no words."""


@router.post("/webhook-endpoints", status_code=201, responses=CREATES, openapi_extra=body_of(EndpointBody))
async def add(request: Request) -> JSONResponse:
    """Be told of every change of this organisation's reports. The secret is in this answer and in no other.

    Calls carry webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks 1.0.0: HMAC-SHA256 over id,
    timestamp and body). They come at least once, in no promised order; `data.n` counts what happened to a report.
    """
    hub, caller = hub_of(request), await _caller(request)
    idempotency_key(request, is_required=True)
    raw, value = await json_object(request)
    body, at, secret = checked(EndpointBody, value), hub.clock(), _secret()
    try:
        hub.departments.teller.caller.check(body.url)
    except Never as error:
        raise BadInput(
            "the body does not fit", code="bad_fields", flaws=[Flaw("/url", error.detail)]
        ) from None

    def effect(unit: Unit) -> tuple[int, object]:
        if len(webhooks.of(unit, caller.organisation, at)) >= MOST:
            raise Conflict(f"at most {MOST} addresses", code="too_many_webhooks")
        made = webhooks.add(unit, caller.organisation, body.url, secret, at)
        journal.append(unit, "webhook", made, "add", by=caller.key_id, at=at, is_first=True)
        found = webhooks.get(unit, made, at)
        return 201, _shape(found) if found else {}

    knock = knock_of(request, caller, fingerprint(raw), is_required=True)
    outcome = await once(request, knock, effect)
    if outcome.is_replay:  # the secret is kept nowhere but sealed: whoever lost the answer rotates it
        return outcome.response(Location=outcome.body["links"]["self"])
    return JSONResponse({**outcome.body, "secret": secret}, 201, {"Location": outcome.body["links"]["self"]})


@router.get("/webhook-endpoints", responses=READS)
async def listing(request: Request) -> JSONResponse:
    """The addresses of this organisation, whether each is called, and since when it fails."""
    hub, caller = hub_of(request), await _caller(request)
    found = await anyio.to_thread.run_sync(
        store_of(request).read, lambda unit: webhooks.of(unit, caller.organisation, hub.clock())
    )
    return JSONResponse({"data": [_shape(one) for one in found], "next_cursor": None})


@router.delete("/webhook-endpoints/{webhook_id}", status_code=204, responses=ACTS)
async def remove(request: Request, webhook_id: str) -> Response:
    """Call it no more; what was promised is dropped."""
    await _act(request, webhook_id, "remove")
    return Response(status_code=204)


@router.post("/webhook-endpoints/{webhook_id}/enable", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def enable(request: Request, webhook_id: str) -> JSONResponse:
    """Call it again after it was disabled: what waited meanwhile goes first, and what was dropped is called again."""
    return JSONResponse(await _act(request, webhook_id, "enable"))


@router.post("/webhook-endpoints/{webhook_id}/rotate", responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def rotate(request: Request, webhook_id: str) -> JSONResponse:
    """A new secret, in this answer alone; for two days the old one signs besides."""
    hub, caller, secret = hub_of(request), await _caller(request), _secret()
    at = hub.clock()

    def work(unit: Unit) -> dict[str, Any]:
        found = _own(unit, webhook_id, caller, at)
        webhooks.rotate(unit, found.id, secret, until=at + CHANGE_OVER, at=at)
        journal.append(unit, "webhook", found.id, "rotate", by=caller.key_id, at=at)
        return {**_shape(found), "secret": secret, "both_until": shapes.instant(at + CHANGE_OVER)}

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).run, work))


@router.post("/webhook-endpoints/{webhook_id}/test", status_code=202, responses=ACTS,
             openapi_extra=body_of(Nothing, needs_key=False, is_optional=True))  # fmt: skip
async def trial(request: Request, webhook_id: str) -> JSONResponse:
    """Call it once with `webhook.test`."""
    hub, caller = hub_of(request), await _caller(request)
    at = hub.clock()

    def work(unit: Unit) -> str:
        found = _own(unit, webhook_id, caller, at)
        body = {"type": "webhook.test", "timestamp": at.isoformat(), "data": {}}
        return webhooks.expect(unit, found.id, f"test-{secrets.token_hex(8)}", body, at)

    call_id = await anyio.to_thread.run_sync(store_of(request).run, work)
    hub.bell("tell_webhook", call_id)
    return JSONResponse(
        {"id": call_id, "links": {"calls": f"/v1/webhook-endpoints/{webhook_id}/deliveries"}}, 202
    )


@router.get("/webhook-endpoints/{webhook_id}/deliveries", responses=READS)
async def deliveries(request: Request, webhook_id: str) -> JSONResponse:
    """The newest hundred calls: what was told, how often it was tried, what came back."""
    hub, caller = hub_of(request), await _caller(request)

    def work(unit: Unit) -> list[dict[str, Any]]:
        found = _own(unit, webhook_id, caller, hub.clock())
        return [
            {"id": row.id, "state": row.state, "tries": row.tries, "status": row.status or None, "reason": row.reason or None,
             "next_due": shapes.instant(row.next_due) if row.state == "pending" else None, "body": row.body.decode()}
            for row in webhooks.calls(unit, found.id)
        ]  # fmt: skip

    return JSONResponse(
        {"data": await anyio.to_thread.run_sync(store_of(request).read, work), "next_cursor": None}
    )


async def _act(request: Request, webhook_id: str, action: str) -> dict[str, Any]:
    hub, caller = hub_of(request), await _caller(request)
    at = hub.clock()

    def work(unit: Unit) -> dict[str, Any]:
        found = _own(unit, webhook_id, caller, at)
        if action == "enable" and found.state is WebhookState.ACTIVE:
            return _shape(found)
        if not webhooks.move(unit, found, action, at):
            raise Conflict("somebody else has just changed it", code="webhook_changed")
        if action == "enable":
            webhooks.replay(unit, found.id, at)
        journal.append(unit, "webhook", found.id, action, by=caller.key_id, at=at)
        return _shape(webhooks.get(unit, found.id, at) or found)

    return await anyio.to_thread.run_sync(store_of(request).run, work)


async def _caller(request: Request) -> Caller:
    """Whoever reports may hear of it. Raises NotAllowed for a key without an organisation."""
    caller = await caller_of(request)
    caller.must_hold(Scope.REPORT)
    if not caller.organisation:
        raise BadInput("this key belongs to no organisation", code="organisation_missing")
    return caller


def _own(unit: Unit, webhook_id: str, caller: Caller, at: Any) -> Webhook:
    found = webhooks.get(unit, webhook_id, at)
    if found is None or found.organisation != caller.organisation or found.state is WebhookState.REMOVED:
        raise NotFound("no such webhook")
    return found


def _secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _shape(found: Webhook) -> dict[str, Any]:
    return {"id": found.id, "url": found.url, "state": found.state.value, "reason": found.reason or None,
            "failing_since": shapes.instant(found.failing_since), "created_at": shapes.instant(found.created_at),
            "links": {"self": f"/v1/webhook-endpoints/{found.id}"}}  # fmt: skip
