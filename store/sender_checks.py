"""Who a mail is really from: a row per mail, opened when it is filed and settled when DNS was asked."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.sender import SenderCheck, Verdict
from store import journal
from store import tables as t
from store.unit import Unit

_OPEN = t.sender_check.insert()


def open_one(unit: Unit, report_id: str, at: datetime) -> None:
    """Beside a fresh report: its sender is still to be looked at."""
    row = {"report": report_id, "verdict": Verdict.UNCHECKED.value, "reasons": ["not_yet"], "next_due": at}
    unit.execute(_OPEN, row)


def due(unit: Unit, at: datetime, limit: int = 200) -> list[str]:
    """Reports whose sender is to be looked at now, the longest waiting first."""
    c = t.sender_check.c
    query = sa.select(c.report).where(c.next_due.is_not(None), c.next_due <= at)
    return [row.report for row in unit.rows(query.order_by(c.next_due).limit(limit))]


def begin(unit: Unit, report_id: str, at: datetime, until: datetime) -> tuple[str, int] | None:
    """(id of the arrival, how often it was tried): nobody else looks before `until`. None: nothing to do."""
    c, r = t.sender_check, t.report_row.c
    taken = unit.execute(
        c.update()
        .where(c.c.report == report_id, c.c.next_due.is_not(None), c.c.next_due <= at)
        .values(next_due=until, tries=c.c.tries + 1)
    )
    if taken.rowcount != 1:
        return None
    row = unit.row(sa.select(r.inbound, c.c.tries).join(c, c.c.report == r.id).where(r.id == report_id))
    return (row.inbound, row.tries) if row else None


def postpone(unit: Unit, report_id: str, until: datetime) -> None:
    """Look again later: nobody could say."""
    c = t.sender_check
    unit.execute(c.update().where(c.c.report == report_id, c.c.next_due.is_not(None)).values(next_due=until))


def settle(
    unit: Unit, report_id: str, check: SenderCheck, *, results: Mapping[str, Any], seal: str, at: datetime
) -> bool:
    """Write down what was found, once, with its journal entry; False when another worker has.

    `seal` names a signed mail: one that another report holds already was sent again, and proves nothing.
    """
    if seal and not unit.add_once(t.mail_seal, {"seal": seal, "report": report_id}):
        first = unit.scalar(sa.select(t.mail_seal.c.report).where(t.mail_seal.c.seal == seal))
        if first != report_id:
            check = replace(check, verdict=Verdict.UNVERIFIED, reasons=("replayed",))
            results = {**results, "repeats": first}
    sealed = _sealed(unit, report_id, results) if results else None
    c = t.sender_check
    done = unit.execute(
        c.update()
        .where(c.c.report == report_id, c.c.next_due.is_not(None))
        .values(verdict=check.verdict.value, reasons=list(check.reasons), results=sealed, checked_at=at, next_due=None)
    )  # fmt: skip
    if done.rowcount != 1:
        return False
    detail = {"verdict": check.verdict.value, "reasons": list(check.reasons)}
    journal.append(unit, "report", report_id, "check_sender", by="system", at=at, detail=detail)
    return True


def _sealed(unit: Unit, report_id: str, results: Mapping[str, Any]) -> bytes:
    told = json.dumps(dict(results), ensure_ascii=False).encode()
    return unit.vault.key(unit.connection, report_id).seal("sender_check.results", told)


def results(unit: Unit, report_id: str) -> Mapping[str, Any]:
    """What DKIM, SPF and DMARC said, opened; nothing while nobody has looked."""
    c = t.sender_check.c
    sealed = unit.scalar(sa.select(c.results).where(c.report == report_id))
    if sealed is None:
        return {}
    found: Mapping[str, Any] = json.loads(
        unit.vault.key(unit.connection, report_id).open("sender_check.results", sealed)
    )
    return found


def counts(unit: Unit) -> dict[str, int]:
    """How many mails came to each verdict."""
    c = t.sender_check.c
    rows = unit.rows(sa.select(c.verdict, sa.func.count().label("n")).group_by(c.verdict))
    return {row.verdict: row.n for row in rows}
