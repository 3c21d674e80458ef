"""Divisions by code; pseudo rows (110100 and the like) are rows too."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from domain.place import canonical, prefix
from store import tables as t
from store.unit import Unit


def put(unit: Unit, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add divisions: code, name_zh, name_en, parent, lon, lat. Known codes stay as they are."""
    values = [
        {**row, "code": canonical(row["code"]), "prefix": prefix(row["code"]),
         "parent": canonical(row["parent"]) if row.get("parent") else ""}
        for row in rows
    ]  # fmt: skip
    known = {row.code for row in unit.rows(sa.select(t.area.c.code))}
    fresh = [v for v in values if v["code"] not in known]
    if fresh:
        unit.execute(t.area.insert(), fresh)


def names(unit: Unit, codes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """code -> (Chinese name, English name); unknown codes are left out."""
    wanted = [canonical(c) for c in codes]
    query = sa.select(t.area.c.code, t.area.c.name_zh, t.area.c.name_en).where(t.area.c.code.in_(wanted))
    return {row.code: (row.name_zh, row.name_en or row.name_zh) for row in unit.rows(query)}


def listing(unit: Unit, under: str = "", limit: int = 500) -> list[sa.Row[Any]]:
    """Divisions in code order, those inside `under` if given."""
    query = sa.select(t.area).order_by(t.area.c.code).limit(limit)
    if under:
        query = query.where(t.area.c.code.startswith(prefix(under)))
    return unit.rows(query)


def search(unit: Unit, text: str, limit: int) -> list[sa.Row[Any]]:
    """Divisions whose name holds `text`, or whose code begins with it, in code order."""
    a = t.area.c
    fits = sa.or_(
        a.name_zh.contains(text, autoescape=True),
        a.name_en.icontains(text, autoescape=True),
        a.code.startswith(text, autoescape=True),
    )
    return unit.rows(sa.select(t.area).where(fits).order_by(a.code).limit(limit))


def rows(unit: Unit, codes: Iterable[str]) -> list[sa.Row[Any]]:
    """The divisions of these canonical codes, in code order; unknown codes are left out."""
    return unit.rows(sa.select(t.area).where(t.area.c.code.in_(list(codes))).order_by(t.area.c.code))
