"""Counts and ages for whoever watches the hub: each from an index, none from a scan of what strangers sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.secrecy import NOBODY
from store import exchanges, processes, providers, purges, routing, sender_checks, sessions, stream
from store import tables as t
from store.unit import Unit

RETRIED = 2  # times in a row that a parcel was given back: once may be chance
RECENT = timedelta(minutes=5)  # the outbox's longest wait between two attempts
WORKERS = ("up", "worker")  # the kinds of process that sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What says that something does not go its way; cheap enough for every two seconds."""

    unfiled: int
    oldest_unfiled: datetime | None
    oldest_due: datetime | None  # of dispatches and parcels nobody has taken up
    oldest_unpublished: datetime | None  # when the oldest waiting dispatch to everyone was made
    failing: frozenset[
        str
    ]  # channels whose provider rests, with parcels given back again and again, or fresh unsure ones
    worker_seen: datetime | None
    newest_entry: datetime | None
    oldest_unsealed: datetime | None  # journal entry under no root
    clock: datetime | None  # the database's own, None where it has none
    held_since: datetime | None = None  # when the oldest entry was written that readers may not see yet
    session_ended: datetime | None = None  # when one that held them up was ended last


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What /metrics shows beside the strain."""

    reports: Mapping[str, int]  # state -> n
    senders: Mapping[str, int]  # verdict -> mails
    releases: Mapping[str, int]
    dispatches: Mapping[tuple[str, str], int]  # (channel, state) -> n
    parcels: Mapping[tuple[str, str], int]
    deliveries: Mapping[tuple[str, str], int]  # queued, sending and unsure ones only
    inbound: int
    receipts_waiting: int
    shelved: int
    journal_entries: int
    quarantined: int  # bear a mark, wait for the security officer
    roots: int
    last_root: datetime | None
    handovers: Mapping[str, int] = field(default_factory=dict)  # state, or overdue -> n
    asked_again: int = 0  # elements that reporters had told before


def strain(unit: Unit, at: datetime) -> Strain:
    """The looks of one moment."""
    i, p, d = t.inbound.c, t.parcel_row.c, t.dispatch.c
    is_unfiled = i.state == "received"
    waits = sa.and_(d.state.in_(("ready", "open")), d.is_expanded.is_(sa.true()), d.expanded == 0)
    unpublished = sa.select(sa.func.min(d.created_at)).where(waits, d.next_due <= at, d.done_at.is_(None))
    due = [
        unit.scalar(sa.select(sa.func.min(p.next_due)).where(p.state == "ready")),
        unit.scalar(sa.select(sa.func.min(d.next_due)).where(d.state.in_(("ready", "open")))),
    ]
    return Strain(
        unfiled=unit.scalar(sa.select(sa.func.count()).select_from(t.inbound).where(is_unfiled)),
        oldest_unfiled=unit.scalar(sa.select(sa.func.min(i.received_at)).where(is_unfiled)),
        oldest_due=min((moment for moment in due if moment is not None and moment <= at), default=None),
        oldest_unpublished=unit.scalar(unpublished),
        failing=_failing(unit, at),
        worker_seen=processes.last_seen(unit, WORKERS),
        newest_entry=unit.scalar(sa.select(t.journal.c.at).order_by(t.journal.c.seq.desc()).limit(1)),
        oldest_unsealed=_oldest_unsealed(unit),
        clock=clock(unit),
        held_since=sessions.held_since(unit),
        session_ended=sessions.last_ended(unit),
    )


def clock(unit: Unit) -> datetime | None:
    """The database's own clock, None where it has none."""
    found: datetime | None = unit.scalar(sa.select(sa.func.clock_timestamp())) if unit.is_postgres else None
    return found


def figures(unit: Unit) -> Figures:
    """The counts of one moment."""
    r, s = t.receipt.c, t.shelf.c
    return Figures(
        reports=_by_state(unit.seen_by(NOBODY), t.report_row),
        senders=sender_checks.counts(unit.seen_by(NOBODY)),
        releases=_by_state(unit, t.release_row),
        dispatches=_by_channel(
            unit, sa.select(t.dispatch.c.channel, t.dispatch.c.state, sa.func.count().label("n"))
        ),
        parcels=_by_channel(
            unit,
            sa.select(t.dispatch.c.channel, t.parcel_row.c.state, sa.func.count().label("n")).join(
                t.parcel_row
            ),
        ),
        deliveries=_open_deliveries(unit),
        inbound=unit.scalar(sa.select(sa.func.count()).select_from(t.inbound)),
        receipts_waiting=unit.scalar(sa.select(sa.func.count()).where(r.applied_at.is_(None))),
        shelved=unit.scalar(sa.select(sa.func.count()).where(s.settled_at.is_(None))),
        journal_entries=unit.scalar(sa.select(sa.func.max(t.journal.c.seq))) or 0,
        quarantined=purges.held(unit),
        roots=unit.scalar(sa.select(sa.func.max(t.root.c.n))) or 0,
        last_root=unit.scalar(sa.select(t.root.c.at).order_by(t.root.c.n.desc()).limit(1)),
        handovers=routing.counts(unit),
        asked_again=exchanges.again(unit),
    )


def people_who(unit: Unit) -> list[tuple[str, frozenset[str]]]:
    """(id, roles) of everyone whose account is on."""
    p = t.person.c
    rows = unit.rows(sa.select(p.id, p.roles).where(p.is_active.is_(sa.true())))
    return [(row.id, frozenset(row.roles)) for row in rows]


def _failing(unit: Unit, at: datetime) -> frozenset[str]:
    p, d, v = t.parcel_row.c, t.dispatch.c, t.delivery.c
    parcels = t.dispatch.join(t.parcel_row)
    again = sa.select(d.channel).select_from(parcels).where(p.state == "ready", p.attempts >= RETRIED)
    unsure = (
        sa.select(d.channel)
        .select_from(parcels.join(t.delivery))
        .where(v.state == "unsure", v.changed_at > at - RECENT)
    )
    resting = frozenset(one.channel for one in providers.troubled(unit, at))
    return resting | {row.channel for query in (again, unsure) for row in unit.rows(query.distinct())}


def _oldest_unsealed(unit: Unit) -> datetime | None:
    last = unit.row(sa.select(t.root.c.to_xid, t.root.c.to_seq).order_by(t.root.c.n.desc()).limit(1))
    begin = stream.Cursor(last.to_xid, last.to_seq) if last else stream.Cursor()
    return next((row.at for row in stream.after(unit, begin, limit=1)), None)


def _by_state(unit: Unit, table: sa.Table) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count().label("n")).group_by(table.c.state)
    return {row.state: row.n for row in unit.rows(query)}


def _by_channel(unit: Unit, query: sa.Select[Any]) -> dict[tuple[str, str], int]:
    channel, state, _count = query.selected_columns
    return {(row.channel, row.state): row.n for row in unit.rows(query.group_by(channel, state))}


def _open_deliveries(unit: Unit) -> dict[tuple[str, str], int]:
    """Two queries, so that each finds its own partial index."""
    found: dict[tuple[str, str], int] = {}
    for states in (("queued", "sending"), ("unsure",)):
        query = (
            sa.select(t.dispatch.c.channel, t.delivery.c.state, sa.func.count().label("n"))
            .select_from(t.delivery.join(t.parcel_row).join(t.dispatch))
            .where(t.delivery.c.state.in_(states))
        )
        found |= _by_channel(unit, query)
    return found
