"""Which messages follow which report, and what became of each."""

from datetime import datetime

import sqlalchemy as sa

from domain.further import Further
from store.tables_further import follow_up
from store.unit import Unit


def expect(unit: Unit, inbound_id: str, report_id: str, kind: Further, at: datetime) -> None:
    """Enter a kept message as one that follows; a repeat changes nothing."""
    unit.add_once(follow_up, {"inbound": inbound_id, "report": report_id, "kind": kind.value, "at": at})


def settle(unit: Unit, inbound_id: str, *, version: int | None = None, linked: str = "") -> None:
    """It is said by that version of its report, or by a report of its own."""
    f = follow_up.c
    unit.execute(follow_up.update().where(f.inbound == inbound_id).values(version=version, linked=linked))


def of_report(unit: Unit, report_id: str) -> list[sa.Row[tuple[object, ...]]]:
    """Those of one report, in the order in which they came."""
    f = follow_up.c
    return unit.rows(sa.select(follow_up).where(f.report == report_id).order_by(f.at, f.inbound))
