"""Messages that belong together: which report a piece is of, and what the others say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.piece import Piece
from store import tables as t
from store.tables_chat import correspondent, piece
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A piece that is stored."""

    inbound: str
    report: str  # '' while it waits
    n: int
    total: int
    edited: int
    at: datetime


def lock(unit: Unit, of: Piece) -> None:
    """Let nobody else put in a piece of this correspondent until the end of the transaction."""
    key = unit.vault.index(of.correspondent)
    unit.add_once(correspondent, {"key": key})
    unit.row(unit.locked(sa.select(correspondent).where(correspondent.c.key == key)))


def put(unit: Unit, inbound_id: str, owner: str, of: Piece, at: datetime, *, report: str = "") -> bool:
    """Store a piece under the key of its own message (`owner`); False if it is there already."""
    key = unit.vault.key(unit.connection, owner)
    body = key.seal("piece.body", json.dumps(dict(of.body), ensure_ascii=False, sort_keys=True).encode())
    return unit.add_once(piece, {
        "inbound": inbound_id, "report": report or None, "thread": unit.vault.index(of.thread),
        "message": unit.vault.index(of.message), "n": of.n, "total": of.total, "edited": of.edited,
        "body": body, "at": at,
    })  # fmt: skip


def of_thread(unit: Unit, of: Piece, since: datetime) -> list[Kept]:
    """The pieces of this thread that came after `since`, the first one first."""
    query = sa.select(piece).where(piece.c.thread == unit.vault.index(of.thread), piece.c.at > since)
    return [_kept(row) for row in unit.rows(query.order_by(piece.c.at, piece.c.n))]


def report_of(unit: Unit, names: Sequence[str], *, channel: str, address: str = "") -> str:
    """The report that one of these messages is of: a piece of it, or a notice of ours about it. '' for none."""
    blind = [unit.vault.index(name) for name in names]
    query = sa.select(piece.c.report).where(piece.c.message.in_(blind), piece.c.report.is_not(None))
    found = unit.scalar(query.order_by(piece.c.at).limit(1))
    if found or not address:
        return str(found or "")
    d, p, y, r, e = t.dispatch.c, t.parcel_row.c, t.delivery.c, t.report_row.c, t.exchange.c
    ours = (
        sa.select(r.id)
        .select_from(t.dispatch)
        .outerjoin(t.exchange, e.dispatch == d.id)
        .join(t.report_row, r.id == sa.func.coalesce(e.report, d.about))
        .join(t.parcel_row, p.dispatch == d.id)
        .join(t.delivery, y.parcel == p.id)
        .where(
            y.provider_id.in_(list(names)), y.address == address, d.channel == channel, d.notice.is_not(None)
        )
    )
    return str(unit.scalar(ours.limit(1)) or "")


def settle(unit: Unit, inbounds: Sequence[str], report_id: str) -> None:
    """The waiting pieces of these messages are of that report now."""
    unit.execute(piece.update().where(piece.c.inbound.in_(list(inbounds))).values(report=report_id))


def settle_own(unit: Unit, inbounds: Sequence[str]) -> None:
    """The waiting pieces of each of these messages are of the report that it became."""
    i = t.inbound.c
    mine = sa.select(i.report).where(i.id == piece.c.inbound).scalar_subquery()
    if inbounds:
        unit.execute(piece.update().where(piece.c.inbound.in_(list(inbounds))).values(report=mine))


def bodies(unit: Unit, inbounds: Sequence[str]) -> list[tuple[Kept, Mapping[str, Any]]]:
    """What these pieces say, in their places and of one place in their order; one whose key was destroyed says nothing."""
    i, k = t.inbound.c, t.data_key.c
    query = (
        sa.select(piece, i.report.label("owner"))
        .join(t.inbound, i.id == piece.c.inbound)
        .join(t.data_key, k.owner == i.report)
        .where(piece.c.inbound.in_(list(inbounds)), k.wrapped.is_not(None))
        .order_by(piece.c.n, piece.c.edited, piece.c.at, piece.c.inbound)
    )
    rows = unit.rows(query)
    keys = unit.vault.keys(unit.connection, [row.owner for row in rows]) if rows else {}
    return [(_kept(row), json.loads(keys[row.owner].open("piece.body", row.body))) for row in rows]


def of_report(unit: Unit, report_id: str) -> list[Kept]:
    """All pieces of a report, the first one first."""
    query = sa.select(piece).where(piece.c.report == report_id)
    return [_kept(row) for row in unit.rows(query.order_by(piece.c.at, piece.c.n))]


def wait(unit: Unit, inbound_id: str, until: datetime) -> None:
    """Look at a kept message again then; that counts as no failure."""
    i = t.inbound
    unit.execute(i.update().where(i.c.id == inbound_id).values(next_due=until))


def _kept(row: sa.Row[Any]) -> Kept:
    return Kept(
        inbound=row.inbound, report=row.report or "", n=row.n, total=row.total, edited=row.edited, at=row.at
    )
