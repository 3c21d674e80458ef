"""Hands bulletins on to peers: our own as they are published, others' as they were taken in, each a signed file.

Peers pull ``public/peer/heartbeat.json`` each minute: it says how far the stream has come, so whoever missed a number
sees it and fetches the file (PROMISES R19, R36). The files stay up when the hub is down (law 9); then the heartbeat
grows old, and that is noticed.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from channels.codecs import envelope
from channels.codecs.envelope import Envelope, Heartbeat, Hop
from domain.errors import BadInput
from outbox import atomic
from store import releases, shelf, streams
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
TURN = timedelta(
    seconds=3
)  # of writing files; releases wait for the sweep while it lasts, and they have five (law 1)
LOST = (
    1_000  # numbers that a hub may have given after its backup, a day of storms; none of them is given again
)
_NUMBERED = re.compile(r"(\d{1,9})\.json")


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
        """Number what was published, write what is not written, and the heartbeat over it; how many were new. A turn ends.

        Any process may do it, one at a time; safe to repeat at any point, for a file is the same however often it is
        written and is named by the heartbeat only once it lies there.
        """
        with _alone(self.public_dir / FOLDER) as is_ours:
            return self._write() if is_ours else 0

    def resume(self) -> None:
        """None of the numbers that lie in public, or that the heartbeat there names, is given again."""
        said = self._said()
        known = max(said, highest(self.public_dir))
        while known > self.store.read(
            streams.given
        ):  # one given meanwhile may be the first of what is left out
            self.store.run(lambda unit: streams.raise_to(unit, known, self.clock()))
        if said and said <= self.store.read(streams.given):
            self.store.run(lambda unit: streams.move_behind(unit, said))

    def _write(self) -> int:
        at, count = self.clock(), 0
        if self.store.read(streams.head) < self._said():  # the database went back
            self.resume()
        try:
            if not self.stop_file.exists():
                self.store.run(lambda unit: self._number(unit, at))
                self._fill(at)
                count = self._write_some(at)
            self._mend(at)
        finally:  # whatever cannot be written, that this hub lives is said
            self._beat(self.clock())
        return count

    def _may_go_on(self, began: datetime) -> bool:
        return timedelta() <= self.clock() - began < TURN and not self.stop_file.exists()

    def _write_some(self, began: datetime) -> int:
        written: dict[int, str] = {}
        try:
            for entry in self.store.read(lambda unit: streams.unwritten(unit, BATCH)):
                if not self._may_go_on(began):
                    break
                may_leave = self.store.read(partial(streams.may_leave, entry=entry, at=self.clock()))
                written[entry.seq] = self._put(
                    entry.seq, self._made(entry) if may_leave else self._nothing(entry.seq), began
                )
        finally:
            if written:
                self.store.run(lambda unit: streams.note_written(unit, written))
        return len(written)

    def _fill(self, began: datetime) -> None:
        """Write for each number of a gap that there is nothing: who asks for it goes on."""
        for first, last in self.store.read(streams.open_gaps):
            for seq in range(first, last + 1):
                if not self._may_go_on(began):
                    return
                if not (self.public_dir / _path(seq)).exists():
                    self._put(seq, self._nothing(seq), began)
            self.store.run(partial(streams.close_gap, first=first))

    def _mend(self, at: datetime) -> None:
        """Files of the latest that were lost are written as they were."""
        for entry in self.store.read(lambda unit: streams.last(unit, envelope.LAST)):
            if not (self.public_dir / _path(entry.seq)).exists() and not self.stop_file.exists():
                data = self._made(entry)
                is_it = hashlib.sha256(data).hexdigest() == entry.sha256
                self._put(entry.seq, data if is_it else self._nothing(entry.seq), at)

    def _said(self) -> int:
        """How far the heartbeat that lies in public says that the stream has come; 0 without one of ours."""
        with contextlib.suppress(OSError, BadInput):
            before = envelope.read_heartbeat((self.public_dir / HEARTBEAT).read_bytes())
            return before.head if before.hub == self.hub else 0
        return 0

    def _beat(self, at: datetime) -> None:
        latest, head = self.store.read(lambda unit: (streams.last(unit, envelope.LAST), streams.head(unit)))
        head = max(head, self._said())  # what it has named lies there
        beat = Heartbeat(hub=self.hub, at=at, head=head, last=tuple((one.seq, one.sha256) for one in latest))
        place = self.public_dir / HEARTBEAT
        with contextlib.suppress(OSError, BadInput):
            before = envelope.read_heartbeat(place.read_bytes())
            is_old = not timedelta() <= at - before.at < EVERY
            if not is_old and (before.hub, before.head, before.last) == (beat.hub, beat.head, beat.last):
                return
        atomic.write(place, envelope.write_heartbeat(beat, self.sign), at)

    def _number(self, unit: Unit, at: datetime) -> None:
        """What is not what was approved gets none, and lies on the shelf (law 3)."""
        for one in streams.published(unit, CHANNEL, at, BATCH):
            artefact = releases.artefact(unit, one.artefact)
            if artefact is None or hashlib.sha256(artefact.body).hexdigest() != one.sha256:
                shelf.put(unit, "dispatch", streams.TAMPERED, origin=one.dispatch, at=at)
            else:
                streams.add(unit, artefact.body, dispatch=one.dispatch, at=at)

    def _made(self, entry: Entry) -> bytes:
        own = self.sign_hop(entry.body, entry.path)
        return envelope.write(Envelope(hub=self.hub, seq=entry.seq, path=(*entry.path, own), body=entry.body))

    def _nothing(self, seq: int) -> bytes:
        own = self.sign_hop(b"", ())
        return envelope.write(Envelope(hub=self.hub, seq=seq, path=(own,), body=b""))

    def _put(self, seq: int, data: bytes, at: datetime) -> str:
        self._file(_path(seq), data, at)
        return hashlib.sha256(data).hexdigest()

    def _file(self, path: str, data: bytes, at: datetime) -> None:
        """The signature first: who finds the file finds it signed."""
        atomic.write(self.public_dir / f"{path}.sig", self.sign(data).encode() + b"\n", at)
        atomic.write(self.public_dir / path, data, at)


def highest(public_dir: Path) -> int:
    """The highest number whose file lies in public; 0 for none."""
    with contextlib.suppress(FileNotFoundError):
        names = os.listdir(public_dir / FOLDER)
        return max((int(found[1]) for name in names if (found := _NUMBERED.fullmatch(name))), default=0)
    return 0


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
