"""What was said of reports: false, abuse, from a blocked sender; and which of them lie in quarantine for it."""

import sqlalchemy as sa

from domain.trust import SETS_ASIDE, VERDICTS, Verdict, VerdictKind, VerdictState
from store import tables as t
from store.tables_trust import verdict
from store.unit import Unit


def give(unit: Unit, given: Verdict) -> bool:
    """It holds from now on; False when it held already. Safe to repeat."""
    row = {"report": given.report, "kind": given.kind.value, "state": VerdictState.GIVEN.value, "by": given.by,
           "at": given.at, "reason": given.reason[:500], "is_urgent": given.is_urgent}  # fmt: skip
    is_new = unit.add_once(verdict, row) or _move(unit, given, "give_verdict")
    _settle(unit, given.report)
    return is_new


def withdraw(unit: Unit, given: Verdict) -> bool:
    """It holds no longer; False when it did not."""
    is_done = _move(unit, given, "withdraw_verdict")
    _settle(unit, given.report)
    return is_done


def raise_up(unit: Unit, report_id: str) -> bool:
    """The words of a blocked sender's report tell of danger: it goes into the queue, marked. False when it is there."""
    v = verdict
    mine = (
        v.c.report == report_id,
        v.c.kind == VerdictKind.BLOCKED.value,
        v.c.state == VerdictState.GIVEN.value,
    )
    is_news = (
        unit.execute(v.update().where(*mine, sa.not_(v.c.is_urgent)).values(is_urgent=True)).rowcount == 1
    )
    _settle(unit, report_id)
    return is_news


def of_report(unit: Unit, report_id: str) -> list[Verdict]:
    """All that was ever said of it."""
    v = verdict.c
    return [
        Verdict(report=row.report, kind=VerdictKind(row.kind), state=VerdictState(row.state), by=row.by, at=row.at,
                reason=row.reason, is_urgent=row.is_urgent)
        for row in unit.rows(sa.select(verdict).where(v.report == report_id).order_by(v.kind))
    ]  # fmt: skip


def urgent_of(unit: Unit, reports: list[str]) -> set[str]:
    """Of these the ones that are in the queue though their sender is blocked."""
    v = verdict.c
    holds = (v.kind == VerdictKind.BLOCKED.value, v.state == VerdictState.GIVEN.value, v.is_urgent)
    query = sa.select(v.report).where(v.report.in_(reports), *holds)
    return {row.report for row in unit.rows(query)} if reports else set()


def _move(unit: Unit, given: Verdict, action: str) -> bool:
    v = verdict
    before = next(state for state in VerdictState if VERDICTS.allows(state, action))
    values = {"state": VERDICTS.after(before, action).value, "by": given.by, "at": given.at,
              "reason": given.reason[:500]}  # fmt: skip
    mine = (v.c.report == given.report, v.c.kind == given.kind.value, v.c.state == before.value)
    return unit.execute(v.update().where(*mine).values(**values)).rowcount == 1


def _settle(unit: Unit, report_id: str) -> None:
    """Whether it lies in quarantine follows from what is said of it."""
    v, r = verdict.c, t.report_row
    holds = (v.report == report_id, v.state == VerdictState.GIVEN.value, sa.not_(v.is_urgent))
    kinds = v.kind.in_([kind.value for kind in SETS_ASIDE])
    is_aside = unit.scalar(sa.select(v.report).where(*holds, kinds).limit(1)) is not None
    unit.execute(r.update().where(r.c.id == report_id).values(aside=is_aside))
