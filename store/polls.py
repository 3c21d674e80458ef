"""Doors that have to ask, or to hold a line, for what comes in: who does it, and when one was last answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from store.tables_chat import poll
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """How one stands."""

    source: str
    answered_at: datetime
    code: str  # of the trouble now; '' for none


def hold(unit: Unit, source: str, holder: str, at: datetime, until: datetime) -> bool:
    """Become, or stay, the one process that asks; False while another one is."""
    p = poll.c
    unit.add_once(poll, {"source": source, "answered_at": at})
    is_free = sa.or_(p.holder == holder, p.held_until.is_(None), p.held_until <= at)
    mine = poll.update().where(p.source == source, is_free).values(holder=holder, held_until=until)
    return unit.execute(mine).rowcount == 1


def answered(unit: Unit, source: str, at: datetime) -> datetime | None:
    """Write down that it answers now; when it last did, None the first time."""
    p = poll.c
    before: datetime | None = unit.scalar(unit.locked(sa.select(p.answered_at).where(p.source == source)))
    if before is None:
        unit.add_once(poll, {"source": source, "answered_at": at})
    unit.execute(poll.update().where(p.source == source).values(answered_at=at, code=""))
    return before


def failed(unit: Unit, source: str, code: str, at: datetime) -> None:
    """Write down why it does not."""
    unit.add_once(poll, {"source": source, "answered_at": at})
    unit.execute(poll.update().where(poll.c.source == source).values(code=code[:40]))


def look(unit: Unit, sources: Sequence[str]) -> list[Poll]:
    """How these stand; one that nobody has asked yet is not among them."""
    query = sa.select(poll).where(poll.c.source.in_(list(sources)))
    return [Poll(source=row.source, answered_at=row.answered_at, code=row.code) for row in unit.rows(query)]
