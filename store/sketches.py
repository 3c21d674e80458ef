"""Sketches of reports, sealed, and the keyed hashes by which those that may tell of the same are found."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from domain.report import Report
from store import bulk
from store.tables_incidents import sketch, sketch_key
from store.unit import Unit

PER_KEY = 60  # the latest of one key: a word that more than that share within days tells little
WINDOW = 72 * 60  # minutes: what is told of later is an inquiry, and an officer knows
LATER = 48 * 60  # of those that came after it, when a report is studied anew
AT_ONCE = 32  # keys of one statement on SQLite
_LOCK = 0x746F6373  # of PostgreSQL's advisory locks: one report enters at a time, so none of two overlooks the other

_ONE = ("SELECT key, report FROM (SELECT key, report FROM sketch_key WHERE key = :k{n} AND at BETWEEN :a AND :b"
        " ORDER BY at DESC LIMIT :most)")  # fmt: skip
_LATERAL = (
    "SELECT k.key, s.report FROM unnest(:keys::bigint[]) AS k(key) CROSS JOIN LATERAL (SELECT report FROM sketch_key"
    " WHERE key = k.key AND at BETWEEN :a AND :b ORDER BY at DESC LIMIT :most) AS s"
)
_TAKE_UP = (  # the lock, and what forget() does, in one journey
    "WITH k AS (DELETE FROM sketch_key WHERE report = :report), s AS (DELETE FROM sketch WHERE report = :report)"
    " SELECT pg_advisory_xact_lock(:lock)"
)


def enter(unit: Unit, report: str, sealed: bytes, keys: Sequence[str], *, minute: int, at: datetime) -> None:
    """Write down how a report is found and compared; what was written before is replaced."""
    if unit.is_postgres:
        unit.plain(_TAKE_UP, {"report": report, "lock": _LOCK})
    else:
        forget(unit, report)
    key = unit.vault.key(unit.connection, report)
    unit.execute(
        sketch.insert(), {"report": report, "made_at": at, "sealed": key.seal("sketch.sealed", sealed)}
    )
    hashed = {hashed_key(unit, k) for k in keys}
    bulk.add_new(unit, sketch_key, [{"key": k, "at": minute, "report": report} for k in sorted(hashed)])


def forget(unit: Unit, report: str) -> None:
    """Whoever destroys a report's key takes its hashes away too."""
    unit.execute(sketch_key.delete().where(sketch_key.c.report == report))
    unit.execute(sketch.delete().where(sketch.c.report == report))


def found(unit: Unit, report: str, keys: Mapping[str, float], *, minute: int, limit: int) -> list[str]:
    """Reports that share keys with `report`, those that share the most first; `keys`: key -> its weight.

    A key that many share counts for less.
    """
    weights = {hashed_key(unit, key): weight for key, weight in keys.items()}
    sharing: dict[int, list[str]] = defaultdict(list)
    for key, other in _rows(unit, list(weights), minute - WINDOW, minute + LATER):
        if other != report:
            sharing[key].append(other)
    points: Counter[str] = Counter()
    for key, others in sharing.items():
        worth = weights[key] / (1 + len(others) / 15)
        for other in others:
            points[other] += worth  # type: ignore[assignment]
    return [name for name, _ in points.most_common(limit)]


def named_by(unit: Unit, keys: Sequence[str], limit: int = 10) -> list[str]:
    """Reports that were entered under one of `keys`, whenever that was; the latest first."""
    k = sketch_key.c
    query = (
        sa.select(k.report).where(k.key.in_([hashed_key(unit, key) for key in keys])).order_by(k.at.desc())
    )
    return [row.report for row in unit.rows(query.limit(limit))] if keys else []


def entered_since(unit: Unit, at: datetime, limit: int) -> list[str]:
    """Reports that were entered meanwhile, the latest first."""
    query = (
        sa.select(sketch.c.report)
        .where(sketch.c.made_at >= at)
        .order_by(sketch.c.made_at.desc())
        .limit(limit)
    )
    return [row.report for row in unit.rows(query)]


def opened(unit: Unit, reports: Sequence[str]) -> dict[str, bytes]:
    """report -> its sketch; those whose key was destroyed are left out."""
    if not reports:
        return {}
    rows = unit.rows(sa.select(sketch.c.report, sketch.c.sealed).where(sketch.c.report.in_(reports)))
    keys = unit.vault.left(unit.connection, [row.report for row in rows])
    return {
        row.report: keys[row.report].open("sketch.sealed", row.sealed) for row in rows if row.report in keys
    }


def hashed_key(unit: Unit, key: str) -> int:
    """A key as it stands in the index: 64 bits, signed."""
    return int(unit.vault.index(f"sketch\0{key}")[:16], 16) - (1 << 63)


def _rows(unit: Unit, keys: list[int], first: int, last: int) -> list[Any]:
    if not keys:
        return []
    if unit.is_postgres:
        return list(unit.plain(_LATERAL, {"keys": keys, "a": first, "b": last, "most": PER_KEY}).fetchall())
    rows: list[Any] = []
    for n in range(0, len(keys), AT_ONCE):
        some = keys[n : n + AT_ONCE]
        values = {"a": first, "b": last, "most": PER_KEY, **{f"k{i}": key for i, key in enumerate(some)}}
        rows += unit.plain(_union(len(some)), values).fetchall()
    return rows


@cache
def _union(count: int) -> str:
    return " UNION ALL ".join(_ONE.replace("{n}", str(n)) for n in range(count))


def sender(unit: Unit, report: Report) -> str:
    """The blind index of who sent a report, where that is one person's address; '' otherwise."""
    said = report.content.first("sender")
    is_address = "@" in said or sum(c.isdigit() for c in said) >= 7
    return unit.vault.index(said.casefold()) if is_address and report.channel != "api" else ""
