"""POST /v1/recipients:import, its operation, and the groups that a release may be sent to."""

import hashlib
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from domain.errors import BadInput, NotFound
from domain.person import Scope
from duty import addressbook
from store import audience, operations
from store.operations import Operation
from store.unit import Unit
from web import imports, multipart
from web.api.bodies import idempotency_key, media_type
from web.api.caller import Caller, caller_of, fingerprint, hub_of, store_of
from web.api.described import CREATES, READS, file_body
from web.api.idempotent import knock_of, once
from web.api.shapes import instant

router = APIRouter(tags=["recipients"])
FILE = "file"


@router.post(
    "/recipients:import", status_code=202, responses=CREATES, openapi_extra=file_body("text/csv", FILE)
)
async def import_list(request: Request) -> JSONResponse:
    """Add a list of recipients: CSV in UTF-8 or GB18030 with a row of names. All of it or nothing of it.

    202 means that the reading has begun; the operation tells how far it is, which rows are wrong, and
    whether the list is in force.
    """
    hub, caller = hub_of(request), await caller_of(request)
    person = caller.acting(Scope.DESK)
    person.must_be(*addressbook.WRITERS)
    idempotency_key(request, is_required=True)
    raw = await _file(request)
    knock = knock_of(request, caller, fingerprint(hashlib.sha256(raw).digest()), is_required=True)
    begun: list[Operation] = []

    def effect(unit: Unit) -> tuple[int, object]:
        operation = addressbook.begin(unit, raw, by=person, at=hub.clock(), must_confirm=False)
        begun[:] = [operation]  # the writer may run this again when nothing was committed
        return 202, shape(operation)

    await anyio.to_thread.run_sync(addressbook.tidy, hub.store, hub.clock())
    outcome = await once(request, knock, effect)
    if begun and not outcome.is_replay:
        imports.start(hub, begun[0], raw)
    return outcome.response(Location=outcome.body["links"]["self"])


@router.get("/operations/{operation_id}", responses=READS)
async def operation(request: Request, operation_id: str) -> JSONResponse:
    """How far a long piece of work is, and how it ended; of an import also which rows are wrong."""
    hub, caller = hub_of(request), await caller_of(request)
    await anyio.to_thread.run_sync(addressbook.tidy, hub.store, hub.clock())
    found = await anyio.to_thread.run_sync(
        store_of(request).read, lambda unit: operations.get(unit, operation_id)
    )
    if found is None or not _may_know(caller, found):
        raise NotFound("no such operation")
    return JSONResponse(shape(found))


@router.get("/groups", responses=READS)
async def groups(request: Request) -> JSONResponse:
    """The groups of the present list of recipients, and its version."""
    caller = await caller_of(request)
    if not caller.sees_all:
        caller.must_hold(Scope.RELEASE, Scope.APPROVE)

    def work(unit: Unit) -> dict[str, Any]:
        return {
            "data": [{"group": name} for name in audience.groups(unit)],
            "list_version": audience.version(unit),
        }

    return JSONResponse(await anyio.to_thread.run_sync(store_of(request).read, work))


def shape(found: Operation) -> dict[str, Any]:
    """An operation in JSON."""
    result = dict(found.result)
    result["errors"] = [{"line": line, "column": c, "reason": r} for line, c, r in result.get("errors", [])]
    return {
        "id": found.id, "kind": found.kind, "state": found.state, "created_at": instant(found.created_at),
        "changed_at": instant(found.changed_at), "total": found.total, "done": found.done, "result": result,
        "links": {"self": f"/v1/operations/{found.id}"},
    }  # fmt: skip


def _may_know(caller: Caller, found: Operation) -> bool:
    is_own = caller.person is not None and caller.person.id == found.by
    return caller.sees_all or is_own


async def _file(request: Request) -> bytes:
    """The list: the body itself, or the one file of a form. Raises BadInput."""
    kind = media_type(request)
    if kind not in ("text/csv", "multipart/form-data"):
        raise BadInput("text/csv, or multipart/form-data with one file", code="bad_media_type")
    raw = await request.body()
    if kind == "text/csv":
        return raw
    form = await anyio.to_thread.run_sync(
        lambda: multipart.parse(raw, request.headers["content-type"], names=(), file_field=FILE)
    )
    if len(form.files) != 1:
        raise BadInput("one file is expected", code="bad_form")
    return form.files[0]
