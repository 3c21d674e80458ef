"""Notices that carry words of a report: stopped when nobody may read them any more, blanked when it is destroyed."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain.parcel import DELIVERIES, DISPATCHES, PARCELS, DeliveryState, DispatchState, ParcelState
from store import tables as t
from store.tables_exchange import exchange
from store.tables_routing import handover
from store.unit import Unit

NO_WORDS = b""  # what a notice says after its report was destroyed; the hash of what it said stays


def stop(unit: Unit, report_id: str, at: datetime) -> None:
    """Hand-overs of a report and answers to whoever reported it: what has not left never leaves. Safe to repeat.

    An acknowledgement goes: it says no more than that something has come.
    """
    _stop(unit, _with_words(unit, report_id), at)


def erase(unit: Unit, report_id: str, owners: Sequence[str], at: datetime) -> None:
    """Stop them and make them say nothing, and so with every notice about it. `owners`: the names of its messages."""
    d = t.dispatch
    about = sa.select(d.c.id).where(d.c.notice.is_not(None), d.c.about.in_([report_id, *owners]))
    names = [*_with_words(unit, report_id), *(row.id for row in unit.rows(about))]
    _stop(unit, names, at)
    unit.execute(d.update().where(d.c.id.in_(names), d.c.notice.is_not(None)).values(notice_payload=NO_WORDS))


def _with_words(unit: Unit, report_id: str) -> list[str]:
    told = [
        sa.select(table.c.dispatch).where(table.c.report == report_id, table.c.dispatch.is_not(None))
        for table in (handover, exchange)
    ]
    return [row.dispatch for row in unit.rows(sa.union(*told))]


def _stop(unit: Unit, names: Sequence[str], at: datetime) -> None:
    """Parcels first, in one statement: a look-up that opens one again meanwhile is waited for, and seen.

    One that is unsure has its parcel stopped, too: what nobody knows the end of is never sent again. Who holds a
    parcel sees it before its call (outbox/guard.py); an attempt under way may still be answered.
    """
    p, d, x = t.parcel_row, t.delivery, t.dispatch
    going = (ParcelState.READY, ParcelState.LEASED)
    is_unsure = sa.exists().where(d.c.parcel == p.c.id, d.c.state == DeliveryState.UNSURE.value)
    is_left = sa.or_(
        p.c.state.in_([s.value for s in going]), sa.and_(p.c.state == ParcelState.SETTLED.value, is_unsure)
    )
    (after,) = {PARCELS.after(state, "stop").value for state in (*going, ParcelState.SETTLED)}
    unit.execute(p.update().where(p.c.dispatch.in_(names), is_left).values(state=after))
    parcels = sa.select(p.c.id).where(p.c.dispatch.in_(names))
    queued = (d.c.parcel.in_(parcels), d.c.state == DeliveryState.QUEUED.value)
    stopped = DELIVERIES.after(DeliveryState.QUEUED, "stop").value
    unit.execute(d.update().where(*queued).values(state=stopped, changed_at=at))
    begun = (DispatchState.READY, DispatchState.OPEN)
    (ended,) = {DISPATCHES.after(state, "stop").value for state in begun}
    is_open = (x.c.id.in_(names), x.c.state.in_([s.value for s in begun]))
    unit.execute(x.update().where(*is_open).values(state=ended, done_at=at))
