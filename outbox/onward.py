"""Hands bulletins on to peers: our own as they are published, others' as they were taken in, each a signed file.

Peers pull ``public/peer/heartbeat.json`` each minute: it says how far the stream has come, so whoever missed a number
sees it and fetches the file (PROMISES R19, R36). The files stay up when the hub is down (law 9); then the heartbeat
grows old, and that is noticed.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from channels.codecs import envelope
from channels.codecs.envelope import Envelope, Heartbeat, Hop
from domain.errors import BadInput
from outbox import atomic
from store import releases, streams
from store.database import Store
from store.streams import Entry
from store.unit import Unit

CHANNEL = "cap_feed"  # what of ours is handed on
FOLDER = "public/peer"
HEARTBEAT = f"{FOLDER}/heartbeat.json"
EVERY = timedelta(
    seconds=50
)  # a heartbeat that says nothing new: peers look each minute and want a fresh one (R36)
BATCH = 200  # of one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """What handing on needs; built once by the wiring."""

    hub: str  # our CAP sender id
    store: Store
    clock: Callable[[], datetime]
    public_dir: Path
    stop_file: Path  # while it exists nothing new is handed on; the heartbeat goes on
    sign: Callable[[bytes], str]  # the line that lies beside a file
    sign_hop: Callable[[bytes, Sequence[Hop]], Hop]

    def write(self) -> int:
        """Number what was published, write what is not written, and the heartbeat over it; how many were new.

        Any process may do it, one at a time; safe to repeat at any point, for a file is the same however often it is
        written and is named by the heartbeat only once it lies there.
        """
        with _alone(self.public_dir / FOLDER) as is_ours:
            return self._write() if is_ours else 0

    def _write(self) -> int:
        at, count = self.clock(), 0
        if not self.stop_file.exists():
            self.store.run(lambda unit: self._number(unit, at))
        while not self.stop_file.exists() and (
            fresh := self.store.read(lambda u: streams.unwritten(u, BATCH))
        ):
            for entry in fresh:
                self._put(entry, at)
            count += len(fresh)
        latest = self.store.read(lambda unit: streams.last(unit, envelope.LAST))
        for entry in latest:
            if not (self.public_dir / _path(entry.seq)).exists():  # a restored hub
                self._put(entry, at)
        self._beat(latest, at)
        return count

    def _beat(self, latest: Sequence[Entry], at: datetime) -> None:
        head = latest[-1].seq if latest else 0
        beat = Heartbeat(hub=self.hub, at=at, head=head, last=tuple((one.seq, one.sha256) for one in latest))
        place = self.public_dir / HEARTBEAT
        with contextlib.suppress(OSError, BadInput):
            before = envelope.read_heartbeat(place.read_bytes())
            is_old = not timedelta() <= at - before.at < EVERY
            if not is_old and (before.hub, before.head, before.last) == (beat.hub, beat.head, beat.last):
                return
        atomic.write(place, envelope.write_heartbeat(beat, self.sign), at)

    def _number(self, unit: Unit, at: datetime) -> None:
        for dispatch, artefact_id in streams.published(unit, CHANNEL, BATCH):
            artefact = releases.artefact(unit, artefact_id)
            if artefact is not None:
                streams.add(unit, artefact.body, dispatch=dispatch, at=at)

    def _put(self, entry: Entry, at: datetime) -> None:
        own = self.sign_hop(entry.body, entry.path)
        data = envelope.write(Envelope(hub=self.hub, seq=entry.seq, path=(*entry.path, own), body=entry.body))
        self._file(_path(entry.seq), data, at)
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.run(lambda unit: streams.note_written(unit, entry.seq, sha256))

    def _file(self, path: str, data: bytes, at: datetime) -> None:
        """The signature first: who finds the file finds it signed."""
        atomic.write(self.public_dir / f"{path}.sig", self.sign(data).encode() + b"\n", at)
        atomic.write(self.public_dir / path, data, at)


def _path(seq: int) -> str:
    return f"{FOLDER}/{seq}.json"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process writes them now."""
    atomic.make(folder)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
