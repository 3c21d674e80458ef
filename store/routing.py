"""Responsible bodies, routing rules and hand-overs."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.report import State
from domain.routing import GOING, HANDOVERS, Body, Handover, HandoverState, Rule
from store import tables as t
from store.tables_routing import body, handover, route_rule
from store.unit import Unit

LISTED = 500
_WITH_BODY = (State.TRANSFERRED.value, State.SIGNED_FOR.value)
_LIVE = (HandoverState.PROPOSED.value, HandoverState.SENT.value, HandoverState.SIGNED.value)


def add_body(unit: Unit, made: Body, *, by: str, at: datetime) -> None:
    """Enter a body."""
    unit.execute(body.insert(), {"id": made.id, "name": made.name, "channel": made.channel, "address": made.address,
                                 "sign_minutes": made.sign_minutes, "by": by, "at": at})  # fmt: skip


def bodies(unit: Unit, *, with_ended: bool = False) -> dict[str, Body]:
    """By id, in the order of their names."""
    query = sa.select(body).order_by(body.c.name)
    query = query if with_ended else query.where(body.c.ended_at.is_(None))
    return {row.id: Body(id=row.id, name=row.name, channel=row.channel, address=row.address,
                         sign_minutes=row.sign_minutes, ended_at=row.ended_at) for row in unit.rows(query)}  # fmt: skip


def end_body(unit: Unit, body_id: str, at: datetime) -> bool:
    """It is responsible no longer, nor are the rules that name it."""
    rules = route_rule.update().where(route_rule.c.body == body_id, route_rule.c.ended_at.is_(None))
    unit.execute(rules.values(ended_at=at))
    is_it = (body.c.id == body_id, body.c.ended_at.is_(None))
    return unit.execute(body.update().where(*is_it).values(ended_at=at)).rowcount == 1


def add_rule(unit: Unit, rule: Rule, *, by: str, at: datetime) -> None:
    """One rule for an area and a category: an older one for the same two ends."""
    r = route_rule
    same = (r.c.area == rule.area, r.c.category == rule.category, r.c.ended_at.is_(None))
    unit.execute(r.update().where(*same).values(ended_at=at))
    unit.execute(r.insert(), {"id": rule.id, "area": rule.area, "category": rule.category, "body": rule.body,
                              "by": by, "at": at})  # fmt: skip


def end_rule(unit: Unit, rule_id: str, at: datetime) -> bool:
    """It chooses nobody any more."""
    r = route_rule
    is_it = (r.c.id == rule_id, r.c.ended_at.is_(None))
    return unit.execute(r.update().where(*is_it).values(ended_at=at)).rowcount == 1


def rules(unit: Unit) -> list[Rule]:
    """Those that hold, by area and category."""
    r = route_rule.c
    query = sa.select(route_rule).where(r.ended_at.is_(None)).order_by(r.area, r.category)
    return [Rule(id=row.id, area=row.area, category=row.category, body=row.body) for row in unit.rows(query)]


def add(unit: Unit, made: Handover) -> bool:
    """Enter a hand-over; False when the report has one that is going on: one body has it at a time."""
    return unit.add_once(handover, {
        "id": made.id, "report": made.report, "body": made.body, "state": made.state.value, "rule": made.rule or None,
        "why": made.why[:500], "by": made.by, "at": made.at, "due_at": made.due_at, "dispatch": made.dispatch or None,
    })  # fmt: skip


def of_report(unit: Unit, report_id: str) -> list[Handover]:
    """All of them, the oldest first, with how far the telling is."""
    return _read(unit, sa.select(handover.c.id).where(handover.c.report == report_id))


def live(unit: Unit, report_id: str) -> Handover | None:
    """The one that is proposed or going on."""
    h = handover.c
    return next(iter(_read(unit, sa.select(h.id).where(h.report == report_id, h.state.in_(_LIVE)))), None)


def get(unit: Unit, handover_id: str) -> Handover | None:
    """One hand-over."""
    return next(iter(_read(unit, sa.select(handover.c.id).where(handover.c.id == handover_id))), None)


def by_dispatches(unit: Unit, dispatches: list[str]) -> Handover | None:
    """The hand-over that one of these promises tells of."""
    found = _read(unit, sa.select(handover.c.id).where(handover.c.dispatch.in_(dispatches)))
    return found[-1] if found else None


def told(unit: Unit, one: Handover) -> str:
    """What its body was written, subject and text; '' where nothing was."""
    payload = unit.scalar(sa.select(t.dispatch.c.notice_payload).where(t.dispatch.c.id == one.dispatch))
    return bytes(payload).decode("utf-8", "replace") if payload else ""


def going(unit: Unit, limit: int = LISTED) -> list[Handover]:
    """What bodies have been told of and have not signed for yet, the first due first; then what they have, until closed."""
    h, r = handover.c, t.report_row.c
    query = sa.select(h.id).join(t.report_row, r.id == h.report)
    query = query.where(h.state.in_([s.value for s in GOING]), r.state.in_(_WITH_BODY))
    is_signed = sa.case((h.state == HandoverState.SIGNED.value, 1), else_=0)
    found = _read(unit, query.order_by(is_signed, h.due_at).limit(limit))
    return sorted(found, key=lambda one: (one.state is HandoverState.SIGNED, one.due_at or one.at))


def overdue(unit: Unit, at: datetime) -> list[Handover]:
    """Those that nobody signed for in time, and about which nobody has been told: nor by the body itself."""
    h = handover.c
    is_waited_for = (h.state == HandoverState.SENT.value, h.escalated_at.is_(None), h.declined_at.is_(None))
    query = sa.select(h.id).where(*is_waited_for, h.due_at <= at)
    return _read(unit, query.order_by(h.due_at).limit(LISTED))


def escalate(unit: Unit, one: Handover, at: datetime) -> bool:
    """Once."""
    h = handover
    is_due = (h.c.id == one.id, h.c.state == HandoverState.SENT.value, h.c.escalated_at.is_(None))
    return unit.execute(h.update().where(*is_due).values(escalated_at=at)).rowcount == 1


def decline(unit: Unit, one: Handover, *, who: str, why: str, at: datetime) -> bool:
    """Once; False when it was declined before, or the body has it no longer."""
    h = handover
    is_it = (h.c.id == one.id, h.c.state.in_([s.value for s in GOING]), h.c.declined_at.is_(None))
    said = {"declined_by": who, "declined_at": at, "declined_why": why}
    return unit.execute(h.update().where(*is_it).values(**said)).rowcount == 1


def turned_down(unit: Unit) -> list[Handover]:
    """What the body says is not theirs, and nobody has passed on or taken back: the oldest first."""
    h, r = handover.c, t.report_row.c
    query = sa.select(h.id).join(t.report_row, r.id == h.report)
    query = query.where(
        h.declined_at.is_not(None), h.state.in_([s.value for s in GOING]), r.state.in_(_WITH_BODY)
    )
    found = [one for one in _read(unit, query.order_by(h.declined_at).limit(LISTED)) if one.is_turned_down]
    return sorted(found, key=lambda one: one.declined_at or one.at)


def move(unit: Unit, one: Handover, action: str, **values: Any) -> bool:
    """Compare-and-set of its state; False if another was faster. Raises IllegalMove."""
    h, after = handover, HANDOVERS.after(one.state, action)
    is_it = (h.c.id == one.id, h.c.state == one.state.value)
    return unit.execute(h.update().where(*is_it).values(state=after.value, **values)).rowcount == 1


def counts(unit: Unit) -> dict[str, int]:
    """By state; `overdue` are of those that are sent."""
    h = handover.c
    rows = unit.rows(sa.select(h.state, sa.func.count().label("n")).group_by(h.state))
    late = sa.select(sa.func.count()).where(h.state == HandoverState.SENT.value, h.escalated_at.is_not(None))
    declined = len(turned_down(unit))
    return {row.state: row.n for row in rows} | {
        "overdue": int(unit.scalar(late) or 0),
        "turned_down": declined,
    }


def _read(unit: Unit, ids: sa.Select[Any]) -> list[Handover]:
    h, p, y = handover.c, t.parcel_row.c, t.delivery.c
    query = (
        sa.select(handover, y.state.label("delivery"))
        .outerjoin(t.parcel_row, p.dispatch == h.dispatch)
        .outerjoin(t.delivery, y.parcel == p.id)
        .where(h.id.in_(ids))
        .order_by(h.at, h.id)
    )
    return [
        Handover(id=row.id, report=row.report, body=row.body, state=HandoverState(row.state), rule=row.rule or "",
                 why=row.why, by=row.by, at=row.at, due_at=row.due_at, dispatch=row.dispatch or "",
                 signed_by=row.signed_by, signed_at=row.signed_at, signed_way=row.signed_way,
                 escalated_at=row.escalated_at, declined_by=row.declined_by, declined_at=row.declined_at,
                 declined_why=row.declined_why, delivery=row.delivery or "")
        for row in unit.rows(query)
    ]  # fmt: skip
