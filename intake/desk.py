"""The intake desk at the door: keep what came as it came, then the door may answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.errors import BadInput, Unavailable
from domain.ids import mint, short_code
from domain.report import Inbound, Kept
from intake import draining
from intake.draining import Frame
from intake.spool import TOLD, Spool
from store import idempotency, inbox
from store.blobs import Blobs, note
from store.database import Store
from store.idempotency import Knock
from store.inbox import Arriving
from store.unit import Unit

CREATED = 201
SMALL = 32 * 1024  # bytes that a loop seals and writes itself; a thread does that beside it with more
KNOCK = "knock"  # in the meta of a message that waits: what its repeats are answered


def mint_names(at: datetime) -> Kept:
    """The names that a fresh message gets before it is stored, so that the door can answer with them."""
    return Kept(inbound_id=mint("inb", at), report_id=mint("rep", at), code=short_code(), is_fresh=True)


def receive(unit: Unit, inbound: Inbound, minted: Kept, *, blob: str = "", at: datetime) -> Kept:
    """Keep a message in the caller's transaction; a repeat answers with the first names."""
    return receive_many(unit, [Arriving(inbound=inbound, minted=minted, blob=blob, at=at)])[0]


def receive_many(unit: Unit, arriving: Sequence[Arriving]) -> list[Kept]:
    """Keep messages in the caller's transaction: for each its names, those of the first one for a repeat."""
    for one in arriving:
        if one.blob:
            note(unit, one.blob, len(one.inbound.raw), one.inbound.handling, one.at)
    return inbox.keep_many(unit, arriving)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A message that came by a POST under a key; `told` makes the body of its answer."""

    arriving: Arriving
    knock: Knock
    told: Callable[[Kept], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What its POST is answered, and whether that was kept an earlier time."""

    status: int
    body: Any
    is_replay: bool


def receive_asked(unit: Unit, asked: Sequence[Asked]) -> list[Answered | BadInput]:
    """Keep messages with the answers to their POSTs, in the caller's transaction; a refusal for a key that was reused."""
    known = idempotency.replays(unit, [one.knock for one in asked])
    fresh = [one for one in asked if one.knock not in known]
    kept = receive_many(unit, [one.arriving for one in fresh])
    bodies = {one.knock: one.told(names) for one, names in zip(fresh, kept, strict=True)}
    if fresh:
        answers = [(knock, CREATED, body) for knock, body in bodies.items()]
        idempotency.keep_many(unit, answers, max(one.arriving.at for one in fresh))
    return [
        Answered(status=CREATED, body=bodies[one.knock], is_replay=False)
        if one.knock in bodies
        else _again(known[one.knock])
        for one in asked
    ]


def _again(known: "tuple[int, Any] | BadInput") -> "Answered | BadInput":
    return known if isinstance(known, BadInput) else Answered(status=known[0], body=known[1], is_replay=True)


async def take(inbound: Inbound, *, store: Store, blobs: Blobs, spool: Spool, at: datetime) -> Kept:
    """What a door awaits before it says "taken": in the database, or in the spool when that is down.

    Safe to repeat. Raises Unavailable when the message could be kept nowhere.
    """
    minted = mint_names(at)
    try:
        blob = await keep_large(inbound.raw, blobs)
        arriving = Arriving(inbound=inbound, minted=minted, blob=blob, at=at)
        return await store.item(receive_many, arriving, is_one_statement=len(inbound.raw) <= SMALL)
    except (Unavailable, OSError):  # an unknown COMMIT too: the drain finds the row by its key
        return await asyncio.to_thread(spool.put, inbound, minted)


async def keep_large(raw: bytes, blobs: Blobs) -> str:
    """Store bytes that are too large for a row, durably, before the row; '' if they fit."""
    return await asyncio.to_thread(blobs.put, raw) if len(raw) > inbox.INLINE else ""


def drain(spool: Spool, *, store: Store, blobs: Blobs, clock: Callable[[], datetime]) -> list[str]:
    """Bring what waits in the spool into the database, as draining.drain() does; ids of the fresh rows."""
    return draining.drain(spool, lambda some: _kept(some, store, blobs, clock()), store=store, clock=clock)


def _kept(some: Sequence[Frame], store: Store, blobs: Blobs, at: datetime) -> list[str]:
    """Keep frames in one transaction; ids of the fresh rows."""
    arriving = [
        Arriving(inbound=_bare(one.inbound), minted=one.minted, at=at,
                 blob=blobs.put(one.inbound.raw) if len(one.inbound.raw) > inbox.INLINE else "")
        for one in some
    ]  # fmt: skip

    def work(unit: Unit) -> list[Kept]:
        kept = receive_many(unit, arriving)
        for one, names in zip(some, kept, strict=True):
            _answer(unit, one, names, at)
        return kept

    return [one.inbound_id for one in store.run(work) if one.is_fresh]


def _bare(inbound: Inbound) -> Inbound:
    """The message without what the spool needed to know of it."""
    return replace(inbound, meta={k: v for k, v in inbound.meta.items() if k not in (KNOCK, TOLD)})


def _answer(unit: Unit, frame: Frame, kept: Kept, at: datetime) -> None:
    """Keep what the door has answered, for the repeats of a POST under its key.

    Raises ValueError for other words under a key that the database knows: they are not in it, and go to the shelf.
    """
    knock = frame.inbound.meta.get(KNOCK)
    if not isinstance(knock, Mapping):
        return
    told = str(frame.inbound.meta.get(TOLD, ""))
    known = Knock(client=knock["client"], route=knock["route"], key=knock["key"], fingerprint=told)
    try:
        is_known = idempotency.replay(unit, known) is not None
    except BadInput as error:
        raise ValueError(error.code) from None
    if not is_known and kept.inbound_id == frame.minted.inbound_id:
        idempotency.keep(unit, known, CREATED, knock["body"], at)
