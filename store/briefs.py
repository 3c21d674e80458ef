"""Reports upwards in the store: words sealed, numbers without a gap, nothing changed once it is signed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from domain.brief import BRIEFS, NUMBERED, Brief, Kind, State
from domain.errors import Conflict
from store.tables_briefs import brief
from store.unit import Unit

_PLACE = "brief.words"


def next_n(unit: Unit, report_id: str, kind: Kind) -> int:
    """The number of the next one of that kind; 1 for those that come once."""
    if kind not in NUMBERED:
        return 1
    b = brief.c
    kept = (b.report == report_id, b.kind == kind.value, b.state != State.WITHDRAWN.value)
    return 1 + int(unit.scalar(sa.select(sa.func.coalesce(sa.func.max(b.n), 0)).where(*kept)) or 0)


def insert(unit: Unit, made: Brief) -> None:
    """Put in a draft."""
    row = {"id": made.id, "report": made.report, "kind": made.kind.value, "n": made.n, "state": made.state.value,
           "words": _sealed(unit, made), "missing": list(made.missing), "to": made.to, "author": made.author,
           "created_at": made.created_at}  # fmt: skip
    unit.execute(brief.insert(), row)


def get(unit: Unit, brief_id: str, *, lock: bool = False) -> Brief | None:
    """One of them."""
    query = sa.select(brief).where(brief.c.id == brief_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _brief(unit, row) if row else None


def of_report(unit: Unit, report_id: str) -> list[Brief]:
    """All of a report, oldest first."""
    query = sa.select(brief).where(brief.c.report == report_id).order_by(brief.c.created_at, brief.c.id)
    return [_brief(unit, row) for row in unit.rows(query)]


def newest(unit: Unit, limit: int, *, states: Sequence[State] = ()) -> list[Brief]:
    """The latest of all reports."""
    query = sa.select(brief).order_by(brief.c.created_at.desc(), brief.c.id.desc()).limit(limit)
    if states:
        query = query.where(brief.c.state.in_([s.value for s in states]))
    return [_brief(unit, row) for row in unit.rows(query)]


def move(unit: Unit, before: Brief, action: str, **changes: Any) -> Brief:
    """Along `action`, with the columns that it sets. Raises Conflict when somebody was faster."""
    after = replace(before, state=BRIEFS.after(before.state, action), revision=before.revision + 1, **changes)
    values: dict[str, Any] = {"state": after.state.value, "revision": after.revision, **changes}
    for name in ("title", "body"):
        values.pop(name, None)
    if "missing" in values:
        values["missing"] = list(after.missing)
    if action == "edit":
        values["words"] = _sealed(unit, after)
    seen = (brief.c.id == before.id, brief.c.state == before.state.value, brief.c.revision == before.revision)
    if unit.execute(brief.update().where(*seen).values(**values)).rowcount != 1:
        raise Conflict("somebody else has just changed it", code="revision_changed")
    return after


def _sealed(unit: Unit, made: Brief) -> bytes:
    words = json.dumps({"title": made.title, "body": made.body}, ensure_ascii=False).encode()
    return unit.vault.key(unit.connection, made.report).seal(_PLACE, words)


def _brief(unit: Unit, row: sa.Row[Any]) -> Brief:
    words = json.loads(unit.vault.key(unit.connection, row.report).open(_PLACE, row.words))
    return Brief(
        id=row.id, report=row.report, kind=Kind(row.kind), n=row.n, state=State(row.state), title=words["title"],
        body=words["body"], missing=tuple(row.missing), author=row.author, created_at=row.created_at,
        revision=row.revision, to=row.to, year=row.year, number=row.number, signed_by=row.signed_by or "",
        signed_at=row.signed_at, sent_at=row.sent_at, way=row.way, received_at=row.received_at,
        received_by=row.received_by,
    )  # fmt: skip
