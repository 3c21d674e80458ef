"""When a dispatch is done, and when with it the release has been published."""

from dataclasses import replace
from datetime import datetime

from domain.parcel import DispatchState
from domain.release import MOVES, State
from store import journal, parcels, promises, releases
from store.unit import Unit


def start(unit: Unit, release_id: str, at: datetime) -> None:
    """The first lane has begun: approved -> publishing. Nothing for every other state."""
    _move(unit, release_id, State.APPROVED, "start", at)


def finish(unit: Unit, dispatch_id: str, at: datetime) -> bool:
    """Close an expanded dispatch without parcels to work on; the last one ends publishing.

    Safe to repeat. The release is locked before its dispatches, as everywhere.
    """
    seen = promises.get(unit, dispatch_id)
    if seen is None or not seen.is_expanded or seen.state is not DispatchState.OPEN:
        return False
    if parcels.is_going(unit, dispatch_id):
        return False
    return close(unit, dispatch_id, at)


def close(unit: Unit, dispatch_id: str, at: datetime) -> bool:
    """An open dispatch has kept its promise; False if it is no longer open."""
    seen = promises.get(unit, dispatch_id)
    if seen is None:
        return False
    if seen.release:
        releases.get(unit, seen.release, lock=True)
    dispatch = promises.get(unit, dispatch_id, lock=True)
    if dispatch is None or dispatch.state is not DispatchState.OPEN:
        return False
    promises.move(unit, dispatch, "finish", at)
    if dispatch.release:
        detail = {"dispatch": dispatch.id, "channel": dispatch.channel, "language": dispatch.language,
                  "deliveries": dispatch.expanded}  # fmt: skip
        journal.append(unit, "release", dispatch.release, "dispatched", by="system", at=at, detail=detail)
        if promises.is_all_kept(unit, dispatch.release):
            _move(unit, dispatch.release, State.PUBLISHING, "finish", at)
    return True


def note_unsure(unit: Unit, release_id: str, parcel: str, count: int, at: datetime) -> None:
    """Journal that attempts ended without an answer: a count, never who. Nothing for a count of none."""
    if count and release_id:
        detail = {"parcel": parcel, "count": count}
        journal.append(unit, "release", release_id, "unsure", by="system", at=at, detail=detail)


def _move(unit: Unit, release_id: str, before: State, action: str, at: datetime) -> None:
    release = releases.get(unit, release_id, lock=True)
    if release is None or release.state is not before:
        return
    after = replace(release, state=MOVES.after(release.state, action))
    releases.save(unit, release, after, at)
    detail = {"from": before.value, "to": after.state.value}
    journal.append(unit, "release", release_id, action, by="system", at=at, detail=detail)
