"""Older filled databases come up; newer ones are refused."""

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from store import migrate
from store import tables as t


def test_the_steps_build_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.connect() as c:
        there = sa.inspect(c)
        for table in t.META.sorted_tables:
            columns = {column["name"] for column in there.get_columns(table.name)}
            assert columns == {column.name for column in table.columns}, table.name
    engine.dispose()


def test_a_second_run_changes_nothing(database_url: str) -> None:
    stands, steps = migrate.upgrade(database_url)
    assert stands == steps == len(migrate.steps())


def test_a_newer_database_is_refused_by_name(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(Unavailable) as refused:
        migrate.upgrade(database_url)
    assert refused.value.code == "database_is_newer"
