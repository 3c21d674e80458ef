"""The short number of a release within its year, as readers see it (第12号)."""

from datetime import datetime

import sqlalchemy as sa

from store import tables as t
from store.columns import Instant
from store.unit import Unit


def ordinal(unit: Unit, release_id: str, created_at: datetime, *, since: datetime) -> int:
    """1 + how many releases were drafted from `since` up to this one.

    It never changes, since drafts are never removed; a draft that does not leave leaves a gap.
    """
    r = t.release_row.c
    place = sa.tuple_(sa.literal(created_at, Instant()), sa.literal(release_id))
    earlier = sa.tuple_(r.created_at, r.id) < place
    query = sa.select(sa.func.count()).select_from(t.release_row).where(r.created_at >= since, earlier)
    return 1 + int(unit.scalar(query) or 0)
