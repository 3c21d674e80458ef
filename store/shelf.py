"""What could not be used, each with its reason, kept and re-processable."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.ids import mint
from store import tables as t
from store.unit import Unit


def put(
    unit: Unit, kind: str, reason: str, *, at: datetime, origin: str = "", raw: bytes | None = None
) -> str:
    """Shelve something; the shelf id. Raw bytes over 64 KB are cut: a shelf is no way to fill the disk."""
    shelf_id = mint("shf", at)
    cut = raw[:65536] if raw is not None else None
    row = {"id": shelf_id, "kind": kind, "reason": reason, "raw": cut, "origin": origin[:200], "at": at}
    unit.execute(t.shelf.insert(), row)
    return shelf_id


def again(unit: Unit, kind: str, reason: str, *, origin: str, at: datetime) -> None:
    """Shelve what fails again and again: one open row for each thing, which counts how often."""
    s = t.shelf
    lying = (s.c.kind == kind, s.c.origin == origin[:200], s.c.settled_at.is_(None))
    values = {"count": s.c.count + 1, "reason": reason[:60]}
    if not unit.execute(s.update().where(*lying).values(values)).rowcount:
        put(unit, kind, reason[:60], origin=origin, at=at)


def done(unit: Unit, kind: str, origin: str, at: datetime) -> None:
    """What failed has succeeded after all: nobody need look at it."""
    s = t.shelf
    lying = (s.c.kind == kind, s.c.origin == origin[:200], s.c.settled_at.is_(None))
    unit.execute(s.update().where(*lying).values(settled_by="system", settled_at=at))


def get(unit: Unit, shelf_id: str) -> sa.Row[Any] | None:
    """One thing on the shelf, settled or not."""
    return unit.row(sa.select(t.shelf).where(t.shelf.c.id == shelf_id))


def pending(unit: Unit, limit: int = 200) -> list[sa.Row[Any]]:
    """What nobody has settled yet, newest first."""
    query = sa.select(t.shelf).where(t.shelf.c.settled_at.is_(None)).order_by(t.shelf.c.at.desc())
    return unit.rows(query.limit(limit))


def count(unit: Unit, most: int = 200) -> int:
    """How much nobody has settled yet, counted up to `most`."""
    query = sa.select(t.shelf.c.id).where(t.shelf.c.settled_at.is_(None)).limit(most).subquery()
    return int(unit.scalar(sa.select(sa.func.count()).select_from(query)) or 0)


def origin(unit: Unit, shelf_id: str) -> str:
    """Where the thing comes from; '' for an unknown one."""
    return unit.scalar(sa.select(t.shelf.c.origin).where(t.shelf.c.id == shelf_id)) or ""


def reason_of(unit: Unit, kind: str, origin: str) -> str:
    """Why something of `origin` was shelved last; '' if nothing was."""
    s = t.shelf.c
    query = sa.select(s.reason).where(s.kind == kind, s.origin == origin).order_by(s.at.desc()).limit(1)
    return unit.scalar(query) or ""


def has_held(unit: Unit, kind: str, origin: str) -> bool:
    """Whether something of `origin` was ever shelved; what comes back from there is not shelved for the same reason."""
    s = t.shelf.c
    return unit.scalar(sa.select(s.id).where(s.kind == kind, s.origin == origin).limit(1)) is not None


def held(unit: Unit, kind: str, origin: str) -> int:
    """How many things of `origin` were ever shelved."""
    s = t.shelf.c
    query = sa.select(sa.func.count()).where(s.kind == kind, s.origin == origin)
    return int(unit.scalar(query) or 0)


def settle(unit: Unit, shelf_id: str, by: str, at: datetime) -> bool:
    """Mark as dealt with; False if it was already."""
    s = t.shelf
    update = s.update().where(s.c.id == shelf_id, s.c.settled_at.is_(None))
    return unit.execute(update.values(settled_by=by, settled_at=at)).rowcount == 1
