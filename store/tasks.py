"""Field tasks, and what people in the field sent of their own accord or for one."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import Conflict, NotFound
from domain.person import Role
from domain.task import MOVES, OPEN, Task, TaskState
from store import journal
from store import tables as t
from store.tables_field import field_item, field_task
from store.tables_further import follow_up
from store.unit import Unit
from store.vault import Key

SHOWN = 100  # of a list: more than a person does in a month
_PLACE = "field_task.words"


def insert(unit: Unit, task: Task) -> None:
    """A new task; its words are sealed with the key of its report, and gone with it."""
    key = unit.vault.key(unit.connection, task.report)
    unit.execute(field_task.insert(), {
        "id": task.id, "report": task.report, "incident": task.incident or None, "person": task.person,
        "given_by": task.given_by, "words": _sealed(key, task), "given_at": task.given_at, "due_at": task.due_at,
        "state": task.state.value, "revision": task.revision, "changed_at": task.changed_at,
    })  # fmt: skip


def get(unit: Unit, task_id: str, *, lock: bool = False) -> Task | None:
    """One task."""
    query = sa.select(field_task).where(field_task.c.id == task_id)
    found = _opened(unit, unit.rows(unit.locked(query) if lock else query))
    return found[0] if found else None


def change(unit: Unit, before: Task, after: Task) -> Task:
    """Compare-and-set on state and revision. Raises Conflict when somebody was faster."""
    f = field_task.c
    values = {"state": after.state.value, "revision": before.revision + 1, "changed_at": after.changed_at,
              "words": _sealed(unit.vault.key(unit.connection, before.report), after)}  # fmt: skip
    is_seen = (f.id == before.id, f.state == before.state.value, f.revision == before.revision)
    if unit.execute(field_task.update().where(*is_seen).values(**values)).rowcount != 1:
        raise Conflict("somebody else has just changed this task", code="task_changed")
    return replace(after, revision=before.revision + 1)


def recall_all(unit: Unit, report_id: str, at: datetime) -> None:
    """What anybody was to do about a report that bears a mark of secrecy: nobody outside goes on with it."""
    f = field_task.c
    query = sa.select(field_task).where(f.report == report_id, f.state.in_([s.value for s in OPEN]))
    for task in _opened(unit, unit.rows(unit.locked(query.order_by(f.id)))):
        change(unit, task, replace(task, state=MOVES.after(task.state, "recall_task"), changed_at=at))
        for kind, entity in (("task", task.id), ("report", report_id)):
            told = {"report": report_id, "task": task.id, "person": task.person, "why": "marked"}
            journal.append(unit, kind, entity, "recall_task", by="system", at=at, detail=told)


def recalled_of(unit: Unit, person: str, since: datetime) -> list[sa.Row[Any]]:
    """(id, changed_at) of what this person need not do any more, whatever his eyes see of it; the newest first."""
    f = field_task.c
    is_it = (f.person == person, f.state == TaskState.RECALLED.value, f.changed_at > since)
    return unit.rows(sa.select(f.id, f.changed_at).where(*is_it).order_by(f.changed_at.desc()).limit(SHOWN))


def of_person(unit: Unit, person: str) -> list[Task]:
    """Those of one person: the open ones first, by when they are due; then the newest."""
    f = field_task.c
    is_open = sa.case((f.state.in_([s.value for s in OPEN]), 0), else_=1)
    query = sa.select(field_task).where(f.person == person)
    query = query.order_by(is_open, sa.case((is_open == 0, f.due_at), else_=-f.given_at), f.id)
    return _opened(unit, unit.rows(query.limit(SHOWN)))


def of_reports(unit: Unit, reports: Sequence[str]) -> list[Task]:
    """Those of some reports, which the reader may see; the newest first."""
    f = field_task.c
    query = sa.select(field_task).where(f.report.in_(reports)).order_by(f.given_at.desc(), f.id.desc())
    return _opened(unit, unit.rows(query.limit(SHOWN))) if reports else []


def open_ones(unit: Unit) -> list[Task]:
    """Those that are not over, the first due first."""
    f = field_task.c
    query = sa.select(field_task).join(t.report_row, t.report_row.c.id == f.report)
    query = query.where(f.state.in_([s.value for s in OPEN])).order_by(f.due_at, f.id)
    return _opened(unit, unit.rows(query.limit(SHOWN)))


def people(unit: Unit) -> list[sa.Row[Any]]:
    """(id, login, name, organisation) of everybody who may be given one."""
    p = t.person.c
    rows = unit.rows(
        sa.select(p.id, p.login, p.name, p.organisation, p.roles).where(p.is_active).order_by(p.login)
    )
    return [row for row in rows if Role.FIELD.value in row.roles]


def sent(unit: Unit, inbound: str, *, person: str, task: str, matter: str, files: int, at: datetime) -> None:
    """Enter a kept message as this person's; a repeat changes nothing."""
    row = {
        "inbound": inbound,
        "person": person,
        "task": task or None,
        "matter": matter,
        "files": files,
        "at": at,
    }
    unit.add_once(field_item, row)


def items_of(unit: Unit, person: str) -> list[sa.Row[Any]]:
    """(inbound, task, matter, files, at, state, code) of what this person sent, the newest first; the code is that of
    the report which says it."""
    f, i, further = field_item.c, t.inbound.c, follow_up.c
    first = t.inbound.alias()
    said_by = sa.case((further.linked != "", i.code), else_=sa.func.coalesce(first.c.code, i.code))
    query = (
        sa.select(f.inbound, f.task, f.matter, f.files, f.at, i.state, said_by.label("code"))
        .join(t.inbound, i.id == f.inbound)
        .outerjoin(follow_up, further.inbound == f.inbound)
        .outerjoin(first, first.c.report == further.report)
        .where(f.person == person)
        .order_by(f.at.desc(), f.inbound.desc())
    )
    return unit.rows(query.limit(SHOWN))


def begun(unit: Unit, person: str, matter: str) -> str:
    """The report with which this person began a matter; '' when he has not."""
    f, i = field_item.c, t.inbound.c
    query = (
        sa.select(i.report)
        .join(field_item, f.inbound == i.id)
        .where(f.person == person, f.matter == matter, _begins())
    )
    return unit.scalar(query.order_by(f.at, f.inbound).limit(1)) or ""


def matters(unit: Unit, person: str, since: datetime) -> list[sa.Row[Any]]:
    """(matter, code, at) of what this person began of his own accord, the newest first."""
    f, i = field_item.c, t.inbound.c
    query = sa.select(f.matter, i.code, f.at).join(t.inbound, i.id == f.inbound)
    query = query.where(f.person == person, f.matter != "", f.at > since, _begins())
    return unit.rows(query.order_by(f.at.desc()).limit(SHOWN))


def _begins() -> sa.ColumnElement[bool]:
    """A message that follows no other."""
    return sa.not_(sa.exists().where(follow_up.c.inbound == field_item.c.inbound))


def counts(unit: Unit, tasks: Sequence[str]) -> dict[str, int]:
    """task -> how many messages came of it."""
    f = field_item.c
    query = sa.select(f.task, sa.func.count().label("n")).where(f.task.in_(tasks)).group_by(f.task)
    return {row.task: row.n for row in unit.rows(query)} if tasks else {}


def _sealed(key: Key, task: Task) -> bytes:
    told = {"what": task.what, "where": task.where, "reason": task.reason, "said_at": task.said_at}
    return key.seal(_PLACE, json.dumps(told, ensure_ascii=False).encode())


def _opened(unit: Unit, rows: Sequence[sa.Row[Any]]) -> list[Task]:
    keys = {report: _key(unit, report) for report in {row.report for row in rows}}
    return [_task(row, keys[row.report]) for row in rows]


def _key(unit: Unit, report: str) -> Key | None:
    try:
        return unit.vault.key(unit.connection, report)
    except NotFound:  # erased with its report
        return None


def _task(row: sa.Row[Any], key: Key | None) -> Task:
    words = (
        json.loads(key.open(_PLACE, row.words))
        if key
        else dict.fromkeys(("what", "where", "reason", "said_at"), "")
    )
    return Task(
        id=row.id, report=row.report, incident=row.incident or "", person=row.person, given_by=row.given_by,
        what=words["what"], where=words["where"], reason=words["reason"], said_at=words["said_at"],
        given_at=row.given_at, due_at=row.due_at, state=TaskState(row.state), revision=row.revision,
        changed_at=row.changed_at,
    )  # fmt: skip
