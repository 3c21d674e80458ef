"""What officers and whoever reported say to each other about a report; a department fetches here what it is asked."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from domain.errors import BadInput, NotFound
from domain.exchange import API, MOST, Line
from domain.ids import mint
from domain.person import Scope
from duty import exchanges as duty
from store import exchanges, inbox
from store.unit import Unit
from web.api import shapes
from web.api.bodies import Body, checked, json_object
from web.api.caller import caller_of, fingerprint, hub_of, store_of
from web.api.described import ACTS, READS, body_of
from web.api.idempotent import knock_of, once

router = APIRouter(tags=["reports"])


class Words(Body):
    """What is written; one of text, ask and ask_again is needed."""

    text: Annotated[str, Field(max_length=MOST)] = ""
    ask: Annotated[list[str], Field(max_length=8, description="missing elements", default_factory=list)]
    ask_again: Annotated[
        list[str], Field(max_length=8, description="elements that are known; counted", default_factory=list)
    ]


@router.get("/reports/{report_id}/messages", responses=READS)
async def listing(request: Request, report_id: str) -> JSONResponse:
    """All of it in order. What the duty room wrote counts as fetched once the department's own key has read it."""
    hub, caller = hub_of(request), await caller_of(request)
    caller.must_hold(Scope.READ, Scope.REPORT, Scope.DESK)
    at = hub.clock()

    def work(unit: Unit) -> tuple[list[Line], bool]:
        first = inbox.by_report(unit, report_id)
        if first is None or not caller.may_know(first.organisation):
            raise NotFound("no such report")
        lines = exchanges.of_report(unit, report_id)
        is_theirs = first.channel == "api" and caller.organisation == first.organisation
        return lines, is_theirs and any(one.is_ours and one.fetched_at is None for one in lines)

    lines, is_news = await anyio.to_thread.run_sync(store_of(request).read, work)
    if is_news:
        fetched = store_of(request).submit(lambda unit: exchanges.note_fetched(unit, report_id, API, at))
        await anyio.to_thread.run_sync(fetched.result)
    return JSONResponse({"data": [_shape(line) for line in lines], "next_cursor": None})


@router.post("/reports/{report_id}/messages", status_code=201, responses=ACTS, openapi_extra=body_of(Words))
async def write(request: Request, report_id: str) -> JSONResponse:
    """Write to whoever reported, on the channel that the report came from; to nobody else."""
    hub, caller = hub_of(request), await caller_of(request)
    person = caller.acting(Scope.DESK)
    raw, value = await json_object(request)
    body, at = checked(Words, value), hub.clock()
    line_id, parcels = mint("exc", at), []
    if hub.filing.entering.acknowledger is None:
        raise BadInput("there is no way to write", code="no_way")

    def effect(unit: Unit) -> tuple[int, Any]:
        parcels.append(duty.answer(
            unit, report_id, by=person, at=at, line_id=line_id, text=body.text, elements=body.ask,
            again=body.ask_again, writer=hub.filing.entering.acknowledger,
        ))  # fmt: skip
        (line,) = (one for one in exchanges.of_report(unit, report_id) if one.id == line_id)
        return 201, _shape(line)

    knock = knock_of(request, caller, fingerprint(raw), is_required=True)
    outcome = await once(request, knock, effect)
    for parcel in parcels:
        if parcel:
            hub.bell("deliver", parcel)
    return outcome.response(Location=f"/v1/reports/{report_id}/messages")


def _shape(line: Line) -> dict[str, Any]:
    return {
        "id": line.id, "from": "duty_room" if line.is_ours else "reporter", "channel": line.channel, "text": line.text,
        "at": shapes.instant(line.at), "asks": list(line.elements), "asked_again": line.again,
        "state": line.state or None, "fetched_at": shapes.instant(line.fetched_at), "version": line.version,
        "report": line.separated or None,
    }  # fmt: skip
