"""Which report follows which: linked, proposed, or said by an officer to be apart."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from domain.incident import THREADS, Sign, Thread, ThreadState
from domain.report import Report
from store import exchanges
from store import tables as t
from store.tables_incidents import thread
from store.unit import Unit

MOST = 5  # earlier reports of one number that are proposed: the latest


def enter(unit: Unit, row: Thread) -> bool:
    """Write it down once; what an officer has decided of the two stays. False when it is known."""
    return unit.add_once(thread, {
        "report": row.report, "follows": row.follows, "sign": row.sign.value, "state": row.state.value,
        "is_certain": row.is_certain, "by": row.by, "at": row.at,
    })  # fmt: skip


def get(unit: Unit, report: str, follows: str) -> Thread | None:
    """One of them; None also when whoever looks may not see both."""
    h = thread.c
    row = unit.row(unit.locked(sa.select(thread).where(h.report == report, h.follows == follows)))
    return _thread(row) if row else None


def of(unit: Unit, report: str) -> list[Thread]:
    """Every thread that a report is an end of, the oldest first."""
    h = thread.c
    query = sa.select(thread).where(sa.or_(h.report == report, h.follows == report))
    return [_thread(row) for row in unit.rows(query.order_by(h.at, h.report))]


def counts(unit: Unit, reports: Sequence[str]) -> dict[str, int]:
    """report -> how many linked ones follow it."""
    h = thread.c
    query = (
        sa.select(h.follows, sa.func.count().label("n"))
        .where(h.follows.in_(reports), h.state == ThreadState.LINKED.value)
        .group_by(h.follows)
    )
    return {row.follows: row.n for row in unit.rows(query)} if reports else {}


def move(unit: Unit, row: Thread, action: str, *, by: str, at: datetime) -> bool:
    """Compare-and-set of its state; False if another was faster. Raises IllegalMove."""
    h, after = thread, THREADS.after(row.state, action)
    is_it = (h.c.report == row.report, h.c.follows == row.follows, h.c.state == row.state.value)
    return unit.execute(h.update().where(*is_it).values(state=after.value, by=by, at=at)).rowcount == 1


def by_codes(unit: Unit, codes: Sequence[str]) -> list[str]:
    """The reports of these short codes, those that are filed."""
    r = t.report_row.c
    return [row.id for row in unit.rows(sa.select(r.id).where(r.code.in_(codes)))] if codes else []


def by_dispatches(unit: Unit, dispatches: Sequence[str]) -> list[str]:
    """The reports that these notices of ours speak of."""
    d, r = t.dispatch.c, t.report_row.c
    query = (
        sa.select(r.id).join(t.dispatch, d.about == r.id).where(d.id.in_(dispatches), d.notice.is_not(None))
    )
    told = [row.id for row in unit.rows(query)] if dispatches else []
    return list(dict.fromkeys([*told, *exchanges.by_dispatches(unit, dispatches)]))


def told_lately(unit: Unit, report: Report, within: timedelta) -> list[str]:
    """Earlier reports from where this one came from that were acknowledged within a while before it."""
    mine, i = t.inbound.alias("mine"), t.inbound.c
    since = report.received_at - within
    query = (
        sa.select(i.report)
        .join(mine, sa.and_(mine.c.sender_index == i.sender_index, mine.c.channel == i.channel))
        .join(t.report_row, t.report_row.c.id == i.report)
        .where(mine.c.report == report.id, i.sender_index != "", i.report != report.id)
        .where(i.acknowledged_at >= since, i.received_at < report.received_at)
        .order_by(i.received_at.desc())
        .limit(MOST)
    )
    return [row.report for row in unit.rows(query)]


def same_sender(unit: Unit, report: str, others: Sequence[str]) -> set[str]:
    """Of `others` those that came from the same address as `report`, by the same channel."""
    mine, i = t.inbound.alias("mine"), t.inbound.c
    is_same = sa.and_(mine.c.sender_index == i.sender_index, mine.c.channel == i.channel)
    query = (
        sa.select(i.report)
        .join(mine, is_same)
        .where(mine.c.report == report, mine.c.sender_index != "", i.report.in_(others))
    )
    return {row.report for row in unit.rows(query)} if others else set()


def _thread(row: sa.Row[tuple[str, ...]]) -> Thread:
    return Thread(report=row.report, follows=row.follows, sign=Sign(row.sign), state=ThreadState(row.state),
                  is_certain=row.is_certain, by=row.by, at=row.at)  # fmt: skip
