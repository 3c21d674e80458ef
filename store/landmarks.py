"""Places that the deployment knows by name, and whether the names of places have changed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from store import tables as t
from store.unit import Unit


def load(unit: Unit, rows: Iterable[Mapping[str, Any]], at: datetime) -> int:
    """Put in landmarks (name, area, aliases, lat, lon, source); one that is there is replaced. How many."""
    count, k = 0, t.landmark
    for row in rows:
        unit.execute(k.delete().where(k.c.name == row["name"], k.c.area == row["area"]))
        unit.execute(k.insert(), {**row, "loaded_at": at})
        count += 1
    return count


def everything(unit: Unit) -> list[sa.Row[Any]]:
    """All of them, by name."""
    k = t.landmark
    return unit.rows(sa.select(k).order_by(k.c.name, k.c.area))


def divisions(unit: Unit) -> list[sa.Row[Any]]:
    """The divisions of this hub, in code order."""
    a = t.area.c
    return unit.rows(sa.select(a.code, a.name_zh, a.name_en, a.lat, a.lon).order_by(a.code))


def stamp(unit: Unit) -> tuple[int, int, int]:
    """Another one says that divisions or landmarks have changed."""
    k = t.landmark.c
    areas = int(unit.scalar(sa.select(sa.func.count()).select_from(t.area)) or 0)
    marks = unit.rows(sa.select(sa.func.count().label("n"), sa.func.max(k.loaded_at).label("last")))[0]
    return areas, marks.n, int(marks.last.timestamp() * 1_000_000) if marks.last else 0
