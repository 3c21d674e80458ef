"""What is handed on to peers: only as it was approved and while it holds, in turns that end, no number for two things."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal, envelope
from domain.artefact import Purpose
from outbox import atomic
from outbox.onward import Onward
from store import journal, promises, shelf, streams
from store import tables as t
from store.database import Store
from tests.conftest import open_store
from tests.outbox.outbox_kit import Standing
from tests.outbox.public_kit import issue, run, site, told

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def onward(store: Store, out: Any) -> Onward:
    out.public_dir.mkdir(exist_ok=True)
    return Onward(
        hub="a@hub.example", store=store, clock=out.clock, public_dir=out.public_dir, stop_file=out.stop_file,
        sign=lambda data: bulletin_seal.sign(data, KEY), sign_hop=envelope.signer("a@hub.example", KEY),
    )  # fmt: skip


def recall(store: Store, release: str, at: datetime) -> None:
    store.run(lambda unit: promises.add_tombstone(unit, release, by="per_1", at=at, reason="recall"))


def lying(one: Onward) -> dict[int, bytes]:
    """Number -> bulletin of the files in public; b'' where it says that there is nothing."""
    found = {}
    for path in (one.public_dir / "public/peer").glob("[0-9]*.json"):
        told_, blobs = envelope.read(path.read_bytes(), {})
        assert told_["seq"] == int(path.stem)
        found[told_["seq"]] = blobs[0]
    return found


def head(one: Onward) -> int:
    return envelope.read_heartbeat((one.public_dir / "public/peer/heartbeat.json").read_bytes()).head


def test_only_what_holds_and_is_what_was_approved_gets_a_number(store, at, tmp_path) -> None:
    out = site(store, at, tmp_path)
    kept = told(store, out, at, name="holds")
    recall(store, told(store, out, at, name="recalled"), at)
    changed = told(store, out, at, name="changed")
    c = t.dispatch.c
    main_one = (c.release == changed, c.channel == "cap_feed", c.purpose == Purpose.MAIN.value)
    store.run(lambda u: u.execute(t.dispatch.update().where(*main_one).values(sha256="0" * 64)))
    one = onward(store, out)
    for _ in range(2):
        one.write()
    assert lying(one) == {1: b"<p>holds main mul</p>"}, kept
    assert [row.reason for row in store.read(shelf.pending)] == ["tampered"]
    out.clock.at = at + timedelta(hours=6)
    told(store, out, at, name="over when it is looked at")
    one.write()
    assert len(lying(one)) == 1


def test_what_is_recalled_between_its_number_and_its_file_stands_for_nothing(store, at, tmp_path) -> None:
    out = site(store, at, tmp_path)
    gone, stays = told(store, out, at, name="gone"), told(store, out, at + timedelta(seconds=1), name="stays")
    one = onward(store, out)
    store.run(lambda unit: one._number(unit, at))
    recall(store, gone, at)
    one.write()
    assert lying(one) == {1: b"", 2: b"<p>stays main mul</p>"} and stays
    assert head(one) == 2


def test_a_turn_of_writing_ends_and_the_next_goes_on(sqlite_store, at, tmp_path) -> None:
    out = site(sqlite_store, at, tmp_path)
    for n in range(5):
        issue(sqlite_store, at, name=f"n{n}")
    run(out, at)

    class Slow(Standing):
        def __call__(self):
            self.at += timedelta(seconds=1)
            return self.at

    one = replace(onward(sqlite_store, out), clock=Slow(at))
    assert 0 < one.write() < 5
    assert head(one) == len(lying(one)) < 5
    while one.write():
        pass
    assert head(one) == len(lying(one)) == 5


def test_the_kill_switch_is_looked_at_before_each_file(sqlite_store, at, tmp_path, monkeypatch) -> None:
    out = site(sqlite_store, at, tmp_path)
    for n in range(4):
        issue(sqlite_store, at, name=f"n{n}")
    run(out, at)
    one, write = onward(sqlite_store, out), atomic.write

    def stopping(path: Path, data: bytes, when: Any) -> Any:
        if path.name == "2.json":
            out.stop_file.touch()
        return write(path, data, when)

    monkeypatch.setattr(atomic, "write", stopping)  # the moment between two files is nobody's argument
    one.write()
    assert (sorted(lying(one)), head(one)) == ([1, 2], 2)
    out.stop_file.unlink()
    one.write()
    assert head(one) == 4


def test_a_file_that_cannot_be_written_does_not_silence_the_heartbeat(sqlite_store, at, tmp_path) -> None:
    out = site(sqlite_store, at, tmp_path)
    for n in range(3):
        issue(sqlite_store, at, name=f"n{n}")
    run(out, at)
    one = onward(sqlite_store, out)
    (out.public_dir / "public/peer/2.json").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(OSError):
            one.write()
        assert head(one) == 1
    (out.public_dir / "public/peer/2.json").rmdir()
    one.write()
    assert head(one) == 3


def test_no_number_is_given_again_by_a_database_that_went_back(sqlite_store, at, tmp_path) -> None:
    out = site(sqlite_store, at, tmp_path)
    told(sqlite_store, out, at, name="n1")
    onward(sqlite_store, out).write()
    with closing(sqlite3.connect(tmp_path / "hub.db")) as here:
        here.execute("VACUUM INTO ?", (str(tmp_path / "before.db"),))
    told(sqlite_store, out, at, name="n2")
    told(sqlite_store, out, at + timedelta(seconds=1), name="n3")
    onward(sqlite_store, out).write()
    said = lying(onward(sqlite_store, out))
    back = open_store(f"sqlite:///{tmp_path / 'before.db'}")
    try:
        again = site(back, at, tmp_path)
        told(back, again, at, name="other2")
        one = onward(back, again)
        back.run(
            lambda unit: one._number(unit, at)
        )  # a bulletin came in before anybody looked: it took number 2
        assert back.read(streams.given) == 2
        told(back, again, at + timedelta(seconds=1), name="other3")
        one.write()
        assert lying(one) == said | {4: b"<p>other2 main mul</p>", 5: b"<p>other3 main mul</p>"}
        assert (head(one), back.read(streams.head), back.read(streams.open_gaps)) == (5, 5, [])
        (gap,) = back.read(lambda u: journal.entries(u, "stream", "gap_3"))
        assert gap.detail == {"first": 3, "last": 3}
    finally:
        back.close()


def test_numbers_that_are_lost_for_good_say_that_there_is_nothing(sqlite_store, at, tmp_path) -> None:
    out = site(sqlite_store, at, tmp_path)
    told(sqlite_store, out, at, name="n1")
    one = onward(sqlite_store, out)
    one.write()
    shutil.rmtree(out.public_dir / "public/peer")  # a new machine; the database was saved behind number 1
    assert sqlite_store.run(lambda unit: streams.raise_to(unit, 4, at))
    assert not sqlite_store.run(lambda unit: streams.raise_to(unit, 4, at))
    told(sqlite_store, out, at, name="n5")
    one.write()
    assert lying(one) == {
        1: b"<p>n1 main mul</p>", 2: b"", 3: b"", 4: b"", 5: b"<p>n5 main mul</p>"
    }  # fmt: skip
    beat = json.loads((out.public_dir / "public/peer/heartbeat.json").read_bytes().splitlines()[0])
    assert (beat["head"], [row["seq"] for row in beat["last"]]) == (5, [1, 5])
    assert sqlite_store.read(streams.open_gaps) == []


def test_files_that_lie_there_are_known_before_the_first_number(sqlite_store, at, tmp_path) -> None:
    out = site(sqlite_store, at, tmp_path)
    one = onward(sqlite_store, out)
    folder = out.public_dir / "public/peer"
    folder.mkdir(parents=True)
    (folder / "7.json").write_bytes(b"of a hub before")
    (folder / "9999999999999.json").write_bytes(b"no number of ours")
    one.resume()
    assert sqlite_store.read(streams.given) == 7
    one.resume()
    assert sqlite_store.read(streams.open_gaps) == [(1, 7)]
