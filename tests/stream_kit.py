"""Hubs that hand bulletins on to each other over real sockets, with a hand on every line between them."""

import functools
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from domain.handling import Mode
from hub import keys, peers_in
from hub.settings import Settings
from sandbox.pool import Pool
from store import arrivals, bulletins, peers, shelf, streams
from store.blobs import Blobs
from store.bulletins import Bulletin, Filter
from store.database import Store
from tests.bulletin_kit import a_peer, xml
from tests.conftest import open_store
from tests.web.api_world import Clock


@dataclass
class Line:
    """The files of a hub as its peers reach them; `cut` are paths whose connection breaks, "*" all of them."""

    url: str = ""
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@contextmanager
def line(folder: Path) -> Iterator[Line]:
    """Serves `folder` until the block ends."""
    made = Line()

    class Answers(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            if self.path in made.cut or "*" in made.cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Answers, directory=str(folder)))
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class Neighbour:
    """One hub: what takes bulletins in and hands them on. `restart` builds all of it anew over its store and files."""

    def __init__(self, name: str, directory: Path, model: Path, pool: Pool, clock: Clock) -> None:
        directory.mkdir(mode=0o700)
        self.name, self.directory, self.pool, self.clock = name, directory, pool, clock
        shutil.copy(model, directory / "hub.db")
        self.keys = keys.load(directory / "keys", may_make=True)
        self.store: Store = open_store(f"sqlite:///{directory / 'hub.db'}")
        self.station = Ed25519PrivateKey.generate()
        self.start()

    def start(self) -> None:
        settings = Settings(
            data_dir=self.directory, sender_id=f"{self.name}@hub.example", peer_stream=True, peer_hand_on=True
        )
        self.around = peers_in.around(
            settings, Mode.DEMO, store=self.store, blobs=Blobs(self.directory / "blobs"), pool=self.pool,
            clock=self.clock, bell=lambda *_: None, made=self.keys,
        )  # fmt: skip

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(f"sqlite:///{self.directory / 'hub.db'}")
        self.start()

    def follow(self, other: "Neighbour", url: str, **more: Any) -> str:
        """Pull its stream, its key pinned; the peer's id."""
        usual = {
            "period": 60,
            "hosts": (),
            "senders": (),
            "by": "per_1",
            "at": self.clock(),
            "form": "stream",
        }
        address = f"{url}/public/peer/heartbeat.json"
        one = self.store.run(lambda u: peers.add(u, other.name, address, **usual | more))
        self.pin(one, bulletin_seal.public_text(other.keys.bulletin))
        return one

    def pin(self, peer_id: str, key: str) -> None:
        pin = {"kind": "ed25519", "material": key, "fingerprint": bulletin_seal.fingerprint(key)}
        self.store.run(lambda u: peers.pin(u, peer_id, by="per_1", at=self.clock(), **pin))

    def say(self, *names: str) -> None:
        """Bulletins of a station here, signed by the key that is pinned for it."""
        a_peer(self.store, self.clock(), "station")
        if not self.store.read(lambda u: peers.keys_of(u, "station")):
            self.pin("station", bulletin_seal.public_text(self.station))
        some = []
        for name in names:
            raw = xml(name, self.clock())
            line = bulletin_seal.sign(raw, self.station)
            some.append(arrivals.Arriving(id=f"bar_{name}", peer="station", raw=raw, media_type="", signature=line,
                                          at=self.clock()))  # fmt: skip
        self.store.run(lambda unit: arrivals.keep_many(unit, some))

    def turn(self, *peer_ids: str) -> None:
        """What the workers do: pull, read, write."""
        for peer_id in peer_ids:
            while self.around.puller.pull(peer_id):
                pass
        while waiting := self.store.read(lambda u: arrivals.due(u, self.clock())):
            for arrival_id in waiting:
                self.around.reader.read(arrival_id)
        assert self.around.onward is not None
        self.around.onward.write()

    def names(self) -> list[str]:
        return sorted(one.identifier for one in self.all())

    def all(self) -> list[Bulletin]:
        return self.store.read(lambda u: bulletins.page(u, Filter(view="all"), self.clock(), limit=9_000))

    def peer(self, peer_id: str) -> peers.Peer:
        found = self.store.read(lambda u: peers.get(u, peer_id))
        assert found is not None
        return found

    def shelved(self) -> list[str]:
        return sorted(row.reason for row in self.store.read(shelf.pending))

    def head(self) -> int:
        latest = self.store.read(lambda u: streams.last(u, 1))
        return latest[-1].seq if latest else 0
