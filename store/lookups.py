"""Deliveries that a provider is asked about: when, how often, what was found, and what becomes of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from domain import ids
from domain.parcel import DELIVERIES, PARCELS, DeliveryState, DispatchState, ParcelState
from store import promises, releases
from store import tables as t
from store.tables_lookup import look_up, silence
from store.unit import Unit

WALKED = 20  # parcels in one step of the walk for silent ones: 10,000 rows take some milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One delivery to ask about, in hand until its row is due again."""

    parcel: str
    seq: int
    attempt: int
    state: DeliveryState
    address: str
    provider_id: str
    channel: str
    spare: str  # name of the wire that it went by; '' is the channel's own
    lane: str
    release: str
    is_recallable: bool
    payload: bytes
    promised_at: datetime  # nothing of it can have left before
    unsure_since: datetime
    looks: int
    repeats: int
    is_double: bool  # sent again already though nothing was proven
    may_double: bool  # its release says so (PROMISES R4 b)
    absent_at: datetime | None

    @property
    def key(self) -> tuple[str, int]:
        """Of its row."""
        return self.parcel, self.seq


def enrol(unit: Unit, waits: Mapping[str, timedelta], at: datetime, limit: int = 500) -> int:
    """Note every unsure delivery of these channels, to be asked about that long after it became so; how many."""
    p, d, x = t.parcel_row.c, t.delivery.c, t.dispatch.c
    is_known = sa.exists().where(
        look_up.c.parcel == d.parcel, look_up.c.seq == d.seq, look_up.c.attempt == d.attempts
    )
    query = (
        sa.select(d.parcel, d.seq, d.attempts, d.changed_at, x.channel)
        .join(t.parcel_row, p.id == d.parcel)
        .join(t.dispatch, x.id == p.dispatch)
        .where(d.state == DeliveryState.UNSURE.value, x.channel.in_(list(waits)), ~is_known)
        .limit(limit)
    )
    rows = [
        {"parcel": r.parcel, "seq": r.seq, "attempt": r.attempts, "due_at": r.changed_at + waits[r.channel],
         "changed_at": at}
        for r in unit.rows(query)
    ]  # fmt: skip
    _note(unit, rows)
    return len(rows)


def enrol_silent(unit: Unit, channels: Sequence[str], at: datetime, *, silent_for: timedelta,
                 since: datetime, again: timedelta, limit: int) -> int:  # fmt: skip
    """Go on through dispatches promised since then, and note deliveries without a receipt; how many.

    At most `limit` a call. A walk that has come to its end begins again after `again`.
    """
    x, w = t.dispatch.c, silence.c
    begun = (
        sa.select(x.id, w.n)
        .join(silence, w.dispatch == x.id, isouter=True)
        .where(x.id >= ids.floor("dsp", since), x.release.is_not(None), x.channel.in_(channels))
        .where(x.created_at <= at - silent_for, x.state != DispatchState.READY.value)
        .where(sa.or_(w.due_at.is_(None), w.due_at <= at))
        .limit(5)
    )
    found = 0
    for row in unit.rows(begun):
        rows, after = _step(unit, row.id, row.n or 0, at, at - silent_for, limit - found)
        found += len(rows)
        _note(unit, rows)
        values = {"dispatch": row.id, "n": after or 0, "due_at": at + again if after is None else at}
        _upsert(unit, silence, [values], ["dispatch"])
    return found


def _step(
    unit: Unit, dispatch: str, n: int, at: datetime, before: datetime, limit: int
) -> tuple[list[Any], int | None]:
    """Rows of the next parcels' silent deliveries, and the number of the parcel to go on with; None at the end."""
    p, d = t.parcel_row.c, t.delivery.c
    is_known = sa.exists().where(look_up.c.parcel == d.parcel, look_up.c.seq == d.seq)
    query = (
        sa.select(d.parcel, d.seq, d.attempts)
        .join(t.parcel_row, p.id == d.parcel)
        .where(p.dispatch == dispatch, p.n >= n, p.n < n + WALKED, d.changed_at <= before, ~is_known)
        .where(
            d.state.in_((DeliveryState.ACCEPTED.value, DeliveryState.SENT.value)), d.provider_id.is_not(None)
        )
        .limit(limit)
    )
    rows = [{"parcel": r.parcel, "seq": r.seq, "attempt": r.attempts, "due_at": at, "changed_at": at}
            for r in unit.rows(query)]  # fmt: skip
    if len(rows) >= limit:
        return rows, n  # there may be more of them here
    last = unit.scalar(sa.select(sa.func.max(p.n)).where(p.dispatch == dispatch))
    return rows, n + WALKED if last is not None and n + WALKED <= last else None


def is_needed(unit: Unit, channels: Iterable[str], at: datetime) -> bool:
    """Whether something is due, or unsure and not noted: a cheap look before a transaction that writes."""
    p, d, x = t.parcel_row.c, t.delivery.c, t.dispatch.c
    if unit.scalar(sa.select(look_up.c.seq).where(look_up.c.due_at <= at).limit(1)) is not None:
        return True
    is_known = sa.exists().where(
        look_up.c.parcel == d.parcel, look_up.c.seq == d.seq, look_up.c.attempt == d.attempts
    )
    query = sa.select(d.seq).join(t.parcel_row, p.id == d.parcel).join(t.dispatch, x.id == p.dispatch)
    query = query.where(d.state == DeliveryState.UNSURE.value, x.channel.in_(list(channels)), ~is_known)
    return unit.scalar(query.limit(1)) is not None


def take(unit: Unit, channels: Iterable[str], at: datetime, *, until: datetime, limit: int) -> list[Task]:
    """Take due rows in hand: nobody else is offered them before `until`. What has settled meanwhile is closed."""
    p, d, x, a = t.parcel_row.c, t.delivery.c, t.dispatch.c, t.artefact.c
    due = sa.select(look_up.c.parcel, look_up.c.seq, look_up.c.attempt).where(look_up.c.due_at <= at)
    rows = unit.rows(unit.skip_locked(due.order_by(look_up.c.due_at).limit(limit)))
    tasks = []
    approved: dict[str, bool] = {}
    for row in rows:
        query = (
            sa.select(d.state, d.address, d.attempts, d.provider_id, d.spare, d.changed_at, x.channel, x.lane, x.release,
                      x.purpose, x.created_at, sa.func.coalesce(a.body, x.notice_payload).label("payload"), look_up.c.looks,
                      look_up.c.repeats, look_up.c.absent_at, look_up.c.is_double)
            .join(t.parcel_row, p.id == d.parcel)
            .join(t.dispatch, x.id == p.dispatch)
            .join(look_up, sa.and_(look_up.c.parcel == d.parcel, look_up.c.seq == d.seq))
            .join(t.artefact, a.id == x.artefact, isouter=True)
            .where(d.parcel == row.parcel, d.seq == row.seq)
        )  # fmt: skip
        one = unit.row(query)
        if (
            one is None
            or one.attempts != row.attempt
            or one.channel not in channels
            or one.state not in _ASKED
        ):
            close(unit, (row.parcel, row.seq), "settled", at)
            continue
        update(unit, (row.parcel, row.seq), at, due_at=until)
        tasks.append(Task(
            parcel=row.parcel, seq=row.seq, attempt=row.attempt, state=DeliveryState(one.state),
            address=one.address, provider_id=one.provider_id or "", channel=one.channel,
            spare=one.spare or "", lane=one.lane, release=one.release or "",
            is_recallable=one.purpose == "main", payload=one.payload, promised_at=one.created_at, unsure_since=one.changed_at,
            looks=one.looks, repeats=one.repeats, absent_at=one.absent_at,
            is_double=one.is_double, may_double=_may_double(unit, one.release or "", approved),
        ))  # fmt: skip
    return tasks


def _may_double(unit: Unit, release_id: str, known: dict[str, bool]) -> bool:
    """Whether what was approved says so, under its digest; not what the row of the release says now."""
    if release_id and release_id not in known:
        known[release_id] = releases.manifest(unit, release_id).get("repeat_unsure") is True
    return known.get(release_id, False)


_ASKED = (DeliveryState.UNSURE, DeliveryState.ACCEPTED, DeliveryState.SENT)


def update(unit: Unit, key: tuple[str, int], at: datetime, **values: Any) -> None:
    """Write columns of one row."""
    mine = (look_up.c.parcel == key[0], look_up.c.seq == key[1])
    unit.execute(look_up.update().where(*mine).values(changed_at=at, **values))


def close(unit: Unit, key: tuple[str, int], verdict: str, at: datetime, **values: Any) -> None:
    """Nothing more will be asked about it."""
    update(unit, key, at, verdict=verdict, due_at=None, **values)


def is_unsure(unit: Unit, task: Task) -> bool:
    """Whether nobody has settled it since; locks its row."""
    d = t.delivery.c
    query = sa.select(d.state).where(d.parcel == task.parcel, d.seq == task.seq, d.attempts == task.attempt)
    return bool(unit.scalar(unit.locked(query)) == DeliveryState.UNSURE.value)


def known(unit: Unit, provider_ids: Iterable[str]) -> set[str]:
    """Those names of messages that a delivery bears already."""
    d = t.delivery.c
    wanted = list(provider_ids)
    rows = unit.rows(sa.select(d.provider_id).where(d.provider_id.in_(wanted))) if wanted else []
    return {row.provider_id for row in rows}


def rivals(unit: Unit, task: Task) -> list[tuple[str, int, DeliveryState, bytes]]:
    """(parcel, seq, state, text) of the other deliveries to its address whose message may be on the list.

    Those that are unsure, and those that are being sent: the latter lie in leased parcels, or in stopped ones.
    """
    found: dict[tuple[str, int], tuple[str, int, DeliveryState, bytes]] = {}
    p, d, x, a = t.parcel_row.c, t.delivery.c, t.dispatch.c, t.artefact.c
    each = (
        sa.select(d.parcel, d.seq, d.state, sa.func.coalesce(a.body, x.notice_payload).label("payload"))
        .select_from(t.delivery.join(t.parcel_row, p.id == d.parcel).join(t.dispatch, x.id == p.dispatch))
        .join(t.artefact, a.id == x.artefact, isouter=True)
        .where(d.address == task.address, x.channel == task.channel)
        .where(sa.func.coalesce(d.spare, "") == task.spare)  # another provider's are on another list
    )
    going = (ParcelState.LEASED.value, ParcelState.STOPPED.value)
    for query in (
        each.where(d.state == DeliveryState.UNSURE.value),
        each.where(d.state == DeliveryState.SENDING.value, p.state.in_(going)),
    ):
        for row in unit.rows(query):
            if (row.parcel, row.seq) != task.key:
                found[row.parcel, row.seq] = (row.parcel, row.seq, DeliveryState(row.state), row.payload)
    return sorted(found.values(), key=lambda one: one[:2])


def may_leave(unit: Unit, task: Task, at: datetime) -> bool:
    """Whether send_again() would queue it: neither stopped nor over, and its parcel not given up.

    Ask before a repeat that nothing has proven: what may have arrived must not become "stopped" or "expired".
    """
    query = sa.select(t.parcel_row.c.state, t.dispatch.c.expires)
    query = query.join(t.dispatch, t.dispatch.c.id == t.parcel_row.c.dispatch)
    row = unit.row(query.where(t.parcel_row.c.id == task.parcel))
    over = (ParcelState.STOPPED.value, ParcelState.BURIED.value)
    if row is None or row.state in over or row.expires <= at:
        return False
    return not (task.is_recallable and bool(task.release) and promises.has_tombstone(unit, task.release))


def send_again(unit: Unit, task: Task, action: str, at: datetime) -> DeliveryState:
    """Move an unsure delivery along `action` and on to where its parcel stands; the state it ends in.

    Stopped when the release is, expired when its time is over, failed in a buried parcel; else it is queued,
    and a settled parcel is opened for it.
    """
    p, d = t.parcel_row, t.delivery
    row = unit.rows(unit.locked(sa.select(p.c.state, p.c.dispatch).where(p.c.id == task.parcel)))[0]
    over = unit.scalar(sa.select(t.dispatch.c.expires).where(t.dispatch.c.id == row.dispatch)) <= at
    is_stopped = row.state == ParcelState.STOPPED.value or (
        task.is_recallable and bool(task.release) and promises.has_tombstone(unit, task.release)
    )
    further = "stop" if is_stopped else "expire" if over else ""
    if not further and row.state == ParcelState.BURIED.value:
        further = "refuse"
    after = DELIVERIES.after(DeliveryState.UNSURE, action)
    mine = (d.c.parcel == task.parcel, d.c.seq == task.seq)
    unit.execute(d.update().where(*mine).values(state=after.value, code=action, changed_at=at))
    if further:
        after = DELIVERIES.after(after, further)
        unit.execute(d.update().where(*mine).values(state=after.value))
    elif row.state == ParcelState.SETTLED.value:
        opened = PARCELS.after(ParcelState.SETTLED, "reopen").value
        unit.execute(p.update().where(p.c.id == task.parcel).values(state=opened, next_due=at, attempts=0))
    return after


def verdicts(unit: Unit, release_id: str) -> dict[tuple[str, str], int]:
    """(channel, verdict) -> look-ups of the release; '' for those under way."""
    p, x = t.parcel_row.c, t.dispatch.c
    query = (
        sa.select(x.channel, look_up.c.verdict, sa.func.count().label("n"))
        .join(t.parcel_row, p.id == look_up.c.parcel)
        .join(t.dispatch, x.id == p.dispatch)
        .where(x.release == release_id, x.purpose == "main")
        .group_by(x.channel, look_up.c.verdict)
    )
    return {(row.channel, row.verdict): row.n for row in unit.rows(query)}


def doubles(unit: Unit, release_id: str) -> dict[tuple[str, str], int]:
    """(purpose, channel) -> deliveries that were sent again though nothing was proven: they may come twice."""
    p, x = t.parcel_row.c, t.dispatch.c
    query = (
        sa.select(x.purpose, x.channel, sa.func.count().label("n"))
        .join(t.parcel_row, p.id == look_up.c.parcel)
        .join(t.dispatch, x.id == p.dispatch)
        .where(x.release == release_id, look_up.c.is_double)
        .group_by(x.purpose, x.channel)
    )
    return {(row.purpose, row.channel): row.n for row in unit.rows(query)}


def counts(unit: Unit) -> dict[tuple[str, str], int]:
    """(channel, verdict) -> look-ups of all releases and notices."""
    p, x = t.parcel_row.c, t.dispatch.c
    query = sa.select(x.channel, look_up.c.verdict, sa.func.count().label("n"))
    query = query.join(t.parcel_row, p.id == look_up.c.parcel).join(t.dispatch, x.id == p.dispatch)
    rows = unit.rows(query.group_by(x.channel, look_up.c.verdict))
    return {(row.channel, row.verdict or "under_way"): row.n for row in rows}


def _note(unit: Unit, rows: Sequence[Mapping[str, Any]]) -> None:
    """A delivery that is unsure anew begins anew; only how often it was sent again, and whether unproven, is kept."""
    fresh = {"verdict": "", "looks": 0, "absent_at": None}
    _upsert(unit, look_up, [{**row, **fresh} for row in rows], ["parcel", "seq"])


def _upsert(unit: Unit, table: sa.Table, rows: Sequence[Mapping[str, Any]], key: list[str]) -> None:
    if not rows:
        return
    insert: Any = postgresql.insert(table) if unit.is_postgres else sqlite.insert(table)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in key}
    unit.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), list(rows))
