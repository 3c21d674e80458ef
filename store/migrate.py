"""Brings a database up to this program's schema, and refuses a newer one."""

import importlib
import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from domain.errors import Unavailable
from store.engine import WriteLock, open_engine

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def steps() -> list[str]:
    """Every revision of this program, oldest first; the names of the files hold them."""
    return sorted(found[1] for p in _VERSIONS.glob("*.py") if (found := re.match(r"m(\d{4})_", p.name)))


def standing(url: str) -> str | None:
    """The step that the database at `url` stands at, None when it is empty or missing; looking makes none."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return None
    engine = open_engine(url, is_writer=False)
    try:
        with engine.connect() as connection:
            return _current(connection)
    except sa.exc.OperationalError as error:
        raise Unavailable("the database does not answer") from error
    finally:
        engine.dispose()


def upgrade(url: str, *, lock_path: Path | None = None, to: str = "head") -> tuple[int, int]:
    """Run the missing steps in one transaction; (steps that stand now, steps there are).

    A kill in the middle leaves the database as it was: both databases roll schema changes back.
    Raises Unavailable(database_is_newer) when the database holds a step this program does not know.
    """
    known = steps()
    engine = open_engine(url, is_writer=True)
    try:
        with WriteLock(lock_path), engine.connect() as connection:
            current = _current(connection)
            connection.rollback()
            if current is not None and current not in known:
                raise Unavailable("the database is newer than this program", code="database_is_newer")
            if current != (known[-1] if to == "head" else to):
                with connection.begin():
                    _alembic().upgrade(connection, to)
            now = _current(connection)
    finally:
        engine.dispose()
    return (known.index(now) + 1 if now else 0), len(known)


def plan(url: str) -> str:
    """The SQL that upgrade() would run, '' when nothing is missing."""
    known, current = steps(), standing(url)
    if current == known[-1]:
        return ""
    if current is not None and current not in known:
        raise Unavailable("the database is newer than this program", code="database_is_newer")
    return str(_alembic().sql(sa.make_url(url).get_backend_name(), current))


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _alembic() -> Any:
    """The module that works with Alembic; loading it takes a tenth of a start, and few starts need it."""
    return importlib.import_module("store.steps")
