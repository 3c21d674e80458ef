"""Where messages wait when the database is down: durable files, drained in order."""

import contextlib
import hashlib
import json
import os
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.errors import BadInput, Unavailable
from domain.handling import Handling
from domain.report import Inbound, Kept
from store import durable

_MAGIC = b"TOCSIN-SPOOL-1\n"
_LENGTHS = struct.Struct(">QQ")  # header, raw
SPARE_BYTES = 32 << 20  # or 1 % of a small disk: left free, so that no frame is begun that cannot be ended
TOLD = "told"  # in the meta of a message: the fingerprint of its words
WEIGHED_SECONDS = 1.0
HEADER_BYTES = 1 << 20  # of a frame; real ones have under 2 KB
LIMIT_BYTES = 2 << 30  # then the doors say "try again": 20,000 reports of 100 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A message that waits: its names, and the fingerprint of its words where its door has one."""

    kept: Kept
    told: str


class Spool:
    """A directory of frames, one message each: lengths, SHA-256, header, raw bytes."""

    def __init__(self, directory: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self._bad = directory / "unreadable"
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._writing: set[str] = set()  # keys of what is on its way to the disk
        self._known: dict[str, Known] | None = None  # repeats while the database is down get the same code
        self._keys: dict[str, str] = {}  # id of a message -> its key in `_known`
        self._weight, self._weighed_at = 0, float("-inf")

    def put(self, inbound: Inbound, minted: Kept) -> Kept:
        """Keep a message durably; the names it was given, which for a repeat are the first ones.

        Raises Unavailable when it cannot be made durable, BadInput(idempotency_key_reused) for other words under a
        name that is here.
        """
        frame = _frame(inbound, minted)
        known = self._begin(inbound, len(frame))
        if known is not None:
            return known
        is_durable = False
        try:
            self._write(self._directory / f"{minted.inbound_id}.frame", frame)
            is_durable = True
        except OSError as error:
            raise Unavailable("the spool cannot be written", code="spool_failed") from error
        finally:
            self._end(inbound, minted if is_durable else None)
        return minted

    def _begin(self, inbound: Inbound, size: int) -> Kept | None:
        """The names of a repeat, once its first one is durable; None for one that is to be written now, outside the lock.

        fsync of several files at once costs the disk hardly more than that of one.
        """
        with self._changed:
            while True:
                if (known := self._find(inbound)) is not None:
                    return known
                if _key(inbound) not in self._writing:
                    break
                self._changed.wait()
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                is_full = self._weigh() + size > self.limit_bytes or self._is_crowded()
            except OSError as error:
                raise Unavailable("the spool cannot be written", code="spool_failed") from error
            if is_full:
                raise Unavailable("the spool is full", code="spool_full")
            self._weight += size
            self._writing.add(_key(inbound))
            return None

    def _end(self, inbound: Inbound, minted: Kept | None) -> None:
        """It is durable under `minted`, or was not written; whoever repeats it may go on."""
        with self._changed:
            if minted is not None:
                self._note(inbound, minted)
            self._writing.discard(_key(inbound))
            self._changed.notify_all()

    @property
    def is_clear(self) -> bool:
        """Whether it is known, without a look at the disk, that nothing waits here; False proves nothing."""
        return self._known is not None and not self._known

    def known(self, inbound: Inbound) -> Kept | None:
        """The names of a message that waits here, for its repeat; None for another one. Raises as put() does.

        The first call of a process opens every frame, and others wait for it: never on an event loop.
        """
        with self._lock:
            return self._find(inbound)

    def waiting(self) -> list[Path]:
        """Frames in the order in which they came."""
        return sorted(self._directory.glob("*.frame"))

    def size(self) -> int:
        """Bytes that wait."""
        found = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name.endswith(".frame"):
                    with contextlib.suppress(FileNotFoundError):  # another process drained it
                        found += entry.stat().st_size
        return found

    def read(self, closed: list[Path] | None = None) -> Iterator[tuple[Path, Inbound | None, Kept | None]]:
        """Every frame in order; (path, None, None) for one that is not what it was written as.

        Those that the system does not let be read are left out, and named in `closed`.
        """
        waiting = self.waiting()
        if not waiting:
            self._forget()
        for path in waiting:
            try:
                inbound, minted = parse(path.read_bytes())
            except BadInput:
                yield path, None, None
            except FileNotFoundError:
                continue  # another process drained it
            except OSError:
                if closed is not None:
                    closed.append(path)
            else:
                yield path, inbound, minted

    def done(self, path: Path) -> None:
        """Remove a frame whose row is committed."""
        path.unlink(missing_ok=True)
        with self._lock:
            key = self._keys.pop(path.stem, "")
            if self._known is not None:
                self._known.pop(key, None)

    def set_aside(self, path: Path) -> Path:
        """Move an unreadable frame away; nothing is deleted."""
        self._bad.mkdir(exist_ok=True)
        return path.rename(self._bad / path.name)

    def _find(self, inbound: Inbound) -> Kept | None:
        if self._known is None:  # a process that was killed meanwhile has left its frames
            self._known = {}
            for path in self.waiting():
                with contextlib.suppress(BadInput, OSError):
                    self._note(*_head_of(path))
        told = str(inbound.meta.get(TOLD, ""))
        known = self._known.get(_key(inbound))
        if known is not None and known.told != told:
            raise BadInput("this name came with other words before", code="idempotency_key_reused")
        return known.kept if known else None

    def _forget(self) -> None:
        """Nothing waits: whatever this process has put here is in the database, where another one brought it too."""
        with self._lock:
            if self._known and not self.waiting():
                self._known, self._keys = {}, {}

    def _note(self, inbound: Inbound, minted: Kept) -> None:
        kept = Kept(
            inbound_id=minted.inbound_id, report_id=minted.report_id, code=minted.code, is_fresh=False
        )
        if self._known is not None:
            self._known[_key(inbound)] = Known(kept=kept, told=str(inbound.meta.get(TOLD, "")))
            self._keys[minted.inbound_id] = _key(inbound)

    def _weigh(self) -> int:
        """Bytes that wait, as of the last second and what came since: looking at 20,000 frames for each is a minute."""
        if time.monotonic() - self._weighed_at > WEIGHED_SECONDS:
            self._weight, self._weighed_at = self.size(), time.monotonic()
        return self._weight

    def _is_crowded(self) -> bool:
        """Whether its disk must not get fuller: where the database is down, this is the last place."""
        found = os.statvfs(self._directory)
        return found.f_bavail < min(found.f_blocks // 100, SPARE_BYTES // found.f_frsize)

    def _write(self, path: Path, frame: bytes) -> None:
        durable.put(path, frame, beside=path.with_suffix(".part"))
        durable.sync_directory(self._directory)  # without it a power cut forgets the name (finding 24)


def _frame(inbound: Inbound, minted: Kept) -> bytes:
    header = json.dumps(
        {
            "inbound_id": minted.inbound_id,
            "report_id": minted.report_id,
            "code": minted.code,
            "channel": inbound.channel,
            "external_id": inbound.external_id,
            "media_type": inbound.media_type,
            "received_at": inbound.received_at.isoformat(),
            "sender": inbound.sender,
            "meta": dict(inbound.meta),
            "organisation": inbound.organisation,
            "handling": inbound.handling.value,
        }
    ).encode()
    body = _LENGTHS.pack(len(header), len(inbound.raw)) + header + inbound.raw
    return _MAGIC + body + hashlib.sha256(body).digest()


def _key(inbound: Inbound) -> str:
    return hashlib.sha256(f"{inbound.channel}\0{inbound.external_id}".encode()).hexdigest()


def _head_of(path: Path) -> tuple[Inbound, Kept]:
    """What a frame says of its message, without the message. Raises BadInput, OSError."""
    with path.open("rb") as file:
        start = file.read(len(_MAGIC) + _LENGTHS.size)
        if len(start) < len(_MAGIC) + _LENGTHS.size or not start.startswith(_MAGIC):
            raise BadInput("a spool frame is torn", code="spool_frame")
        header_length, _ = _LENGTHS.unpack_from(start, len(_MAGIC))
        return _read_header(file.read(min(header_length, HEADER_BYTES)), b"")


def parse(frame: bytes) -> tuple[Inbound, Kept]:
    """The message of a frame and its names. Raises BadInput(spool_frame)."""
    start = len(_MAGIC)
    body, checksum = frame[start:-32], frame[-32:]
    if frame[:start] != _MAGIC or hashlib.sha256(body).digest() != checksum or len(body) < _LENGTHS.size:
        raise BadInput("a spool frame is torn", code="spool_frame")
    header_length, raw_length = _LENGTHS.unpack_from(body)
    data = body[_LENGTHS.size :]
    if len(data) != header_length + raw_length:
        raise BadInput("a spool frame is torn", code="spool_frame")
    return _read_header(data[:header_length], data[header_length:])


def _read_header(written: bytes, raw: bytes) -> tuple[Inbound, Kept]:
    try:
        return _of_header(json.loads(written), raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput("a spool frame is torn", code="spool_frame") from None


def _of_header(header: dict[str, Any], raw: bytes) -> tuple[Inbound, Kept]:
    inbound = Inbound(
        channel=header["channel"],
        external_id=header["external_id"],
        raw=raw,
        media_type=header["media_type"],
        received_at=datetime.fromisoformat(header["received_at"]),
        sender=header["sender"],
        meta=dict(header["meta"].items()),
        organisation=header["organisation"],
        handling=Handling(header["handling"]),
    )
    names = Kept(
        inbound_id=header["inbound_id"], report_id=header["report_id"], code=header["code"], is_fresh=True
    )
    return inbound, names
