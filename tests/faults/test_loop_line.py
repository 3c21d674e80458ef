"""The line by which a door's loop writes to PostgreSQL breaks, or says nothing: every message is kept, and kept once."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from store import in_loop
from store import tables as t
from store.database import Store
from tests.conftest import open_store
from tests.faults.wire import Kind, Wire
from tests.store.test_batches import sms
from tests.store.test_in_loop import Watched, once_here

SILENCE = 0.5  # seconds that the loop waits for an answer here
pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def line(database_url) -> Iterator[Wire]:
    where = sa.make_url(database_url)
    with Wire(where.host or "", where.port or 0) as wire:
        yield wire


@pytest.fixture
def through(store, line, database_url, monkeypatch) -> Iterator[Store]:
    """A store behind the wire."""
    monkeypatch.setattr(in_loop, "PATIENCE_SECONDS", SILENCE)
    where = sa.make_url(database_url).set(host="127.0.0.1", port=line.port)
    opened = open_store(where.render_as_string(hide_password=False))
    yield opened
    line.turn(Kind.PASS)
    opened.close()


def cut_at_sight(line: Wire) -> None:
    line.turn(Kind.CUT_AT_SIGHT, count=1, sight=b"SM7")  # in what is kept, whatever statement does it


def break_now(line: Wire) -> None:
    line.reset()


def swallow(line: Wire) -> None:
    line.turn(Kind.BLACKHOLE)


@pytest.mark.parametrize("harm", [cut_at_sight, break_now, swallow])
def test_a_line_that_is_hurt_costs_nobody_his_message(store, through, line, at, harm) -> None:
    watched = Watched()
    arriving = [sms(at, n) for n in range(40)]

    async def heal() -> None:
        await asyncio.sleep(3 * SILENCE)
        await asyncio.to_thread(line.turn, Kind.PASS)

    async def run():
        await once_here(through, watched, at)
        await asyncio.to_thread(harm, line)
        healing = asyncio.create_task(heal())
        kept, left = {}, arriving
        while left:  # as its sender does: what was not taken comes again
            waiting = (through.item(watched.keep, one, is_one_statement=True) for one in left)
            found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
            for one, answer in zip(left, found, strict=True):
                if not isinstance(answer, Exception):
                    kept[one.inbound.external_id] = answer
            left = [one for one in left if one.inbound.external_id not in kept]
            await asyncio.sleep(0.1)
        await healing
        with contextlib.suppress(Exception):
            await once_here(through, watched, at, first=5000)
        return kept, watched.is_here

    kept, is_here = asyncio.run(run())
    i = t.inbound.c
    rows = store.read(lambda u: u.rows(sa.select(i.id, i.external_id).where(i.external_id.in_(list(kept)))))
    assert Counter(row.external_id for row in rows) == dict.fromkeys((f"SM{n}" for n in range(40)), 1)
    assert {row.external_id: row.id for row in rows} == {name: one.inbound_id for name, one in kept.items()}
    assert is_here, "the loop writes again"
