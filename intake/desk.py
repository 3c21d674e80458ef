"""The intake desk at the door: keep what came as it came, then the door may answer."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from domain.errors import HubError, Unavailable
from domain.ids import mint, short_code
from domain.report import Inbound, Kept
from intake.spool import Spool
from store import inbox, shelf
from store.blobs import Blobs, note
from store.database import Store
from store.inbox import Arriving
from store.unit import Unit


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
    """Bring what waits in the spool into the database, oldest first; ids of the fresh rows.

    Stops with Unavailable as soon as the database does. A torn frame, and one that the database refuses, goes to the
    shelf and stays on disk: it holds up no other.
    """
    fresh: list[str] = []
    for path, inbound, minted in spool.read():
        if inbound is None or minted is None:
            aside = spool.set_aside(path)
            store.run(partial(shelf.put, kind="spool", reason="torn_frame", origin=aside.name, at=at))
            continue
        blob = blobs.put(inbound.raw) if len(inbound.raw) > inbox.INLINE else ""

        def keep(unit: Unit, inbound: Inbound = inbound, minted: Kept = minted, blob: str = blob) -> Kept:
            return receive(unit, inbound, minted, blob=blob, at=at)

        try:
            kept = store.run(keep)
        except (HubError, OSError):
            raise
        except Exception:
            store.run(partial(shelf.put, kind="spool", reason="frame_refused", origin=path.name, at=at))
            spool.set_aside(path)
            continue
        spool.done(path)
        if kept.is_fresh:
            fresh.append(kept.inbound_id)
    return fresh
