"""What waits together is done together, and nobody pays for his neighbour."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from domain.report import Inbound
from intake import desk
from store import bulk, inbox, journal, shelf
from store import tables as t
from store.inbox import Arriving


def sms(at, n: int, raw: bytes = b"x") -> Arriving:
    inbound = Inbound(channel="sms", external_id=f"SM{n}", media_type="text/plain", received_at=at, raw=raw)
    return Arriving(inbound=inbound, minted=desk.mint_names(at), at=at)


def rows(store, table) -> int:
    return store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(table)))


def test_each_of_many_that_wait_in_a_loop_gets_his_own_answer(store, at) -> None:
    arriving = [sms(at, n) for n in range(300)]

    async def all_at_once():
        return await asyncio.gather(*(store.item(desk.receive_many, one) for one in arriving))

    kept = asyncio.run(all_at_once())
    assert [one.inbound_id for one in kept] == [one.minted.inbound_id for one in arriving]
    assert all(one.is_fresh for one in kept)
    for table in (t.inbound, t.data_key, t.journal, t.journal_head):
        assert rows(store, table) == 300
    opened = store.read(lambda u: inbox.load(u, kept[7].inbound_id, lambda _: b""))
    assert opened.inbound.raw == b"x"
    acts = store.read(lambda u: journal.entries(u, "inbound", kept[7].inbound_id))
    assert [(entry.act, entry.prev_hash) for entry in acts] == [("receive", journal.GENESIS)]


def test_one_that_cannot_be_kept_fails_alone(store, at) -> None:
    arriving = [sms(at, n) for n in range(40)]
    arriving[11] = replace(arriving[11], minted=replace(arriving[11].minted, report_id=None))

    async def all_at_once():
        waiting = (store.item(desk.receive_many, one) for one in arriving)
        return await asyncio.gather(*waiting, return_exceptions=True)

    kept = asyncio.run(all_at_once())
    assert [n for n, one in enumerate(kept) if isinstance(one, Exception)] == [11]
    assert rows(store, t.inbound) == rows(store, t.data_key) == rows(store, t.journal) == 39


def test_a_code_that_another_report_has_is_minted_again(store, at) -> None:
    first = store.run(lambda u: desk.receive_many(u, [sms(at, 0)]))[0]
    arriving = [sms(at, n) for n in range(1, 20)]
    for n in (3, 7):
        arriving[n] = replace(arriving[n], minted=replace(arriving[n].minted, code=first.code))
    kept = store.run(lambda u: desk.receive_many(u, [*arriving, sms(at, 4)]))
    assert len({first.code, *(one.code for one in kept)}) == 20
    assert [one.is_fresh for one in kept] == [True] * 19 + [False]
    assert [one.inbound_id for one in kept[:19]] == [one.minted.inbound_id for one in arriving]
    assert kept[19].code == kept[3].code
    for table in (t.inbound, t.data_key, t.journal, t.journal_head):
        assert rows(store, table) == 20


def test_closures_of_several_kinds_share_a_commit_and_each_its_own_savepoint(store, at) -> None:
    def bad(unit):
        shelf.put(unit, "test", "bad", at=at)
        raise ValueError("after the insert")

    futures = []
    for n in range(30):
        futures.append(store.submit_item(desk.receive_many, sms(at, n)))
        futures.append(store.submit(bad if n % 3 == 0 else lambda u: shelf.put(u, "test", "good", at=at)))
    failed = [future.exception() for future in futures]
    assert sum(error is not None for error in failed) == 10
    assert (rows(store, t.inbound), rows(store, t.shelf)) == (30, 20)


def test_who_goes_away_loses_nothing_and_holds_nobody_up(store, at) -> None:
    async def go_away():
        waiting = [asyncio.create_task(store.item(desk.receive_many, sms(at, n))) for n in range(20)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    found = asyncio.run(go_away())
    assert sum(isinstance(one, asyncio.CancelledError) for one in found) == 10
    assert store.run(lambda u: 1) == 1  # the writer lives
    assert rows(store, t.inbound) == 20


def test_a_closed_store_says_so_to_who_waits_in_a_loop(store, at) -> None:
    store.close()

    async def late():
        await store.item(desk.receive_many, sms(at, 1))

    with pytest.raises(Unavailable):
        asyncio.run(late())


def test_a_repeat_in_a_batch_of_fresh_ones_gets_the_first_names(store, at) -> None:
    first = sms(at, 1)
    store.run(lambda u: desk.receive_many(u, [first]))
    mixed = [sms(at, 2), sms(at, 1, b"other bytes"), sms(at, 3), sms(at, 2)]
    kept = store.run(lambda u: desk.receive_many(u, mixed))
    assert kept[1] == replace(first.minted, is_fresh=False)
    assert kept[3] == replace(mixed[0].minted, is_fresh=False)
    assert [one.is_fresh for one in kept] == [True, False, True, False]
    assert rows(store, t.inbound) == 3


def test_rows_that_went_past_sqlalchemy_read_as_they_were(store, at) -> None:
    raws = [b"", b"\x00\xff'\"\\x41{},NULL", "水".encode(), None]
    made = [
        {"id": f"shf_{n}", "kind": "test", "reason": "水,\"'\\{}", "raw": raw, "origin": "", "at": at}
        for n, raw in enumerate(raws)
    ]
    assert store.run(lambda u: bulk.add_new(u, t.shelf, made)) == 4
    assert store.run(lambda u: bulk.add_new(u, t.shelf, [*made[:2], made[3] | {"id": "shf_9"}])) == 1
    found = store.read(lambda u: u.rows(sa.select(t.shelf).order_by(t.shelf.c.id)))
    assert [row.raw for row in found] == [*raws, None]
    assert {(row.reason, row.at, row.count) for row in found} == {("水,\"'\\{}", at, 1)}
    assert store.run(lambda u: bulk.add_new(u, t.shelf, [])) == 0


def test_a_message_that_comes_again_under_its_own_names_is_a_repeat(store, at) -> None:
    """A frame of the spool whose COMMIT was carried out and not answered."""
    one, other = sms(at, 1), sms(at, 2)
    assert store.run(lambda u: desk.receive_many(u, [one]))[0].is_fresh
    kept = store.run(lambda u: desk.receive_many(u, [one, other]))
    assert kept == [replace(one.minted, is_fresh=False), other.minted]
    for table in (t.inbound, t.data_key, t.journal, t.journal_head):
        assert rows(store, table) == 2


def test_a_closure_that_passes_over_an_error_of_the_database_has_kept_nothing_and_hears_so(store, at) -> None:
    def careless(unit):
        shelf.put(unit, "test", "kept", at=at)
        row = {"id": "shf_1", "kind": "test", "reason": "twin", "at": at}
        unit.execute(t.shelf.insert(), row)
        try:
            unit.execute(t.shelf.insert(), row)
        except sa.exc.IntegrityError:
            return "kept"

    if store.is_postgres:
        with pytest.raises(RuntimeError):
            store.run(careless)
        assert rows(store, t.shelf) == 0
    else:
        assert store.run(careless) == "kept"
        assert rows(store, t.shelf) == 2


def test_no_error_of_one_leaves_the_others_without_an_answer(store, at) -> None:
    def stopped(_unit, _items):
        return next(iter(()))

    async def all_at_once():
        waiting = [store.item(desk.receive_many, sms(at, n)) for n in range(5)]
        return await asyncio.gather(store.item(stopped, 1), *waiting, return_exceptions=True)

    found = asyncio.run(asyncio.wait_for(all_at_once(), 20))
    assert isinstance(found[0], RuntimeError)
    assert all(one.is_fresh for one in found[1:])
