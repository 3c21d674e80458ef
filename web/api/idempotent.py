"""A POST that may be repeated: its answer is kept in the transaction of its effect."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse

from domain.errors import BadInput, CommitUnknown, Conflict, HubError
from hub.wiring import Hub
from intake import desk
from intake.desk import Asked
from store import idempotency
from store.idempotency import Knock
from store.unit import Unit
from web.api.bodies import idempotency_key
from web.api.caller import Caller, hub_of, store_of

PATIENCE_SECONDS = 2.0  # MODEL.md: a repeat waits for the first, then hears 409

Effect = Callable[[Unit], tuple[int, Any]]
Submit = Callable[[Callable[[Unit], Any]], "Future[Any]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Status and JSON body, and whether they are those of an earlier request."""

    status: int
    body: Any
    is_replay: bool

    def response(self, **headers: str) -> JSONResponse:
        """The answer, marked when it is a repeat."""
        if self.is_replay:
            headers["Idempotent-Replayed"] = "true"
        return JSONResponse(self.body, self.status, headers=headers)


class InFlight:
    """The knocks that this process is working on; one event loop owns it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str], asyncio.Event] = {}

    async def enter(self, knock: Knock) -> None:
        """Wait for a twin, at most PATIENCE_SECONDS. Raises Conflict(idempotency_in_flight)."""
        name = (knock.client, knock.route, knock.key)
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while (twin := self._open.get(name)) is not None:
            try:
                await asyncio.wait_for(twin.wait(), max(0.0, end - asyncio.get_running_loop().time()))
            except TimeoutError:
                raise Conflict(
                    "the first request with this key still runs", code="idempotency_in_flight"
                ) from None
        self._open[name] = asyncio.Event()

    def leave(self, knock: Knock) -> None:
        """Let a waiting twin go on; it will find the stored answer."""
        self._open.pop((knock.client, knock.route, knock.key)).set()


def knock_of(request: Request, caller: Caller, fingerprint: str, *, is_required: bool) -> Knock | None:
    """The POST under its key, None when it has none. Raises BadInput."""
    if not idempotency_key(request, is_required=is_required):
        return None
    return required_knock(request, caller, fingerprint)


def required_knock(request: Request, caller: Caller, fingerprint: str) -> Knock:
    """The POST under the key that it must have. Raises BadInput."""
    key = idempotency_key(request, is_required=True)
    return Knock(
        client=caller.key_id, route=f"POST {request.url.path}"[:120], key=key, fingerprint=fingerprint
    )


async def replayed(hub: Hub, knock: Knock | None) -> Outcome | None:
    """The stored answer of an earlier time, None for a new knock. Raises BadInput(idempotency_key_reused)."""
    if knock is None:
        return None
    known = await anyio.to_thread.run_sync(hub.store.read, lambda unit: idempotency.replay(unit, knock))
    return Outcome(status=known[0], body=known[1], is_replay=True) if known else None


async def once(
    request: Request, knock: Knock | None, effect: Effect, submit: Submit | None = None
) -> Outcome:  # fmt: skip
    """Run `effect` in one transaction, or give the stored answer of its first time.

    `submit` takes the transaction instead of the store as this caller sees it: to write down a refusal, or because a
    door takes in what it may not show. Raises what
    `effect` raises (nothing is kept then), BadInput(idempotency_key_reused), Conflict, Unavailable.
    """
    hub = hub_of(request)
    submit = submit or store_of(request).submit
    if knock is None:
        status, body = await asyncio.wrap_future(submit(effect))
        return Outcome(status=status, body=body, is_replay=False)

    def work(unit: Unit) -> Outcome:
        known = idempotency.replay(unit, knock)
        if known is not None:
            return Outcome(status=known[0], body=known[1], is_replay=True)
        status, body = effect(unit)
        idempotency.keep(unit, knock, status, body, hub.clock())
        return Outcome(status=status, body=body, is_replay=False)

    return await _alone(request, knock, lambda: asyncio.wrap_future(submit(work)))


async def once_kept(request: Request, asked: Asked) -> Outcome:
    """Keep a message and the answer to its POST, together with whoever else waits for that; else as once()."""

    async def run() -> Outcome:
        found = await hub_of(request).store.item(desk.receive_asked, asked)
        if isinstance(found, BadInput):
            raise found
        return Outcome(status=found.status, body=found.body, is_replay=found.is_replay)

    return await _alone(request, asked.knock, run)


async def _alone(request: Request, knock: Knock, run: Callable[[], Awaitable[Outcome]]) -> Outcome:
    in_flight = request.app.state.in_flight
    await in_flight.enter(knock)
    # A caller that hangs up cancels this task, not the work: its twin must wait for the end all the same.
    work = asyncio.ensure_future(_kept(hub_of(request), knock, run))
    work.add_done_callback(lambda _: in_flight.leave(knock))
    return await asyncio.shield(work)


async def _kept(hub: Hub, knock: Knock, run: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        return await run()
    except BadInput:
        raise
    except Exception as error:
        # Unknown COMMIT, or a twin in another process took the key between our look and our insert.
        if isinstance(error, HubError) and not isinstance(error, CommitUnknown):
            raise
        known = await replayed(hub, knock)
        if known is None:
            raise
        return known
