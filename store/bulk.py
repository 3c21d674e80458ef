"""Many rows into one table in one statement, with nothing of SQLAlchemy's between them and the driver.

Its care for each value of each row costs three times what the rows themselves do, and doors wait for that.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg.abc
import sqlalchemy as sa
from psycopg.adapt import Dumper
from psycopg.pq import Format

from store.unit import Unit

Row = Mapping[str, Any]


# SQLite's module gives the interpreter away around every row of executemany, and takes it back when another thread lets
# go of it: with a busy event loop beside it that costs more than the rows. So all rows stand in one statement.
AT_ONCE = 64  # rows of a statement on SQLite; 17 columns of them are 1,088 of 32,766 variables


@dataclass(frozen=True, slots=True)
class _Insert:
    """A statement around its rows, its columns, and what makes a driver's value of ours (None: it is one already)."""

    head: str
    row: str  # of SQLite
    tail: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    written: tuple[Callable[[Sequence[Any]], Any], ...] = ()  # PostgreSQL: a column's values as an array


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Rows that are added only where the row they belong to was: its column `of` holds what stands in their `key`."""

    table: sa.Table
    rows: Sequence[Row]
    key: str
    of: str
    computed: tuple[tuple[str, str], ...] = ()  # as of add_new()


def add_led(unit: Unit, table: sa.Table, rows: Sequence[Row], following: Sequence[Following]) -> set[str]:
    """One journey to PostgreSQL for rows of several tables: the ids of those of `table` that were new.

    What follows a row that was there already is not added; one that cannot be added (its key is taken) fails them all.
    """
    dialect = unit.connection.dialect
    columns = ", ".join(dict.fromkeys(['"id"', *(f'"{each.of}"' for each in following)]))
    lead = _insert(table, tuple(rows[0]), dialect, ())
    parts = [f"led AS ({lead.head}{lead.tail} RETURNING {columns})"]
    values = list(_arrays(lead, rows))
    for n, each in enumerate(following):
        made = _insert(each.table, tuple(each.rows[0]), dialect, each.computed)
        parts.append(
            f'f{n} AS ({made.head} WHERE given."{each.key}" IN (SELECT "{each.of}" FROM led))'  # noqa: S608 (our own names)
        )
        values += _arrays(made, each.rows)
    found = unit.plain(f"WITH {', '.join(parts)} SELECT id FROM led", values)  # noqa: S608 (our own names)
    return {row[0] for row in found.fetchall()}


def add_new(
    unit: Unit, table: sa.Table, rows: Sequence[Row], *, computed: tuple[tuple[str, str], ...] = ()
) -> int:  # fmt: skip
    """INSERT ... ON CONFLICT DO NOTHING of all `rows`, which name the same columns; how many were new.

    `computed`: (column, SQL) that PostgreSQL makes for each of them.
    """
    if not rows:
        return 0
    made = _insert(table, tuple(rows[0]), unit.connection.dialect, computed)
    if unit.is_postgres:
        return int(unit.plain(made.head + made.tail, _arrays(made, rows)).rowcount)
    count = 0
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        values = tuple(_value(row[name], turn) for row in some for name, turn in made.columns)
        count += unit.plain(made.head + ", ".join([made.row] * len(some)) + made.tail, values).rowcount
    return count


def _value(value: Any, turn: Callable[[Any], Any] | None) -> Any:
    return value if turn is None or value is None else turn(value)


@cache
def _insert(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect, computed: tuple[tuple[str, str], ...]
) -> _Insert:
    types = {name: table.c[name].type for name in names}
    columns = tuple((name, types[name].dialect_impl(dialect).bind_processor(dialect)) for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    head, tail = f'INSERT INTO "{table.name}" ({listed}) ', " ON CONFLICT DO NOTHING"
    if dialect.name == "sqlite":
        return _Insert(head + "VALUES ", f"({', '.join('?' * len(names))})", tail, columns)
    arrays = ", ".join(f"%s::{_kind(types[name], dialect)}[]" for name in names)
    added = ", ".join([*(f'"{name}"' for name, _ in computed), listed])
    made = "".join(f"{sql}, " for _, sql in computed)
    head = (
        f'INSERT INTO "{table.name}" ({added}) SELECT {made}given.* FROM unnest({arrays}) AS given({listed})'  # noqa: S608 (our own names)
    )
    is_bytes = {name: _kind(types[name], dialect) == "BYTEA" for name in names}
    columns = tuple((name, None if is_bytes[name] else turn) for name, turn in columns)  # bytes as they are
    written = tuple(_array_of_bytes if is_bytes[name] else array_of_words for name in names)
    return _Insert(head, "", tail, columns, written)


def _kind(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """A column's type without a length, which the column itself keeps to."""
    return kind.compile(dialect=dialect).partition("(")[0]


# psycopg's own arrays find out for each element how it is written: 40 us a mail, a sixth of all that one costs.
class _Bytes(bytes):
    """A bytea[] as PostgreSQL takes it."""


class _BytesDumper(Dumper):
    format, oid = Format.BINARY, 1001  # of bytea[]

    def dump(self, obj: Any) -> psycopg.abc.Buffer | None:
        """It is written already."""
        return bytes(obj)


psycopg.adapters.register_dumper(_Bytes, _BytesDumper)
_BYTEA = 17  # its number among types
_NULL = struct.pack("!i", -1)


def _array_of_bytes(values: Sequence[bytes | None]) -> _Bytes:
    """One dimension, whether there are NULLs, the type; how many, counted from 1; each with its length."""
    parts = [struct.pack("!iiiii", 1, int(None in values), _BYTEA, len(values), 1)]
    for value in values:
        parts += (_NULL,) if value is None else (struct.pack("!i", len(value)), value)
    return _Bytes(b"".join(parts))


def array_of_words(values: Sequence[Any]) -> str:
    """Texts, numbers or truths as PostgreSQL reads an array: ``{"a","b",NULL}``; for a parameter that is CAST to its type."""
    return "{" + ",".join("NULL" if value is None else _word(value) for value in values) + "}"


def _word(value: Any) -> str:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(int(value))
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _arrays(made: _Insert, rows: Sequence[Row]) -> list[Any]:
    """A column's values together, for each column of the statement."""
    return [
        write([_value(row[name], turn) for row in rows])
        for (name, turn), write in zip(made.columns, made.written, strict=True)
    ]
