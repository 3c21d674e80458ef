"""How what waits in a spool comes into the database: some frames a COMMIT, in turns that end, none held up by another."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from domain.errors import Unavailable
from domain.report import Inbound, Kept
from intake.spool import Spool
from store import shelf
from store.database import Store

TURN = timedelta(
    seconds=3
)  # releases wait while it lasts, and they have five (law 1); a COMMIT of many takes one
TOGETHER, TOGETHER_BYTES = (
    100,
    8 << 20,
)  # frames of one COMMIT: 20,000 take some ten seconds, alone they take minutes
TORN, REFUSED, CLOSED = "torn_frame", "frame_refused", "frame_unreadable"  # why one is on the shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame of the spool."""

    path: Path
    inbound: Inbound
    minted: Kept


Keep = Callable[[Sequence[Frame]], list[str]]  # commits frames together; ids of what is fresh


def drain(spool: Spool, keep: Keep, *, store: Store, clock: Callable[[], datetime]) -> list[str]:
    """Oldest first; ids of what is fresh. A turn ends, and the next goes on.

    Stops with Unavailable or OSError as soon as the database or the disk does. A torn frame, and one that is refused,
    goes to the shelf and stays on disk; one that cannot be read now stays where it is, and is told of once.
    """
    fresh: list[str] = []
    closed: list[Path] = []
    began = clock()
    for some in _together(spool, closed, store, began):
        fresh += _kept_or_shelved(spool, some, keep, store, began)
        if not timedelta() <= clock() - began < TURN:  # also when the clock was set back
            break
    for path in closed:
        _tell_once(path, store, began)
    return fresh


def _kept_or_shelved(
    spool: Spool, some: Sequence[Frame], keep: Keep, store: Store, at: datetime
) -> list[str]:
    try:
        fresh = keep(some)
    except (Unavailable, OSError):  # an unknown COMMIT too: the next turn finds the rows by their keys
        raise
    except (
        Exception
    ):  # one of them, and the others must not pay for it: in halves, some COMMITs instead of a hundred
        if len(some) == 1:
            _set_aside(spool, some[0].path, REFUSED, store, at)
            return []
        half = len(some) // 2
        return [
            row
            for part in (some[:half], some[half:])
            for row in _kept_or_shelved(spool, part, keep, store, at)
        ]
    for one in some:
        spool.done(one.path)
    return fresh


def _together(spool: Spool, closed: list[Path], store: Store, at: datetime) -> Iterator[list[Frame]]:
    """Whole frames in their order, as many at once as one COMMIT and the memory take; the torn ones go to the shelf."""
    some: list[Frame] = []
    weight = 0
    for path, inbound, minted in spool.read(closed):
        if inbound is None or minted is None:
            _set_aside(spool, path, TORN, store, at)
            continue
        some.append(Frame(path=path, inbound=inbound, minted=minted))
        weight += len(inbound.raw)
        if len(some) >= TOGETHER or weight >= TOGETHER_BYTES:
            yield some
            some, weight = [], 0
    if some:
        yield some


def _set_aside(spool: Spool, path: Path, reason: str, store: Store, at: datetime) -> None:
    """The row first: a frame that lies aside unknown is lost, one that is told of twice is not."""
    store.run(partial(shelf.again, kind="spool", reason=reason, origin=path.name, at=at))
    with contextlib.suppress(OSError):  # it stays where it is, told of; and the others go on
        spool.set_aside(path)


def _tell_once(path: Path, store: Store, at: datetime) -> None:
    if not store.read(lambda unit: shelf.has_held(unit, "spool", path.name)):
        store.run(partial(shelf.put, kind="spool", reason=CLOSED, origin=path.name, at=at))
