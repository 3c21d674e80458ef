"""Numbers within a year: of a release, as readers see it (第12号), of a fax (收文号), of a report upwards (〔2026〕12号)."""

from datetime import datetime

import sqlalchemy as sa

from domain.secrecy import HUB
from store import tables as t
from store.columns import Instant
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
