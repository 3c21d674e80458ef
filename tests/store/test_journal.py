"""Any changed, removed, inserted or reordered entry of the journal is found."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store import journal, roots
from store import tables as t
from store.database import Store

SIGNER = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


@pytest.fixture
def filled(store: Store, at):
    """Three streams of five acts, sealed after the third act of each."""
    anchors = {}
    for n in range(5):
        for entity in ("a", "b", "c"):
            moment = at + timedelta(seconds=n)
            store.run(
                lambda u, e=entity, m=moment, n=n: journal.append(
                    u,
                    "auth",
                    e,
                    f"act{n}",
                    by="someone",
                    at=m,
                    detail={"n": n},
                    content=b"x" if n == 2 else b"",
                )
            )
        if n in (1, 2):
            root = store.run(lambda u: roots.seal(u, SIGNER, at))
            anchors[root["n"]] = root["hash"]
    return anchors


def _verify(store: Store, anchors):
    return store.read(lambda u: roots.verify(u, SIGNER.public_key(), anchors))


def _without_triggers(store: Store, *statements: str) -> None:
    """What a thief with the database file, but not our keys, can do."""

    def work(unit):
        for act in ("update", "delete"):
            table = " ON journal" if unit.is_postgres else ""
            unit.connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS journal_no_{act}{table}")
        for statement in statements:
            unit.connection.exec_driver_sql(statement)

    store.run(work)


def test_an_untouched_journal_verifies(store: Store, filled) -> None:
    assert _verify(store, filled) == (15, [])


@pytest.mark.parametrize(
    "column, value",
    [
        ("act", "'other'"),
        ('"by"', "'other'"),
        ("at", "at + 1"),
        ("detail", "'{\"n\":9}'"),
        ("entity", "'z'"),
        ("kind", "'z'"),
        ("n", "n + 100"),
        ("prev_hash", "'" + "1" * 64 + "'"),
        ("hash", "'" + "1" * 64 + "'"),
        ("content", "'" + "2" * 64 + "'"),
    ],
)
def test_a_changed_column_is_found(store: Store, filled, column: str, value: str) -> None:
    for n in (1, 3, 5):
        _without_triggers(store, f"UPDATE journal SET {column} = {value} WHERE entity = 'b' AND n = {n}")
        _, findings = _verify(store, filled)
        assert findings, (column, n)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_removed_entry_is_found_first_middle_or_last(store: Store, filled, n: int) -> None:
    _without_triggers(store, f"DELETE FROM journal WHERE entity = 'b' AND n = {n}")
    assert _verify(store, filled)[1]


def test_a_cut_tail_with_a_matching_head_is_found_without_the_key(store: Store, filled) -> None:
    _without_triggers(
        store,
        "DELETE FROM journal WHERE entity = 'b' AND n = 5",
        "UPDATE journal_head SET n = 4, hash = (SELECT hash FROM journal WHERE entity = 'b' AND n = 4)"
        " WHERE entity = 'b'",
    )
    assert any("head" in f.what for f in _verify(store, filled)[1])


def test_two_entries_that_change_places_are_found(store: Store, filled) -> None:
    _without_triggers(
        store,
        "UPDATE journal SET n = 99 WHERE entity = 'b' AND n = 2",
        "UPDATE journal SET n = 2 WHERE entity = 'b' AND n = 3",
        "UPDATE journal SET n = 3 WHERE entity = 'b' AND n = 99",
    )
    assert _verify(store, filled)[1]


def test_a_whole_stream_cut_out_is_found_by_the_root(store: Store, filled) -> None:
    _without_triggers(
        store, "DELETE FROM journal WHERE entity = 'c'", "DELETE FROM journal_head WHERE entity = 'c'"
    )
    assert any(f.where.startswith("root#") for f in _verify(store, filled)[1])


def test_a_root_that_left_the_host_and_is_gone_is_found(store: Store, filled) -> None:
    def cut(unit):
        for act in ("update", "delete"):
            table = " ON root" if unit.is_postgres else ""
            unit.connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS root_no_{act}{table}")
        unit.execute(t.root.delete().where(t.root.c.n == 2))

    store.run(cut)
    assert any("left the host" in f.what for f in _verify(store, filled)[1])


def test_a_root_of_another_key_is_found(store: Store, filled, at) -> None:
    thief = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
    store.run(lambda u: roots.seal(u, thief, at))
    assert any("signature" in f.what for f in _verify(store, filled)[1])


def test_the_detail_of_an_entry_is_read_back_as_written(store: Store, filled) -> None:
    row = store.read(lambda u: u.rows(sa.select(t.journal).where(t.journal.c.entity == "a")))[0]
    assert row.detail == {"n": 0}
