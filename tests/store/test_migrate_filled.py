"""Older databases with rows in every table and every state come up step by step, killed or not (R28)."""

import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import migrate
from store import tables as t
from tests.conftest import _psql, open_store

ROOT = Path(__file__).resolve().parents[2]
ROWS = 14  # more than any machine has states
ALONE = {"hub", "webhook_cursor"}  # a table of one row
FIXED = {  # what a constraint over several columns asks for
    "dispatch": {"release": None, "artefact": None, "notice": "ack", "notice_payload": b"x"},
    "hub": {"one": 1, "mode": "demo"},
    "webhook_cursor": {"one": 1},
    "purge": {"ordered_by": "id2"},  # of the one row in three that was withdrawn; two persons confirm
    "stream": {"dispatch": None},
    "release": {"colour": "red"},
    "recipient": {"until": None},
    "report_place": {"chosen_by": None, "chosen_at": None},
    "report_triage": {"level": None},
}
# Those that hubs stand at, and of the ones that came together each fifth: a database never stood between them.
_STEPS = migrate.steps()[:-1]
_SHORT = {"0001", "0012", *_STEPS[-1:]}  # the others in the long run
OLDER = [
    pytest.param(s, marks=[] if s in _SHORT else pytest.mark.faults)
    for s in _STEPS if s <= "0012" or int(s) % 5 == 0 or s in _SHORT
]  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/old.db"
        return
    server, name = request.getfixturevalue("postgres_url"), f"f{secrets.token_hex(4)}"
    _psql(server, f"CREATE DATABASE {name}")
    yield f"{server}/{name}"
    _psql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("first", OLDER)
def test_rows_in_every_table_and_state_survive_each_step_and_every_move_is_possible_afterwards(
    empty_url: str, first: str
) -> None:
    migrate.upgrade(empty_url, to=first)
    filled = _fill(empty_url)
    assert set(filled) >= {
        "inbound",
        "report",
        "release",
        "dispatch",
        "parcel",
        "delivery",
        "receipt",
        "journal",
    }
    before = _rows(empty_url, filled)
    assert {name for name, rows in before.items() if not rows} == set()
    for step in migrate.steps()[migrate.steps().index(first) + 1 :]:
        migrate.upgrade(empty_url, to=step)
        after = _rows(empty_url, filled)
        assert set(before["moves"]) <= set(after["moves"])
        assert {n: r for n, r in after.items() if n != "moves"} == {
            n: r for n, r in before.items() if n != "moves"
        }
    store = open_store(empty_url)
    for machine, moves in t.MACHINES.items():
        for pair in sorted(moves.pairs() if machine in filled else ()):  # a younger table has no rows yet
            store.run(lambda u, m=machine, p=pair: _move(u, m, *p))
    store.close()


@pytest.mark.parametrize("first", OLDER)
def test_a_migration_killed_before_its_commit_leaves_the_database_as_it_was_and_runs_again(
    empty_url: str, first: str
) -> None:
    migrate.upgrade(empty_url, to=first)
    filled = _fill(empty_url)
    before = _rows(empty_url, filled)
    program = (
        "import os, sys\n"
        "from store import steps\n"
        "from store.engine import open_engine\n"
        "c = open_engine(sys.argv[1], is_writer=True).connect()\n"
        "c.begin()\n"
        "steps.upgrade(c, 'head')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, empty_url], cwd=ROOT, timeout=120)
    assert killed.returncode == -9
    assert migrate.standing(empty_url) == first
    assert _rows(empty_url, filled) == before
    assert migrate.upgrade(empty_url)[0] == len(migrate.steps())


def test_a_plan_is_the_sql_of_what_is_missing_and_changes_nothing(empty_url: str) -> None:
    first, *_, newest = migrate.steps()
    assert "CREATE TABLE delivery" in migrate.plan(empty_url)
    assert migrate.standing(empty_url) is None
    migrate.upgrade(empty_url, to=first)
    plan = migrate.plan(empty_url)
    assert "CREATE TABLE delivery" not in plan
    assert f"'{newest}'" in plan
    assert migrate.standing(empty_url) == first
    migrate.upgrade(empty_url)
    assert migrate.plan(empty_url) == ""


def test_a_planned_script_builds_what_the_migration_builds(tmp_path) -> None:
    planned, migrated = tmp_path / "planned.db", tmp_path / "migrated.db"
    plan = migrate.plan(f"sqlite:///{tmp_path}/none.db")
    with sqlite3.connect(planned) as c:
        c.executescript(plan)
    migrate.upgrade(f"sqlite:///{migrated}")
    shapes = [
        sorted(sqlite3.connect(path).execute("SELECT type, name, tbl_name FROM sqlite_master").fetchall())
        for path in (planned, migrated)
    ]
    assert shapes[0] == shapes[1]


def _fill(url: str) -> dict[str, sa.Table]:
    """ROWS rows in every table as it stands, every state of every machine among them."""
    engine = sa.create_engine(url)
    known = sa.MetaData()
    known.reflect(engine)
    tables = {table.name: table for table in known.sorted_tables if table.name != "alembic_version"}
    inspector = sa.inspect(engine)
    with engine.begin() as c:
        for name, table in tables.items():
            if name == "moves":
                continue
            words = _words(inspector, name)
            for n in range(1 if name in ALONE else ROWS):
                row = {column.name: _value(column, n, words) for column in table.columns}
                fixed = _bulletin(n) if name == "bulletin" else FIXED.get(name, {})
                c.execute(table.insert(), row | fixed)
    engine.dispose()
    return tables


def _bulletin(n: int) -> dict[str, str]:
    """One in two stands apart, with the reason that its constraint asks for."""
    state, apart = ("apart", "status") if n % 2 else ("current", "")
    return {"mode": "demo", "status": "Test", "state": state, "apart": apart}


def _words(inspector: sa.Inspector, table: str) -> dict[str, list[str]]:
    """column -> the words that its constraint allows."""
    found = {}
    for check in inspector.get_check_constraints(table):
        words = re.findall(r"'([a-z0-9_]+)'", check["sqltext"])
        if words:
            found[str(check["name"]).removeprefix(f"ck_{table}_")] = words
    return found


def _value(column: sa.Column[Any], n: int, words: dict[str, list[str]]) -> Any:
    if column.name in words:
        return words[column.name][n % len(words[column.name])]
    if column.foreign_keys:
        parent = next(iter(column.foreign_keys)).column
        return _value(parent, n, {}) if column.table is not parent.table else None
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer):
        return n % 4 + 1 if column.name in ("grade", "response_level") else n + 1
    if isinstance(kind, sa.Float):
        return float(n)
    if isinstance(kind, sa.LargeBinary):
        return b"x%d" % n
    if isinstance(kind, sa.Text) and not getattr(kind, "length", None):
        return "[]"
    return f"{column.name}{n}"[: getattr(kind, "length", None) or 20]


def _rows(url: str, tables: dict[str, sa.Table]) -> dict[str, list[tuple[str, ...]]]:
    """Every row, in the columns that `tables` had when they were read."""
    engine = sa.create_engine(url)
    with engine.connect() as c:
        found = {
            name: sorted(tuple(map(str, row)) for row in c.execute(sa.select(table)))
            for name, table in tables.items()
        }
    engine.dispose()
    return found


def _move(unit, machine: str, before: str, after: str) -> None:
    """One row goes along one move, and back out of the transaction."""
    table = t.META.tables[machine]
    row = unit.row(sa.select(*table.primary_key.columns).where(table.c.state == before).limit(1))
    assert row is not None, f"no {machine} is {before}"
    here = [column == value for column, value in zip(table.primary_key.columns, row, strict=True)]
    savepoint = unit.connection.begin_nested()
    beside = {"apart": "" if after == "current" else "status"} if machine == "bulletin" else {}
    unit.execute(table.update().where(*here).values(state=after, **beside))
    savepoint.rollback()
