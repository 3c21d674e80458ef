"""Deliveries of a release as a monitor lists them: a page at a time, in the order of their keys."""

from typing import Any

import sqlalchemy as sa

from domain.parcel import DeliveryState, ParcelState
from store import tables as t
from store.unit import Unit


def page(
    unit: Unit, release_id: str, *, limit: int, after: tuple[str, int] | None = None, state: str = ""
) -> list[sa.Row[Any]]:
    """Rows (parcel, seq, purpose, channel, language, address, state, attempts, provider_id, code, changed_at).

    At most `limit`, after `after` = (parcel, seq). What is queued in a stopped parcel is stopped, as the
    summary counts it.
    """
    p, d, x = t.parcel_row.c, t.delivery.c, t.dispatch.c
    is_stopped = sa.and_(p.state == ParcelState.STOPPED.value, d.state == DeliveryState.QUEUED.value)
    shown = sa.case((is_stopped, DeliveryState.STOPPED.value), else_=d.state).label("state")
    query = (
        sa.select(d.parcel, d.seq, x.purpose, x.channel, x.language, d.address, shown, d.attempts, d.provider_id,
                  d.code, d.changed_at)
        .join(t.parcel_row, p.id == d.parcel)
        .join(t.dispatch, x.id == p.dispatch)
        .where(x.release == release_id)
        .order_by(d.parcel, d.seq)
        .limit(limit)
    )  # fmt: skip
    if after:
        query = query.where(
            sa.tuple_(d.parcel, d.seq) > sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
        )
    if state:
        query = query.where(shown == state)
    return unit.rows(query)
