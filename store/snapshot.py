"""The whole database as of one moment, in a file, and back."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from domain.errors import Refused, Unavailable
from store import roots
from store import tables as t
from store.engine import open_engine
from store.unit import Unit
from store.vault import Vault

SQLITE_FILE, POSTGRES_FILE = "tocsin.db", "tocsin.dump"
_TOOLS = Path("/usr/lib/postgresql")  # where Debian and its children keep the tools of each version


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What a copy must hold to be the same."""

    rows: Mapping[str, int]  # table -> n
    journal: Mapping[str, Any]  # store.roots.summit

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return {"rows": dict(self.rows), "journal": dict(self.journal)}


def take(url: str, directory: Path, *, head_key: bytes) -> tuple[Path, Census]:
    """Copy the database into `directory` while it is in use; the file, and what it holds.

    Nobody waits for it: SQLite copies under a read transaction (VACUUM INTO), PostgreSQL by pg_dump.
    Raises Unavailable when the database or pg_dump does not serve.
    """
    if sa.make_url(url).get_backend_name() == "sqlite":
        return _take_sqlite(url, directory / SQLITE_FILE, head_key)
    return _take_postgres(url, directory / POSTGRES_FILE, head_key)


def put_back(url: str, source: Path) -> None:
    """Fill the empty database at `url` from a file of take(). Raises Refused when it holds something."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        place = Path(parsed.database or "")
        if place.exists():
            raise Refused("there is a database already", code="not_empty")
        shutil.copyfile(source, place)
        place.chmod(0o600)
        return
    engine = open_engine(url, is_writer=False)
    try:
        with engine.connect() as connection:
            if sa.inspect(connection).get_table_names():
                raise Refused("the database already holds tables", code="not_empty")
        _run(
            "pg_restore",
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            "--dbname",
            _plain(url),
            str(source),
        )
        _go_on_counting(engine)
    finally:
        engine.dispose()


def census(unit: Unit) -> Census:
    """The rows of every table and the ends of the journal, in the reader's one moment."""
    rows = {
        table.name: unit.scalar(sa.select(sa.func.count()).select_from(table))
        for table in t.META.sorted_tables
    }
    return Census(rows=rows, journal=roots.summit(unit))


@contextmanager
def scratch(url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database beside `url`, dropped at the end."""
    name = f"tocsin_verify_{secrets.token_hex(4)}"
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        yield sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    except sa.exc.DBAPIError as error:
        raise Unavailable("this role may not create a database to compare in", code="no_scratch") from error
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        engine.dispose()


def _take_sqlite(url: str, target: Path, head_key: bytes) -> tuple[Path, Census]:
    engine = open_engine(url, is_writer=False)
    try:
        raw = engine.raw_connection()  # VACUUM stands outside every transaction, ours would begin one
        try:
            raw.cursor().execute("VACUUM INTO ?", (str(target),))
        finally:
            raw.close()
    except sa.exc.DBAPIError as error:
        raise Unavailable("the database cannot be copied", code="no_snapshot") from error
    finally:
        engine.dispose()
    copy = open_engine(f"sqlite:///{target}", is_writer=False)
    try:
        with copy.connect() as connection, connection.begin():
            found = census(Unit(connection, Vault(b""), head_key))
    finally:
        copy.dispose()
    target.chmod(0o600)
    return target, found


def _take_postgres(url: str, target: Path, head_key: bytes) -> tuple[Path, Census]:
    engine = open_engine(url, is_writer=False).execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection, connection.begin():
            for setting in ("idle_in_transaction_session_timeout", "statement_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {setting} = 0")  # a dump of a province takes its time
            moment = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            found = census(Unit(connection, Vault(b""), head_key))
            _run(
                "pg_dump",
                "--format=custom",
                "--no-owner",
                f"--snapshot={moment}",
                f"--file={target}",
                _plain(url),
            )
    finally:
        engine.dispose()
    target.chmod(0o600)
    return target, found


def _go_on_counting(engine: sa.Engine) -> None:
    """Entries written from now on come after the restored ones, though this cluster counts from its own start.

    The journal's order is (transaction id, sequence); see store/journal.py.
    """
    with engine.connect() as connection, connection.begin():
        last = connection.execute(sa.select(sa.func.max(t.journal.c.xid))).scalar() or 0
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        quoted = connection.dialect.identifier_preparer.quote_identifier(name)
        connection.exec_driver_sql(f"ALTER DATABASE {quoted} SET tocsin.xid_base = '{int(last)}'")


def _plain(url: str) -> str:
    """A URL as libpq reads it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(tool: str, *arguments: str) -> None:
    found = shutil.which(tool) or next(
        (str(p) for p in sorted(_TOOLS.glob(f"*/bin/{tool}"), key=_version, reverse=True)), None
    )
    if found is None:
        raise Unavailable(f"{tool} is not installed: apt install postgresql-client", code="no_pg_tools")
    place = arguments[-1] if tool == "pg_dump" else arguments[arguments.index("--dbname") + 1]
    password = sa.make_url(place).password
    hidden = [a.replace(place, sa.make_url(place).set(password=None).render_as_string()) for a in arguments]
    environment = {
        **os.environ,
        **({"PGPASSWORD": password} if password else {}),
    }  # not in the list of processes
    done = subprocess.run(  # noqa: S603 (our own tools, no shell)
        [found, *hidden], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(f"{tool}: {done.stderr.strip().splitlines()[-1:]}", code="pg_tool_failed")


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parts[-3].split(".") if part.isdigit())
