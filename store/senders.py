"""Known reporters and block lists: addresses are found by blind indexes, and sealed with a key of each row's own."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.trust import Block, History, Known, KnownKind, VerdictKind, VerdictState
from store import inbox
from store import tables as t
from store.tables_trust import known_address, known_reporter, sender_block, verdict
from store.unit import Unit

COUNTED = 200  # of the latest reports of one sender: what came before is another person's, or a machine's
LISTED = 500

_b = sender_block.c
_BLOCKS = sa.select(_b.address_index, _b.channel, _b.at, _b.until, _b.lifted_at).where(
    _b.address_index.in_(sa.bindparam("indexes", expanding=True))
)  # built once: every message that is filed asks this


def add_known(unit: Unit, known: Known) -> None:
    """Enter somebody with his addresses."""
    key, wrapped = unit.vault.new_key(known.id)
    unit.execute(t.data_key.insert(), {"owner": known.id, "wrapped": wrapped})
    unit.execute(known_reporter.insert(), {
        "id": known.id, "kind": known.kind.value, "name": key.seal("known_reporter.name", known.name.encode()),
        "body": key.seal("known_reporter.body", known.body.encode()), "area": known.area, "since": known.since,
        "until": known.until, "by": known.by,
    })  # fmt: skip
    rows = [
        {"reporter": known.id, "channel": channel, "address_index": inbox.index_of(unit, address),
         "address": key.seal("known_address.address", address.encode())}
        for channel, address in dict.fromkeys(known.addresses)
    ]  # fmt: skip
    unit.add_new(known_address, rows)


def end_known(unit: Unit, known_id: str, at: datetime) -> bool:
    """He reports no longer; False when that was so already."""
    k = known_reporter
    return unit.execute(k.update().where(k.c.id == known_id, k.c.until > at).values(until=at)).rowcount == 1


def known(unit: Unit, at: datetime) -> list[Known]:
    """Everybody who is known now, by the day until which."""
    k = known_reporter.c
    return _known(unit, sa.select(known_reporter).where(k.until > at).order_by(k.until, k.id).limit(LISTED))


def known_as(unit: Unit, channel: str, indexes: Iterable[str], at: datetime) -> list[Known]:
    """Who reported from one of these addresses at that time."""
    k, a = known_reporter.c, known_address.c
    mine = sa.select(a.reporter).where(a.address_index.in_(list(indexes)), a.channel == channel)
    query = sa.select(known_reporter).where(k.id.in_(mine), k.since <= at, k.until > at)
    return _known(unit, query.order_by(k.since.desc()))


def add_block(unit: Unit, block: Block) -> None:
    """From now on reports of this address lie in quarantine."""
    key, wrapped = unit.vault.new_key(block.id)
    unit.execute(t.data_key.insert(), {"owner": block.id, "wrapped": wrapped})
    unit.execute(sender_block.insert(), {
        "id": block.id, "channel": block.channel, "address_index": inbox.index_of(unit, block.address),
        "address": key.seal("sender_block.address", block.address.encode()), "reason": block.reason[:500],
        "by": block.by, "at": block.at, "until": block.until,
    })  # fmt: skip


def lift_block(unit: Unit, block_id: str, by: str, at: datetime) -> bool:
    """Before its day; False when it holds no longer."""
    b = sender_block
    holds = (b.c.id == block_id, b.c.lifted_at.is_(None), b.c.until > at)
    return unit.execute(b.update().where(*holds).values(lifted_at=at, lifted_by=by)).rowcount == 1


def blocks(unit: Unit, at: datetime) -> list[Block]:
    """Those that hold, the first to end first."""
    b = sender_block.c
    query = sa.select(sender_block).where(b.lifted_at.is_(None), b.until > at).order_by(b.until).limit(LISTED)
    rows = unit.rows(query)
    keys = unit.vault.keys(unit.connection, [row.id for row in rows]) if rows else {}
    return [
        Block(id=row.id, channel=row.channel, address=keys[row.id].open("sender_block.address", row.address).decode(),
              reason=row.reason, by=row.by, at=row.at, until=row.until)
        for row in rows
    ]  # fmt: skip


def blocked(unit: Unit, wanted: Sequence[tuple[str, Sequence[str], datetime]]) -> list[bool]:
    """For each (channel, indexes of an address, instant) whether a block held then."""
    indexes = sorted({index for _, some, _ in wanted for index in some})
    found = unit.execute(_BLOCKS, {"indexes": indexes}).all() if indexes else []
    return [
        any(
            row.channel == channel
            and row.address_index in some
            and row.at <= at < row.until
            and (row.lifted_at is None or row.lifted_at > at)
            for row in found
        )
        for channel, some, at in wanted
    ]


def history(unit: Unit, channel: str, indexes: Sequence[str], *, before: str) -> History:
    """What came of the other reports of these addresses on that channel, the latest."""
    i, r, v, j = t.inbound.c, t.report_row.c, verdict.c, t.journal.c
    query = (
        sa.select(r.id)
        .join(t.inbound, i.id == r.inbound)
        .where(i.sender_index.in_(list(indexes)), i.channel == channel, r.id != before)
        .order_by(r.received_at.desc())
        .limit(COUNTED + 1)
    )
    ids = [row.id for row in unit.rows(query)] if indexes else []
    if not ids:
        return History()
    ids, is_more = ids[:COUNTED], len(ids) > COUNTED
    given = sa.select(v.kind, sa.func.count().label("n")).where(
        v.report.in_(ids), v.state == VerdictState.GIVEN.value
    )
    kinds = {row.kind: row.n for row in unit.rows(given.group_by(v.kind))}
    verified = sa.select(sa.func.count(j.entity.distinct())).where(
        j.kind == "report", j.act == "verify", j.entity.in_(ids)
    )
    return History(reports=len(ids), verified=int(unit.scalar(verified) or 0), is_more=is_more,
                   false=kinds.get(VerdictKind.FALSE.value, 0), abuse=kinds.get(VerdictKind.ABUSE.value, 0))  # fmt: skip


def _known(unit: Unit, query: sa.Select[Any]) -> list[Known]:
    rows = unit.rows(query)
    if not rows:
        return []
    keys = unit.vault.keys(unit.connection, [row.id for row in rows])
    a = known_address.c
    addresses: dict[str, list[tuple[str, str]]] = {}
    for row in unit.rows(sa.select(known_address).where(a.reporter.in_(list(keys))).order_by(a.channel)):
        address = keys[row.reporter].open("known_address.address", row.address).decode()
        addresses.setdefault(row.reporter, []).append((row.channel, address))
    return [
        Known(id=row.id, kind=KnownKind(row.kind), name=keys[row.id].open("known_reporter.name", row.name).decode(),
              body=keys[row.id].open("known_reporter.body", row.body).decode(), area=row.area, since=row.since,
              until=row.until, addresses=tuple(addresses.get(row.id, ())), by=row.by)
        for row in rows
    ]  # fmt: skip
