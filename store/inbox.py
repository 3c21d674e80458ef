"""The doors' rows: one per message, under UNIQUE(channel, external id)."""

import hashlib
import json
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.handling import Handling
from domain.ids import short_code
from domain.proof import looks_like_one
from domain.report import ARRIVALS, MOVES, PROGRESS, Arrival, Inbound, Kept, Progress, State
from store import bulk, journal, shelf
from store import tables as t
from store.unit import Unit
from store.vault import Key

MINTS = 3  # codes that are tried when the first is taken
INLINE = 256 * 1024  # bytes of raw kept in the row; larger ones are blobs, fsynced before the row

_KNOWN = sa.select(t.inbound.c.id, t.inbound.c.report, t.inbound.c.code, t.inbound.c.external_id).where(
    t.inbound.c.channel == sa.bindparam("of_channel"),
    t.inbound.c.external_id.in_(sa.bindparam("of_external_ids", expanding=True)),
)
_WAITING = sa.select(t.inbound).where(
    t.inbound.c.id.in_(sa.bindparam("ids", expanding=True)), t.inbound.c.state == Arrival.RECEIVED.value
)


@dataclass(frozen=True, kw_only=True)
class Arriving:
    """A message that is to be stored under the names it was given at the door.

    `blob` names the already durable file that holds `inbound.raw`, when it is larger than INLINE.
    """

    inbound: Inbound
    minted: Kept
    blob: str = ""
    at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """What n deliveries of one message share."""
        return self.inbound.channel, self.inbound.external_id

    @cached_property
    def sha256(self) -> str:
        """Of the raw bytes."""
        return hashlib.sha256(self.inbound.raw).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A stored message with the names it was given at the door."""

    id: str
    report_id: str
    code: str
    state: Arrival
    tries: int
    inbound: Inbound
    blob: str
    raw_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How far a report is, as whoever sent it may know it."""

    code: str
    progress: Progress
    received_at: datetime
    changed_at: datetime  # the last act upon it


def keep_many(unit: Unit, arriving: Sequence[Arriving]) -> list[Kept]:
    """Store messages as received, in one statement a table; a repeat answers with the names given the first time.

    Of two alike among them the second is a repeat of the first.
    """
    first: dict[tuple[str, str], Arriving] = {}
    for one in arriving:
        first.setdefault(one.key, one)
    stored = _add(unit, list(first.values()))
    return [
        stored[one.key] if one is first[one.key] else replace(stored[one.key], is_fresh=False)
        for one in arriving
    ]


def _add(unit: Unit, arriving: list[Arriving], tries: int = MINTS) -> dict[tuple[str, str], Kept]:
    """The names under which they are stored now: their own, or those of whoever was first.

    A code that another report has already (once in a million arrivals when there are a million) is minted again:
    one that the spool has told meanwhile leads to that other report, but no message is turned away for it.
    """
    new, stored = arriving, {}
    fresh = _written(unit, arriving)
    if len(fresh) < len(arriving):  # some are repeats; or somebody else has just been faster
        new = [one for one in arriving if one.minted.inbound_id in fresh]
        late = [one for one in arriving if one.minted.inbound_id not in fresh]
        stored = _known(unit, late)
        clashing = [one for one in late if one.key not in stored]
        if clashing and not tries:
            raise sa.exc.IntegrityError("inbound", None, ValueError("minted names are taken"))
        if clashing:
            renamed = [replace(one, minted=replace(one.minted, code=short_code())) for one in clashing]
            stored |= _add(unit, renamed, tries - 1)
    return stored | {one.key: one.minted for one in new}


def _written(unit: Unit, arriving: Sequence[Arriving]) -> Set[str]:
    """The ids of those whose rows were written now: with their keys, and the first entries of their streams."""
    wrapped: dict[str, bytes] = {}
    rows = [_row(unit, one, wrapped) for one in arriving]
    if unit.is_postgres:
        keys = [{"owner": owner, "wrapped": key} for owner, key in wrapped.items()]
        owned = bulk.Following(table=t.data_key, rows=keys, key="owner", of="report")
        return bulk.add_led(
            unit, t.inbound, rows, [owned, *journal.streams(unit, map(_first, arriving), of="id")]
        )
    new = arriving
    if bulk.add_new(unit, t.inbound, rows) < len(rows):
        fresh = _fresh(unit, arriving)
        new = [one for one in arriving if one.minted.inbound_id in fresh]
    keys = [{"owner": one.minted.report_id, "wrapped": wrapped[one.minted.report_id]} for one in new]
    if bulk.add_new(unit, t.data_key, keys) < len(keys):
        raise sa.exc.IntegrityError("data_key", None, ValueError("minted names are taken"))
    journal.begin_streams(unit, [_first(one) for one in new])
    return {one.minted.inbound_id for one in new}


def _fresh(unit: Unit, arriving: Sequence[Arriving]) -> set[str]:
    """The ids of those whose row was written just now.

    A message may come again under the very names it has: a frame of the spool whose first COMMIT was not
    answered. Row and key are of one transaction, so who has a key already is a repeat.
    """
    i, k = t.inbound.c, t.data_key.c
    names = [one.minted.inbound_id for one in arriving]
    has_key = sa.exists().where(k.owner == i.report)
    return {row.id for row in unit.rows(sa.select(i.id).where(i.id.in_(names), sa.not_(has_key)))}


def _known(unit: Unit, arriving: Sequence[Arriving]) -> dict[tuple[str, str], Kept]:
    """(channel, external id) -> the names of those that are stored already."""
    wanted: dict[str, list[str]] = {}
    for one in arriving:
        wanted.setdefault(one.inbound.channel, []).append(one.inbound.external_id)
    return {
        (channel, row.external_id): Kept(
            inbound_id=row.id, report_id=row.report, code=row.code, is_fresh=False
        )
        for channel, names in wanted.items()
        for row in unit.execute(_KNOWN, {"of_channel": channel, "of_external_ids": names})
    }


def _row(unit: Unit, one: Arriving, wrapped: dict[str, bytes]) -> dict[str, Any]:
    """The row of one message, sealed with a key of its own, which is put into `wrapped`."""
    inbound, minted = one.inbound, one.minted
    key, wrapped[minted.report_id] = unit.vault.new_key(minted.report_id)
    meta = json.dumps(dict(inbound.meta), ensure_ascii=False, sort_keys=True).encode()
    return {
        "id": minted.inbound_id,
        "report": minted.report_id,
        "code": minted.code,
        "channel": inbound.channel,
        "external_id": inbound.external_id,
        "media_type": inbound.media_type,
        "raw": None if one.blob else key.seal("inbound.raw", inbound.raw),
        "blob": one.blob or None,
        "raw_sha256": one.sha256,
        "sender": key.seal("inbound.sender", inbound.sender.encode()),
        "sender_index": index_of(unit, inbound.sender),
        "meta": key.seal("inbound.meta", meta),
        "organisation": inbound.organisation,
        "handling": inbound.handling.value,
        "received_at": inbound.received_at,
        "state": Arrival.RECEIVED.value,
        "next_due": one.at,
    }


def _first(one: Arriving) -> journal.First:
    detail = {"report": one.minted.report_id, "raw_sha256": one.sha256}
    act = journal.PROOF if looks_like_one(one.inbound.raw) else "receive"
    return journal.First(kind="inbound", entity=one.minted.inbound_id, act=act,
                         by=f"door:{one.inbound.channel}", at=one.at, detail=detail)  # fmt: skip


def load(unit: Unit, inbound_id: str, read_blob: Callable[[str], bytes]) -> Arrived | None:
    """The message and its names, opened; None if there is none."""
    row = unit.row(unit.locked(sa.select(t.inbound).where(t.inbound.c.id == inbound_id)))
    if row is None:
        return None
    return _opened(row, unit.vault.key(unit.connection, row.report), read_blob)


def waiting(unit: Unit, inbound_ids: Sequence[str], read_blob: Callable[[str], bytes]) -> list[Arrived]:
    """Those of these messages that wait to be filed, opened; in the order of `inbound_ids`."""
    rows = {row.id: row for row in unit.execute(_WAITING, {"ids": list(inbound_ids)})}
    found = [rows[name] for name in inbound_ids if name in rows]
    keys = unit.vault.keys(unit.connection, [row.report for row in found]) if found else {}
    return [_opened(row, keys[row.report], read_blob) for row in found]


def _opened(row: sa.Row[Any], key: Key, read_blob: Callable[[str], bytes]) -> Arrived:
    inbound = Inbound(
        channel=row.channel,
        external_id=row.external_id,
        raw=read_blob(row.blob) if row.blob else key.open("inbound.raw", row.raw),
        media_type=row.media_type,
        received_at=row.received_at,
        sender=key.open("inbound.sender", row.sender).decode(),
        meta=json.loads(key.open("inbound.meta", row.meta)),
        organisation=row.organisation,
        handling=Handling(row.handling),
    )
    return Arrived(
        id=row.id, report_id=row.report, code=row.code, state=Arrival(row.state), tries=row.tries,
        inbound=inbound, blob=row.blob or "", raw_sha256=row.raw_sha256,
    )  # fmt: skip


def named(unit: Unit, channel: str, external_id: str) -> str | None:
    """The id of the message that a door knows by this name."""
    i = t.inbound.c
    found: str | None = unit.scalar(sa.select(i.id).where(i.channel == channel, i.external_id == external_id))
    return found


def kept_at(unit: Unit, channel: str, external_id: str) -> datetime | None:
    """When the message of that name came in; None when none is stored."""
    i = t.inbound.c
    query = sa.select(i.received_at).where(i.channel == channel, i.external_id == external_id)
    found: datetime | None = unit.scalar(query)
    return found


def due(unit: Unit, at: datetime, limit: int = 200) -> list[str]:
    """Ids of messages that are durable and not yet filed, oldest first."""
    i = t.inbound.c
    query = sa.select(i.id).where(i.state == Arrival.RECEIVED.value, i.next_due <= at)
    return [row.id for row in unit.rows(query.order_by(i.next_due).limit(limit))]


def late(unit: Unit, before: datetime, limit: int) -> list[str]:
    """Those of due() whose bytes stand in their row: many of them may be opened at once."""
    i = t.inbound.c
    query = sa.select(i.id).where(i.state == Arrival.RECEIVED.value, i.next_due <= before, i.blob.is_(None))
    return [row.id for row in unit.rows(query.order_by(i.next_due).limit(limit))]


def postpone(unit: Unit, inbound_id: str, until: datetime) -> None:
    """Count a try that failed for a passing reason."""
    i = t.inbound
    unit.execute(i.update().where(i.c.id == inbound_id).values(next_due=until, tries=i.c.tries + 1))


def wait(unit: Unit, inbound_id: str, until: datetime) -> None:
    """What it belongs to is not here yet: nothing failed, and none of its tries is used up."""
    i = t.inbound
    unit.execute(i.update().where(i.c.id == inbound_id).values(next_due=until))


def move(unit: Unit, arrived: Arrived, action: str) -> bool:
    """Compare-and-set of the arrival's state; False if another worker was first."""
    after = ARRIVALS.after(arrived.state, action)
    i = t.inbound
    done = unit.execute(
        i.update().where(i.c.id == arrived.id, i.c.state == arrived.state.value).values(state=after.value)
    )
    return done.rowcount == 1


def file_all(unit: Unit, inbound_ids: Sequence[str]) -> Set[str]:
    """Those of these messages that are filed by this: they waited, and no other worker is at them."""
    if not inbound_ids:
        return frozenset()
    i = t.inbound
    waiting = sa.select(i.c.id).where(i.c.id.in_(list(inbound_ids)), i.c.state == Arrival.RECEIVED.value)
    ours = i.c.id.in_(unit.skip_locked(waiting))  # who takes the same in another order must not wait for us
    after = ARRIVALS.after(Arrival.RECEIVED, "file").value
    return {row.id for row in unit.execute(i.update().where(ours).values(state=after).returning(i.c.id))}


def file_with(unit: Unit, inbound_id: str) -> bool:
    """A message that waited is filed as a part of another; False if it is not waiting any more."""
    i = t.inbound
    after = ARRIVALS.after(Arrival.RECEIVED, "file").value
    waiting = (i.c.id == inbound_id, i.c.state == Arrival.RECEIVED.value)
    return unit.execute(i.update().where(*waiting).values(state=after)).rowcount == 1


def shelve(unit: Unit, arrived: Arrived, reason: str, at: datetime) -> None:
    """Put an unreadable message on the shelf; its bytes stay in the row."""
    if move(unit, arrived, "shelve"):
        shelf.put(unit, "inbound", reason, origin=arrived.id, at=at)
        journal.append(unit, "inbound", arrived.id, "shelve", by="system", at=at, detail={"reason": reason})


def set_aside(unit: Unit, inbound_id: str, reason: str, at: datetime) -> bool:
    """Shelve a waiting message that cannot even be opened; False when it waits no more."""
    i = t.inbound
    after = ARRIVALS.after(Arrival.RECEIVED, "shelve").value
    waiting = (i.c.id == inbound_id, i.c.state == Arrival.RECEIVED.value)
    if unit.execute(i.update().where(*waiting).values(state=after)).rowcount != 1:
        return False
    shelf.put(unit, "inbound", reason[:60], origin=inbound_id, at=at)
    journal.append(unit, "inbound", inbound_id, "shelve", by="system", at=at, detail={"reason": reason[:60]})
    return True


def stand_of(unit: Unit, inbound_id: str) -> tuple[Arrival, int] | None:
    """(where it stands, how often it was tried) of a message, without opening it."""
    i = t.inbound.c
    row = unit.row(sa.select(i.state, i.tries).where(i.id == inbound_id))
    return (Arrival(row.state), row.tries) if row else None


def reprocess(unit: Unit, inbound_id: str, *, by: str, at: datetime) -> bool:
    """Take a message from the shelf: it is filed like a fresh one. False if it does not lie there."""
    i = t.inbound
    after = ARRIVALS.after(Arrival.SHELVED, "reprocess").value
    lying = (i.c.id == inbound_id, i.c.state == Arrival.SHELVED.value)
    if unit.execute(i.update().where(*lying).values(state=after, next_due=at, tries=0)).rowcount != 1:
        return False
    journal.append(unit, "inbound", inbound_id, "reprocess", by=by, at=at)
    return True


def digests(unit: Unit, inbound_ids: Sequence[str]) -> dict[str, str]:
    """id -> SHA-256 of the bytes of each message."""
    i = t.inbound.c
    query = sa.select(i.id, i.raw_sha256).where(i.id.in_(inbound_ids))
    return {row.id: row.raw_sha256 for row in unit.rows(query)} if inbound_ids else {}


def by_report(unit: Unit, report_id: str) -> sa.Row[tuple[str, str, str]] | None:
    """(id, code, state) of the message that became, or will become, report `report_id`."""
    i = t.inbound.c
    return unit.row(
        sa.select(i.id, i.code, i.state, i.received_at, i.channel, i.organisation, i.raw_sha256, i.media_type,
                  i.handling)
        .where(i.report == report_id)
    )  # fmt: skip


def by_code(unit: Unit, code: str) -> str | None:
    """The id that the report of this short code has, or will have."""
    i = t.inbound.c
    found: str | None = unit.scalar(sa.select(i.report).where(i.code == code))
    return found


def acknowledge(unit: Unit, inbound_id: str, at: datetime) -> None:
    """Write down that an acknowledgement was promised to the sender."""
    i = t.inbound
    unit.execute(i.update().where(i.c.id == inbound_id).values(acknowledged_at=at))


def acknowledged(unit: Unit, sender: str, since: datetime) -> int:
    """How many messages of `sender` were acknowledged after `since`, however he wrote his address."""
    i = t.inbound.c
    query = sa.select(sa.func.count()).where(
        i.sender_index == index_of(unit, sender), i.acknowledged_at > since
    )
    return int(unit.scalar(query) or 0)


def stand(unit: Unit, code: str) -> Stand | None:
    """How far the report of this short code is; None for an unknown code. A merged one goes with its other."""
    i, r, into = t.inbound.c, t.report_row.c, t.report_row.alias("into")
    query = (
        sa.select(
            i.code, i.state, i.received_at, r.id, r.state.label("of_report"), into.c.state.label("of_other")
        )
        .outerjoin(t.report_row, r.inbound == i.id)
        .outerjoin(into, into.c.id == r.merged_into)
        .where(i.code == code)
    )
    row = unit.row(query)
    if row is None:
        return None
    if row.id is None:  # kept and not filed yet, on the shelf, or settled at the door (an exact STOP)
        is_settled = row.state == Arrival.FILED.value
        progress = Progress.SETTLED if is_settled else Progress.RECEIVED
        return Stand(
            code=row.code, progress=progress, received_at=row.received_at, changed_at=row.received_at
        )
    j = t.journal.c
    acts = sorted({"file", *(action for _, action in MOVES.table)})
    last = sa.select(sa.func.max(j.at)).where(j.kind == "report", j.entity == row.id, j.act.in_(acts))
    return Stand(
        code=row.code, progress=PROGRESS[State(row.of_other or row.of_report)], received_at=row.received_at,
        changed_at=unit.scalar(last) or row.received_at,
    )  # fmt: skip


def sender_of(unit: Unit, code: str) -> str:
    """Who sent the message of this short code; '' for an unknown code, after the same work.

    A guesser must not learn from the time it takes which codes exist.
    """
    i = t.inbound.c
    row = unit.row(sa.select(i.report, i.sender).where(i.code == code))
    try:
        key = unit.vault.key(unit.connection, row.report if row else "nobody")
    except NotFound:  # unknown code, or the key was destroyed
        key, _ = unit.vault.new_key("nobody")
        row = None
    sealed = row.sender if row else key.seal("inbound.sender", b"")
    return key.open("inbound.sender", sealed).decode()


def index_of(unit: Unit, sender: str) -> str:
    """The blind index of an address, the same for all that reach one mailbox.

    Mail is delivered whatever its case, and li+1@ and li+2@ are both li@ (RFC 5233): neither is another sender.
    """
    local, at, domain = sender.strip().casefold().rpartition("@")
    mailbox = f"{local.partition('+')[0] or local}{at}{domain}"
    return unit.vault.index(mailbox) if mailbox else ""
