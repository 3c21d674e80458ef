"""What providers reported later, kept under (channel, provider id, state), beside the deliveries they are of."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.parcel import DeliveryState, Receipt
from store import tables as t
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The delivery that a receipt is of, its row locked."""

    parcel: str
    seq: int
    address: str
    state: DeliveryState
    provider_id: str
    channel: str


def delivery_id(parcel: str, seq: int) -> str:
    """Our own tag of a delivery, as wires send it along: ``<dispatch>-<parcel>-<seq>``."""
    return f"{parcel}-{seq}"


def keep(unit: Unit, receipt: Receipt) -> bool:
    """Store a receipt before anything is made of it; False for a repeat."""
    row = {
        "channel": receipt.channel, "provider_id": receipt.provider_id, "state": receipt.state.value,
        "code": receipt.code[:40], "address": receipt.address[:200], "delivery": receipt.delivery_id[:80],
        "raw": receipt.raw[:65536], "received_at": receipt.received_at,
    }  # fmt: skip
    return unit.add_once(t.receipt, row)


def waiting(unit: Unit, channel: str, provider_ids: Iterable[str]) -> list[Receipt]:
    """Receipts of these messages that have not been applied."""
    r = t.receipt.c
    query = sa.select(t.receipt).where(
        r.channel == channel, r.provider_id.in_(list(provider_ids)), r.applied_at.is_(None)
    )
    return [_receipt(row) for row in unit.rows(query)]


def waiting_since(unit: Unit, before: datetime, limit: int = 200) -> list[Receipt]:
    """Receipts received before `before` that have not been applied, oldest first."""
    r = t.receipt.c
    query = sa.select(t.receipt).where(r.applied_at.is_(None), r.received_at <= before)
    return [_receipt(row) for row in unit.rows(query.order_by(r.received_at).limit(limit))]


def note_applied(unit: Unit, receipt: Receipt, at: datetime) -> bool:
    """The receipt has done what it can; False if that was noted before."""
    r = t.receipt
    mine = (r.c.channel == receipt.channel, r.c.provider_id == receipt.provider_id,
            r.c.state == receipt.state.value, r.c.applied_at.is_(None))  # fmt: skip
    return unit.execute(r.update().where(*mine).values(applied_at=at)).rowcount == 1


def target(unit: Unit, receipt: Receipt) -> Target | None:
    """The delivery named by our own tag, else the one that bears the provider's id; None when unknown."""
    d = t.delivery.c
    parcel, _, seq = receipt.delivery_id.rpartition("-")
    if parcel and seq.isascii() and seq.isdigit() and len(seq) < 9:
        found = _locked(unit, receipt.channel, d.parcel == parcel, d.seq == int(seq))
        if found is not None:
            return found
    if not receipt.provider_id:
        return None
    return _locked(unit, receipt.channel, d.provider_id == receipt.provider_id)


def raise_to(unit: Unit, of: Target, state: DeliveryState, receipt: Receipt) -> None:
    """Write the state that a receipt proves, and the provider's id if we had not learnt it."""
    values = {"state": state.value, "code": receipt.code[:40], "changed_at": receipt.received_at}
    _write(unit, of, values)


def learn(unit: Unit, of: Target, provider_id: str) -> None:
    """Write down the provider's name of the message."""
    _write(unit, of, {"provider_id": provider_id})


def _write(unit: Unit, of: Target, values: dict[str, Any]) -> None:
    d = t.delivery
    unit.execute(d.update().where(d.c.parcel == of.parcel, d.c.seq == of.seq).values(**values))


def _locked(unit: Unit, channel: str, *which: sa.ColumnElement[bool]) -> Target | None:
    d = t.delivery
    rows = unit.rows(unit.locked(sa.select(d).where(*which).order_by(d.c.parcel, d.c.seq)))
    for row in rows:
        p, x = t.parcel_row.c, t.dispatch.c
        query = sa.select(x.channel).join(t.parcel_row, p.dispatch == x.id).where(p.id == row.parcel)
        if unit.scalar(query) == channel:
            return Target(
                parcel=row.parcel, seq=row.seq, address=row.address, state=DeliveryState(row.state),
                provider_id=row.provider_id or "", channel=channel,
            )  # fmt: skip
    return None


def _receipt(row: sa.Row[Any]) -> Receipt:
    return Receipt(
        channel=row.channel, provider_id=row.provider_id, state=DeliveryState(row.state), code=row.code,
        address=row.address, delivery_id=row.delivery, received_at=row.received_at, raw=row.raw,
    )  # fmt: skip
