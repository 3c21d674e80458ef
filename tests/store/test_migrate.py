"""Older filled databases come up; newer ones are refused."""

import secrets

import pytest
import sqlalchemy as sa

from domain import parcel, report
from domain.errors import Unavailable
from store import journal, migrate
from store import tables as t
from tests.conftest import _psql, open_store


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


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path):
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/old.db"
        return
    server, name = request.getfixturevalue("postgres_url"), f"m{secrets.token_hex(4)}"
    _psql(server, f"CREATE DATABASE {name}")
    yield f"{server}/{name}"
    _psql(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_an_older_database_with_rows_in_every_state_comes_up_with_nothing_lost(empty_url: str, at) -> None:
    first, *_, newest = migrate.steps()
    assert first != newest
    assert migrate.upgrade(empty_url, to=first)[0] == 1
    old = open_store(empty_url)
    known = _reflected(empty_url)
    old.run(lambda u: _fill(u, at))
    before = old.read(lambda u: _all_rows(u, known))
    old.close()
    assert migrate.upgrade(empty_url)[0] == len(migrate.steps())
    new = open_store(empty_url)
    after = new.read(lambda u: _all_rows(u, known))
    assert set(before.pop("moves")) <= set(after.pop("moves"))  # a move may be added, none is taken away
    assert after == before
    assert {row[0] for row in before["inbound"]} == {s.value for s in report.Arrival}
    assert {row[0] for row in before["delivery"]} == {s.value for s in parcel.DeliveryState}
    assert {row[0] for row in before["parcel"]} == {s.value for s in parcel.ParcelState}
    new.run(lambda u: journal.append(u, "auth", "x", "login", by="x", at=at))
    assert len(new.read(lambda u: journal.entries(u, "auth", "x"))) == 2
    new.close()


def _fill(unit, at) -> None:
    journal.append(unit, "auth", "x", "login", by="x", at=at)
    for n, state in enumerate(report.Arrival):
        unit.execute(
            t.inbound.insert(),
            {
                "id": f"inb_{n}",
                "report": f"rep_{n}",
                "code": f"C{n}",
                "channel": "sms",
                "external_id": str(n),
                "media_type": "x",
                "raw": b"raw",
                "raw_sha256": "0" * 64,
                "sender": b"s",
                "meta": b"m",
                "handling": "internal",
                "received_at": at,
                "state": state.value,
                "next_due": at,
            },
        )
    unit.execute(
        t.dispatch.insert(),
        {
            "id": "dsp_1",
            "notice": "ack",
            "notice_payload": b"x",
            "channel": "sms",
            "language": "en",
            "sha256": "0" * 64,
            "lane": "sms",
            "state": "ready",
            "next_due": at,
            "expires": at,
            "created_at": at,
        },
    )
    for n, state in enumerate(parcel.ParcelState):
        unit.execute(
            t.parcel_row.insert(),
            {"id": f"dsp_1.{n}", "dispatch": "dsp_1", "n": n, "state": state.value, "next_due": at},
        )
    for n, state in enumerate(parcel.DeliveryState):
        unit.execute(
            t.delivery.insert(),
            {
                "parcel": "dsp_1.0",
                "seq": n,
                "recipient": "r",
                "address": "+1",
                "state": state.value,
                "changed_at": at,
            },
        )


def _reflected(url: str) -> sa.MetaData:
    """The tables as they stand in the database, not as the code of today knows them."""
    engine, found = sa.create_engine(url), sa.MetaData()
    found.reflect(engine)
    engine.dispose()
    return found


def _all_rows(unit, known: sa.MetaData):
    """Every row of every table of `known`, a state first where there is one."""

    def ordered(table):
        columns = sorted(table.columns, key=lambda c: (c.name != "state", c.name))
        return sorted(tuple(map(str, row)) for row in unit.rows(sa.select(*columns)))

    return {table.name: ordered(table) for table in known.sorted_tables if table.name != "alembic_version"}
