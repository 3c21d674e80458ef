"""/v1/citizen: what the form at /report does, for programs; nobody needs a key."""

import json
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import BadInput, Flaw, NotFound
from domain.ids import code_of, spoken_digits
from intake import secret_link
from store.inbox import Stand
from web import citizen_thread, multipart
from web.api import shapes
from web.api.bodies import Body, checked, idempotency_key, json_object, media_type
from web.api.caller import fingerprint, hub_of
from web.api.described import body_of, problems
from web.citizen import Citizen
from web.citizen_thread import Thread

router = APIRouter(tags=["citizen"])
OPEN: dict[str, Any] = {"security": []}  # OpenAPI 3.1 §4.8.10: none is needed
Degrees = Annotated[float | str, Field(description="WGS 84; what is no position is kept as it was written")]


class CitizenBody(Body):
    """What a citizen reports; only the text is needed."""

    text: Annotated[str, Field(max_length=50_000, description="or a file")] = ""
    place: Annotated[str, Field(max_length=500)] = ""
    lat: Degrees | None = None
    lon: Degrees | None = None
    contact: Annotated[str, Field(max_length=300, description="a mobile number or a mail address")] = ""


FIELDS = tuple(CitizenBody.model_fields)


@router.post(
    "/citizen/reports", status_code=201, responses=problems(400, 413, 415, 429, 503),
    openapi_extra=OPEN | body_of(CitizenBody, is_form=True, needs_key=False),
)  # fmt: skip
async def report(request: Request) -> JSONResponse:
    """Report something; 201 means that it is durably kept. `key` opens its state, and so does the page."""
    hub, citizen = hub_of(request), citizen_of(request)
    if refusal := citizen.refusal(request):
        raise refusal
    key = idempotency_key(request, is_required=False)
    raw, stored_as, body, told, has_files = await _read(request)
    if not (body.text.strip() or has_files):
        raise BadInput(
            "the body does not fit", code="bad_fields", flaws=[Flaw("/text", "text or a file is needed")]
        )
    kept = await citizen.keep(request, raw, stored_as, contact=body.contact, key=key, fingerprint=told)
    token = secret_link.token(hub.keys.receipt, kept.code)
    place = f"/v1/citizen/reports/{kept.code}"
    page = f"{hub.settings.public_site.rstrip('/')}/report/s/{token}"
    answer = {"code": kept.code, "digits": spoken_digits(kept.code), "state": "received", "key": token,
              "links": {"self": place, "page": page}}  # fmt: skip
    headers = {"Location": place} | ({} if kept.is_fresh else {"Idempotent-Replayed": "true"})
    if kept.is_fresh:
        hub.bell("file_report", kept.inbound_id)
    return JSONResponse(answer, 201, headers=headers)


@router.get("/citizen/reports/{code}", responses=problems(400, 404, 429, 503), openapi_extra=OPEN)
async def state(
    request: Request,
    code: str,
    key: Annotated[str | None, Query(max_length=40, description="from the answer to the POST")] = None,
    phone: Annotated[
        str | None, Query(max_length=4, description="last four digits of the number left")
    ] = None,
) -> JSONResponse:
    """How far a report is. A wrong key, wrong digits and an unknown code have the same answer."""
    pages = citizen_of(request).states
    stand: Stand | None
    if key:
        known, stand = await pages.by_token(key)
        if _code(code) != known:
            raise NotFound("no such report")
    elif phone:
        stand = await pages.by_digits(request, code, phone)
        known = stand.code
    else:
        raise BadInput("send key or phone", code="bad_query", flaws=[Flaw("key", "is missing")])
    said = (
        await citizen_thread.read(hub_of(request), request, known, hub_of(request).clock())
        if stand
        else Thread()
    )
    return JSONResponse({
        "messages": citizen_thread.messages(said.lines, shapes.instant),
        "code": known,
        "state": stand.progress.value if stand else "received",
        "received_at": shapes.instant(stand.received_at) if stand else None,
        "changed_at": shapes.instant(stand.changed_at) if stand else None,
    })  # fmt: skip


def citizen_of(request: Request) -> Citizen:
    """The citizen's door of this application, whose limits both ways in share."""
    citizen: Citizen = request.app.state.citizen
    return citizen


async def _read(request: Request) -> tuple[bytes, str, CitizenBody, str, bool]:
    """(raw body, its media type, what it says, fingerprint, whether files came with it). Raises BadInput."""
    kind = media_type(request)
    if kind == "application/json":
        raw, value = await json_object(request)
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return raw, kind, checked(CitizenBody, value), fingerprint(canonical.encode()), False
    if kind != "multipart/form-data":
        raise BadInput("application/json or multipart/form-data", code="bad_media_type")
    raw = await request.body()
    given = request.headers["content-type"]
    form = await anyio.to_thread.run_sync(lambda: multipart.parse(raw, given, names=FIELDS))
    return raw, form.media_type, checked(CitizenBody, form.fields), form.fingerprint, bool(form.file_sizes)


def _code(typed: str) -> str:
    try:
        return code_of(typed)
    except ValueError:
        return ""
