"""GET /v1/events and /v1/stream: what changed, by ids, in an order that skips nothing."""

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from domain.errors import BadInput, NotAllowed
from domain.person import Scope
from store import inbox, journal, stream
from store.stream import Cursor
from store.unit import Unit
from web import live
from web.api.caller import Caller, caller_of, hub_of, store_of
from web.api.described import READS
from web.events import EventStream
from web.live import KINDS, Entry, Live

router = APIRouter(tags=["changes"])
LONGEST_MARK = 200  # characters; ours have 43
_STREAM = {
    **READS,
    200: {"description": "events `report`, `release`, ... with {kind, id, act, at}; `beat`; `reset`: read "
          "everything anew; `bye`", "content": {"text/event-stream": {}}},
}  # fmt: skip


@router.get("/events", responses=READS)
async def events(
    request: Request,
    after: Annotated[str | None, Query(max_length=LONGEST_MARK, description="`next_cursor` of the last answer")]
    = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> JSONResponse:  # fmt: skip
    """Oldest first, from the beginning without `after`. `next_cursor` is where to ask again, at the end too."""
    hub, caller = hub_of(request), await _reader(request)
    cursor = live.read(hub.keys.cursor, after) if after else Cursor()

    def work(unit: Unit) -> tuple[list[Any], list[Any]]:
        if cursor > stream.head(unit):
            raise BadInput("this cursor is ahead of the journal", code="bad_cursor")
        rows = stream.after(unit, cursor, limit)
        return rows, [
            row for row in rows if row.act != journal.PROOF and _is_shown(unit, caller, row.kind, row.entity)
        ]

    rows, shown = await anyio.to_thread.run_sync(store_of(request).read, work)
    reached = Cursor(rows[-1].xid, rows[-1].seq) if rows else cursor
    data = [
        {"kind": row.kind, "id": row.entity, "act": row.act, "at": row.at.isoformat(),
         "cursor": live.write(hub.keys.cursor, Cursor(row.xid, row.seq))}
        for row in shown
    ]  # fmt: skip
    return JSONResponse({"data": data, "next_cursor": live.write(hub.keys.cursor, reached)})


@router.get("/stream", responses=_STREAM)
async def changes(request: Request) -> Response:
    """Server-sent events as they happen; with ``Last-Event-ID`` also those since then."""
    hub, caller = hub_of(request), await _reader(request)
    mark = request.headers.get("last-event-id", "")
    if len(mark) > LONGEST_MARK:
        raise BadInput("this is no place in the stream", code="bad_cursor")
    cursor, must_reload = await live.begin(hub, mark)
    running: Live = request.app.state.live
    listener = await running.open(caller.key_id, cursor)

    async def why_not() -> str:
        try:
            return "" if await caller_of(request) == caller else "session"
        except NotAllowed:
            return "session"

    async def choose(batch: Sequence[Entry]) -> Sequence[Entry]:
        return await _chosen(request, caller, batch)

    return EventStream(hub, running, listener, must_reload=must_reload, choose=choose, why_not=why_not)


async def _reader(request: Request) -> Caller:
    caller = await caller_of(request)
    caller.must_hold(Scope.READ, Scope.DESK)
    return caller


async def _chosen(request: Request, caller: Caller, batch: Sequence[Entry]) -> Sequence[Entry]:
    wanted = [entry for entry in batch if entry.is_told(caller.eyes)]
    if caller.sees_all or not wanted:
        return wanted

    def work(unit: Unit) -> list[Entry]:
        return [entry for entry in wanted if _is_shown(unit, caller, entry.kind, entry.entity)]

    return await anyio.to_thread.run_sync(store_of(request).read, work)


def _is_shown(unit: Unit, caller: Caller, kind: str, entity: str) -> bool:
    """A department hears of its own reports only; ids of others would tell how much happens (H110)."""
    if caller.sees_all:
        return kind in KINDS
    arrived = inbox.by_report(unit, entity) if kind == "report" else None
    return arrived is not None and caller.may_know(arrived.organisation)
