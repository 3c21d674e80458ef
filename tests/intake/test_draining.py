"""A spool comes into the database some frames a COMMIT, in turns that end, and no frame holds up another."""

import hashlib
import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import NotFound, Unavailable
from domain.ids import mint
from domain.report import Inbound, Kept
from intake import bulletins, desk, spool
from intake.spool import Spool
from intake.words import Words, word
from store import peers, shelf
from store import tables as t
from store.blobs import Blobs
from store.database import Store
from store.tables_peers import bulletin_arrival
from store.unit import Unit
from tests.bulletin_kit import xml


def names(kind: str, at: datetime) -> Kept:
    return Kept(inbound_id=mint(kind, at), report_id="", code="", is_fresh=True)


def shelved(store: Store) -> list[tuple[str, str]]:
    return sorted((row.reason, row.origin) for row in store.read(shelf.pending))


def of_words(folder: Path, store: Store, count: int, at: datetime) -> tuple[Words, list[str]]:
    """Words that wait; word 7 is of something that is no more."""
    heard: list[str] = []

    def put(unit: Unit, one: Inbound) -> None:
        if one.raw == b"7":
            raise NotFound("the call was destroyed")
        shelf.put(unit, "word", one.raw.decode(), at=at)
        heard.append(one.raw.decode())

    made = Words(spool=Spool(folder / "words"), puts={"cti": put})
    for n in range(count):
        made.spool.put(word("cti", str(n).encode(), of="c", at=at), names("wrd", at + timedelta(seconds=n)))
    return made, heard


def test_f15_words_come_in_some_hundred_a_commit_and_in_turns_that_end(sqlite_store, tmp_path, at) -> None:
    made, heard = of_words(tmp_path, sqlite_store, 0, at)
    for n in range(100, 350):
        made.spool.put(word("cti", str(n).encode(), of="c", at=at), names("wrd", at + timedelta(seconds=n)))
    commits = []

    class Counting(Store):
        def run(self, work: Any) -> Any:
            commits.append(work)
            return super().run(work)

    sqlite_store.__class__ = Counting
    seconds = itertools.count(step=4)
    assert made.drain(store=sqlite_store, clock=lambda: at + timedelta(seconds=next(seconds))) == 100
    assert (len(commits), len(made.spool.waiting())) == (1, 150)
    assert made.drain(store=sqlite_store, clock=lambda: at) == 150
    assert (len(commits), made.spool.waiting()) == (3, [])
    assert heard == [str(n) for n in range(100, 350)]


def test_f15_a_word_that_is_refused_goes_to_the_shelf_and_holds_up_no_other(
    sqlite_store, tmp_path, at
) -> None:
    made, _ = of_words(tmp_path, sqlite_store, 12, at)
    refused = made.spool.waiting()[7].name
    assert made.drain(store=sqlite_store, clock=lambda: at) == 11
    assert made.spool.waiting() == []
    mine = [row for row in shelved(sqlite_store) if row[0] == "frame_refused"]
    assert mine == [("frame_refused", refused)]
    assert (tmp_path / "words/unreadable" / refused).exists()
    assert len(shelved(sqlite_store)) == 12  # each of the others once, though their COMMIT was tried twice


def test_f15_a_database_that_goes_stops_the_drain_and_nothing_is_set_aside(
    sqlite_store, tmp_path, at
) -> None:
    made, _ = of_words(tmp_path, sqlite_store, 3, at)
    sqlite_store.close()
    with pytest.raises(Unavailable):
        made.drain(store=sqlite_store, clock=lambda: at)
    assert len(made.spool.waiting()) == 3


def _framed(header: dict[str, Any]) -> bytes:
    told = json.dumps(header).encode()
    body = spool._LENGTHS.pack(len(told), 0) + told
    return spool._MAGIC + body + hashlib.sha256(body).digest()


def test_f16_a_frame_without_its_names_and_one_that_cannot_be_read_hold_up_no_other(
    sqlite_store, tmp_path, at
) -> None:
    own, blobs = Spool(tmp_path / "spool"), Blobs(tmp_path / "blobs")
    first = Inbound(channel="sms", external_id="1", raw=b"Body=help", media_type="text/plain", received_at=at)
    own.put(first, desk.mint_names(at + timedelta(seconds=9)))
    (tmp_path / "spool/a.frame").write_bytes(_framed({"channel": "sms"}))
    (tmp_path / "spool/b.frame").write_bytes(_framed({"meta": [], "inbound_id": 1}))
    (tmp_path / "spool/c.frame").write_bytes(spool._MAGIC + b"x" + hashlib.sha256(b"x").digest())
    (
        tmp_path / "spool/d.frame"
    ).mkdir()  # whoever runs the test may read every file: the system refuses this one
    for _ in range(3):
        desk.drain(own, store=sqlite_store, blobs=blobs, clock=lambda: at)
    assert len(sqlite_store.read(lambda u: u.rows(t.inbound.select()))) == 1
    assert [path.name for path in own.waiting()] == ["d.frame"]
    assert shelved(sqlite_store) == [
        ("frame_unreadable", "d.frame"),
        *(("torn_frame", f"{name}.frame") for name in "abc"),
    ]
    assert Spool(tmp_path / "spool").known(first) is None


def test_f16_a_bulletin_that_the_database_refuses_is_set_aside_alone(sqlite_store, tmp_path, at) -> None:
    own, blobs = Spool(tmp_path / "peers"), Blobs(tmp_path / "blobs")
    for n, sender in enumerate(("key_a", "\ud800", "key_c")):  # no database stores half a letter
        waits = Inbound(channel=bulletins.CHANNEL, external_id=str(n), raw=xml(f"b{n}", at), media_type="",
                        received_at=at, sender=sender, meta={"name": sender.strip("\ud800")})  # fmt: skip
        own.put(waits, names("bar", at + timedelta(seconds=n)))
    refused = own.waiting()[1].name
    assert len(bulletins.drain(own, store=sqlite_store, blobs=blobs, clock=lambda: at)) == 2
    assert (own.waiting(), shelved(sqlite_store)) == ([], [("frame_refused", refused)])
    assert len(sqlite_store.read(lambda u: u.rows(bulletin_arrival.select()))) == 2
    assert len(sqlite_store.read(peers.listed)) >= 2


def test_f16_the_shelf_knows_of_a_frame_before_it_lies_aside(sqlite_store, tmp_path, at) -> None:
    told: list[bool] = []

    class Watched(Spool):
        def set_aside(self, path: Path) -> Path:
            told.append(any(origin == path.name for _, origin in shelved(sqlite_store)))
            return super().set_aside(path)

    own = Watched(tmp_path / "spool")
    sms = Inbound(channel="sms", external_id="1", raw=b"x", media_type="text/plain", received_at=at)
    for n, one in enumerate((sms, replace(sms, external_id="2", sender="\ud800"))):
        own.put(one, desk.mint_names(at + timedelta(seconds=n)))
    own.waiting()[0].write_bytes(b"torn")
    desk.drain(own, store=sqlite_store, blobs=Blobs(tmp_path / "blobs"), clock=lambda: at)
    assert told == [True, True]
