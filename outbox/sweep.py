"""Finds what is due and what a dead worker left: the reason why a lost bell loses nothing (law 1)."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.parcel import DispatchState
from domain.release import MOVES, Release, State
from outbox import ending, recall, receipts
from outbox.lanes import jobs
from store import journal, parcels, promises, releases
from store.unit import Unit
from templates.library import pinned

LOOK_AGAIN = timedelta(seconds=5)


def due(unit: Unit, at: datetime) -> list[tuple[str, str]]:
    """(job, id) of every row that somebody should work on now, lanes first, then parcels by their age."""
    found: list[tuple[str, str]] = []
    for dispatch in promises.due(unit, at):
        if not dispatch.is_expanded:
            found.append(("relay", dispatch.id))
        elif not dispatch.expanded:  # a publisher's, or an audience of nobody
            found.append(("publish", dispatch.id))
    named = [lane for lanes in jobs().values() for lane in lanes or ()]
    for job, lanes in jobs().items():  # each lane its own list: a long one hides no other
        others = () if lanes else named
        found += [(job, parcel) for parcel in parcels.due(unit, at, lanes=lanes or (), others=others)]
    return found


def recover(unit: Unit, at: datetime) -> int:
    """Take up what dead workers left: leases that are over, dispatches whose last parcel is settled.

    How many rows changed. What was being sent is unsure: its attempt was written down, its answer was not.
    """
    changed = 0
    for parcel, _dispatch, release, unsure in parcels.recover(unit, at):
        changed += 1
        ending.note_unsure(unit, release, parcel, unsure, at)
    for dispatch in promises.due(unit, at):
        if dispatch.state is DispatchState.OPEN and dispatch.is_expanded and dispatch.expanded:
            if ending.finish(unit, dispatch.id, at):
                changed += 1
            else:
                promises.postpone(unit, dispatch.id, at + LOOK_AGAIN)
    return changed


def tidy(unit: Unit, at: datetime) -> int:
    """The slower part, every few seconds: stopped queues, receipts that waited, releases that are over."""
    return recall.drain(unit, at) + receipts.apply_waiting(unit, at) + expire(unit, at)


def expire(unit: Unit, at: datetime) -> int:
    """End published releases whose time is over: they expire, or are unlifted (到期未解除).

    What has a colour, or a template that says so, is lifted by somebody and not by a clock.
    """
    changed = 0
    for release_id in releases.ids_in(unit, [State.PUBLISHED]):
        seen = releases.get(unit, release_id)
        if seen is None or seen.draft.expires > at:
            continue
        release = releases.get(unit, release_id, lock=True)
        if release is None or release.state is not State.PUBLISHED:
            continue
        action = "overdue" if _needs_lifting(release) else "expire"
        after = replace(release, state=MOVES.after(release.state, action))
        releases.save(unit, release, after, at)
        detail = {"from": release.state.value, "to": after.state.value}
        journal.append(unit, "release", release_id, action, by="system", at=at, detail=detail)
        changed += 1
    return changed


def _needs_lifting(release: Release) -> bool:
    draft = release.draft
    return bool(draft.colour or pinned(draft.template, draft.template_version).policy.get("needs_lifting"))
