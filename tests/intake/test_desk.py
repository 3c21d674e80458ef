"""The door commits, then answers; what the database cannot take waits in the spool."""

import asyncio
import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from domain.report import Inbound
from intake import desk
from intake.spool import Spool, parse
from store import tables as t
from store.blobs import Blobs
from tests.conftest import open_store


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def sms(at, n: int = 1, body: bytes = b"Body=help") -> Inbound:
    return Inbound(
        channel="sms",
        external_id=f"SM{n}",
        raw=body,
        media_type="text/plain",
        received_at=at,
        sender="+8613800138000",
        meta={"to": "+86106"},
    )


def _take(inbound, store, blobs, spool, at):
    return asyncio.run(desk.take(inbound, store=store, blobs=blobs, spool=spool, at=at))


def _rows(store):
    return store.read(
        lambda u: u.rows(sa.select(t.inbound).order_by(t.inbound.c.received_at, t.inbound.c.id))
    )


def test_the_same_sms_six_hundred_times_at_once_is_one_row_with_one_code(store, blobs, spool, at) -> None:
    async def flood():
        return await asyncio.gather(
            *(desk.take(sms(at), store=store, blobs=blobs, spool=spool, at=at) for _ in range(600))
        )

    kept = asyncio.run(flood())
    assert len(_rows(store)) == 1
    assert Counter(k.is_fresh for k in kept) == {True: 1, False: 599}
    assert len({(k.code, k.report_id) for k in kept}) == 1


def test_raw_sender_and_meta_lie_sealed_in_the_row(store, blobs, spool, at) -> None:
    _take(sms(at, body=b"Body=secret-words"), store, blobs, spool, at)
    row = _rows(store)[0]
    stored = b"|".join(v if isinstance(v, bytes) else str(v).encode() for v in row)
    assert b"secret-words" not in stored
    assert b"13800138000" not in stored


def test_a_message_over_256_kb_lies_in_a_blob_that_is_durable_before_the_row(store, blobs, spool, at) -> None:
    big = b"x" * 300_000
    _take(sms(at, body=big), store, blobs, spool, at)
    row = _rows(store)[0]
    assert row.raw is None
    assert blobs.get(row.blob) == big


def test_f15_without_a_database_the_spool_answers_and_the_drain_brings_all_in_order(
    database_url, blobs, spool, at
) -> None:
    down = open_store(database_url)
    down.close()
    kept = [
        _take(sms(at + timedelta(seconds=n), n), down, blobs, spool, at + timedelta(seconds=n))
        for n in range(30)
    ]
    again = _take(sms(at, 3), down, blobs, spool, at)
    assert again.code == kept[3].code
    assert not again.is_fresh
    assert len(spool.waiting()) == 30
    up = open_store(database_url)
    fresh = desk.drain(spool, store=up, blobs=blobs, clock=lambda: at)
    assert fresh == [k.inbound_id for k in kept]
    assert [r.code for r in _rows(up)] == [k.code for k in kept]
    assert spool.waiting() == []
    assert desk.drain(spool, store=up, blobs=blobs, clock=lambda: at) == []
    up.close()


def test_f15_a_long_spool_is_drained_in_turns_that_end(store, blobs, spool, at) -> None:
    for n in range(250):
        spool.put(sms(at, n), desk.mint_names(at + timedelta(seconds=n)))
    seconds = itertools.count(step=4)
    fresh = desk.drain(
        spool, store=store, blobs=blobs, clock=lambda: at + timedelta(seconds=next(seconds))
    )  # each look at the clock is four seconds later: the turn is over after the first hundred
    assert (len(fresh), len(spool.waiting())) == (100, 150)
    assert len(desk.drain(spool, store=store, blobs=blobs, clock=lambda: at)) == 150
    assert spool.waiting() == []


def test_f16_an_item_in_both_spool_and_database_is_one_report(store, blobs, spool, at) -> None:
    first = _take(sms(at), store, blobs, spool, at)
    spool.put(sms(at), desk.mint_names(at))
    assert desk.drain(spool, store=store, blobs=blobs, clock=lambda: at) == []
    assert [r.code for r in _rows(store)] == [first.code]


def test_f16_a_torn_frame_goes_to_the_shelf_and_stays_on_disk(store, blobs, spool, tmp_path, at) -> None:
    for n in range(3):
        spool.put(sms(at, n), desk.mint_names(at + timedelta(seconds=n)))
    torn = spool.waiting()[1]
    torn.write_bytes(torn.read_bytes()[:-5])
    assert len(desk.drain(spool, store=store, blobs=blobs, clock=lambda: at)) == 2
    shelf = store.read(lambda u: u.rows(sa.select(t.shelf)))
    assert [(s.kind, s.reason, s.origin) for s in shelf] == [("spool", "torn_frame", torn.name)]
    assert (tmp_path / "spool/unreadable" / torn.name).exists()


def test_f15_one_message_from_many_threads_waits_once_and_each_hears_of_it_when_it_is_durable(
    tmp_path, at
) -> None:
    class Slow(Spool):
        def _write(self, path, frame):
            if not self.__dict__.pop("fails", False):
                super()._write(path, frame)
                return
            raise OSError("once")

    spool = Slow(tmp_path / "spool")
    spool.fails = True

    def put(n: int) -> str:
        try:
            names = spool.put(sms(at, n % 4), desk.mint_names(at))
        except Unavailable:
            return ""
        assert (tmp_path / "spool" / f"{names.inbound_id}.frame").exists()
        return names.code

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(put, range(64)))
    assert len(spool.waiting()) == 4
    assert said.count("") == 1 and len(set(said) - {""}) == 4


def test_f16_every_cut_of_a_frame_is_noticed(spool, at) -> None:
    spool.put(sms(at), desk.mint_names(at))
    frame = spool.waiting()[0].read_bytes()
    assert parse(frame)[0] == sms(at)
    for cut in range(len(frame)):
        with pytest.raises(Exception, match="torn"):
            parse(frame[:cut])


def test_f15_when_nothing_can_be_kept_the_door_is_told_to_say_try_again(
    database_url, blobs, tmp_path, at
) -> None:
    down = open_store(database_url)
    down.close()
    full = Spool(tmp_path / "full", limit_bytes=10)
    with pytest.raises(Unavailable):
        _take(sms(at), down, blobs, full, at)
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(Unavailable):
        _take(sms(at), down, blobs, Spool(blocked), at)


def test_a_frame_that_the_database_refuses_is_set_aside_and_holds_up_none(store, blobs, spool, at) -> None:
    for inbound in (replace(sms(at, 1), sender="\ud800"), sms(at, 2)):  # no database stores half a letter
        spool.put(inbound, desk.mint_names(at))
    assert len(desk.drain(spool, store=store, blobs=blobs, clock=lambda: at)) == 1
    assert spool.waiting() == []
    (row,) = store.read(lambda u: u.rows(t.shelf.select()))
    assert (row.kind, row.reason) == ("spool", "frame_refused")
    assert desk.drain(spool, store=store, blobs=blobs, clock=lambda: at) == []
