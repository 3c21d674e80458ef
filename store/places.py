"""Where a report may be: candidates that were found, and the one an officer chose."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.whereabouts import Kind, Place, Why
from store import tables as t
from store.unit import Unit
from store.vault import Key

CHOSEN = 0  # the number of the place that an officer chose
_SEALED = ("name", "lat", "lon", "words", "source", "start", "end", "detail", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A place as it stands with a report."""

    n: int
    place: Place
    chosen_by: str = ""
    chosen_at: datetime | None = None


def put(unit: Unit, report: str, places: Sequence[Place], area: str) -> None:
    """These are the candidates now. What an officer chose stays, and with it the area that lists go by."""
    p = t.report_place
    unit.execute(p.delete().where(p.c.report == report, p.c.n != CHOSEN))
    if places:
        key = unit.vault.key(unit.connection, report)
        unit.execute(p.insert(), [_row(key, report, n, place) for n, place in enumerate(places, start=1)])
    chosen = sa.select(p.c.report).where(p.c.report == report, p.c.n == CHOSEN)
    r = t.report_row
    unit.execute(r.update().where(r.c.id == report, ~sa.exists(chosen)).values(found_area=area))


def choose(unit: Unit, report: str, place: Place, *, by: str, at: datetime) -> None:
    """An officer says: this is the place. What he chose before is in the journal."""
    p, r = t.report_place, t.report_row
    unit.execute(p.delete().where(p.c.report == report, p.c.n == CHOSEN))
    key = unit.vault.key(unit.connection, report)
    unit.execute(p.insert(), {**_row(key, report, CHOSEN, place), "chosen_by": by, "chosen_at": at})
    unit.execute(r.update().where(r.c.id == report).values(found_area=place.code))


def of_report(unit: Unit, report: str) -> list[Placed]:
    """The chosen place, when there is one, then the candidates, the best first."""
    return of_reports(unit, [report]).get(report, [])


def of_reports(unit: Unit, reports: Sequence[str]) -> Mapping[str, list[Placed]]:
    """The same for many, read together; a report without places is left out."""
    p = t.report_place.c
    rows = unit.rows(sa.select(t.report_place).where(p.report.in_(list(reports))).order_by(p.report, p.n))
    if not rows:
        return {}
    keys = unit.vault.keys(unit.connection, list({row.report for row in rows}))
    found: dict[str, list[Placed]] = {}
    for row in rows:
        sealed = json.loads(keys[row.report].open("report_place.found", row.found))
        found.setdefault(row.report, []).append(_placed(row, sealed))
    return found


def _row(key: Key, report: str, n: int, place: Place) -> dict[str, Any]:
    told = {name: value for name, value in asdict(place).items() if name in _SEALED}
    return {
        "report": report,
        "n": n,
        "kind": place.kind.value,
        "code": place.code,
        "accuracy": place.accuracy,
        "origin": place.origin[:20],
        "score": round(place.score * 1000),
        "found": key.seal("report_place.found", json.dumps(told, ensure_ascii=False).encode()),
        "chosen_by": None,
        "chosen_at": None,
    }


def _placed(row: sa.Row[Any], sealed: dict[str, Any]) -> Placed:
    why = tuple(Why(w) for w in sealed.pop("why"))
    place = Place(kind=Kind(row.kind), code=row.code, accuracy=row.accuracy, origin=row.origin, score=row.score / 1000,
                  why=why, **sealed)  # fmt: skip
    return Placed(n=row.n, place=place, chosen_by=row.chosen_by or "", chosen_at=row.chosen_at)
