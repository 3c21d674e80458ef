"""Writes what is for everyone: static files that any web server can serve with the hub stopped (law 9)."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath

from channels.contract import Entry, File, Publisher
from domain.artefact import Artefact
from domain.errors import Tampered, Unavailable
from domain.handling import Handling
from domain.parcel import DispatchState
from outbox import atomic, ending, told
from outbox.book import Book
from outbox.outgoing import Outgoing
from outbox.told import Told
from store import journal, promises, releases, shelf
from store.promises import Dispatch
from store.unit import Unit

MOST_MADE = 400  # pages of releases in one turn: a second of work at rest; the next turn follows soon
LOCK_PATIENCE_SECONDS = 5.0  # writing takes milliseconds; whoever has it longer is stuck
_HELD_BACK = timedelta(seconds=2)


class Published(StrEnum):
    """What became of a dispatch."""

    DONE = "done"
    NOT_OPEN = "not_open"  # stopped, done before, or not yet relayed
    HELD = "held"  # by the kill switch
    TAMPERED = "tampered"


def publish(out: Outgoing, dispatch_id: str) -> Published:
    """Write the files of an open dispatch's channel, then close the dispatch. Safe to repeat."""
    at = out.clock()
    dispatch = out.store.read(lambda unit: promises.get(unit, dispatch_id))
    if dispatch is None or dispatch.state is not DispatchState.OPEN:
        return Published.NOT_OPEN
    publisher = out.publishers.get(dispatch.channel)
    if publisher is None:  # an audience of nobody has no parcel that would close it
        return (
            Published.DONE
            if out.store.run(lambda u: ending.finish(u, dispatch.id, at))
            else Published.NOT_OPEN
        )
    if out.stop_file.exists():
        out.store.run(lambda unit: promises.postpone(unit, dispatch_id, at + _HELD_BACK))
        return Published.HELD
    try:
        out.store.read(lambda unit: _checked(unit, dispatch))
    except Tampered:
        out.store.run(lambda unit: _refuse(unit, dispatch, out.clock()))
        return Published.TAMPERED
    _write_channel(out, publisher, dispatch.release)
    is_done = out.store.run(lambda unit: ending.close(unit, dispatch_id, out.clock()))
    return Published.DONE if is_done else Published.NOT_OPEN


def republish(out: Outgoing, channel: str) -> list[str]:
    """Bring a channel's files up to what the store says now; the paths that changed."""
    return _write_channel(out, out.publishers[channel])


def refresh(out: Outgoing) -> list[str]:
    """Republish the channels whose files are older than the last change of state; the paths that changed.

    The sweep calls it every few seconds, so a stop or an expiry reaches the public files without any bell.
    """
    at = out.clock()
    now = out.store.read(lambda unit: _generation(unit, at))
    changed: list[str] = []
    for channel, publisher in out.publishers.items():
        if _generation_file(out, channel).exists() and _last_generation(out, channel) != now:
            changed += _write_channel(out, publisher)
    return changed


def _checked(unit: Unit, dispatch: Dispatch) -> None:
    _compare(releases.artefact(unit, dispatch.artefact), dispatch)


def _compare(artefact: Artefact | None, dispatch: Dispatch | None) -> None:
    if artefact is None or dispatch is None or artefact.sha256 != dispatch.sha256:
        raise Tampered("the artefact is not what was approved", code="artefact")


def _refuse(unit: Unit, dispatch: Dispatch, at: datetime) -> None:
    if promises.move(unit, dispatch, "stop", at):
        shelf.put(unit, "dispatch", "tampered", at=at, origin=dispatch.id)
        journal.append(unit, "release", dispatch.release, "tampered", by="system", at=at,
                       detail={"dispatch": dispatch.id})  # fmt: skip


def _write_channel(out: Outgoing, publisher: Publisher, telling: str = "") -> list[str]:
    """Read, build and write under one lock, so that of two processes the one that read last writes last.

    `telling` is the release whose turn it is. Others that their lane has not finished are listed only where
    their files lie already: what the kill switch holds or a stop overtook is not told by the way.
    """
    root = out.public_dir
    with _lock(root):
        at = out.clock()
        generation = out.store.read(lambda unit: _generation(unit, at))
        begun = told.read(out.store, publisher.channel, at, out.zone)
        waiting = [t for t in begun if not t.is_kept and t.entry.release_id != telling]
        lying = {f.about for f in _build(out, publisher, waiting) if f.about and (root / f.path).exists()}
        held = {t.entry.release_id for t in waiting} - lying
        out_there = [t for t in begun if t.entry.release_id not in held]
        book = Book(root, publisher.channel)
        turn = _Turn(root, at, book)
        files = _build(out, publisher, out_there)
        turn.write_pages(files, [t.entry for t in out_there])
        if turn.refused:  # and no list may name them
            files = _build(out, publisher, [t for t in out_there if t.entry.release_id not in turn.refused])
        turn.write([f for f in files if not f.about])
        for path in book.strike_out():
            atomic.remove(root / path)
            turn.changed.append(path)
        book.close()
        _generation_file(out, publisher.channel).write_text(generation if turn.is_whole else "")
    return turn.changed


def _build(out: Outgoing, publisher: Publisher, begun: Sequence[Told]) -> Sequence[File]:
    return publisher.build([t.entry for t in begun], public_url=out.public_url)


def _generation(unit: Unit, at: datetime) -> str:
    since = told.first_month(at, UTC)
    count, moments = promises.public_state(unit, Handling.PUBLIC.value, [s.value for s in told.STATES], since)
    return f"{count} {moments} {at.date()}"


def _generation_file(out: Outgoing, channel: str) -> Path:
    return out.public_dir / f".{channel}.generation"


def _last_generation(out: Outgoing, channel: str) -> str:
    return _generation_file(out, channel).read_text()


class _Turn:
    """One writing of a channel's files. `refused`: releases whose bytes are not as approved."""

    def __init__(self, root: Path, at: datetime, book: Book) -> None:
        self._root = root
        self._at = at
        self._book = book
        self.changed: list[str] = []
        self.refused: set[str] = set()
        self.is_whole = True

    def write_pages(self, files: Sequence[File], entries: Sequence[Entry]) -> None:
        """Write what speaks of one release, the last change first, and leave what is too much for the next turn.

        After an upgrade every old page is made again; a new warning must not wait for that.
        """
        latest = sorted(entries, key=lambda e: (e.changed_at, e.release_id), reverse=True)
        rank = {entry.release_id: n for n, entry in enumerate(latest)}
        made = 0
        for file in sorted((f for f in files if f.about), key=lambda f: rank[f.about]):
            if file.about in self.refused or self._book.holds(file):
                continue
            if made >= MOST_MADE:
                self.is_whole = False
                continue
            before = len(self.changed)
            try:
                self.write([file])
            except Tampered:
                self.refused.add(file.about)
            made += bool(file.version) or len(self.changed) > before

    def write(self, files: Sequence[File]) -> None:
        """Write what differs, indexes after the pages they name."""
        for file in sorted(files, key=lambda f: f.is_index):
            path = PurePosixPath(file.path)
            if path.is_absolute() or ".." in path.parts:
                raise Tampered("a publisher names a file outside the public directory", code="path")
            if self._book.holds(file):
                continue
            if atomic.write(self._root / path, file.read(), self._at):
                self.changed.append(file.path)
            self._book.note(file)


@contextlib.contextmanager
def _lock(root: Path) -> Iterator[None]:
    atomic.make(root)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable("another process writes the public files", code="public_busy") from None
                time.sleep(0.01)
            else:
                break
        yield
    finally:
        os.close(handle)
