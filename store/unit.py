"""One transaction, as the books of this room work in it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from domain.secrecy import HUB, Eyes
from store.sight import narrowed
from store.vault import Vault


@cache
def _postgres_once(table: sa.Table) -> sa.Executable:
    # without the option SQLAlchemy 2.1 answers -1 for an INSERT on psycopg
    return postgresql.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@cache
def _sqlite_once(table: sa.Table) -> sa.Executable:
    return sqlite.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@cache
def _percent(statement: str) -> str:
    """``:name`` in the words of psycopg; a cast, ``::text``, is none."""
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", statement)


_ONCE = {True: _postgres_once, False: _sqlite_once}  # built once a table: composing costs more than running


class Unit:
    """What a closure given to `Store.run` works with; it lives for one transaction.

    Its eyes are the hub's own, or those of whoever asks (seen_by): then what is not theirs is in no row it reads.
    """

    def __init__(
        self, connection: sa.Connection, vault: Vault, head_key: bytes, eyes: Eyes = HUB
    ) -> None:  # fmt: skip
        self.eyes = eyes
        self.connection = connection
        self.vault = vault
        self.head_key = head_key  # the journal's; see store/journal.py
        self.is_postgres = connection.dialect.name == "postgresql"
        self._errors: Any = connection.dialect.loaded_dbapi.Error

    def seen_by(self, eyes: Eyes) -> "Unit":
        """The same transaction with other eyes; with HUB for what is counted whole, e.g. a number without a gap."""
        return Unit(self.connection, self.vault, self.head_key, eyes)

    def execute(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:
        """Run one Core statement."""
        return self.connection.execute(narrowed(statement, self.eyes), values)

    def plain(self, statement: str, values: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Run one statement past SQLAlchemy, which costs more than a small statement does: the driver's cursor.

        Values are the driver's own, their names are written ``:name``; an Instant is what `columns.instant` makes
        of it. Raises as execute() does.
        """
        driver: Any = self.connection.connection.dbapi_connection
        try:
            return driver.execute(_percent(statement) if self.is_postgres else statement, values)
        except self._errors as error:
            dialect = self.connection.dialect
            is_gone = dialect.is_disconnect(error, driver, None)
            raise sa.exc.DBAPIError.instance(
                statement, None, error, self._errors, dialect=dialect, connection_invalidated=is_gone
            ) from error

    def row(self, query: sa.Executable) -> sa.Row[Any] | None:
        """The single row of `query`, or None."""
        return self.execute(query).one_or_none()

    def rows(self, query: sa.Executable) -> list[sa.Row[Any]]:
        """All rows of `query`."""
        return list(self.execute(query).all())

    def scalar(self, query: sa.Executable) -> Any:
        """The first column of the first row, or None."""
        return self.execute(query).scalar()

    def locked(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """`query` with its rows locked to the end of the transaction (SQLite has one writer anyway)."""
        return query.with_for_update() if self.is_postgres else query

    def skip_locked(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """`query` over the rows that no other transaction is working on."""
        return query.with_for_update(skip_locked=True) if self.is_postgres else query

    def add_once(self, table: sa.Table, values: dict[str, Any]) -> bool:
        """INSERT ... ON CONFLICT DO NOTHING; False if a unique row was there already."""
        return self.add_new(table, [values]) == 1

    def add_new(self, table: sa.Table, rows: list[dict[str, Any]]) -> int:
        """INSERT ... ON CONFLICT DO NOTHING of all `rows`; how many were new."""
        insert = _ONCE[self.is_postgres](table)
        return self.execute(insert, rows if len(rows) > 1 else rows[0]).rowcount
