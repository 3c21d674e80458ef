"""Long work that outlives its request: who began it, how far it is, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import Conflict
from domain.ids import mint
from store import tables as t
from store.unit import Unit

RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row. `result` holds counts, lines and codes, never what stood in somebody's file."""

    id: str
    kind: str
    state: str
    by: str
    created_at: datetime
    changed_at: datetime
    total: int
    done: int
    result: Mapping[str, Any]


def begin(unit: Unit, kind: str, *, by: str, at: datetime, result: Mapping[str, Any]) -> Operation:
    """A new one. Raises Conflict (``operation_running``) while another of its kind runs."""
    unit.rows(unit.locked(sa.select(t.hub.c.one)))  # two processes that begin at once take turns
    if running(unit, kind):
        raise Conflict("another one is running", code="operation_running")
    begun = Operation(id=mint("op", at), kind=kind, state=RUNNING, by=by, created_at=at, changed_at=at,
                      total=0, done=0, result=result)  # fmt: skip
    unit.execute(t.operation.insert(), {f: getattr(begun, f) for f in Operation.__dataclass_fields__})
    return begun


def step(
    unit: Unit, operation_id: str, *, at: datetime, done: int, total: int, result: Mapping[str, Any]
) -> None:
    """How far it is now; also the proof that it is alive. Raises Conflict (``operation_over``) if it ended."""
    _change(unit, operation_id, changed_at=at, done=done, total=total, result=result)


def end(unit: Unit, operation_id: str, state: str, *, at: datetime, result: Mapping[str, Any]) -> None:
    """Its last word, once. Raises Conflict (``operation_over``) if it ended before."""
    _change(unit, operation_id, changed_at=at, state=state, result=result)


def get(unit: Unit, operation_id: str, *, lock: bool = False) -> Operation | None:
    """The operation, or None; with `lock` nobody else changes it in this transaction."""
    query = sa.select(t.operation).where(t.operation.c.id == operation_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _operation(row) if row else None


def running(unit: Unit, kind: str) -> list[Operation]:
    """Those of `kind` that have not ended, oldest first."""
    o = t.operation.c
    query = sa.select(t.operation).where(o.kind == kind, o.state == RUNNING).order_by(o.created_at)
    return [_operation(row) for row in unit.rows(query)]


def latest(unit: Unit, kind: str, limit: int = 10) -> list[Operation]:
    """Those of `kind`, newest first."""
    o = t.operation.c
    query = sa.select(t.operation).where(o.kind == kind).order_by(o.created_at.desc(), o.id.desc())
    return [_operation(row) for row in unit.rows(query.limit(limit))]


def _change(unit: Unit, operation_id: str, **values: Any) -> None:
    o = t.operation
    changed = unit.execute(o.update().where(o.c.id == operation_id, o.c.state == RUNNING).values(**values))
    if changed.rowcount != 1:
        raise Conflict("this operation has ended", code="operation_over")


def _operation(row: sa.Row[Any]) -> Operation:
    return Operation(**row._mapping)
