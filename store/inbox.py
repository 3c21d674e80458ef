"""The doors' rows: one per message, under UNIQUE(channel, external id)."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from domain.handling import Handling
from domain.report import ARRIVALS, Arrival, Inbound, Kept
from store import journal, shelf
from store import tables as t
from store.unit import Unit

INLINE = 256 * 1024  # bytes of raw kept in the row; larger ones are blobs, fsynced before the row


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


def keep(unit: Unit, inbound: Inbound, minted: Kept, *, blob: str = "", at: datetime) -> Kept:
    """Store as received; a repeat answers with the names given the first time.

    `blob` names the already durable file that holds `inbound.raw`, when it is larger than INLINE.
    """
    i = t.inbound.c
    query = sa.select(i.id, i.report, i.code).where(
        i.channel == inbound.channel, i.external_id == inbound.external_id
    )
    known = unit.row(query)
    if known is None:
        key, wrapped = unit.vault.new_key(minted.report_id)
        meta = json.dumps(dict(inbound.meta), ensure_ascii=False, sort_keys=True).encode()
        row = {
            "id": minted.inbound_id,
            "report": minted.report_id,
            "code": minted.code,
            "channel": inbound.channel,
            "external_id": inbound.external_id,
            "media_type": inbound.media_type,
            "raw": None if blob else key.seal("inbound.raw", inbound.raw),
            "blob": blob or None,
            "raw_sha256": hashlib.sha256(inbound.raw).hexdigest(),
            "sender": key.seal("inbound.sender", inbound.sender.encode()),
            "sender_index": unit.vault.index(inbound.sender) if inbound.sender else "",
            "meta": key.seal("inbound.meta", meta),
            "organisation": inbound.organisation,
            "handling": inbound.handling.value,
            "received_at": inbound.received_at,
            "state": Arrival.RECEIVED.value,
            "next_due": at,
        }
        if unit.add_once(t.inbound, row):
            unit.vault.keep_key(unit.connection, minted.report_id, wrapped)
            journal.append(
                unit, "inbound", minted.inbound_id, "receive", by=f"door:{inbound.channel}", at=at,
                detail={"report": minted.report_id, "raw_sha256": row["raw_sha256"]}, is_first=True,
            )  # fmt: skip
            return minted
        known = unit.row(query)
        if known is None:  # the clash was on id or code: mint again and repeat
            raise sa.exc.IntegrityError("inbound", None, ValueError("minted names are taken"))
    return Kept(inbound_id=known.id, report_id=known.report, code=known.code, is_fresh=False)


def load(unit: Unit, inbound_id: str, read_blob: Callable[[str], bytes]) -> Arrived | None:
    """The message and its names, opened; None if there is none."""
    row = unit.row(unit.locked(sa.select(t.inbound).where(t.inbound.c.id == inbound_id)))
    if row is None:
        return None
    key = unit.vault.key(unit.connection, row.report)
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


def due(unit: Unit, at: datetime, limit: int = 200) -> list[str]:
    """Ids of messages that are durable and not yet filed, oldest first."""
    i = t.inbound.c
    query = sa.select(i.id).where(i.state == Arrival.RECEIVED.value, i.next_due <= at)
    return [row.id for row in unit.rows(query.order_by(i.next_due).limit(limit))]


def postpone(unit: Unit, inbound_id: str, until: datetime) -> None:
    """Count a try that failed for a passing reason."""
    i = t.inbound
    unit.execute(i.update().where(i.c.id == inbound_id).values(next_due=until, tries=i.c.tries + 1))


def move(unit: Unit, arrived: Arrived, action: str) -> bool:
    """Compare-and-set of the arrival's state; False if another worker was first."""
    after = ARRIVALS.after(arrived.state, action)
    i = t.inbound
    done = unit.execute(
        i.update().where(i.c.id == arrived.id, i.c.state == arrived.state.value).values(state=after.value)
    )
    return done.rowcount == 1


def shelve(unit: Unit, arrived: Arrived, reason: str, at: datetime) -> None:
    """Put an unreadable message on the shelf; its bytes stay in the row."""
    if move(unit, arrived, "shelve"):
        shelf.put(unit, "inbound", reason, origin=arrived.id, at=at)
        journal.append(unit, "inbound", arrived.id, "shelve", by="system", at=at, detail={"reason": reason})


def by_report(unit: Unit, report_id: str) -> sa.Row[tuple[str, str, str]] | None:
    """(id, code, state) of the message that became, or will become, report `report_id`."""
    i = t.inbound.c
    return unit.row(
        sa.select(i.id, i.code, i.state, i.received_at, i.channel, i.organisation, i.raw_sha256, i.media_type)
        .where(i.report == report_id)
    )  # fmt: skip
