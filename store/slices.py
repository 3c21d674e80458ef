"""A slice of a parcel: attempts written before its calls, answers after them, in as few statements as can be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.parcel import DELIVERIES, DeliveryState, ParcelState
from store import tables as t
from store.audience import RESPONSIBLE, SUBSCRIPTIONS
from store.bulk import array_of_words
from store.columns import Instant, instant
from store.parcels import Claim, Result, Slot, empty, holds, take_back
from store.unit import Unit

_S = DeliveryState
_GROUP = '(SELECT r."group" FROM recipient r WHERE r.id = delivery.recipient)'
_IS_OUT = (
    "(:asks_opt_outs AND EXISTS (SELECT 1 FROM opt_out o WHERE o.channel = :channel"  # noqa: S608 (our own words)
    f" AND o.scope = '{SUBSCRIPTIONS}' AND o.address = delivery.address)"
    f" AND coalesce({_GROUP}, '') <> '{RESPONSIBLE}')"
)
_CHOSEN = (  # the rows of the next slice; whom a relay puts off must not stand before those nobody has tried
    f"SELECT q.seq FROM delivery q WHERE q.parcel = :parcel AND q.state = '{_S.QUEUED}'"  # noqa: S608 (our own words)
    " ORDER BY q.attempts, q.seq LIMIT :most"
)
# PostgreSQL: choose, count the attempt, and say whom it is for, in one statement. The rows are named by where they
# lie: of a fresh table it believes that a parcel has one row, and would join by sequence numbers, each with each.
_LINED_UP = (
    "SELECT q.ctid AS place, q.recipient, q.address FROM delivery q"  # noqa: S608 (our own words)
    f" WHERE q.parcel = :parcel AND q.state = '{_S.QUEUED}'"
)
_NEXT = (
    f"SELECT delivery.place, {_GROUP} AS of_group, {_IS_OUT} AS is_out"  # noqa: S608 (our own words)
    " FROM ({} ORDER BY q.attempts, q.seq LIMIT :most) AS delivery"
)
_BEGUN = (
    f"UPDATE delivery SET state = CASE WHEN c.is_out THEN '{_S.OPTED_OUT}' ELSE '{_S.SENDING}' END,"  # noqa: S608
    " attempts = delivery.attempts + CASE WHEN c.is_out THEN 0 ELSE 1 END, spare = :spare, changed_at = :at"
    " FROM chosen c"
    f" WHERE delivery.ctid = c.place AND delivery.parcel = :parcel AND delivery.state = '{_S.QUEUED}'"
    " RETURNING delivery.seq, delivery.address, delivery.attempts, delivery.state, c.of_group"
)
_BEGIN = f"WITH chosen AS MATERIALIZED ({_NEXT.format(_LINED_UP)}) {_BEGUN}"
# SQLite, first half: everything about the next slice in one row (see store/bulk.py why one)
_CHOOSE = (
    f"SELECT json_group_array(json_array(seq, address, attempts, {_IS_OUT}, {_GROUP})) FROM delivery"  # noqa: S608
    f" WHERE parcel = :parcel AND seq IN ({_CHOSEN})"
)
_MARK = (  # SQLite, second half
    "UPDATE delivery SET state = :state, attempts = attempts + :more, spare = :spare, changed_at = :at"
    " WHERE parcel = :parcel AND seq IN (SELECT value FROM json_each(:seqs))"
)

MOVED = (
    "moved"  # code of a delivery that has another address than it was promised to; what waits keeps its code
)
_ANSWER = (  # SQLite: all answers in one statement, their rows between the two halves
    "UPDATE delivery SET state = a.column2, provider_id = coalesce(provider_id, a.column3),"  # noqa: S608 (our own words)
    f" code = CASE WHEN a.column2 = '{_S.QUEUED}' THEN code ELSE a.column4 END,"
    " attempts = attempts - a.column5, changed_at = ? FROM (VALUES ",
    f") AS a WHERE parcel = ? AND seq = a.column1 AND state = '{_S.SENDING}'",
)
_ANSWERS = (  # PostgreSQL: one statement for all
    "UPDATE delivery SET state = n.state, provider_id = coalesce(delivery.provider_id, n.provider_id),"  # noqa: S608 (our own words)
    f" code = CASE WHEN n.state = '{_S.QUEUED}' THEN delivery.code ELSE n.code END,"
    " attempts = delivery.attempts - n.unmade, changed_at = :at"
    " FROM unnest(CAST(:seqs AS integer[]), CAST(:states AS text[]), CAST(:provider_ids AS text[]),"
    " CAST(:codes AS text[]), CAST(:unmade AS integer[])) AS n(seq, state, provider_id, code, unmade)"
    f" WHERE delivery.parcel = :parcel AND delivery.seq = n.seq AND delivery.state = '{_S.SENDING}'"
)


# PostgreSQL: all of an ordinary step in one statement, which is its own transaction. It does nothing unless the lease is
# as its holder left it (so it can come late, behind another step, and do no harm) and no name is known already.
_STEP = (
    f"WITH held AS (UPDATE parcel SET lease_until = :until WHERE id = :parcel AND fence = :fence"  # noqa: S608 (our own words)
    f" AND state = '{ParcelState.LEASED}' AND lease_until = :was RETURNING id),"
    " known AS MATERIALIZED (SELECT FROM delivery WHERE provider_id = ANY(CAST(:names AS text[]))"
    " UNION ALL SELECT FROM receipt WHERE channel = :channel AND provider_id = ANY(CAST(:names AS text[]))"
    " AND applied_at IS NULL),"
    " fit AS MATERIALIZED (SELECT FROM held WHERE NOT EXISTS (SELECT FROM known)),"
    f" answered AS ({_ANSWERS} AND EXISTS (SELECT FROM fit) RETURNING delivery.seq),"
    f" chosen AS MATERIALIZED ({_NEXT.format(_LINED_UP + ' AND EXISTS (SELECT FROM fit)')}), begun AS ({_BEGUN})"
    " SELECT (SELECT count(*) FROM fit), (SELECT count(*) FROM answered),"
    " EXISTS (SELECT FROM tombstone WHERE release = :release), begun.*"
    " FROM (VALUES (1)) AS one LEFT JOIN begun ON true"
)
_SURE = {_S.ACCEPTED, _S.SENT, _S.FAILED}


def _named_of(names: str) -> str:
    """Who bears these names already, and for which of them receipts are waiting (parcel '')."""
    return (
        f"SELECT provider_id, parcel, seq FROM delivery WHERE provider_id {names}"  # noqa: S608 (our own words)
        " UNION ALL SELECT provider_id, '', -1 FROM receipt"
        f" WHERE channel = :channel AND provider_id {names} AND applied_at IS NULL"
    )


_NAMED = {
    True: _named_of("= ANY(CAST(:names AS text[]))"),
    False: _named_of("IN (SELECT value FROM json_each(:names))"),
}
_d = t.delivery.c
_ONE = (  # of a row that a receipt has changed meanwhile
    t.delivery.update()
    .where(_d.parcel == sa.bindparam("of_parcel"), _d.seq == sa.bindparam("of_seq"))
    .values(
        state=sa.bindparam("new_state"),
        provider_id=sa.bindparam("new_provider_id"),
        address=sa.bindparam("new_address"),
        code=sa.bindparam("new_code"),
        changed_at=sa.bindparam("new_changed_at", type_=Instant()),
        attempts=_d.attempts - sa.bindparam("unmade", type_=sa.Integer()),
    )
)


_p = t.parcel_row.c
_MOVED_ON = (
    t.parcel_row.update()
    .where(_p.id == sa.bindparam("of_parcel"))
    .values(lease_until=sa.type_coerce(_p.lease_until, sa.BigInteger) + 1)
)


def record(
    unit: Unit, held: Claim, results: Sequence[Result], at: datetime, *, takes_back: bool = False
) -> frozenset[str] | None:
    """Write down how attempts ended; safe to repeat. The provider's names for which receipts are waiting.

    None: the fence is no longer ours, nothing was written. What a receipt has already raised stays raised. In
    a stopped parcel nothing goes back to the queue. `takes_back`: see go_on().
    """
    p = t.parcel_row.c
    query = sa.select(p.state).where(p.id == held.parcel, p.fence == held.fence)
    state = unit.scalar(unit.locked(query))
    if state not in (ParcelState.LEASED.value, ParcelState.STOPPED.value):
        return None
    waiting = _record(unit, held, results, at)
    if takes_back:
        take_back(unit, held, at)
        unit.execute(
            _MOVED_ON, {"of_parcel": held.parcel}
        )  # a step of ours that comes late finds another end
    if state == ParcelState.STOPPED.value:
        empty(unit, held, "stop", at)
    return waiting


def go_on(
    unit: Unit, held: Claim, results: Sequence[Result], *, most: int, at: datetime, until: datetime,
    takes_back: bool = False, spare: str = "",
) -> tuple[frozenset[str] | None, list[Slot] | None]:  # fmt: skip
    """Write down how attempts ended, and the attempts of the next deliveries: (as record() says it, the next slots).

    The lease is renewed. Addresses whose subscriptions have ended become opted_out and use up no attempt. Slots are
    [] when none is queued, None when the parcel is no longer ours. `spare` names the wire that they go by, when
    it is not the channel's own.

    `takes_back`: a COMMIT of ours had no answer, so attempts may be written down whose calls were never made.
    While no call of ours is under way they go back to the queue, once `results` are written.
    """
    if not holds(unit, held, renew=until):  # stopped or taken: what was said is still written down
        return record(unit, held, results, at, takes_back=takes_back), None
    waiting = _record(unit, held, results, at)
    if takes_back:
        take_back(unit, held, at)
    return waiting, _begin(unit, held, most, spare, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an ordinary step has done; `is_done` false: nothing, or not all of it."""

    is_done: bool
    slots: list[Slot]
    is_stopped: bool  # there is a tombstone of the release


def is_ordinary(results: Sequence[Result]) -> bool:
    """Whether step() can write them: nothing unsure, moved, gone or given back, and no name twice."""
    names = [r.provider_id for r in results if r.provider_id]
    return len(set(names)) == len(names) and all(
        r.state in _SURE and not (r.gone or r.moved_to or r.is_unmade) for r in results
    )


def step(
    unit: Unit, held: Claim, results: Sequence[Result], *, most: int, at: datetime, was: datetime, until: datetime,
    spare: str = "",
) -> Step:  # fmt: skip
    """go_on() for ordinary results in one statement of PostgreSQL; `was` is the end of the lease as the holder wrote it.

    Where it is not done, go_on() with `takes_back` does all of it, whatever of this was kept.
    """
    given = _answers(held, results, at) | {
        "fence": held.fence, "was": instant(was), "until": instant(until), "channel": held.channel,
        "names": array_of_words([r.provider_id for r in results if r.provider_id]), "release": held.release,
        "asks_opt_outs": held.asks_opt_outs, "most": most, "spare": spare or None,
    }  # fmt: skip
    rows: list[Any] = unit.plain(_STEP, given).fetchall()
    is_fit, answered, has_tombstone = rows[0][:3]
    begun = [(seq, to, n, group) for _, _, _, seq, to, n, state, group in rows if state == _S.SENDING]
    is_done = bool(is_fit) and answered == len(results) and (bool(begun) or rows[0][3] is None)
    return Step(is_done=is_done, slots=_slots(held, begun), is_stopped=bool(has_tombstone))


def _begin(unit: Unit, held: Claim, most: int, spare: str, at: datetime) -> list[Slot]:
    asked = {
        "parcel": held.parcel,
        "channel": held.channel,
        "asks_opt_outs": held.asks_opt_outs,
        "most": most,
        "spare": spare or None,
    }
    while True:
        begun, is_any = (_begin_there if unit.is_postgres else _begin_here)(unit, asked, at)
        if begun or not is_any:
            break
    return _slots(held, begun)


def _slots(held: Claim, begun: Sequence[tuple[int, str, int, str]]) -> list[Slot]:
    slots = [
        Slot(seq=seq, address=address, attempt=attempt,
             is_responsible=group == RESPONSIBLE or not held.asks_opt_outs)
        for seq, address, attempt, group in begun
    ]  # fmt: skip
    return sorted(slots, key=lambda slot: (slot.attempt, slot.seq))


# (seq, address, attempt, group) of each, and whether there was any
_Begun = tuple[list[tuple[int, str, int, str]], bool]


def _begin_there(unit: Unit, asked: dict[str, Any], at: datetime) -> _Begun:
    rows: list[Any] = unit.plain(_BEGIN, asked | {"at": instant(at)}).fetchall()
    return [(seq, to, n, group) for seq, to, n, state, group in rows if state == _S.SENDING], bool(rows)


def _begin_here(unit: Unit, asked: dict[str, Any], at: datetime) -> _Begun:
    rows = json.loads(unit.plain(_CHOOSE, asked).fetchone()[0])
    for is_out, state, more in ((1, _S.OPTED_OUT, 0), (0, _S.SENDING, 1)):
        seqs = [row[0] for row in rows if row[3] == is_out]
        if seqs:
            given = {
                "state": state.value,
                "spare": asked["spare"],
                "more": more,
                "at": instant(at),
                "parcel": asked["parcel"],
                "seqs": json.dumps(seqs),
            }
            unit.plain(_MARK, given)
    return [(seq, to, n + 1, group) for seq, to, n, is_out, group in rows if not is_out], bool(rows)


def _record(unit: Unit, held: Claim, results: Sequence[Result], at: datetime) -> frozenset[str]:
    if not results:
        return frozenset()
    bearers, waiting = _named(unit, held, results)
    if bearers or any(r.moved_to for r in results) or not _answer(unit, held, results, at):
        _answer_each(unit, held, results, bearers, at)
    return waiting


def _named(
    unit: Unit, held: Claim, results: Sequence[Result]
) -> tuple[dict[str, set[tuple[str, int]]], frozenset[str]]:
    """Who bears the provider's names of `results` already, and which of them have receipts waiting.

    F40: one name must not prove two messages. Names that came twice in `results` are borne by nobody yet.
    """
    names = [r.provider_id for r in results if r.provider_id]
    if not names:
        return {}, frozenset()
    bearers: dict[str, set[tuple[str, int]]] = {}
    waiting = set()
    given = array_of_words(names) if unit.is_postgres else json.dumps(names)
    asked = {"names": given, "channel": held.channel}
    found: list[Any] = unit.plain(_NAMED[unit.is_postgres], asked).fetchall()
    for name, parcel, seq in found:
        if parcel:
            bearers.setdefault(name, set()).add((parcel, seq))
        else:
            waiting.add(name)
    if len(set(names)) < len(names):
        bearers |= {name: bearers.get(name, set()) for name in names}
    return bearers, frozenset(waiting)


def _answer(unit: Unit, held: Claim, results: Sequence[Result], at: datetime) -> bool:
    """Move all of `results` on from sending; False when some row was no longer there."""
    if unit.is_postgres:
        return bool(unit.plain(_ANSWERS, _answers(held, results, at)).rowcount == len(results))
    head, tail = _ANSWER
    rows = (
        value for r in results
        for value in (r.seq, r.state.value, r.provider_id or None, r.code[:40], int(r.is_unmade))
    )  # fmt: skip
    statement = head + ", ".join(["(?, ?, ?, ?, ?)"] * len(results)) + tail
    return bool(unit.plain(statement, (instant(at), *rows, held.parcel)).rowcount == len(results))


def _answers(held: Claim, results: Sequence[Result], at: datetime) -> dict[str, Any]:
    return {
        "parcel": held.parcel, "at": instant(at), "seqs": array_of_words([r.seq for r in results]),
        "states": array_of_words([r.state.value for r in results]),
        "codes": array_of_words([r.code[:40] for r in results]),
        "provider_ids": array_of_words([r.provider_id or None for r in results]),
        "unmade": array_of_words([int(r.is_unmade) for r in results]),
    }  # fmt: skip


def _answer_each(
    unit: Unit, held: Claim, results: Sequence[Result], bearers: dict[str, set[tuple[str, int]]], at: datetime
) -> None:
    """As _answer(), against what each row says now."""
    d = t.delivery
    mine = (d.c.parcel == held.parcel, d.c.seq.in_([r.seq for r in results]))
    now = {row.seq: row for row in unit.rows(unit.locked(sa.select(d).where(*mine)))}
    changes = [_change(held, given, now[given.seq], bearers, at) for given in results]
    if written := [change for change in changes if change]:
        unit.execute(_ONE, written)


def _after(before: DeliveryState, result: Result) -> DeliveryState | None:
    """Where the answer leads; None when a receipt has said more already."""
    action = "not_now" if result.state is DeliveryState.QUEUED else result.state.value
    return DELIVERIES.after(before, action) if DELIVERIES.allows(before, action) else None


def _change(
    held: Claim, given: Result, row: sa.Row[Any], bearers: dict[str, set[tuple[str, int]]], at: datetime
) -> dict[str, Any] | None:
    """The new columns of one delivery; None when its row already says as much or more."""
    result, name = given, given.provider_id
    if given.moved_to and row.code == MOVED:  # followed once: a list that goes round in circles ends here
        result = replace(given, state=DeliveryState.FAILED, code="moved_again", moved_to="")
    if name and bearers.get(name, set()) - {(held.parcel, row.seq)}:
        result = replace(given, state=DeliveryState.UNSURE, provider_id="", code="provider_id_repeated")
    elif name:
        bearers.setdefault(name, set()).add((held.parcel, row.seq))
    after = _after(DeliveryState(row.state), result)
    provider_id = row.provider_id or result.provider_id or None
    if after is None and provider_id == row.provider_id:
        return None
    is_raised = after is not None
    code = MOVED if result.moved_to else row.code if after is DeliveryState.QUEUED else result.code[:40]
    return {
        "of_parcel": held.parcel,
        "of_seq": row.seq,
        "new_state": after.value if after is not None else row.state,
        "new_provider_id": provider_id,
        "new_address": (is_raised and result.moved_to) or row.address,
        "new_code": code if is_raised else row.code,
        "new_changed_at": at if is_raised else row.changed_at,
        "unmade": int(given.is_unmade and is_raised),
    }
