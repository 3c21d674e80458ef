"""Which releases replaced which."""

import sqlalchemy as sa

from store import tables as t
from store.unit import Unit


def successors(unit: Unit, release_id: str) -> list[tuple[str, str]]:
    """(id, state) of every release that is, or would be, an update of this one; the oldest first."""
    r = t.release_row.c
    query = sa.select(r.id, r.state).where(r.supersedes == release_id).order_by(r.created_at, r.id)
    return [(row.id, row.state) for row in unit.rows(query)]
