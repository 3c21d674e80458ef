"""The intake desk at the door: keep what came as it came, then the door may answer."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from domain.errors import BadInput, HubError, Unavailable
from domain.ids import mint, short_code
from domain.report import Inbound, Kept
from intake.spool import TOLD, Spool
from store import idempotency, inbox, shelf
from store.blobs import Blobs, note
from store.database import Store
from store.idempotency import Knock
from store.inbox import Arriving
from store.unit import Unit

TURN_SECONDS = 20.0  # a third of what a step of the sweep may take before its process is taken for dead
KNOCK = "knock"  # in the meta of a message that waits: what its repeats are answered
TOGETHER, TOGETHER_BYTES = (
    100,
    8 << 20,
)  # frames of one COMMIT: 20,000 take some ten seconds, alone they take minutes


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


async def take(inbound: Inbound, *, store: Store, blobs: Blobs, spool: Spool, at: datetime) -> Kept:
    """What a door awaits before it says "taken": in the database, or in the spool when that is down.

    Safe to repeat. Raises Unavailable when the message could be kept nowhere.
    """
    minted = mint_names(at)
    try:
        blob = await keep_large(inbound.raw, blobs)
        arriving = Arriving(inbound=inbound, minted=minted, blob=blob, at=at)
        return await store.item(receive_many, arriving)
    except (Unavailable, OSError):  # an unknown COMMIT too: the drain finds the row by its key
        return await asyncio.to_thread(spool.put, inbound, minted)


async def keep_large(raw: bytes, blobs: Blobs) -> str:
    """Store bytes that are too large for a row, durably, before the row; '' if they fit."""
    return await asyncio.to_thread(blobs.put, raw) if len(raw) > inbox.INLINE else ""


def drain(spool: Spool, *, store: Store, blobs: Blobs, at: datetime) -> list[str]:
    """Bring what waits in the spool into the database, oldest first; ids of the fresh rows. A turn ends; the next goes on.

    Stops with Unavailable as soon as the database does. A torn frame, and one that the database refuses, goes to the
    shelf and stays on disk: it holds up no other.
    """
    fresh: list[str] = []
    end = time.monotonic() + TURN_SECONDS
    for some in _together(spool, store, at):
        if time.monotonic() > end:
            break
        try:
            fresh += _kept(spool, some, store, blobs, at)
        except (HubError, OSError):
            raise
        except Exception:  # one of them: each alone, and the others must not pay for it
            for one in some:
                try:
                    fresh += _kept(spool, [one], store, blobs, at)
                except (HubError, OSError):
                    raise
                except Exception:
                    store.run(
                        partial(shelf.put, kind="spool", reason="frame_refused", origin=one.path.name, at=at)
                    )
                    spool.set_aside(one.path)
    return fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A whole frame of the spool."""

    path: Path
    inbound: Inbound
    minted: Kept


def _together(spool: Spool, store: Store, at: datetime) -> Iterator[list[_Frame]]:
    """Whole frames in their order, as many at once as one COMMIT and the memory take; the torn ones go to the shelf."""
    some: list[_Frame] = []
    for path, inbound, minted in spool.read():
        if inbound is None or minted is None:
            aside = spool.set_aside(path)
            store.run(partial(shelf.put, kind="spool", reason="torn_frame", origin=aside.name, at=at))
            continue
        some.append(_Frame(path=path, inbound=inbound, minted=minted))
        if len(some) >= TOGETHER or sum(len(one.inbound.raw) for one in some) >= TOGETHER_BYTES:
            yield some
            some = []
    if some:
        yield some


def _kept(spool: Spool, some: Sequence[_Frame], store: Store, blobs: Blobs, at: datetime) -> list[str]:
    """Keep frames in one transaction and end them; ids of the fresh rows."""
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

    kept = store.run(work)
    for one in some:
        spool.done(one.path)
    return [one.inbound_id for one in kept if one.is_fresh]


def _bare(inbound: Inbound) -> Inbound:
    """The message without what the spool needed to know of it."""
    return replace(inbound, meta={k: v for k, v in inbound.meta.items() if k not in (KNOCK, TOLD)})


def _answer(unit: Unit, frame: _Frame, kept: Kept, at: datetime) -> None:
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
        idempotency.keep(unit, known, 201, knock["body"], at)
