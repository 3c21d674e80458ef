"""The bytes of peers as they came: one row each, under UNIQUE(peer, hash of the bytes)."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from domain.bulletin import ARRIVALS, ArrivalState
from domain.proof import looks_like_one
from store import bulk, journal, shelf
from store.inbox import INLINE
from store.tables_peers import bulletin_arrival as table
from store.tables_peers import peer as peers
from store.unit import Unit

COUNTERSIGNED = 8  # later signatures that wait to be looked at; a good one is in the bulletin when more come


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
    """Stored bytes of a peer; none where they bore a mark of secrecy and lie elsewhere."""

    id: str
    peer: str
    raw: bytes
    media_type: str
    url: str
    signature: str
    countersigned: str  # JSON, as it was when this was read
    received_at: datetime
    state: ArrivalState
    tries: int

    @property
    def signatures(self) -> list[str]:
        """All that came with these bytes, the first one first."""
        return [one for one in (self.signature, *json.loads(self.countersigned)) if one]


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
        journal.First(kind="bulletin", entity=one.id, act=_act(one), by=f"peer:{one.peer}", at=one.at,
                      detail={"sha256": one.sha256, "size": len(one.raw)})
        for one in new
    ])  # fmt: skip
    for peer_id in {one.peer for one in arriving}:
        at = max(one.at for one in arriving if one.peer == peer_id)
        unit.execute(peers.update().where(peers.c.id == peer_id, peers.c.kind == "push").values(heard_at=at))
    fresh = {one.id for one in new}
    told = [(known.get((one.peer, one.sha256)) or first[one.peer, one.sha256].id, one.id) for one in arriving]
    for one, (found, own) in zip(arriving, told, strict=True):
        if one.signature and not (found == own and own in fresh):
            _countersign(unit, found, one)
    return [(found, found == own and own in fresh) for found, own in told]


def load(unit: Unit, arrival_id: str, get: Callable[[str], bytes]) -> Arrival | None:
    """The bytes with what is known of them, None for an unknown id."""
    row = unit.row(sa.select(table).where(table.c.id == arrival_id))
    if row is None:
        return None
    return Arrival(
        id=row.id, peer=row.peer, raw=get(row.blob) if row.blob else row.raw or b"", media_type=row.media_type, url=row.url,
        signature=row.signature, countersigned=row.countersigned, received_at=row.received_at,
        state=ArrivalState(row.state), tries=row.tries,
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
    """Compare-and-set of the state; False if another worker was first, or a signature came meanwhile."""
    after = ARRIVALS.after(arrival.state, action)
    t = table.c
    is_seen = t.countersigned == arrival.countersigned
    is_still = (t.id == arrival.id, t.state == arrival.state.value, is_seen)
    return unit.execute(table.update().where(*is_still).values(state=after.value)).rowcount == 1


def shelve(unit: Unit, arrival: Arrival, reason: str, at: datetime) -> bool:
    """Nothing could be made of it; its bytes stay in the row. False if another worker was first."""
    if not move(unit, arrival, "shelve"):
        return False
    _shelved(unit, arrival.id, reason, at)
    return True


def set_aside(unit: Unit, arrival_id: str, reason: str, at: datetime) -> bool:
    """Shelve one that cannot even be opened; False when it does not wait any more."""
    t = table.c
    after = ARRIVALS.after(ArrivalState.RECEIVED, "shelve").value
    waiting = (t.id == arrival_id, t.state == ArrivalState.RECEIVED.value)
    if unit.execute(table.update().where(*waiting).values(state=after)).rowcount != 1:
        return False
    _shelved(unit, arrival_id, reason, at)
    return True


def tries(unit: Unit, arrival_id: str) -> int | None:
    """How often reading it has failed; None when it does not wait to be read."""
    t = table.c
    waiting = (t.id == arrival_id, t.state == ArrivalState.RECEIVED.value)
    found: int | None = unit.scalar(sa.select(t.tries).where(*waiting))
    return found


def forget_bytes(unit: Unit, arrival_id: str) -> None:
    """They are kept elsewhere: row, hash and journal stay."""
    unit.execute(table.update().where(table.c.id == arrival_id).values(raw=None, blob=None))


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


def _shelved(unit: Unit, arrival_id: str, reason: str, at: datetime) -> None:
    shelf.put(unit, "bulletin", reason[:60], origin=arrival_id, at=at)
    journal.append(unit, "bulletin", arrival_id, "shelve", by="system", at=at, detail={"reason": reason[:60]})


def _countersign(unit: Unit, arrival_id: str, one: Arriving) -> None:
    """Bytes that are here came with another signature: they are read again, and it may say more than the first."""
    t, signature = table.c, one.signature[:600]
    query = sa.select(t.signature, t.countersigned, t.state).where(t.id == arrival_id)
    row = unit.row(unit.locked(query))
    before = json.loads(row.countersigned) if row else []
    if row is None or signature in (row.signature, *before):
        return
    values: dict[str, Any] = {"countersigned": json.dumps([*before, signature][-COUNTERSIGNED:])}
    if ARRIVALS.allows(ArrivalState(row.state), "countersign"):
        after = ARRIVALS.after(ArrivalState(row.state), "countersign")
        values |= {"state": after.value, "tries": 0, "next_due": one.at}
    unit.execute(table.update().where(t.id == arrival_id).values(values))
    journal.append(unit, "bulletin", arrival_id, "countersign", by=f"peer:{one.peer}", at=one.at)


def held(unit: Unit, peer: str, hashes: Sequence[str]) -> set[str]:
    """Which of these SHA-256 are of something that this peer sent."""
    t = table.c
    rows = unit.rows(sa.select(t.sha256).where(t.peer == peer, t.sha256.in_(hashes))) if hashes else ()
    return {row.sha256 for row in rows}


def _act(one: Arriving) -> str:
    return journal.PROOF if looks_like_one(one.raw) else "receive"


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
