"""Parcels: leases with fences, and what becomes of those that a dead worker left. Their slices: store/slices.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.parcel import DELIVERIES, OPEN_DELIVERIES, PARCELS, DeliveryState, ParcelState
from store import tables as t
from store.columns import instant
from store.unit import Unit

_p = t.parcel_row.c
_OURS = (
    _p.id == sa.bindparam("of_parcel"),
    _p.fence == sa.bindparam("of_fence"),
    _p.state == ParcelState.LEASED.value,
)
_NOTICE_STOPPED = (_p.release.is_(None), _p.state == ParcelState.STOPPED.value)  # ix_parcel_stopped
_MINE = sa.select(_p.id).where(*_OURS)  # built once: composing them takes longer than running them
_RENEW = f"UPDATE parcel SET lease_until = :until WHERE id = :of_parcel AND fence = :of_fence AND state = '{ParcelState.LEASED}'"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A parcel in hand: whoever holds the highest fence may write, nobody else."""

    parcel: str
    dispatch: str
    release: str
    channel: str
    language: str
    fence: int
    attempts: int  # times in a row that it was given back
    expires: datetime
    sha256: str  # of the artefact, as the promise says
    payload: bytes  # the artefact, as it is stored now
    lane: str = ""
    purpose: str = "main"  # main | correction | lift | notice | answer

    @property
    def is_recallable(self) -> bool:
        """Whether a tombstone of the release stops it: endings are what follows a recall."""
        return self.purpose == "main"

    @property
    def asks_opt_outs(self) -> bool:
        """Whether the end of a subscription ends it: no notice is subscribed to, and who got a false alarm
        is told so whatever he answered to it (R31). An officer's answer respects who wants no more from us."""
        return self.purpose not in ("notice", "correction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One delivery whose attempt is written down."""

    seq: int
    address: str
    attempt: int
    is_responsible: bool  # no opt-out ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an attempt ended: accepted, sent, failed, unsure, or queued when it provably did not begin."""

    seq: int
    state: DeliveryState
    provider_id: str = ""
    code: str = ""
    gone: str = ""  # the address, when nobody is there any more to get anything
    moved_to: str = ""  # with queued: the address it has now, which is tried once
    # no call began: the attempt is taken back, or it would stand behind those that had one
    is_unmade: bool = False


def is_due(unit: Unit, parcel_id: str, at: datetime) -> bool:
    """Whether the parcel waits for somebody; a cheap look before claim()."""
    p = t.parcel_row.c
    query = sa.select(p.id).where(p.id == parcel_id, p.state == ParcelState.READY.value, p.next_due <= at)
    return unit.scalar(query) is not None


def claim(unit: Unit, parcel_id: str, *, at: datetime, until: datetime) -> Claim | None:
    """Lease a parcel that is ready and due, by compare-and-set; None if it is not, or somebody was faster."""
    p, d, a = t.parcel_row, t.dispatch.c, t.artefact.c
    due = (p.c.id == parcel_id, p.c.state == ParcelState.READY.value, p.c.next_due <= at)
    after = PARCELS.after(ParcelState.READY, "lease").value
    update = p.update().where(*due).values(state=after, fence=p.c.fence + 1, lease_until=until)
    if unit.execute(update).rowcount != 1:
        return None
    query = (
        sa.select(p.c.fence, p.c.attempts, d.id, d.release, d.channel, d.language, d.expires, d.sha256,
                  d.purpose, d.lane, sa.func.coalesce(a.body, d.notice_payload).label("payload"))
        .join(t.dispatch, d.id == p.c.dispatch)
        .join(t.artefact, a.id == d.artefact, isouter=True)
        .where(p.c.id == parcel_id)
    )  # fmt: skip
    row = unit.rows(query)[0]
    return Claim(
        parcel=parcel_id, dispatch=row.id, release=row.release or "", channel=row.channel,
        language=row.language, fence=row.fence, attempts=row.attempts, expires=row.expires,
        sha256=row.sha256, payload=row.payload, purpose=row.purpose, lane=row.lane,
    )  # fmt: skip


def is_held(unit: Unit, held: Claim) -> bool:
    """Whether nobody has taken the parcel from its holder; looks, and locks nothing."""
    p = t.parcel_row.c
    mine = (p.id == held.parcel, p.fence == held.fence, p.state == ParcelState.LEASED.value)
    return unit.scalar(sa.select(p.id).where(*mine)) is not None


def settle(unit: Unit, held: Claim, at: datetime, *, again_at: datetime | None = None) -> str:
    """Let go of the parcel: '' if it was no longer ours, ``settled``, ``ready`` or ``leased``.

    ``ready`` when deliveries are queued: due again at once, or at `again_at`, which counts as a try that
    failed. ``leased`` when an attempt is still open: the lease will run out and say so.
    """
    if not holds(unit, held):
        return ""
    left = counts_of(unit, held.parcel)
    if left.get(DeliveryState.SENDING):
        return ParcelState.LEASED.value
    action = "give_back" if left.get(DeliveryState.QUEUED) else "settle"
    after = PARCELS.after(ParcelState.LEASED, action).value
    values: dict[str, Any] = {"state": after, "lease_until": None}
    if action == "give_back":
        values |= {"next_due": again_at or at, "attempts": held.attempts + 1 if again_at else 0}
    unit.execute(t.parcel_row.update().where(t.parcel_row.c.id == held.parcel).values(**values))
    return after


def expire(unit: Unit, held: Claim, at: datetime) -> int:
    """The release is over: what is still queued never leaves. How many that are."""
    return empty(unit, held, "expire", at) if holds(unit, held) else 0


def bury(unit: Unit, held: Claim, code: str, at: datetime) -> int:
    """Refused for good: queued deliveries have failed with `code`. How many that are."""
    if not holds(unit, held):
        return 0
    count = empty(unit, held, "refuse", at, code=code)
    after = PARCELS.after(ParcelState.LEASED, "bury").value
    values = {"state": after, "lease_until": None}
    unit.execute(t.parcel_row.update().where(t.parcel_row.c.id == held.parcel).values(**values))
    return count


def due(
    unit: Unit, at: datetime, limit: int = 200, *, lanes: Sequence[str] = (), others: Sequence[str] = ()
) -> list[str]:
    """Ids of parcels that are ready and due, the longest waiting first; of `lanes`, or of all but `others`."""
    p, lane = t.parcel_row.c, t.dispatch.c.lane
    query = sa.select(p.id).where(p.state == ParcelState.READY.value, p.next_due <= at)
    if lanes or others:
        query = query.join(t.dispatch, t.dispatch.c.id == p.dispatch)
        query = query.where(lane.in_(lanes) if lanes else lane.not_in(others))
    return [row.id for row in unit.rows(query.order_by(p.next_due, p.id).limit(limit))]


def recover(unit: Unit, at: datetime, limit: int = 50) -> list[tuple[str, str, str, int]]:
    """End leases that are over: (parcel, dispatch, release, unsure) of each.

    What was being sent is unsure, for its call may have been made; what was queued is ready again. The
    fence rises, so that the old holder can write no more.
    """
    p = t.parcel_row
    query = sa.select(p.c.id, p.c.dispatch, p.c.release, p.c.fence).where(
        p.c.state == ParcelState.LEASED.value, p.c.lease_until <= at
    )
    found: list[tuple[str, str, str, int]] = []
    for row in unit.rows(unit.skip_locked(query.limit(limit))):
        unsure = _to(unit, row.id, DeliveryState.SENDING, "unsure", at, code="lease_over")
        action = "give_back" if counts_of(unit, row.id).get(DeliveryState.QUEUED) else "settle"
        after = PARCELS.after(ParcelState.LEASED, action).value
        values = {"state": after, "fence": row.fence + 1, "lease_until": None, "next_due": at}
        unit.execute(p.update().where(p.c.id == row.id).values(**values))
        found.append((row.id, row.dispatch, row.release or "", unsure))
    return found


def stop(unit: Unit, release_id: str) -> int:
    """Stop every parcel of the release's warning that is not finished; how many.

    Their queue is emptied by drain(). Parcels of an ending are not stopped.
    """
    p = t.parcel_row
    going = (ParcelState.READY, ParcelState.LEASED)
    after = {PARCELS.after(state, "stop").value for state in going}.pop()
    mine = (p.c.release == release_id, p.c.state.in_([s.value for s in going]))
    x = t.dispatch.c
    dispatches = sa.select(x.id).where(x.release == release_id, x.purpose == "main")  # an index to walk
    update = p.update().where(p.c.dispatch.in_(dispatches), *mine).values(state=after)
    return unit.execute(update).rowcount


def drain(unit: Unit, at: datetime, *, release_id: str = "", limit: int = 20) -> list[tuple[str, str, int]]:
    """Empty stopped parcels, a few at a time: (parcel, release, unsure) of each.

    Queued deliveries are stopped. Attempts whose lease is over are unsure; while it lasts they may still
    be answered. Those of notices, which no tombstone stops, were emptied by store/notices.py.
    """
    p, d = t.parcel_row.c, t.delivery.c
    left = sa.exists().where(
        d.parcel == p.id, d.state.in_([s.value for s in OPEN_DELIVERIES]),
        sa.or_(d.state == DeliveryState.QUEUED.value, p.lease_until.is_(None), p.lease_until <= at),
    )  # fmt: skip
    query = (
        sa.select(p.id, p.release, p.lease_until)
        .join(t.dispatch, t.dispatch.c.id == p.dispatch)
        .join(t.tombstone, t.tombstone.c.release == t.dispatch.c.release)
        .where(p.state == ParcelState.STOPPED.value, left)
    )
    if release_id:
        query = query.where(t.tombstone.c.release == release_id)
    stopped = unit.rows(query.limit(limit))
    if not release_id:
        is_sent = sa.exists().where(d.parcel == p.id, d.state == DeliveryState.SENDING.value)
        of_notices = sa.select(p.id, p.release, p.lease_until).where(
            *_NOTICE_STOPPED, p.lease_until <= at, is_sent
        )
        stopped += unit.rows(of_notices.limit(limit))
    found: list[tuple[str, str, int]] = []
    for row in stopped:
        _to(unit, row.id, DeliveryState.QUEUED, "stop", at)
        is_over = row.lease_until is None or row.lease_until <= at
        unsure = _to(unit, row.id, DeliveryState.SENDING, "unsure", at, code="lease_over") if is_over else 0
        found.append((row.id, row.release or "", unsure))
    return found


def is_going(unit: Unit, dispatch_id: str) -> bool:
    """Whether a parcel of the dispatch is still to be worked on."""
    p = t.parcel_row.c
    going = [ParcelState.READY.value, ParcelState.LEASED.value]
    query = sa.select(p.id).where(p.dispatch == dispatch_id, p.state.in_(going)).limit(1)
    return unit.scalar(query) is not None


def is_sending(unit: Unit, dispatch_id: str) -> bool:
    """Whether a call for one of the dispatch's addresses may be under way."""
    p, d = t.parcel_row.c, t.delivery.c
    query = sa.select(d.seq).join(t.parcel_row, p.id == d.parcel)
    query = query.where(p.dispatch == dispatch_id, d.state == DeliveryState.SENDING.value).limit(1)
    return unit.scalar(query) is not None


def counts_of(unit: Unit, parcel_id: str) -> Mapping[str, int]:
    """state -> deliveries of one parcel."""
    d = t.delivery.c
    query = sa.select(d.state, sa.func.count().label("n")).where(d.parcel == parcel_id).group_by(d.state)
    return {row.state: row.n for row in unit.rows(query)}


def tally(unit: Unit, release_id: str) -> list[sa.Row[Any]]:
    """Rows (purpose, channel, language, state, n, by_spare, first_at, last_at); a stopped parcel's queue is stopped."""
    p, d, x = t.parcel_row.c, t.delivery.c, t.dispatch.c
    is_stopped = sa.and_(p.state == ParcelState.STOPPED.value, d.state == DeliveryState.QUEUED.value)
    state = sa.case((is_stopped, DeliveryState.STOPPED.value), else_=d.state).label("state")
    each = (
        sa.select(x.purpose, x.channel, x.language, state, d.spare, d.changed_at)
        .join(t.parcel_row, p.id == d.parcel)
        .join(t.dispatch, x.id == p.dispatch)
        .where(x.release == release_id)
        .subquery("each")
    )
    e = each.c
    times = (sa.func.min(e.changed_at).label("first_at"), sa.func.max(e.changed_at).label("last_at"))
    what = (e.purpose, e.channel, e.language, e.state)
    counts = (sa.func.count().label("n"), sa.func.count(e.spare).label("by_spare"))
    return unit.rows(sa.select(*what, *counts, *times).group_by(*what))


def holds(unit: Unit, held: Claim, *, renew: datetime | None = None) -> bool:
    """Whether the lease is still ours; locks the row, and renews the lease if asked."""
    mine = {"of_parcel": held.parcel, "of_fence": held.fence}
    if renew is not None:
        return bool(unit.plain(_RENEW, {**mine, "until": instant(renew)}).rowcount == 1)
    return unit.execute(unit.locked(_MINE), mine).scalar() is not None


def empty(unit: Unit, held: Claim, action: str, at: datetime, code: str = "") -> int:
    """Move what is queued in the parcel along `action`; how many that are."""
    return _to(unit, held.parcel, DeliveryState.QUEUED, action, at, code=code)


def take_back(unit: Unit, held: Claim, at: datetime) -> int:
    """Attempts that provably led to no call are as if never begun; how many. Whoever asks knows that none is under way."""
    d = t.delivery
    after = DELIVERIES.after(DeliveryState.SENDING, "not_now").value
    mine = (d.c.parcel == held.parcel, d.c.state == DeliveryState.SENDING.value)
    values = {"state": after, "changed_at": at, "attempts": d.c.attempts - 1}
    return unit.execute(d.update().where(*mine).values(**values)).rowcount


def is_settled(unit: Unit, held: Claim) -> bool:
    """Whether its holder has settled the parcel, and nobody has taken it since."""
    p = t.parcel_row.c
    mine = (p.id == held.parcel, p.fence == held.fence, p.state == ParcelState.SETTLED.value)
    return unit.scalar(sa.select(p.id).where(*mine)) is not None


def _to(
    unit: Unit, parcel_id: str, before: DeliveryState, action: str, at: datetime, *, code: str = ""
) -> int:
    d = t.delivery
    values: dict[str, Any] = {"state": DELIVERIES.after(before, action).value, "changed_at": at}
    if code:
        values["code"] = code[:40]
    update = d.update().where(d.c.parcel == parcel_id, d.c.state == before.value)
    return unit.execute(update.values(**values)).rowcount
