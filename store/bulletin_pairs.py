"""Pairs of bulletins that may tell of one event: proposed by a score, decided by an officer, taken back by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.bulletin import PAIRS, PairState
from domain.errors import Conflict, NotFound
from domain.ids import mint
from store import journal
from store.tables_peers import bulletin_pair as table
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two bulletins; `one` was there first. `reasons`: area, event, time, each 0 to 1."""

    id: str
    one: str
    other: str
    score: float
    reasons: Mapping[str, float]
    state: PairState
    by: str
    changed_at: datetime

    def beside(self, bulletin_id: str) -> str:
        """The other one of the two."""
        return self.other if bulletin_id == self.one else self.one


def propose(
    unit: Unit, one: str, other: str, score: float, reasons: Mapping[str, float], at: datetime
) -> bool:
    """Enter a pair as proposed; False if it is known in either order, whatever was decided."""
    first, second = sorted((one, other))
    row = {"id": mint("bpr", at), "one": first, "other": second, "score": score, "reasons": dict(reasons),
           "state": PairState.PROPOSED.value, "by": "system", "at": at, "changed_at": at}  # fmt: skip
    if not unit.add_once(table, row):
        return False
    journal.append(unit, "bulletin", other, "propose_pair", by="system", at=at,
                   detail={"with": one, "percent": round(100 * score),
                           "reasons": {name: round(100 * value) for name, value in reasons.items()}})  # fmt: skip
    return True


def decide(unit: Unit, pair_id: str, action: str, *, by: str, at: datetime) -> Pair:
    """``join``, ``part`` or ``undo``. Raises NotFound, IllegalMove, Conflict when somebody was faster."""
    row = unit.row(unit.locked(sa.select(table).where(table.c.id == pair_id)))
    if row is None:
        raise NotFound("no such pair")
    pair = _pair(row)
    after = PAIRS.after(pair.state, action)
    is_still = (table.c.id == pair_id, table.c.state == pair.state.value)
    values = {"state": after.value, "by": by, "changed_at": at}
    if unit.execute(table.update().where(*is_still).values(values)).rowcount != 1:
        raise Conflict("the pair was decided meanwhile", code="conflict")
    for bulletin_id in (pair.one, pair.other):
        journal.append(unit, "bulletin", bulletin_id, f"{action}_pair", by=by, at=at,
                       detail={"with": pair.beside(bulletin_id), "pair": pair_id})  # fmt: skip
    return pair


def of(unit: Unit, bulletin_id: str) -> list[Pair]:
    """The pairs of one bulletin, the likeliest first."""
    is_in = sa.or_(table.c.one == bulletin_id, table.c.other == bulletin_id)
    return [_pair(row) for row in unit.rows(sa.select(table).where(is_in).order_by(table.c.score.desc()))]


def count_open(unit: Unit) -> int:
    """How many wait for a decision."""
    query = sa.select(sa.func.count()).where(table.c.state == PairState.PROPOSED.value)
    return int(unit.scalar(query) or 0)


def _pair(row: sa.Row[Any]) -> Pair:
    return Pair(id=row.id, one=row.one, other=row.other, score=row.score, reasons=row.reasons,
                state=PairState(row.state), by=row.by, changed_at=row.changed_at)  # fmt: skip
