"""Call slips in hold: what was typed so far, sealed until it has become a report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from store import journal
from store.people import get as person_of
from store.tables_desk import slip
from store.unit import Unit

Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A slip as it was last saved."""

    id: str
    person: str
    person_name: str
    fields: Fields  # the form, name -> values
    started_at: datetime
    changed_at: datetime
    report: str  # that it became; '' while it is in hold


def save(
    unit: Unit, slip_id: str, person_id: str, fields: Fields, *, started_at: datetime, at: datetime
) -> bool:
    """Keep what is typed so far; False if the slip has become a report meanwhile. Whoever began it stays named."""
    row = unit.row(unit.locked(sa.select(slip).where(slip.c.id == slip_id)))
    if row is not None and row.done_at is not None:
        return False
    plain = json.dumps(dict(fields), ensure_ascii=False).encode()
    if row is None:
        key, wrapped = unit.vault.new_key(slip_id)
        unit.vault.keep_keys(unit.connection, {slip_id: wrapped})
        values = {"id": slip_id, "person": person_id, "content": key.seal("slip.content", plain),
                  "started_at": started_at, "changed_at": at}  # fmt: skip
        unit.execute(slip.insert(), values)
        journal.append(unit, "slip", slip_id, "hold", by=person_id, at=at)
        return True
    sealed = unit.vault.key(unit.connection, slip_id).seal("slip.content", plain)
    unit.execute(slip.update().where(slip.c.id == slip_id).values(content=sealed, changed_at=at))
    return True


def get(unit: Unit, slip_id: str) -> Slip | None:
    """The slip; without fields once it has become a report."""
    row = unit.row(sa.select(slip).where(slip.c.id == slip_id))
    return _slip(unit, row) if row else None


def held(unit: Unit, limit: int = 50) -> list[Slip]:
    """Slips in hold, the one that rang first on top."""
    query = sa.select(slip).where(slip.c.done_at.is_(None)).order_by(slip.c.started_at, slip.c.id)
    return [_slip(unit, row) for row in unit.rows(query.limit(limit))]


def done(unit: Unit, slip_id: str, report_id: str, *, by: str, at: datetime) -> bool:
    """The slip has become a report, which holds all it said: its own copy is destroyed."""
    update = slip.update().where(slip.c.id == slip_id, slip.c.done_at.is_(None))
    if unit.execute(update.values(report=report_id, done_at=at)).rowcount != 1:
        return False
    unit.vault.destroy(unit.connection, slip_id, at)
    journal.append(unit, "slip", slip_id, "keep", by=by, at=at, detail={"report": report_id})
    return True


def _slip(unit: Unit, row: sa.Row[Any]) -> Slip:
    fields: Fields = {}
    if row.done_at is None:
        fields = json.loads(unit.vault.key(unit.connection, row.id).open("slip.content", row.content))
    return Slip(
        id=row.id,
        person=row.person,
        person_name=person_of(unit, row.person).name,
        fields=fields,
        started_at=row.started_at,
        changed_at=row.changed_at,
        report=row.report,
    )
