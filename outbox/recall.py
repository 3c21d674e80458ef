"""Stop sending: what has not left stays here, within a second and for good."""

from datetime import datetime

from domain.artefact import Purpose
from domain.parcel import DispatchState
from outbox import ending
from store import journal, parcels, promises
from store.unit import Unit


def stop(unit: Unit, release_id: str, *, by: str, at: datetime, reason: str) -> dict[str, int]:
    """Forbid every further call for the release: {"dispatches": n, "parcels": n} stopped. The caller commits.

    The tombstone is what stops running workers: their guard reads it at most 200 ms old. Queues of stopped
    parcels are emptied here for the first ones and by the sweep for the rest, so that a million rows do not
    hold up the commit; progress counts them as stopped from now on. Endings are not stopped: they are what
    follows. Safe to repeat.
    """
    is_new = promises.add_tombstone(unit, release_id, by=by, at=at, reason=reason)
    dispatches = 0
    for dispatch in promises.of_release(unit, release_id, lock=True):
        is_going = dispatch.state in (DispatchState.READY, DispatchState.OPEN)
        if is_going and dispatch.purpose == Purpose.MAIN.value:
            dispatches += promises.move(unit, dispatch, "stop", at)
    count = {"dispatches": dispatches, "parcels": parcels.stop(unit, release_id)}
    if is_new:
        journal.append(unit, "release", release_id, "tombstone", by=by, at=at, detail=count)
    drain(unit, at, release_id=release_id)
    return count


def drain(unit: Unit, at: datetime, *, release_id: str = "") -> int:
    """Empty the queues of some stopped parcels; how many. What was being sent when its lease ended is unsure."""
    emptied = parcels.drain(unit, at, release_id=release_id)
    for parcel, release, unsure in emptied:
        ending.note_unsure(unit, release, parcel, unsure, at)
    return len(emptied)
