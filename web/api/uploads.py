"""Attachments that arrive in parts and go on where they broke off: tus 1.0.0 core, creation, expiration, termination.

tus and not the IETF draft (draft-ietf-httpbis-resumable-upload): its version is final since 2016 and has well-kept
clients in every language; the draft still changes between its numbers.
"""

import base64
import binascii
import re
from email.utils import format_datetime
from functools import partial
from typing import Any, BinaryIO

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from domain.errors import BadInput, Conflict, HubError, NotFound
from domain.further import UploadState
from domain.person import Scope
from intake.normalise import clean
from intake.uploads import LARGEST
from store import inbox, uploads
from store.unit import Unit
from store.uploads import Upload
from web.api.bodies import idempotency_key, media_type
from web.api.caller import Caller, caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, CREATES, READS, headers_of
from web.api.idempotent import knock_of, once

router = APIRouter(tags=["reports"])
VERSION = "1.0.0"
PIECE = "application/offset+octet-stream"  # tus 1.0.0, "PATCH"
CHUNK = 1 << 20  # written at once
TOLD = {"Tus-Resumable": VERSION}
_NUMBER = re.compile(r"[0-9]{1,15}")


@router.options(
    "/uploads", responses={204: {"description": "what this server speaks"}}, openapi_extra={"security": []}
)
async def about(request: Request) -> Response:
    """The protocol, its extensions and the largest file."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,expiration,termination",
        "Tus-Max-Size": str(LARGEST),
    }
    return Response(status_code=204, headers=TOLD | headers)


@router.post(
    "/reports/{report_id}/attachments", status_code=201, responses=CREATES,
    openapi_extra=headers_of("Tus-Resumable", "Upload-Length", "Upload-Metadata", needs_key=True),
)  # fmt: skip
async def begin(request: Request, report_id: str) -> Response:
    """Announce a file of `Upload-Length` bytes; `Location` is where its bytes go."""
    hub, caller = hub_of(request), await _sender(request)
    _must_speak_tus(request)
    idempotency_key(request, is_required=True)
    length, meta = _number(request, "Upload-Length"), _metadata(request.headers.get("upload-metadata", ""))
    hub.room.admit(length)
    await anyio.to_thread.run_sync(hub.departments.uploads.ready, length)
    told = fingerprint(
        report_id.encode(), str(length).encode(), request.headers.get("upload-metadata", "").encode()
    )
    knock = knock_of(request, caller, told, is_required=True)

    def effect(unit: Unit) -> tuple[int, Any]:
        known = inbox.by_report(unit, report_id)
        if known is None or not caller.may_know(known.organisation):
            raise NotFound("no such report")
        made = hub.departments.uploads.announce(
            unit,
            report_id,
            caller.key_id,
            length,
            clean(meta.get("filename", "")),
            clean(meta.get("filetype", "")),
        )
        return 201, _shape(made)

    outcome = await once(request, knock, effect, hub.store.submit)
    if length == 0:
        hub.bell("attach_upload", outcome.body["id"])
    return outcome.response(**TOLD, Location=outcome.body["links"]["self"])


@router.head("/uploads/{upload_id}", responses=READS, openapi_extra=headers_of("Tus-Resumable"))
async def where(request: Request, upload_id: str) -> Response:
    """How many bytes are durable: the next part begins there."""
    _must_speak_tus(request)
    found = await _own(request, upload_id)
    return Response(status_code=200, headers=_stand(found))


@router.get("/uploads/{upload_id}", responses=READS)
async def state(request: Request, upload_id: str) -> JSONResponse:
    """The same for programs without tus, and whether the file is an attachment yet."""
    return JSONResponse(_shape(await _own(request, upload_id)))


@router.patch(
    "/uploads/{upload_id}", status_code=204, responses=ACTS,
    openapi_extra=headers_of("Tus-Resumable", "Upload-Offset", body=PIECE),
)  # fmt: skip
async def go_on(request: Request, upload_id: str) -> Response:
    """Add bytes at `Upload-Offset`, which must be where the file ends. What came before a break is kept."""
    hub = hub_of(request)
    _must_speak_tus(request)
    if media_type(request) != PIECE:
        raise BadInput(f"the body is {PIECE}", code="bad_media_type")
    offset = _number(request, "Upload-Offset")
    begun = await _own(request, upload_id)
    is_empty = begun.length == offset == 0 and request.headers.get("content-length") == "0"
    if is_empty and begun.state is not UploadState.OPEN:
        return Response(status_code=204, headers=_stand(begun))  # some say with no bytes that it has none
    _must_end_at(begun, offset)
    hub.room.admit(0)
    parts = hub.departments.uploads.parts
    if begun.got == 0:
        await anyio.to_thread.run_sync(parts.begin, upload_id)
    with parts.opened(upload_id) as file:
        found = await _own(request, upload_id)  # again: another may have added to it until the file was ours
        _must_end_at(found, offset)
        parts.cut(file, found.got)
        got, error = await _written(request, file, found)
        await anyio.to_thread.run_sync(parts.sync, file)
        state = await anyio.to_thread.run_sync(hub.departments.uploads.grown, found, got)
    if state is UploadState.WHOLE:
        hub.bell("attach_upload", upload_id)
    if error is not None:
        raise error
    return Response(status_code=204, headers=_stand(await _own(request, upload_id)))


@router.delete(
    "/uploads/{upload_id}", status_code=204, responses=ACTS, openapi_extra=headers_of("Tus-Resumable")
)
async def give_up(request: Request, upload_id: str) -> Response:
    """Forget a file that is not whole."""
    _must_speak_tus(request)
    found = await _own(request, upload_id)
    forget = partial(hub_of(request).departments.uploads.give_up, found, by=found.client)
    await anyio.to_thread.run_sync(forget)
    return Response(status_code=204, headers=TOLD)


async def _written(request: Request, file: BinaryIO, found: Upload) -> tuple[int, HubError | None]:
    """(where the file ends now, why no more came). A broken connection costs what was still under way."""
    got, waiting = found.got, bytearray()
    try:
        async for piece in request.stream():
            waiting += piece
            if got + len(waiting) > found.length:
                return got, BadInput("more than Upload-Length", code="too_large")
            if len(waiting) >= CHUNK:
                await anyio.to_thread.run_sync(file.write, bytes(waiting))
                got += len(waiting)
                waiting.clear()
        reason: HubError | None = None
    except ClientDisconnect:
        reason = None  # nobody listens to an answer
    except BadInput as error:  # too slow, or longer than a request may be
        reason = error
    await anyio.to_thread.run_sync(file.write, bytes(waiting))
    return got + len(waiting), reason


async def _sender(request: Request) -> Caller:
    caller = await caller_of(request)
    caller.must_hold(Scope.REPORT)
    return caller


async def _own(request: Request, upload_id: str) -> Upload:
    """The upload, if this key began it. Raises NotFound."""
    caller = await _sender(request)
    found = await anyio.to_thread.run_sync(store_of(request).read, lambda unit: uploads.get(unit, upload_id))
    if found is None or found.client != caller.key_id:
        raise NotFound("no such upload")
    return found


def _must_end_at(found: Upload, offset: int) -> None:
    if found.state is not UploadState.OPEN:
        raise Conflict(
            "the upload is whole" if found.sha256 else "the upload was given up", code="upload_whole"
        )
    if offset != found.got:
        raise Conflict(f"the upload ends at {found.got}", code="upload_offset")


def _must_speak_tus(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise BadInput(f"send Tus-Resumable: {VERSION}", code="bad_tus_version")


def _number(request: Request, header: str) -> int:
    said = request.headers.get(header, "")
    if not _NUMBER.fullmatch(said):
        raise BadInput(f"{header} is a number of bytes", code="bad_request")
    return int(said)


def _metadata(said: str) -> dict[str, str]:
    """``filename 5aaC…,filetype aW1h…``: names, each with Base64. Raises BadInput."""
    found: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in said[:4000].split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadInput("Upload-Metadata holds Base64 of UTF-8", code="bad_request") from None
    return found


def _stand(found: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(found.got if found.state is UploadState.OPEN else found.length),
               "Upload-Length": str(found.length)}  # fmt: skip
    if found.state is UploadState.OPEN:
        headers["Upload-Expires"] = format_datetime(found.next_due, usegmt=True)
    return TOLD | headers


def _shape(found: Upload) -> dict[str, Any]:
    links = {"self": f"/v1/uploads/{found.id}", "report": f"/v1/reports/{found.report}"}
    if found.sha256:
        links["attachment"] = f"/v1/reports/{found.report}/attachments/{found.sha256}"
    return {"id": found.id, "state": found.state.value, "length": found.length,
            "offset": found.got if found.state is UploadState.OPEN else found.length,
            "sha256": found.sha256 or None, "links": links}  # fmt: skip
