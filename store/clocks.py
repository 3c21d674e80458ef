"""Clocks of reports: set once, stopped once; whether one is late is what its due and its stop say."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from domain.clock import CLOCKS, Due, Duty, Rule, StartsFrom, State, Times, alarm_at
from domain.ids import mint
from store import tables as t
from store.tables_clocks import clock, clock_rule, clock_stop, report_instant, report_timing
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One clock, with the stop that ended it."""

    id: str
    report: str
    rule: str
    rule_name: str
    is_example: bool
    duty: Duty
    state: State
    grade: int | None
    is_suggested: bool
    starts_at: datetime
    starts_from: StartsFrom
    due_at: datetime
    alarm_at: datetime
    opened_at: datetime
    stopped_at: datetime | None
    stop_kind: str = ""
    whom: str = ""
    who: str = ""
    said_at: datetime | None = None
    note: str = ""

    def is_late(self, at: datetime) -> bool:
        """Whether it was not stopped in time, as of `at`; what is waived is not owed."""
        if self.state is State.WAIVED:
            return False
        return (self.stopped_at or at) > self.due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A recorded act that stops clocks."""

    id: str
    report: str
    kind: str  # call | sign | waive
    duty: Duty
    whom: str = ""
    who: str = ""
    said_at: datetime | None = None
    note: str = ""
    by: str
    at: datetime


def rules(unit: Unit) -> list[Rule]:
    """All rules, examples too."""
    return [_rule(row) for row in unit.rows(sa.select(clock_rule).order_by(clock_rule.c.id))]


def add_rules(unit: Unit, wanted: Iterable[Rule], by: str | None, at: datetime) -> int:
    """Enter rules that are not there; how many. Without `by` they are examples."""
    return sum(unit.add_once(clock_rule, _row(rule, by, at)) for rule in wanted)


def confirm_rule(unit: Unit, rule_id: str, by: str, at: datetime) -> bool:
    """Somebody here has looked at it; False for one that is confirmed or unknown."""
    mine = (clock_rule.c.id == rule_id, clock_rule.c.confirmed_by.is_(None))
    return (
        unit.execute(clock_rule.update().where(*mine).values(confirmed_by=by, confirmed_at=at)).rowcount == 1
    )


def supersede_rule(unit: Unit, rule_id: str, from_day: date) -> bool:
    """It holds no longer for what is received on that day and after; False if that was said before."""
    mine = (clock_rule.c.id == rule_id, clock_rule.c.superseded.is_(None))
    values = {"superseded": from_day.isoformat()}
    return unit.execute(clock_rule.update().where(*mine).values(**values)).rowcount == 1


def times(unit: Unit, report_id: str, received_at: datetime) -> tuple[Times, bool]:
    """(what is known of its instants, whether it is sensitive by time, place or people)."""
    row = unit.row(sa.select(report_timing).where(report_timing.c.report == report_id))
    if row is None:
        return Times(received_at=received_at), False
    known = Times(received_at=received_at, occurred_at=row.occurred_at, known_at=row.known_at,
                  ordered_at=row.ordered_at)  # fmt: skip
    return known, row.is_sensitive


def all_times(unit: Unit, now: Times, report_id: str) -> list[Times]:
    """`now`, and it again with each other instant that was ever said: the earlier order is still owed an answer."""
    i = report_instant.c
    rows = unit.rows(sa.select(i.kind, i.said).where(i.report == report_id).order_by(i.kind, i.said))
    return [
        now,
        *(replace(now, **{row.kind: row.said}) for row in rows if getattr(now, row.kind) != row.said),
    ]


def set_times(unit: Unit, report_id: str, values: dict[str, Any]) -> None:
    """Write instants and the mark of sensitivity; what is not named stays."""
    for kind in (name for name in values if name != "is_sensitive"):
        unit.add_once(report_instant, {"report": report_id, "kind": kind, "said": values[kind]})
    if not unit.add_once(report_timing, {"report": report_id, **values}) and values:
        unit.execute(report_timing.update().where(report_timing.c.report == report_id).values(**values))


def open_many(unit: Unit, report_id: str, wanted: Sequence[Due], *, grade: int | None, is_suggested: bool,
              at: datetime) -> list[str]:  # fmt: skip
    """Set clocks that are not set yet; their ids. What was done before in time stops them at once."""
    made = []
    for due in wanted:
        clock_id = mint("clk", at)
        row = {
            "id": clock_id, "report": report_id, "rule": due.rule, "duty": due.duty.value,
            "state": State.RUNNING.value, "grade": grade, "is_suggested": is_suggested, "starts_at": due.starts_at,
            "starts_from": due.starts_from.value, "due_at": due.due_at,
            "alarm_at": alarm_at(due.starts_at, due.due_at), "opened_at": at,
        }  # fmt: skip
        if not unit.add_once(clock, row):
            continue
        made.append(clock_id)
        is_asked_anew = due.duty is Duty.FOLLOW_UP or due.starts_from is StartsFrom.ORDER
        if not is_asked_anew and (earlier := _done(unit, report_id, due)):
            _end(unit, [clock_id], "stop", earlier.at, earlier.id)
    return made


def _done(unit: Unit, report_id: str, due: Due) -> Any | None:
    """The first stop of the same duty since the start of a clock that is set only now, in time or late.

    Of the report, or of the one that it was merged into.
    """
    s, r = clock_stop.c, t.report_row.c
    into = sa.select(r.merged_into).where(r.id == report_id, r.merged_into.is_not(None))
    query = sa.select(s.id, s.at).where(s.duty == due.duty.value, s.kind != "waive", s.at >= due.starts_at)
    query = query.where(sa.or_(s.report == report_id, s.report.in_(into)))
    return unit.row(query.order_by(s.at).limit(1))


def of_reports(unit: Unit, report_ids: Collection[str]) -> list[Clock]:
    """All clocks of these reports, the first due first."""
    return _read(unit, [clock.c.report.in_(list(report_ids))]) if report_ids else []


def running(
    unit: Unit, report_ids: Collection[str], duty: Duty, *, begun_by: datetime | None = None
) -> list[str]:
    """Ids of their running clocks of that duty, of those that had begun by then; locks them."""
    c = clock.c
    mine = [c.report.in_(list(report_ids)), c.duty == duty.value, c.state == State.RUNNING.value]
    if begun_by is not None:
        mine.append(c.starts_at <= begun_by)
    return [row.id for row in unit.rows(unit.locked(sa.select(c.id).where(*mine).order_by(c.id)))]


def stop(unit: Unit, made: Stop, clock_ids: Sequence[str]) -> None:
    """Write the stop down and end these clocks by it."""
    row = {"id": made.id, "report": made.report, "kind": made.kind, "duty": made.duty.value, "whom": made.whom,
           "who": made.who, "said_at": made.said_at, "note": made.note, "by": made.by, "at": made.at}  # fmt: skip
    unit.execute(clock_stop.insert(), row)
    _end(unit, clock_ids, "waive" if made.kind == "waive" else "stop", made.at, made.id)


def end_follow_ups(unit: Unit, report_ids: Collection[str], at: datetime) -> int:
    """The matter is closed: nothing more is reported of it. How many clocks that ends; one that was late stays late."""
    ids = running(unit, report_ids, Duty.FOLLOW_UP)
    _end(unit, ids, "end", at, None)
    return len(ids)


def _end(unit: Unit, clock_ids: Sequence[str], action: str, at: datetime, stop_id: str | None) -> None:
    after = CLOCKS.after(State.RUNNING, action).value
    mine = (clock.c.id.in_(list(clock_ids)), clock.c.state == State.RUNNING.value)
    unit.execute(clock.update().where(*mine).values(state=after, stopped_at=at, stop=stop_id))


def to_tell(unit: Unit, at: datetime, limit: int = 200) -> tuple[list[Clock], list[Clock]]:
    """(those that will soon be due, those that are overdue) of which nobody has been told yet."""
    runs = clock.c.state == State.RUNNING.value
    soon = [runs, clock.c.alarm_at <= at, clock.c.due_at > at, clock.c.alarmed_at.is_(None)]
    late = [runs, clock.c.due_at <= at, clock.c.overdue_at.is_(None)]
    return _read(unit, soon, limit), _read(unit, late, limit)


def note_told(unit: Unit, clock_ids: Sequence[str], column: str, at: datetime) -> set[str]:
    """Write down that they have been told of, `column` is alarmed_at or overdue_at; those that nobody else did."""
    mine = (clock.c.id.in_(list(clock_ids)), clock.c[column].is_(None))
    query = clock.update().where(*mine).values({column: at}).returning(clock.c.id)
    return {row.id for row in unit.rows(query)} if clock_ids else set()


def first_due(unit: Unit, limit: int = 2000) -> list[Clock]:
    """Running clocks of all reports, the first due first."""
    return _read(unit, [clock.c.state == State.RUNNING.value], limit)


def due_between(unit: Unit, since: datetime, until: datetime, limit: int = 5000) -> list[Clock]:
    """Clocks that were due in that time, however they ended."""
    return _read(unit, [clock.c.due_at >= since, clock.c.due_at < until], limit)


def counts(unit: Unit, at: datetime) -> dict[str, int]:
    """How many clocks run, will soon be due, and are overdue."""
    c = clock.c
    query = sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(sa.case((sa.and_(c.alarm_at <= at, c.due_at > at), 1), else_=0)), 0),
        sa.func.coalesce(sa.func.sum(sa.case((c.due_at <= at, 1), else_=0)), 0),
    ).where(c.state == State.RUNNING.value)
    found: list[Any] = unit.rows(query)
    return {name: int(n) for name, n in zip(("running", "soon", "overdue"), found[0], strict=True)}


def follow_ups_wanted(unit: Unit, limit: int = 100) -> list[Clock]:
    """The latest follow-up of each report and rule, when it is over and no newer one is set, of open reports.

    An ended one too: its report was closed, and has been taken up again. Not of what lies in quarantine, and not of
    what was destroyed: nobody reports of it.
    """
    c, r, k = clock.c, t.report_row.c, t.data_key.c
    later = clock.alias("later")
    is_last = ~sa.exists().where(
        later.c.report == c.report,
        later.c.rule == c.rule,
        later.c.duty == c.duty,
        later.c.starts_at > c.starts_at,
    )
    wanted = [c.duty == Duty.FOLLOW_UP.value, c.state.in_((State.STOPPED.value, State.ENDED.value)), is_last,
              sa.exists().where(r.id == c.report, r.state.not_in(("closed", "merged")), sa.not_(r.aside)),
              ~sa.exists().where(k.owner == c.report, k.destroyed_at.is_not(None))]  # fmt: skip
    return _read(unit, wanted, limit)


def _read(unit: Unit, wanted: Sequence[Any], limit: int = 5000) -> list[Clock]:
    s = clock_stop.c
    query = (
        sa.select(
            clock, clock_rule.c.name, clock_rule.c.confirmed_by, s.kind, s.whom, s.who, s.said_at, s.note
        )
        .join(clock_rule, clock_rule.c.id == clock.c.rule)
        .join(clock_stop, s.id == clock.c.stop, isouter=True)
        .where(*wanted)
        .order_by(clock.c.due_at, clock.c.id)
        .limit(limit)
    )
    return [_clock(row) for row in unit.rows(query)]


def _clock(row: sa.Row[Any]) -> Clock:
    return Clock(
        id=row.id, report=row.report, rule=row.rule, rule_name=row.name, is_example=row.confirmed_by is None,
        duty=Duty(row.duty), state=State(row.state), grade=row.grade, is_suggested=row.is_suggested,
        starts_at=row.starts_at, starts_from=StartsFrom(row.starts_from), due_at=row.due_at, alarm_at=row.alarm_at,
        opened_at=row.opened_at, stopped_at=row.stopped_at, stop_kind=row.kind or "", whom=row.whom or "",
        who=row.who or "", said_at=row.said_at, note=row.note or "",
    )  # fmt: skip


def _rule(row: sa.Row[Any]) -> Rule:
    return Rule(
        id=row.id, name=row.name, category=row.category, grade=row.grade, mildest=row.mildest, hop=row.hop,
        starts_from=StartsFrom(row.starts_from), phone=_span(row.phone_seconds), written=_span(row.written_seconds),
        daily=tuple(time.fromisoformat(one) for one in row.daily), every=_span(row.every_seconds),
        effective=date.fromisoformat(row.effective) if row.effective else None,
        superseded=date.fromisoformat(row.superseded) if row.superseded else None,
        source=row.source, is_confirmed=row.confirmed_by is not None,
    )  # fmt: skip


def _row(rule: Rule, by: str | None, at: datetime) -> dict[str, Any]:
    return {
        "id": rule.id, "name": rule.name, "category": rule.category, "grade": rule.grade, "mildest": rule.mildest,
        "hop": rule.hop, "starts_from": rule.starts_from.value, "phone_seconds": _seconds(rule.phone),
        "written_seconds": _seconds(rule.written), "daily": [f"{one:%H:%M}" for one in rule.daily],
        "every_seconds": _seconds(rule.every), "effective": rule.effective.isoformat() if rule.effective else None,
        "superseded": rule.superseded.isoformat() if rule.superseded else None, "source": rule.source,
        "confirmed_by": by, "confirmed_at": at if by else None,
    }  # fmt: skip


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())
