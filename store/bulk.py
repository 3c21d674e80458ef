"""Many rows into one table in one statement, with nothing of SQLAlchemy's between them and the driver.

Its care for each value of each row costs three times what the rows themselves do, and doors wait for that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

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
        arrays = tuple([_value(row[name], turn) for row in rows] for name, turn in made.columns)
        return int(unit.plain(made.head + made.tail, arrays).rowcount)
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
    arrays = ", ".join(_array(types[name], dialect) for name in names)
    listed = ", ".join([*(f'"{name}"' for name, _ in computed), *([listed])])
    made = "".join(f"{sql}, " for _, sql in computed)
    head = f'INSERT INTO "{table.name}" ({listed}) SELECT {made}* FROM unnest({arrays})'  # noqa: S608 (our own names)
    return _Insert(head, "", tail, columns)


def _array(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """A column's values: of its type without a length, which the column itself keeps to; bytes as bytes, not as hex."""
    name = kind.compile(dialect=dialect).partition("(")[0]
    return f"{'%b' if name == 'BYTEA' else '%s'}::{name}[]"
