"""What this hub hands on to its peers: one row for each bulletin, numbered in the order of the COMMITs.

No number is left out and none is given twice. Where a restored database has forgotten numbers that peers may know, they
are kept as a gap: each has a file that says that there is nothing, and what is new comes behind.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.artefact import Purpose
from domain.handling import Handling
from domain.parcel import DispatchState
from store import journal, numbers
from store import tables as t
from store.tables_peers import stream
from store.unit import Unit

WHAT, ALWAYS = "peer_stream", 0  # of the numbers of a year: this one never begins anew
GAP = "peer_gap"  # the first number of a gap -> its last one
TAMPERED = "tampered"  # on the shelf, by dispatch
s = stream.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One of them. `path`: (hub, line) of those that had it before us."""

    seq: int
    body: bytes
    path: tuple[tuple[str, str], ...]
    sha256: str  # of the envelope, '' until it is written
    is_ours: bool  # published here, and not handed on


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What may get a number. `sha256`: of the bytes that were approved."""

    dispatch: str
    artefact: str
    sha256: str


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


def published(unit: Unit, channel: str, at: datetime, limit: int = 200) -> list[Published]:
    """What the public has in `channel` and the stream has not, that holds still; the earliest first.

    Not what was recalled, has expired, or lies on the shelf because it is not what was approved.
    """
    d, r, h = t.dispatch.c, t.release_row.c, t.shelf.c
    is_shelved = sa.exists().where(h.kind == "dispatch", h.reason == TAMPERED, h.origin == d.id)
    query = (
        sa.select(d.id, d.artefact, d.sha256)
        .join(t.release_row, r.id == d.release)
        .outerjoin(stream, s.dispatch == d.id)
        .where(d.channel == channel, d.state == DispatchState.DONE.value, r.handling == Handling.PUBLIC.value, s.seq.is_(None))
        .where(d.expires > at, sa.not_(_is_recalled()), sa.not_(is_shelved))
        .order_by(d.id)
    )  # fmt: skip
    return [
        Published(dispatch=row.id, artefact=row.artefact, sha256=row.sha256)
        for row in unit.rows(query.limit(limit))
    ]


def may_leave(unit: Unit, entry: Entry, at: datetime) -> bool:
    """Whether a number gets what it was given for: ours only as approved, not recalled and not over."""
    d = t.dispatch.c
    query = (
        sa.select(d.sha256)
        .join(stream, s.dispatch == d.id)
        .where(s.seq == entry.seq, d.expires > at, sa.not_(_is_recalled()))
    )
    approved = unit.scalar(query)
    return not entry.is_ours or approved == hashlib.sha256(entry.body).hexdigest()


def _is_recalled() -> sa.ColumnElement[bool]:
    """An ending is what follows a recall."""
    is_stopped = sa.exists().where(t.tombstone.c.release == t.dispatch.c.release)
    return sa.and_(t.dispatch.c.purpose == Purpose.MAIN.value, is_stopped)


def unwritten(unit: Unit, limit: int = 200) -> list[Entry]:
    """Those whose files are not written yet, in their order."""
    return _entries(unit, sa.select(stream).where(s.sha256 == "").order_by(s.seq).limit(limit))


def note_written(unit: Unit, written: Mapping[int, str]) -> None:
    """The files of these lie in public: number -> hash."""
    for seq, sha256 in written.items():
        unit.execute(stream.update().where(s.seq == seq, s.sha256 == "").values(sha256=sha256))


def last(unit: Unit, count: int) -> list[Entry]:
    """The latest that are written without a gap before them, in their order."""
    first_open = _first_open(unit)
    query = sa.select(stream).order_by(s.seq.desc()).limit(count)
    if first_open is not None:
        query = query.where(s.seq < first_open)
    return _entries(unit, query)[::-1]


def head(unit: Unit) -> int:
    """How far every number has its file; 0 before the first."""
    first_open = _first_open(unit)
    return given(unit) if first_open is None else first_open - 1


def given(unit: Unit) -> int:
    """The last number that was given, or left out; 0 before the first."""
    return numbers.current(unit, WHAT, ALWAYS)


def raise_to(unit: Unit, known: int, at: datetime) -> bool:
    """No number up to `known` is given any more; whether that was done now: what was not given is a gap then."""
    last_one = given(unit)
    if known <= last_one or not numbers.raise_to(unit, WHAT, ALWAYS, known, above=last_one):
        return False  # one was given meanwhile, and the gap begins behind it: the next look finds that
    numbers.raise_to(unit, GAP, last_one + 1, known)
    journal.append(unit, "stream", f"gap_{last_one + 1}", "leave_out", by="system", at=at, is_first=True,
                   detail={"first": last_one + 1, "last": known})  # fmt: skip
    return True


def move_behind(unit: Unit, known: int) -> int:
    """Those without a file whose number peers may know for another one get a new number; how many.

    To be asked for once no number up to `known` is given any more.
    """
    found = unit.rows(sa.select(s.seq).where(s.sha256 == "", s.seq <= known).order_by(s.seq))
    for row in found:
        unit.execute(stream.update().where(s.seq == row.seq).values(seq=numbers.take(unit, WHAT, ALWAYS)))
    return len(found)


def open_gaps(unit: Unit) -> list[tuple[int, int]]:
    """(first, last) of the numbers that stand for nothing and do not all have their files yet."""
    return numbers.of(unit, GAP)


def close_gap(unit: Unit, first: int) -> None:
    """All of its files lie there."""
    numbers.drop(unit, GAP, first)


def _first_open(unit: Unit) -> int | None:
    row = unit.scalar(sa.select(sa.func.min(s.seq)).where(s.sha256 == ""))
    waiting = [first for first, _ in open_gaps(unit)] + ([row] if row is not None else [])
    return min(waiting, default=None)


def has(unit: Unit, bulletin: str) -> bool:
    """Whether a bulletin was handed on."""
    return unit.scalar(sa.select(s.seq).where(s.bulletin == bulletin)) is not None


def _entries(unit: Unit, query: Any) -> list[Entry]:
    return [
        Entry(seq=row.seq, body=bytes(row.body), path=tuple((str(h), str(line)) for h, line in row.path), sha256=row.sha256,
              is_ours=row.dispatch is not None)
        for row in unit.rows(query)
    ]  # fmt: skip
