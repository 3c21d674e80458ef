"""How the ending of a warning becomes parcels: its addresses are those that the warning reached, or may have."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.parcel import BATCH, REACHED, DeliveryState, ParcelState
from store import chains, parcels, promises
from store import tables as t
from store.columns import Instant
from store.promises import Dispatch
from store.tables_lookup import look_up
from store.unit import Unit

WALKED = 18 * BATCH  # deliveries of the warning looked at in one transaction: 9,000 take well under 0.2 s
_PLACE = sa.tuple_(t.parcel_row.c.n, t.delivery.c.seq)
_SPARE = 2  # parcels more, for what is reached between two looks of the transaction; the second pass finds the rest
BEHIND, DONE = "behind", "done"  # cursors: the walk is over; so is everything


def expand(
    unit: Unit, dispatch: Dispatch, at: datetime, *, walked: int = WALKED
) -> tuple[list[str], str, int]:
    """Turn the next reached deliveries into parcels: (parcel ids, new cursor, deliveries).

    A walk through the warning's deliveries in their order. If no call was under way when it began, nobody can
    be reached behind it, and its end is DONE. Otherwise it ends with the cursor BEHIND: from there expand()
    takes those who were reached meanwhile; run that when no call is under way any more, until DONE. No
    address is taken twice. The caller holds the dispatch's row.
    """
    if dispatch.cursor == BEHIND:
        names, size = _fill(unit, dispatch, _late(dispatch, _later(unit, dispatch)), walked, at)
        return names, BEHIND if size else DONE, size
    n, seq, is_quiet = _place(unit, dispatch)
    reached, last = _next_walk(dispatch, n, seq, walked)
    end = unit.row(last)
    if end is None:
        cursor = DONE if is_quiet else BEHIND
    else:
        reached = reached.where(sa.tuple_(sa.literal(end.n), sa.literal(end.seq)) >= _PLACE)
        cursor = f"{end.n}:{end.seq}:{int(is_quiet)}"
    names, size = _fill(unit, dispatch, reached, walked, at)
    return names, cursor, size


def is_quiet(unit: Unit, dispatch: Dispatch) -> bool:
    """Whether no call is under way of the warning, or of those that replaced it."""
    return not any(parcels.is_sending(unit, main) for main in (dispatch.ends, *_later(unit, dispatch)))


def add_late(unit: Unit, parcel: str, seq: int, at: datetime) -> None:
    """A delivery that had failed has arrived after all: endings whose walk has passed it take it now."""
    p, d = t.parcel_row.c, t.delivery.c
    query = sa.select(p.dispatch, p.release, p.n, d.seq, d.recipient, d.address)
    one = query.join(t.parcel_row, p.id == d.parcel).where(d.parcel == parcel, d.seq == seq)
    row = unit.row(one)
    if row is None or not row.release:
        return
    for seen in promises.of_release(unit, row.release):
        ends_it = seen.ends == row.dispatch
        dispatch = promises.get(unit, seen.id, lock=True) if ends_it else None
        if dispatch is None or not _has_passed(dispatch, row.n, row.seq):
            continue
        missed = one.with_only_columns(p.n, d.seq, d.recipient, d.address)
        missed = missed.where(d.recipient.not_in(_taken(dispatch)))
        if later := _later(unit, dispatch):
            missed = missed.where(d.address.not_in(_reached_by(later)))
        _, size = _fill(unit, dispatch, missed, 1, at)
        promises.note_expanded(
            unit, dispatch.id, cursor="", expanded=dispatch.expanded + size,
            is_expanded=dispatch.is_expanded, next_due=dispatch.next_due,
        )  # fmt: skip


def _has_passed(dispatch: Dispatch, n: int, seq: int) -> bool:
    """Whether expand() will not come to this place any more."""
    if dispatch.is_expanded or dispatch.cursor in ("", BEHIND):
        return dispatch.is_expanded
    last_n, last_seq, is_quiet = map(int, dispatch.cursor.split(":"))
    return bool(is_quiet) and (n, seq) <= (last_n, last_seq)


def _later(unit: Unit, dispatch: Dispatch) -> list[str]:
    """The main dispatches, in the same channel, of what replaced the warning: whom those reached hears theirs."""
    found: list[str] = []
    names = [dispatch.release]
    while names := [name for old in names for name, _ in chains.successors(unit, old)]:
        mains = [d for name in names for d in promises.of_release(unit, name) if not d.ends]
        found += [d.id for d in mains if d.channel == dispatch.channel]
    return found


def _place(unit: Unit, dispatch: Dispatch) -> tuple[int, int, bool]:
    """Where the walk stands, and whether the warning was quiet when it began."""
    if dispatch.cursor:
        n, seq, is_quiet = map(int, dispatch.cursor.split(":"))
        return n, seq, bool(is_quiet)
    return -1, -1, not parcels.is_sending(unit, dispatch.ends)


def _next_walk(
    dispatch: Dispatch, n: int, seq: int, walked: int
) -> tuple[sa.Select[Any], sa.Select[tuple[int, int]]]:
    """The reached behind (n, seq), and the query for the place of the last of `walked` deliveries."""
    p, d = t.parcel_row.c, t.delivery.c
    behind = sa.tuple_(sa.literal(n), sa.literal(seq)) < _PLACE
    walk = (
        sa.select(p.n, d.seq).join(t.parcel_row, p.id == d.parcel).where(p.dispatch == dispatch.ends, behind)
    )
    return _reached(dispatch).where(behind), walk.order_by(p.n, d.seq).offset(walked - 1).limit(1)


def _late(dispatch: Dispatch, later: list[str]) -> sa.Select[Any]:
    """Those who are reached and were not taken. EXCEPT: both databases hash it; NOT IN would be quadratic."""
    d = t.delivery.c
    left = _reached(dispatch).with_only_columns(d.recipient).except_(_taken(dispatch))
    late = _reached(dispatch).where(d.recipient.in_(left))
    if not later:
        return late
    addresses = _reached(dispatch).with_only_columns(d.address)
    return late.where(d.address.in_(addresses.except_(_reached_by(later))))


def _taken(dispatch: Dispatch) -> sa.Select[tuple[str]]:
    p, d = t.parcel_row.alias("own_parcel"), t.delivery.alias("own")
    return sa.select(d.c.recipient).join(p, p.c.id == d.c.parcel).where(p.c.dispatch == dispatch.id)


def _reached_by(dispatches: list[str]) -> sa.Select[tuple[str]]:
    p, d = t.parcel_row.alias("later_parcel"), t.delivery.alias("later")
    query = sa.select(d.c.address).join(p, p.c.id == d.c.parcel)
    return query.where(p.c.dispatch.in_(dispatches), _may_have(d))


def _reached(dispatch: Dispatch) -> sa.Select[Any]:
    p, d = t.parcel_row.c, t.delivery.c
    query = sa.select(p.n, d.seq, d.recipient, d.address).join(t.parcel_row, p.id == d.parcel)
    return query.where(p.dispatch == dispatch.ends, _may_have(t.delivery))


def _may_have(d: Any) -> sa.ColumnElement[bool]:
    """Who is reached; and who was sent it again unproven, however that attempt ended: the one before may have arrived."""
    y = look_up.c
    again = sa.or_(y.is_double, y.verdict == "repeated")
    is_open = sa.exists().where(y.parcel == d.c.parcel, y.seq == d.c.seq, again)
    return sa.or_(d.c.state.in_([s.value for s in REACHED]), is_open)


def _fill(
    unit: Unit, dispatch: Dispatch, chosen: sa.Select[Any], walked: int, at: datetime
) -> tuple[list[str], int]:
    """INSERT ... SELECT of `chosen` into fresh parcels behind those there are: (parcel ids, deliveries)."""
    p = t.parcel_row
    last = unit.scalar(sa.select(sa.func.max(p.c.n)).where(p.c.dispatch == dispatch.id))
    first = 0 if last is None else int(last) + 1
    count = -(-walked // BATCH) + _SPARE
    names = [f"{dispatch.id}-{first + k}" for k in range(count)]
    common = {"dispatch": dispatch.id, "release": dispatch.release, "state": ParcelState.READY.value,
              "next_due": at}  # fmt: skip
    unit.execute(p.insert(), [{"id": n, "n": first + k, **common} for k, n in enumerate(names)])
    size = unit.execute(_insert(dispatch, chosen, first, count * BATCH, at)).rowcount  # see audience.expand()
    used, unused = names[: -(-size // BATCH)], names[-(-size // BATCH) :]
    if unused:
        unit.execute(p.delete().where(p.c.id.in_(unused)))
    return used, size


def _insert(dispatch: Dispatch, chosen: sa.Select[Any], first: int, most: int, at: datetime) -> sa.Insert:
    chunk = chosen.subquery("chunk")
    number = sa.func.row_number().over(order_by=(chunk.c.n, chunk.c.seq)) - 1
    ranked = sa.select(chunk, number.label("k")).subquery("ranked")
    which = sa.cast(ranked.c.k, sa.Integer)
    parcel = sa.literal(f"{dispatch.id}-").concat(sa.cast(which // BATCH + first, sa.String))
    columns = ["parcel", "seq", "recipient", "address", "state", "attempts", "code", "changed_at"]
    rows = sa.select(
        parcel, which % BATCH, ranked.c.recipient, ranked.c.address,
        sa.literal(DeliveryState.QUEUED.value), sa.literal(0), sa.literal(""), sa.literal(at, Instant()),
    ).where(which < most)  # fmt: skip
    return t.delivery.insert().from_select(columns, rows).execution_options(preserve_rowcount=True)
