"""Three hubs, each a process of its own, with a line between each two that is cut, and one of them killed."""

import os
import secrets
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from hub.wiring import build
from store import arrivals, peers
from tests.bulletin_kit import a_peer, xml
from tests.servers import free_port
from tests.walks.houses import House, furnish, ready, until
from tocsin import demo

MANY = int(os.environ.get("TOCSIN_FAULT_BULLETINS", "5000"))  # PROMISES F35; fewer to look at the test itself


@dataclass
class Wire:
    """A TCP line to one hub that can be cut, with what is on it."""

    port: int
    is_cut: bool = False
    open: set[socket.socket] = field(default_factory=set)

    def cut(self) -> None:
        self.is_cut = True
        for each in list(self.open):
            with_end(each)

    def mend(self) -> None:
        self.is_cut = False


def with_end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(to: int) -> Iterator[Wire]:
    """Carries what comes to its port to the port `to`, until the block ends."""
    ear = socket.create_server(("127.0.0.1", 0))
    made = Wire(port=ear.getsockname()[1])

    def carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with_end(other)
        made.open.discard(one)
        one.close()

    def listen() -> None:
        while True:
            try:
                near, _ = ear.accept()
            except OSError:
                return
            if made.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", to), 5)
            except OSError:
                near.close()
                continue
            made.open |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield made
    finally:
        with_end(ear)
        ear.close()
        made.cut()


def _house(name: str, directory: Path, clock: Path) -> House:
    secret = demo.load_secrets(directory)
    more = {
        "peer_stream": True,
        "peer_hand_on": True,
        "sender_id": f"{name}@hub.example",
        "clock_file": clock,
    }
    return furnish(directory, secret, SimpleNamespace(url="http://127.0.0.1:9"), port=free_port(), **more)


def _follow(one: House, other: House, line: Wire) -> str:
    hub, theirs = build(one.settings), build(other.settings)
    key = bulletin_seal.public_text(theirs.keys.bulletin)
    url = f"http://127.0.0.1:{line.port}/public/peer/heartbeat.json"
    more = {"period": 15, "hosts": (), "senders": (), "by": "per_1", "at": hub.clock(), "form": "stream"}
    made = hub.store.run(lambda u: peers.add(u, other.settings.sender_id, url, **more))
    pin = {"kind": "ed25519", "material": key, "fingerprint": bulletin_seal.fingerprint(key)}
    hub.store.run(lambda u: peers.pin(u, made, by="per_1", at=hub.clock(), **pin))
    hub.close()
    theirs.close()
    return made


def _say(one: House, key: Ed25519PrivateKey, names: list[str]) -> None:
    """What a station sends it, signed, as the door keeps it; the running hub reads it."""
    hub = build(one.settings)
    at = hub.clock()
    a_peer(hub.store, at, "station")
    public = bulletin_seal.public_text(key)
    if not hub.store.read(lambda u: peers.keys_of(u, "station")):
        pin = {"kind": "ed25519", "material": public, "fingerprint": bulletin_seal.fingerprint(public)}
        hub.store.run(lambda u: peers.pin(u, "station", by="per_1", at=at, **pin))
    for first in range(0, len(names), 500):
        some = []
        for name in names[first : first + 500]:
            raw = xml(name, at)
            some.append(arrivals.Arriving(id=f"bar_{secrets.token_hex(8)}", peer="station", raw=raw, media_type="",
                                          signature=bulletin_seal.sign(raw, key), at=at))  # fmt: skip
        hub.store.run(lambda u, some=some: arrivals.keep_many(u, some))
    hub.close()


def _count(one: House, query: str) -> int:
    path = f"file:{one.settings.data_dir / 'tocsin.db'}?mode=ro"
    with sqlite3.connect(path, uri=True, timeout=30) as database:
        return int(database.execute(query).fetchone()[0])


ALL, ONCE = "SELECT count(*) FROM bulletin", "SELECT count(DISTINCT identifier) FROM bulletin"
LOOPS = "SELECT coalesce(sum(loops), 0) FROM peer"


@pytest.mark.faults
def test_r19_r36_f35_three_hubs_with_cut_lines_and_a_kill_have_each_bulletin_once(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0")
    a, b, c = (_house(name, tmp_path / name, clock) for name in "abc")
    with wire(a.settings.port) as to_a, wire(b.settings.port) as to_b, wire(c.settings.port) as to_c:
        _follow(b, a, to_a)
        _follow(c, b, to_b)
        _follow(a, c, to_c)
        try:
            for one in (a, b, c):
                one.start("all", "up")
            for one in (a, b, c):
                ready(one)
            key = Ed25519PrivateKey.generate()
            _say(a, key, ["before"])
            until(lambda: _count(c, ALL) == 1 and _count(a, LOOPS) == 1, "one goes round", 180)
            to_a.cut()
            a.step(timedelta(hours=24).total_seconds())
            _say(a, key, [f"n{n:04}" for n in range(MANY)])
            until(
                lambda: _count(a, "SELECT count(*) FROM stream WHERE sha256 <> ''") == MANY + 1,
                "A wrote all",
                900,
            )
            assert _count(b, ALL) == 1
            to_a.mend()
            a.step(360)  # the longest pause after failures
            until(lambda: _count(b, ALL) > MANY // 4, "B is at it", 600)
            b.kill("all")
            to_b.cut()
            b.start_again("all")
            ready(b)
            to_a.cut()
            to_a.mend()
            to_b.mend()
            until(lambda: _count(b, ALL) == MANY + 1, "B has all", 900)
            b.step(360)
            until(lambda: _count(c, ALL) == MANY + 1, "C has all by B", 900)
            c.step(360)
            until(lambda: _count(a, LOOPS) == MANY + 1, "A knows each of them again", 900)
            for one in (a, b, c):
                assert _count(one, ALL) == _count(one, ONCE) == MANY + 1
                assert _count(one, "SELECT count(*) FROM stream") == MANY + 1
                assert _count(one, "SELECT coalesce(max(seq), 0) FROM stream") == MANY + 1  # no gap
                assert (
                    _count(
                        one,
                        "SELECT count(*) FROM shelf WHERE kind IN ('bulletin', 'peer') AND reason <> 'no_connection'",
                    )
                    == 0
                )
        finally:
            for one in (a, b, c):
                one.stop()
