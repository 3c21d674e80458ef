"""The state tables of the domain stand as rows and triggers in the store."""

from importlib import import_module

import pytest
import sqlalchemy as sa

from domain.parcel import DELIVERIES, DeliveryState
from outbox import relay
from store import journal
from store import tables as t
from store.database import Store
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, subscribe


def test_the_rows_of_the_store_are_the_tables_of_the_domain(store: Store) -> None:
    rows = store.read(lambda u: u.rows(sa.select(t.moves)))
    stored = {(r.machine, r.before, r.after) for r in rows}
    said = {(name, a, b) for name, moves in t.MACHINES.items() for a, b in moves.pairs()}
    assert stored == said


def test_a_state_cannot_jump_by_raw_sql(store: Store, at) -> None:
    def insert(unit):
        row = {
            "id": "inb_1",
            "report": "rep_1",
            "code": "AAAA-AAAA",
            "channel": "sms",
            "external_id": "1",
            "media_type": "text/plain",
            "raw_sha256": "0" * 64,
            "sender": b"",
            "meta": b"",
            "handling": "internal",
            "received_at": at,
            "state": "filed",
            "next_due": at,
        }
        unit.execute(t.inbound.insert(), row)

    store.run(insert)
    for after in ("received", "shelved"):
        with pytest.raises(sa.exc.DBAPIError, match="illegal move"):
            store.run(lambda u, after=after: u.execute(t.inbound.update().values(state=after)))


@pytest.mark.parametrize("machine", sorted(t.MACHINES))
def test_every_machine_has_its_trigger(store: Store, machine: str) -> None:
    catalogue = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger",
    }

    def names(unit):
        query = catalogue[unit.connection.dialect.name]
        return {row[0] for row in unit.connection.exec_driver_sql(query)}

    found = store.read(names)
    assert f"{machine}_moves" in found
    assert {f"{table}_no_{act}" for table in t.APPEND_ONLY for act in ("update", "delete")} <= found


def test_what_postgresql_passes_at_sight_are_moves_of_the_domain(store: Store) -> None:
    usual = import_module("store.migrations.versions.m0040_usual_moves").USUAL
    assert set(usual) <= set(DELIVERIES.pairs())


def test_no_delivery_takes_a_move_that_the_domain_does_not_know(store: Store, at, tmp_path) -> None:
    subscribe(store, at, phones(1))
    _, (dispatch,) = approve(store, at)
    relay.relay(outgoing(store, at, tmp_path, wire=Wire()), dispatch)
    drop = "DROP TRIGGER delivery_moves ON delivery" if store.is_postgres else "DROP TRIGGER delivery_moves"
    known = set(DELIVERIES.pairs())

    class Undone(Exception):
        pass

    def moved(unit, before: str, after: str) -> None:
        say = unit.connection.exec_driver_sql
        say(f"UPDATE delivery SET state = '{after}'")
        raise Undone

    def placed(unit, before: str) -> None:
        trigger = unit.connection.exec_driver_sql
        made = _definition(unit)
        trigger(drop)
        unit.execute(t.delivery.update().values(state=before))
        for statement in made:
            trigger(statement)

    for before in DeliveryState:
        store.run(lambda u, before=before: placed(u, before.value))
        for after in DeliveryState:
            is_known = before is after or (before.value, after.value) in known
            error = Undone if is_known else sa.exc.DBAPIError
            with pytest.raises(error):
                store.run(lambda u, b=before, a=after: moved(u, b.value, a.value))


def _definition(unit) -> list[str]:
    """The statement that made the trigger of deliveries, as the database tells it."""
    asked = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = 'delivery_moves'",
        "postgresql": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'delivery_moves'",
    }
    return [row[0] for row in unit.connection.exec_driver_sql(asked[unit.connection.dialect.name])]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE moves SET after = 'x'",
        "DELETE FROM moves",
        "UPDATE journal SET act = 'x'",
        "DELETE FROM journal",
    ],
)
def test_append_only_rows_refuse_change_and_removal(store: Store, statement: str, at) -> None:
    store.run(lambda u: journal.append(u, "auth", "x", "login", by="x", at=at))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        store.run(lambda u: u.connection.exec_driver_sql(statement))
