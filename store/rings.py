"""Calls that ring at the desk's telephone system: one row each, filled in whatever order its words come."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.call import DeskAct, DeskCall
from domain.ids import mint
from store import journal
from store import tables as t
from store.tables_desk import ring, slip
from store.unit import Unit

SHOWN_FOR = timedelta(hours=24)  # a call nobody wrote a slip for; as long as its slip can be opened
MOST = 12  # on the desk at once; the oldest are the ones that wait longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A call as far as the telephone system has told it."""

    id: str
    slip: str
    caller: str
    called: str
    agents: tuple[str, ...]
    recording: str
    rang_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    cause: str
    answered_by: str
    report: str  # that its slip became; '' until then
    is_dismissed: bool


def hear(unit: Unit, said: DeskCall, at: datetime) -> tuple[Ring, bool]:
    """(the call with what was said, whether that was new). A word that came before changes nothing.

    Any word makes the call when it is the first one that comes. The row stays locked.
    """
    found = _row(unit, ring.c.call_id == said.call_id)
    is_begun = found is None
    if found is None:
        _add(unit, said, at)
        found = _row(unit, ring.c.call_id == said.call_id)
    if found is None:
        raise AssertionError
    before = _ring(unit, found)
    values: dict[str, Any] = {}
    if said.act is DeskAct.ANSWER and before.answered_at is None:
        values |= {"answered_at": at, "answered_by": _person(unit, said.agents)}
    if said.act is DeskAct.HANG_UP and before.ended_at is None:
        values |= {"ended_at": at, "cause": said.cause}
        if not before.answered_by:
            values["answered_by"] = _person(unit, said.agents)
    content = _content(before, said)
    is_new = bool(values) or content != _content(before, None) or is_begun
    if is_new:
        sealed = unit.vault.key(unit.connection, before.id).seal("ring.content", _json(content))
        unit.execute(ring.update().where(ring.c.id == before.id).values(content=sealed, **values))
        act = {DeskAct.RING: "ring", DeskAct.ANSWER: "answer", DeskAct.HANG_UP: "hang_up"}[said.act]
        detail = {"cause": said.cause} if said.act is DeskAct.HANG_UP else {}
        journal.append(unit, "slip", before.slip, act, by="door:cti", at=at, detail=detail)
    after = _row(unit, ring.c.id == before.id)
    return (_ring(unit, after) if after is not None else before), is_new


def of_slip(unit: Unit, slip_id: str, *, lock: bool = False) -> Ring | None:
    """The call of a slip; None for a slip that nobody's telephone rang for."""
    row = _row(unit, ring.c.slip == slip_id, lock=lock)
    return _ring(unit, row) if row is not None else None


def open_ones(unit: Unit, at: datetime) -> list[Ring]:
    """Calls that no slip has been begun for, the one that rang first on top."""
    query = (
        sa.select(ring)
        .outerjoin(slip, slip.c.id == ring.c.slip)
        .where(ring.c.rang_at > at - SHOWN_FOR, ring.c.dismissed_at.is_(None))
        .where(slip.c.id.is_(None), ring.c.report == "")
        .order_by(ring.c.rang_at, ring.c.id)
        .limit(MOST)
    )
    return [_ring(unit, row) for row in unit.rows(query)]


def became(unit: Unit, slip_id: str, report_id: str) -> Ring | None:
    """The slip of a call has become a report; the call, locked. None for a slip that nobody's telephone rang for."""
    unit.execute(ring.update().where(ring.c.slip == slip_id, ring.c.report == "").values(report=report_id))
    return of_slip(unit, slip_id, lock=True)


def dismiss(unit: Unit, slip_id: str, *, by: str, at: datetime) -> bool:
    """An officer says that a call needs no slip: a wrong number, or one that rang again."""
    is_open = (ring.c.slip == slip_id, ring.c.dismissed_at.is_(None))
    if unit.execute(ring.update().where(*is_open).values(dismissed_at=at)).rowcount != 1:
        return False
    journal.append(unit, "slip", slip_id, "dismiss", by=by, at=at)
    return True


def _add(unit: Unit, said: DeskCall, at: datetime) -> None:
    """A new row, unless another process is faster."""
    row_id = mint("rng", at)
    key, wrapped = unit.vault.new_key(row_id)
    values = {"id": row_id, "slip": mint("slp", at), "call_id": said.call_id, "rang_at": at, "cause": "",
              "content": key.seal("ring.content", _json({}))}  # fmt: skip
    if unit.add_once(ring, values):
        unit.vault.keep_keys(unit.connection, {row_id: wrapped})


def _content(before: Ring, said: DeskCall | None) -> dict[str, Any]:
    """What was known, and what `said` adds to it; the first number counts, the later agents and recording do."""
    return {
        "caller": before.caller or (said.caller if said else ""),
        "called": before.called or (said.called if said else ""),
        "agents": list((said.agents if said else ()) or before.agents),
        "recording": (said.recording if said else "") or before.recording,
    }


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _row(unit: Unit, condition: sa.ColumnElement[bool], *, lock: bool = True) -> sa.Row[Any] | None:
    query = sa.select(ring).where(condition)
    return unit.row(unit.locked(query) if lock else query)


def _person(unit: Unit, agents: Iterable[str]) -> str | None:
    """Who of the desk is meant: by login first, then by a name that only one person has."""
    p, names = t.person.c, list(agents)
    found = unit.rows(sa.select(p.id, p.login, p.name).where(sa.or_(p.login.in_(names), p.name.in_(names))))
    by_login = [row.id for row in found if row.login in names]
    return by_login[0] if by_login else found[0].id if len(found) == 1 else None


def _ring(unit: Unit, row: sa.Row[Any]) -> Ring:
    said = json.loads(unit.vault.key(unit.connection, row.id).open("ring.content", row.content))
    return Ring(
        id=row.id, slip=row.slip, caller=said.get("caller", ""), called=said.get("called", ""),
        agents=tuple(said.get("agents", ())), recording=said.get("recording", ""), rang_at=row.rang_at,
        answered_at=row.answered_at, ended_at=row.ended_at, cause=row.cause, answered_by=row.answered_by or "", report=row.report,
        is_dismissed=row.dismissed_at is not None,
    )  # fmt: skip
