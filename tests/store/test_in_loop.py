"""A loop that takes messages writes them itself, and whatever does not go well at once is the thread's."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from domain.report import Kept
from intake import desk
from store import inbox, journal
from store import tables as t
from store.inbox import Arriving
from store.unit import Unit
from tests.store.test_batches import rows, sms

SECONDS = 20


class Watched:
    """Keeps messages, and says in which thread."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def keep(self, unit: Unit, arriving: Sequence[Arriving]) -> list[Kept]:
        """receive_many() of the desk."""
        self.threads.append(threading.current_thread().name)
        return desk.receive_many(unit, arriving)

    @property
    def is_here(self) -> bool:
        """Whether the last ones were kept in the loop."""
        return self.threads[-1] == threading.current_thread().name


async def once_here(store, watched: Watched, at, first: int = 1000) -> None:
    """Until the loop writes: the connection is made with the first ones."""
    for n in range(first, first + 400):
        await store.item(watched.keep, sms(at, n), is_one_statement=True)
        if watched.is_here:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the loop never wrote")


async def all_of(store, keep, arriving):
    waiting = (store.item(keep, one, is_one_statement=True) for one in arriving)
    return await asyncio.wait_for(asyncio.gather(*waiting), SECONDS)


def test_a_batch_is_written_by_its_loop_whole_and_at_once(store, at) -> None:
    watched = Watched()
    arriving = [sms(at, n) for n in range(150)]

    async def run():
        await once_here(store, watched, at)
        before = rows(store, t.inbound), len(watched.threads)
        return before, await all_of(store, watched.keep, arriving)

    (stored, calls), kept = asyncio.run(run())
    assert [one.inbound_id for one in kept] == [one.minted.inbound_id for one in arriving]
    assert len(watched.threads) - calls <= 3 and watched.is_here  # batches, not messages
    for table in (t.inbound, t.data_key, t.journal, t.journal_head):
        assert rows(store, table) == stored + 150
    assert store.read(lambda u: inbox.load(u, kept[7].inbound_id, lambda _: b"")).inbound.raw == b"x"
    acts = store.read(lambda u: journal.entries(u, "inbound", kept[7].inbound_id))
    assert [(entry.act, entry.prev_hash) for entry in acts] == [("receive", journal.GENESIS)]


def test_repeats_and_codes_that_are_taken_are_as_with_the_thread(store, at) -> None:
    watched = Watched()
    first = sms(at, 1)
    code = first.minted.code

    async def run():
        await once_here(store, watched, at)
        await all_of(store, watched.keep, [first])
        clash = sms(at, 2)
        object.__setattr__(clash.minted, "code", code)
        return await all_of(store, watched.keep, [sms(at, 3), sms(at, 1, b"other bytes"), clash, sms(at, 3)])

    kept = asyncio.run(run())
    assert [one.is_fresh for one in kept] == [True, False, True, False]
    assert kept[1].inbound_id == first.minted.inbound_id and kept[3].inbound_id == kept[0].inbound_id
    assert kept[2].code != code
    owners = store.read(lambda u: {row.owner for row in u.rows(sa.select(t.data_key.c.owner))})
    assert owners == store.read(lambda u: {row.report for row in u.rows(sa.select(t.inbound.c.report))})


def test_one_that_cannot_be_kept_fails_alone_and_the_loop_writes_on(store, at) -> None:
    watched = Watched()
    arriving = [sms(at, n) for n in range(40)]
    object.__setattr__(arriving[11].minted, "report_id", None)

    async def run():
        await once_here(store, watched, at)
        waiting = (store.item(watched.keep, one, is_one_statement=True) for one in arriving)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await once_here(store, watched, at, first=2000)
        return found

    found = asyncio.run(run())
    assert [n for n, one in enumerate(found) if isinstance(one, Exception)] == [11]


def test_who_goes_away_and_a_loop_that_ends_lose_nothing(store, at) -> None:
    watched = Watched()

    async def run():
        await once_here(store, watched, at)
        before = rows(store, t.inbound)
        waiting = [
            asyncio.create_task(store.item(watched.keep, sms(at, n), is_one_statement=True))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        return before  # asyncio.run cancels everybody else

    before = asyncio.run(run())
    assert store.run(lambda u: 1) == 1  # what the thread was given before this is done
    assert rows(store, t.inbound) == before + 20


def test_a_second_loop_writes_when_the_first_has_ended(store, at) -> None:
    watched = Watched()
    for first in (1000, 2000):
        asyncio.run(once_here(store, watched, at, first))


def test_while_the_thread_writes_the_loop_does_not_wait_for_it(sqlite_store, at) -> None:
    store, watched = sqlite_store, Watched()
    entered, leave = threading.Event(), threading.Event()

    def long_one(unit: Unit) -> None:
        entered.set()
        leave.wait(SECONDS)

    async def run():
        await once_here(store, watched, at)
        slow = store.submit(long_one)
        await asyncio.to_thread(entered.wait, SECONDS)
        kept = asyncio.create_task(all_of(store, watched.keep, [sms(at, 1)]))
        for _ in range(50):
            await asyncio.sleep(0)  # the loop turns
        is_waiting = not kept.done()
        leave.set()
        await asyncio.wrap_future(slow)
        return is_waiting, await kept

    is_waiting, kept = asyncio.run(run())
    assert is_waiting and kept[0].is_fresh and not watched.is_here


def test_the_thread_gets_its_turn_from_a_loop_that_always_has_more(sqlite_store, at) -> None:
    store, watched = sqlite_store, Watched()

    async def run():
        await once_here(store, watched, at)
        is_over = False

        async def keep_on(line: int) -> int:
            n = 0
            while not is_over:
                await store.item(watched.keep, sms(at, f"{line}-{n}"), is_one_statement=True)
                n += 1
            return n

        lines = [asyncio.create_task(keep_on(line)) for line in range(10)]
        for _ in range(50):
            await asyncio.wait_for(asyncio.wrap_future(store.submit(lambda u: 1)), 2)
        is_over = True
        return sum(await asyncio.gather(*lines))

    assert asyncio.run(run()) > 50


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_line_that_breaks_loses_nothing_and_is_dialled_again(store, at) -> None:
    watched = Watched()
    mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"

    async def run():
        await once_here(store, watched, at)
        await asyncio.to_thread(store.run, lambda u: u.plain(mine, ()).fetchall())
        kept = await all_of(store, watched.keep, [sms(at, n) for n in range(30)])
        await once_here(store, watched, at, first=3000)
        return kept

    kept = asyncio.run(run())
    assert len({one.inbound_id for one in kept}) == 30
    names = [one.inbound_id for one in kept]
    found = store.read(lambda u: u.scalar(sa.select(sa.func.count()).where(t.inbound.c.id.in_(names))))
    assert found == 30
