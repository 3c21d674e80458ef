"""The processes of a hub: who runs, since when, and who was heard of last."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from store import tables as t
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One run of one program. `left_at` says a clean stop; a killed one has none."""

    id: str
    kind: str  # up | web | worker | smtp
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    left_at: datetime | None = None


def seen(unit: Unit, process: Process, at: datetime) -> None:
    """Write down that `process` runs; its row is made when it is missing."""
    p = t.process
    if not unit.execute(p.update().where(p.c.id == process.id).values(seen_at=at)).rowcount:
        unit.add_once(p, {**asdict(process), "seen_at": at})


def left(unit: Unit, process_id: str, at: datetime) -> None:
    """Write down a clean stop."""
    p = t.process
    unit.execute(p.update().where(p.c.id == process_id).values(seen_at=at, left_at=at))


def all_left(unit: Unit, at: datetime) -> None:
    """Nobody of those written down runs here: a restored hub has never run."""
    p = t.process
    unit.execute(p.update().where(p.c.left_at.is_(None)).values(left_at=at))


def listing(unit: Unit, since: datetime) -> list[Process]:
    """Those that were heard of after `since`, the newest first."""
    p = t.process
    rows = unit.rows(sa.select(p).where(p.c.seen_at > since).order_by(p.c.seen_at.desc()).limit(500))
    return [Process(**row._mapping) for row in rows]


def last_seen(unit: Unit, kinds: Iterable[str]) -> datetime | None:
    """When one of `kinds` that has not left was heard of last."""
    p = t.process
    query = sa.select(sa.func.max(p.c.seen_at)).where(p.c.kind.in_(list(kinds)), p.c.left_at.is_(None))
    found: datetime | None = unit.scalar(query)
    return found
