"""Where messages wait when the database is down: durable files, drained in order."""

import hashlib
import json
import os
import struct
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from domain.errors import BadInput, Unavailable
from domain.handling import Handling
from domain.report import Inbound, Kept
from store import durable

_MAGIC = b"TOCSIN-SPOOL-1\n"
_LENGTHS = struct.Struct(">QQ")  # header, raw
SPARE_BYTES = 32 << 20  # or 1 % of a small disk: left free, so that no frame is begun that cannot be ended
LIMIT_BYTES = 2 << 30  # then the doors say "try again": 20,000 reports of 100 KB


class Spool:
    """A directory of frames, one message each: lengths, SHA-256, header, raw bytes."""

    def __init__(self, directory: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self._bad = directory / "unreadable"
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._known: dict[str, Kept] = {}  # repeats while the database is down get the same code

    def put(self, inbound: Inbound, minted: Kept) -> Kept:
        """Keep a message durably; the names it was given, which for a repeat are the first ones.

        Raises Unavailable when it cannot be made durable.
        """
        key = hashlib.sha256(f"{inbound.channel}\0{inbound.external_id}".encode()).hexdigest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                return known
            frame = _frame(inbound, minted)
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                if self.size() + len(frame) > self._limit or self._is_crowded():
                    raise Unavailable("the spool is full", code="spool_full")
                self._write(self._directory / f"{minted.inbound_id}.frame", frame)
            except OSError as error:
                raise Unavailable("the spool cannot be written", code="spool_failed") from error
            kept = Kept(
                inbound_id=minted.inbound_id, report_id=minted.report_id, code=minted.code, is_fresh=False
            )
            self._known[key] = kept
            return minted

    def waiting(self) -> list[Path]:
        """Frames in the order in which they came."""
        return sorted(self._directory.glob("*.frame"))

    def size(self) -> int:
        """Bytes that wait."""
        return sum(path.stat().st_size for path in self._directory.glob("*.frame"))

    def read(self) -> Iterator[tuple[Path, Inbound | None, Kept | None]]:
        """Every frame in order; (path, None, None) for one that is not what it was written as."""
        for path in self.waiting():
            try:
                inbound, minted = parse(path.read_bytes())
            except BadInput:
                yield path, None, None
            except FileNotFoundError:
                continue  # another process drained it
            else:
                yield path, inbound, minted

    def done(self, path: Path) -> None:
        """Remove a frame whose row is committed."""
        path.unlink(missing_ok=True)
        with self._lock:
            self._known = {k: v for k, v in self._known.items() if v.inbound_id != path.stem}

    def set_aside(self, path: Path) -> Path:
        """Move an unreadable frame away; nothing is deleted."""
        self._bad.mkdir(exist_ok=True)
        return path.rename(self._bad / path.name)

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


def parse(frame: bytes) -> tuple[Inbound, Kept]:
    """The message of a frame and its names. Raises BadInput(spool_frame)."""
    start = len(_MAGIC)
    body, checksum = frame[start:-32], frame[-32:]
    if frame[:start] != _MAGIC or hashlib.sha256(body).digest() != checksum:
        raise BadInput("a spool frame is torn", code="spool_frame")
    header_length, raw_length = _LENGTHS.unpack_from(body)
    data = body[_LENGTHS.size :]
    if len(data) != header_length + raw_length:
        raise BadInput("a spool frame is torn", code="spool_frame")
    header = json.loads(data[:header_length])
    inbound = Inbound(
        channel=header["channel"],
        external_id=header["external_id"],
        raw=data[header_length:],
        media_type=header["media_type"],
        received_at=datetime.fromisoformat(header["received_at"]),
        sender=header["sender"],
        meta=header["meta"],
        organisation=header["organisation"],
        handling=Handling(header["handling"]),
    )
    names = Kept(
        inbound_id=header["inbound_id"], report_id=header["report_id"], code=header["code"], is_fresh=True
    )
    return inbound, names
