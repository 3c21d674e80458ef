"""Column types that mean the same on SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
META = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def instant(value: datetime) -> int:
    """Microseconds since 1970 UTC. Raises ValueError for a naive datetime.

    What lies before or behind all time in UTC is its end: a row must be read again.
    """
    if value.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return min(max((value - _EPOCH) // _MICROSECOND, _FIRST), _LAST)


class Instant(TypeDecorator[datetime]):
    """An aware datetime kept as microseconds since 1970 UTC: sorts and compares the same everywhere."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Refuses naive datetimes: they mean another instant on another machine."""
        return None if value is None else instant(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """Aware, UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """JSON as text: byte-identical when read back, which a jsonb column would not be."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str:
        """Sorted keys, no NaN."""
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """The parsed value."""
        return None if value is None else json.loads(value)


def one_of(column: str, enum: type[Enum]) -> sa.CheckConstraint:
    """A constraint that `column` holds a value of the enumeration."""
    words = ", ".join(f"'{e.value}'" for e in enum)
    return sa.CheckConstraint(f"{column} IN ({words})", name=column)


def only(where: str) -> dict[str, Any]:
    """An index of these rows alone, in both databases."""
    return {"postgresql_where": sa.text(where), "sqlite_where": sa.text(where)}
