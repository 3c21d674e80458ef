"""Numbers within a year: of a release, as readers see it (第12号), of a fax (收文号), of a report upwards (〔2026〕12号)."""

from datetime import datetime

import sqlalchemy as sa

from domain.secrecy import HUB
from store import tables as t
from store.columns import Instant
from store.tables_desk import year_number
from store.unit import Unit

_TAKE = """
INSERT INTO year_number (what, year, last) VALUES (:what, :year, 1)
ON CONFLICT (what, year) DO UPDATE SET last = year_number.last + 1 RETURNING last
"""


def ordinal(unit: Unit, release_id: str, created_at: datetime, *, since: datetime) -> int:
    """1 + how many releases were drafted from `since` up to this one.

    It never changes, since drafts are never removed; a draft that does not leave leaves a gap.
    """
    r = t.release_row.c
    place = sa.tuple_(sa.literal(created_at, Instant()), sa.literal(release_id))
    earlier = sa.tuple_(r.created_at, r.id) < place
    query = sa.select(sa.func.count()).select_from(t.release_row).where(r.created_at >= since, earlier)
    return 1 + int(unit.seen_by(HUB).scalar(query) or 0)  # the same number, whoever counts


def take(unit: Unit, what: str, year: int) -> int:
    """The next number of `what` in the year. Its row stays locked to the end of the transaction, and rolls back with
    it: no number is ever left out.
    """
    return int(unit.execute(sa.text(_TAKE), {"what": what, "year": year}).scalar_one())


def current(unit: Unit, what: str, year: int) -> int:
    """The last number of `what` that was taken in the year; 0 before the first."""
    n = year_number.c
    return int(unit.scalar(sa.select(n.last).where(n.what == what, n.year == year)) or 0)


def raise_to(unit: Unit, what: str, year: int, last: int, *, above: int = 0) -> bool:
    """As if `last` had been taken; False, and nothing is done, unless `above` was the last one."""
    if above == 0 and unit.add_once(year_number, {"what": what, "year": year, "last": last}):
        return True
    n = year_number
    mine = (n.c.what == what, n.c.year == year, n.c.last == above)
    return unit.execute(n.update().where(*mine).values(last=last)).rowcount == 1


def of(unit: Unit, what: str) -> list[tuple[int, int]]:
    """(year, last) of `what`, in their order."""
    n = year_number.c
    return [
        (row.year, row.last)
        for row in unit.rows(sa.select(n.year, n.last).where(n.what == what).order_by(n.year))
    ]


def drop(unit: Unit, what: str, year: int) -> None:
    """It counts no more."""
    n = year_number
    unit.execute(n.delete().where(n.c.what == what, n.c.year == year))
