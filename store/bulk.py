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


@dataclass(frozen=True, slots=True)
class _Insert:
    """A statement, its columns, and what makes a driver's value of ours (None: it is one already)."""

    statement: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]


def add_new(unit: Unit, table: sa.Table, rows: Sequence[Row]) -> int:
    """INSERT ... ON CONFLICT DO NOTHING of all `rows`, which name the same columns; how many were new."""
    if not rows:
        return 0
    made = _insert(table, tuple(rows[0]), unit.connection.dialect)
    options = {"preserve_rowcount": True}
    given: Any
    if unit.is_postgres:
        given = tuple(
            [None if row[name] is None else turn(row[name]) if turn else row[name] for row in rows]
            for name, turn in made.columns
        )
    else:
        given = [
            tuple(
                [
                    row[name] if turn is None or row[name] is None else turn(row[name])
                    for name, turn in made.columns
                ]
            )
            for row in rows
        ]
    return unit.connection.exec_driver_sql(made.statement, given, execution_options=options).rowcount


@cache
def _insert(table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect) -> _Insert:
    types = {name: table.c[name].type for name in names}
    columns = tuple((name, types[name].dialect_impl(dialect).bind_processor(dialect)) for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        statement = f'INSERT INTO "{table.name}" ({listed}) VALUES ({marks}) ON CONFLICT DO NOTHING'  # noqa: S608 (our own names)
    else:
        arrays = ", ".join(f"%s::{_array(types[name], dialect)}[]" for name in names)
        statement = (
            f'INSERT INTO "{table.name}" ({listed}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING'  # noqa: S608
        )
    return _Insert(statement, columns)


def _array(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    """The type of a column as an array's element: without a length, which the column itself keeps to."""
    return kind.compile(dialect=dialect).partition("(")[0]
