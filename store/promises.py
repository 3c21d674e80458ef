"""Dispatches: one promise for each artefact that an approval lets out, and the tombstones that end them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.artefact import Purpose
from domain.notice import Notice
from domain.parcel import DISPATCHES, DeliveryState, DispatchState, ParcelState
from store import tables as t
from store.unit import Unit

_GOING = (DispatchState.READY.value, DispatchState.OPEN.value)
_MOMENT = 1_000_000_000_039  # microseconds, a prime: a million releases add up within 64 bits


# Built once: it is asked beside every slice of every parcel.
_TOMBSTONE = "SELECT 1 FROM tombstone WHERE release = :of_release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """One row. `cursor` is the last recipient that was expanded, `expanded` how many were."""

    id: str
    release: str
    artefact: str
    channel: str
    language: str
    sha256: str
    state: DispatchState
    next_due: datetime
    tries: int
    expires: datetime
    cursor: str
    expanded: int
    is_expanded: bool
    purpose: str = Purpose.MAIN.value  # or lift, correction, notice, answer
    ends: str = ""  # of an ending: the dispatch whose addresses it goes to
    lane: str = ""  # who carries it; '' is the channel's own


def add(unit: Unit, dispatch: Dispatch, at: datetime) -> str:
    """Write a promise; the id of the row that holds it, an older one when the artefact has one."""
    d = t.dispatch.c
    row = {
        "id": dispatch.id, "release": dispatch.release, "artefact": dispatch.artefact,
        "channel": dispatch.channel, "language": dispatch.language, "sha256": dispatch.sha256,
        "lane": dispatch.lane or dispatch.channel, "state": dispatch.state.value,
        "next_due": dispatch.next_due, "expires": dispatch.expires, "created_at": at, "purpose": dispatch.purpose,
        "ends": dispatch.ends,
        "cursor": dispatch.cursor,
    }  # fmt: skip
    if unit.add_once(t.dispatch, row):
        return dispatch.id
    same = sa.select(d.id).where(d.release == dispatch.release, d.artefact == dispatch.artefact)
    return str(unit.scalar(same))


def add_notice(unit: Unit, dispatch: Dispatch, notice: Notice, at: datetime) -> str:
    """Write the promise of a notice with its parcel of one delivery; the parcel, '' if there is one already."""
    row = {
        "id": dispatch.id, "notice": notice.kind.value, "about": notice.about, "notice_payload": notice.payload,
        "channel": dispatch.channel, "language": dispatch.language, "sha256": dispatch.sha256,
        "lane": dispatch.channel, "state": dispatch.state.value, "next_due": dispatch.next_due,
        "expires": dispatch.expires, "created_at": at, "purpose": dispatch.purpose, "expanded": 1, "is_expanded": True,
    }  # fmt: skip
    if not unit.add_once(t.dispatch, row):
        return ""
    parcel = f"{dispatch.id}-0"
    unit.execute(t.parcel_row.insert(), {"id": parcel, "dispatch": dispatch.id, "n": 0,
                                         "state": ParcelState.READY.value, "next_due": at})  # fmt: skip
    unit.execute(t.delivery.insert(), {"parcel": parcel, "seq": 0, "recipient": "", "address": notice.address,
                                       "state": DeliveryState.QUEUED.value, "changed_at": at})  # fmt: skip
    return parcel


def of_report(unit: Unit, report_id: str) -> list[sa.Row[Any]]:
    """(notice, channel, language, state of the delivery, changed_at) of every notice about a report."""
    d, p, y = t.dispatch.c, t.parcel_row.c, t.delivery.c
    query = sa.select(d.notice, d.channel, d.language, y.state, y.changed_at)
    query = query.join(t.parcel_row, p.dispatch == d.id).join(t.delivery, y.parcel == p.id)
    return unit.rows(query.where(d.notice.is_not(None), d.about == report_id).order_by(d.created_at))


def get(unit: Unit, dispatch_id: str, *, lock: bool = False) -> Dispatch | None:
    """The promise as it stands."""
    query = sa.select(t.dispatch).where(t.dispatch.c.id == dispatch_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _dispatch(row) if row else None


def of_release(unit: Unit, release_id: str, *, lock: bool = False) -> list[Dispatch]:
    """All promises of a release, in the order of their ids."""
    query = sa.select(t.dispatch).where(t.dispatch.c.release == release_id).order_by(t.dispatch.c.id)
    return [_dispatch(row) for row in unit.rows(unit.locked(query) if lock else query)]


def move(unit: Unit, dispatch: Dispatch, action: str, at: datetime) -> bool:
    """Compare-and-set of the state; False if another was faster. Raises IllegalMove."""
    after = DISPATCHES.after(dispatch.state, action)
    d = t.dispatch
    values: dict[str, Any] = {"state": after.value}
    if after not in (DispatchState.READY, DispatchState.OPEN):
        values["done_at"] = at
    same = (d.c.id == dispatch.id, d.c.state == dispatch.state.value)
    return unit.execute(d.update().where(*same).values(**values)).rowcount == 1


def take(unit: Unit, dispatch_id: str, *, at: datetime, until: datetime) -> Dispatch | None:
    """Take a due promise in hand until `until`: nobody else is offered it before. None if it is not due."""
    d = t.dispatch
    due = (d.c.id == dispatch_id, d.c.state.in_(_GOING), d.c.next_due <= at)
    update = d.update().where(*due).values(next_due=until, tries=d.c.tries + 1)
    return get(unit, dispatch_id, lock=True) if unit.execute(update).rowcount == 1 else None


def postpone(unit: Unit, dispatch_id: str, until: datetime) -> None:
    """Offer the promise again at `until`."""
    d = t.dispatch
    unit.execute(d.update().where(d.c.id == dispatch_id).values(next_due=until))


def note_expanded(
    unit: Unit, dispatch_id: str, *, cursor: str, expanded: int, is_expanded: bool, next_due: datetime
) -> None:
    """How far the audience has become parcels."""
    values = {"expanded": expanded, "is_expanded": is_expanded, "next_due": next_due}
    if cursor:
        values["cursor"] = cursor
    unit.execute(t.dispatch.update().where(t.dispatch.c.id == dispatch_id).values(**values))


def due(unit: Unit, at: datetime, limit: int = 200) -> list[Dispatch]:
    """Promises that wait for a lane, or whose lane has let go of them, the longest waiting first."""
    d = t.dispatch.c
    query = sa.select(t.dispatch).where(d.state.in_(_GOING), d.next_due <= at)
    return [_dispatch(row) for row in unit.rows(query.order_by(d.next_due).limit(limit))]


def is_all_kept(unit: Unit, release_id: str) -> bool:
    """Whether no promise of the release is still going."""
    d = t.dispatch.c
    going = sa.select(d.id).where(d.release == release_id, d.state.in_(_GOING)).limit(1)
    return unit.scalar(going) is None


def add_tombstone(unit: Unit, release_id: str, *, by: str, at: datetime, reason: str) -> bool:
    """Forbid every further call for the release; False if it was forbidden before."""
    row = {"release": release_id, "by": by, "at": at, "reason": reason[:500]}
    return unit.add_once(t.tombstone, row)


def has_tombstone(unit: Unit, release_id: str) -> bool:
    """Whether calls for the release are forbidden."""
    return unit.plain(_TOMBSTONE, {"of_release": release_id}).fetchone() is not None


def public_state(unit: Unit, handling: str, states: Iterable[str], since: datetime) -> tuple[int, int]:
    """(count, sum over the moments of their last changes) of the releases that public files speak of.

    A sum and not the last one: a change whose moment was read before it waited for its turn, or on a host whose
    clock is behind, is older than others that are told already.
    """
    r = t.release_row.c
    moments = sa.func.sum(sa.cast(r.state_at, sa.BigInteger) % _MOMENT)
    query = sa.select(sa.func.count().label("n"), moments.label("moments")).where(
        r.handling == handling, r.state.in_(list(states)), r.created_at >= since
    )
    row = unit.rows(query)[0]
    return int(row.n), int(row.moments or 0)


def _dispatch(row: sa.Row[Any]) -> Dispatch:
    return Dispatch(
        id=row.id, release=row.release or "", artefact=row.artefact or "", channel=row.channel,
        language=row.language, sha256=row.sha256, state=DispatchState(row.state), next_due=row.next_due,
        tries=row.tries, expires=row.expires, cursor=row.cursor, expanded=row.expanded,
        is_expanded=row.is_expanded, purpose=row.purpose, ends=row.ends,
        lane=row.lane,
    )  # fmt: skip
