"""How the database itself stands: whether it keeps what it says it kept, and who may read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from store import tables as t
from store.engine import open_engine
from store.unit import Unit

_NEEDED = {  # PostgreSQL: each of them off loses what was answered "taken" at a power cut
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """`wrong`: setting -> value that is in force and must not be."""

    is_postgres: bool
    wrong: Mapping[str, str]


def durability(unit: Unit) -> Durability:
    """What the database promises about a commit. SQLite's own is asserted at every connection (store/engine.py)."""
    if not unit.is_postgres:
        level = unit.scalar(sa.text("PRAGMA synchronous"))
        mode = str(unit.scalar(sa.text("PRAGMA journal_mode")))
        wrong = {"synchronous": str(level)} if level != 2 else {}
        return Durability(is_postgres=False, wrong=wrong | ({"journal_mode": mode} if mode != "wal" else {}))
    names = ", ".join(f"'{name}'" for name in _NEEDED)
    rows = unit.rows(sa.text(f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"))  # noqa: S608 (our own names)
    wrong = {row.name: row.setting for row in rows if row.setting != _NEEDED[row.name]}
    return Durability(is_postgres=True, wrong=wrong)


def missing_guards(unit: Unit) -> list[str]:
    """Tables that must not change and can: their triggers are gone."""
    if unit.is_postgres:
        query = "SELECT tgname AS name FROM pg_trigger WHERE tgenabled IN ('O', 'A')"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    there = {row.name for row in unit.rows(sa.text(query))}
    needed = {(table, f"{table}_no_{act}") for table in t.APPEND_ONLY for act in ("update", "delete")}
    needed |= {(machine, f"{machine}_moves") for machine in t.MACHINES}
    return sorted({table for table, trigger in needed if trigger not in there})


def exposed_files(url: str) -> list[Path]:
    """Files of an SQLite database that others may read."""
    place = sa.make_url(url).database
    if not url.startswith("sqlite") or not place:
        return []
    files = [Path(place), *(Path(f"{place}{suffix}") for suffix in ("-wal", "-shm", ".lock"))]
    return [path for path in files if path.exists() and path.stat().st_mode & 0o077]


def open_to_all(unit: Unit) -> list[str]:
    """Tables that every role of a PostgreSQL server may read or change."""
    if not unit.is_postgres:
        return []
    query = (
        "SELECT DISTINCT table_name FROM information_schema.role_table_grants"
        " WHERE grantee = 'PUBLIC' AND table_schema = current_schema()"
    )
    return sorted(row.table_name for row in unit.rows(sa.text(query)))


def is_superuser(unit: Unit) -> bool:
    """Whether this role could switch every guard off."""
    if not unit.is_postgres:
        return False
    return bool(unit.scalar(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")))


def answers(url: str) -> bool:
    """Whether the database can be opened; looking makes none."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return False
    engine = open_engine(url, is_writer=False)
    try:
        with engine.connect() as connection:
            return bool(connection.exec_driver_sql("SELECT 1").scalar())
    except sa.exc.DBAPIError:
        return False
    finally:
        engine.dispose()
