"""What this hub hands on to its peers: one row for each bulletin, numbered without a gap, in the order of the COMMITs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.handling import Handling
from domain.parcel import DispatchState
from store import journal, numbers
from store import tables as t
from store.tables_peers import stream
from store.unit import Unit

WHAT, ALWAYS = "peer_stream", 0  # of the numbers of a year: this one never begins anew
s = stream.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One of them. `path`: (hub, line) of those that had it before us."""

    seq: int
    body: bytes
    path: tuple[tuple[str, str], ...]
    sha256: str  # of the envelope, '' until it is written


def add(
    unit: Unit, body: bytes, *, path: Sequence[tuple[str, str]] = (), dispatch: str | None = None,
    bulletin: str | None = None, at: datetime,
) -> int:  # fmt: skip
    """The next number for this one: its row stays locked to the COMMIT, so a later number is never seen before it."""
    seq = numbers.take(unit, WHAT, ALWAYS)
    unit.execute(stream.insert(), {"seq": seq, "body": body, "path": [list(hop) for hop in path], "dispatch": dispatch,
                                   "bulletin": bulletin, "sha256": "", "at": at})  # fmt: skip
    detail = {
        "seq": seq,
        "sha256": hashlib.sha256(body).hexdigest(),
        "dispatch": dispatch or "",
        "hops": len(path) + 1,
    }
    journal.append(unit, "stream", f"seq_{seq}", "hand_on", by="system", at=at, is_first=True, detail=detail)
    return seq


def published(unit: Unit, channel: str, limit: int = 200) -> list[tuple[str, str]]:
    """(dispatch, artefact) of what the public has in `channel` and the stream has not; the earliest first."""
    d, r = t.dispatch.c, t.release_row.c
    query = (
        sa.select(d.id, d.artefact)
        .join(t.release_row, r.id == d.release)
        .outerjoin(stream, s.dispatch == d.id)
        .where(d.channel == channel, d.state == DispatchState.DONE.value, r.handling == Handling.PUBLIC.value, s.seq.is_(None))
        .order_by(d.id)
    )  # fmt: skip
    return [(row.id, row.artefact) for row in unit.rows(query.limit(limit))]


def unwritten(unit: Unit, limit: int = 200) -> list[Entry]:
    """Those whose files are not written yet, in their order."""
    return _entries(unit, sa.select(stream).where(s.sha256 == "").order_by(s.seq).limit(limit))


def note_written(unit: Unit, seq: int, sha256: str) -> None:
    """The file of this one lies in public, with that hash."""
    unit.execute(stream.update().where(s.seq == seq, s.sha256 == "").values(sha256=sha256))


def last(unit: Unit, count: int) -> list[Entry]:
    """The latest that are written without a gap before them, in their order."""
    first_open = unit.scalar(sa.select(sa.func.min(s.seq)).where(s.sha256 == ""))
    query = sa.select(stream).order_by(s.seq.desc()).limit(count)
    if first_open is not None:
        query = query.where(s.seq < first_open)
    return _entries(unit, query)[::-1]


def has(unit: Unit, bulletin: str) -> bool:
    """Whether a bulletin was handed on."""
    return unit.scalar(sa.select(s.seq).where(s.bulletin == bulletin)) is not None


def _entries(unit: Unit, query: Any) -> list[Entry]:
    return [
        Entry(seq=row.seq, body=bytes(row.body), path=tuple((str(h), str(line)) for h, line in row.path), sha256=row.sha256)
        for row in unit.rows(query)
    ]  # fmt: skip
