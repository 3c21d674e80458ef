"""The bytes of peers as they came: one row each, under UNIQUE(peer, hash of the bytes)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from domain.bulletin import ARRIVALS, ArrivalState
from store import bulk, journal, shelf
from store.inbox import INLINE
from store.tables_peers import bulletin_arrival as table
from store.tables_peers import peer as peers
from store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class Arriving:
    """Bytes that are to be stored; `blob` names the durable file of those larger than a row takes."""

    id: str
    peer: str
    raw: bytes
    media_type: str
    url: str = ""
    signature: str = ""
    blob: str = ""
    at: datetime

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.raw).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Stored bytes of a peer."""

    id: str
    peer: str
    raw: bytes
    media_type: str
    url: str
    signature: str
    received_at: datetime
    state: ArrivalState
    tries: int


def keep_many(unit: Unit, arriving: Sequence[Arriving]) -> list[tuple[str, bool]]:
    """Store what came, in one statement a table: (id, whether it is new) of each; the first one's id for a repeat."""
    first: dict[tuple[str, str], Arriving] = {}
    for one in arriving:
        first.setdefault((one.peer, one.sha256), one)
    rows = [_row(one) for one in first.values()]
    new = list(first.values())
    known: dict[tuple[str, str], str] = {}
    if bulk.add_new(unit, table, rows) < len(rows):
        known = _known(unit, new)
        new = [one for one in new if known[one.peer, one.sha256] == one.id and not _is_begun(unit, one.id)]
    journal.begin_streams(unit, [
        journal.First(kind="bulletin", entity=one.id, act="receive", by=f"peer:{one.peer}", at=one.at,
                      detail={"sha256": one.sha256, "size": len(one.raw)})
        for one in new
    ])  # fmt: skip
    for peer_id in {one.peer for one in arriving}:
        at = max(one.at for one in arriving if one.peer == peer_id)
        unit.execute(peers.update().where(peers.c.id == peer_id, peers.c.kind == "push").values(heard_at=at))
    fresh = {one.id for one in new}
    told = [(known.get((one.peer, one.sha256)) or first[one.peer, one.sha256].id, one.id) for one in arriving]
    return [(found, found == own and own in fresh) for found, own in told]


def load(unit: Unit, arrival_id: str, get: Callable[[str], bytes]) -> Arrival | None:
    """The bytes with what is known of them, None for an unknown id."""
    row = unit.row(sa.select(table).where(table.c.id == arrival_id))
    if row is None:
        return None
    return Arrival(
        id=row.id, peer=row.peer, raw=get(row.blob) if row.blob else row.raw, media_type=row.media_type, url=row.url,
        signature=row.signature, received_at=row.received_at, state=ArrivalState(row.state), tries=row.tries,
    )  # fmt: skip


def due(unit: Unit, at: datetime, limit: int = 200) -> list[str]:
    """Ids of those that wait to be read, oldest first."""
    t = table.c
    query = (
        sa.select(t.id).where(t.state == ArrivalState.RECEIVED.value, t.next_due <= at).order_by(t.next_due)
    )
    return [row.id for row in unit.rows(query.limit(limit))]


def postpone(unit: Unit, arrival_id: str, until: datetime) -> None:
    """Count a try that failed for a passing reason."""
    t = table.c
    unit.execute(table.update().where(t.id == arrival_id).values(tries=t.tries + 1, next_due=until))


def move(unit: Unit, arrival: Arrival, action: str) -> bool:
    """Compare-and-set of the state; False if another worker was first."""
    after = ARRIVALS.after(arrival.state, action)
    t = table.c
    is_still = (t.id == arrival.id, t.state == arrival.state.value)
    return unit.execute(table.update().where(*is_still).values(state=after.value)).rowcount == 1


def shelve(unit: Unit, arrival: Arrival, reason: str, at: datetime) -> bool:
    """Nothing could be made of it; its bytes stay in the row. False if another worker was first."""
    if not move(unit, arrival, "shelve"):
        return False
    shelf.put(unit, "bulletin", reason[:60], origin=arrival.id, at=at)
    journal.append(unit, "bulletin", arrival.id, "shelve", by="system", at=at, detail={"reason": reason[:60]})
    return True


def reprocess(unit: Unit, arrival_id: str, *, by: str, at: datetime) -> bool:
    """Read it anew, as if it had just come. False if it does not lie on the shelf."""
    t = table.c
    after = ARRIVALS.after(ArrivalState.SHELVED, "reprocess").value
    is_lying = (t.id == arrival_id, t.state == ArrivalState.SHELVED.value)
    if unit.execute(table.update().where(*is_lying).values(state=after, next_due=at, tries=0)).rowcount != 1:
        return False
    journal.append(unit, "bulletin", arrival_id, "reprocess", by=by, at=at)
    return True


def counts(unit: Unit) -> dict[str, int]:
    """State -> how many."""
    t = table.c
    return {
        row.state: row.n
        for row in unit.rows(sa.select(t.state, sa.func.count().label("n")).group_by(t.state))
    }


def _row(one: Arriving) -> dict[str, Any]:
    return {
        "id": one.id, "peer": one.peer, "sha256": one.sha256, "media_type": one.media_type[:120], "url": one.url[:2000],
        "signature": one.signature[:600], "raw": None if one.blob or len(one.raw) > INLINE else one.raw,
        "blob": one.blob or None, "received_at": one.at, "state": ArrivalState.RECEIVED.value, "next_due": one.at,
    }  # fmt: skip


def _known(unit: Unit, arriving: Sequence[Arriving]) -> dict[tuple[str, str], str]:
    t = table.c
    query = sa.select(t.id, t.peer, t.sha256).where(t.sha256.in_([one.sha256 for one in arriving]))
    return {(row.peer, row.sha256): row.id for row in unit.rows(query)}


def _is_begun(unit: Unit, arrival_id: str) -> bool:
    """A frame of the spool whose first COMMIT was not answered comes again under the id it has."""
    return journal.last(unit, "bulletin", arrival_id) is not None
