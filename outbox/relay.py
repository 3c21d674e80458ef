"""Sends each promise to its lane: files for everyone, or parcels for those with an address."""

from datetime import timedelta
from enum import StrEnum

from domain.artefact import Purpose
from domain.parcel import DispatchState
from outbox import ending
from outbox.lanes import job_of
from outbox.outgoing import Outgoing
from store import audience, endings, promises, releases
from store.audience import Selector
from store.promises import Dispatch
from store.unit import Unit

IN_HAND = timedelta(seconds=4)  # of one step; a dead worker's promise is offered again after it
CALLS_END = timedelta(seconds=1)  # between looks whether the calls of a stopped warning have ended
LOOK_AGAIN = timedelta(seconds=5)  # whether an expanded dispatch is done, in case its last worker died


class Relayed(StrEnum):
    """What became of a dispatch."""

    NOT_DUE = "not_due"
    NO_LANE = "no_lane"  # neither a wire nor a publisher for its channel in this process
    PUBLISHING = "publishing"
    WAITS = "waits"  # an ending: calls of its warning are under way, and may reach somebody
    EXPANDED = "expanded"


def relay(out: Outgoing, dispatch_id: str) -> Relayed:
    """Take a due dispatch in hand and bring it on its way. Safe to repeat, and resumes after a crash."""
    at = out.clock()
    dispatch = out.store.run(lambda unit: _take(unit, out, dispatch_id))
    if dispatch is None:
        return Relayed.NOT_DUE
    if dispatch.channel in out.publishers:
        out.bell("publish", dispatch_id)
        return Relayed.PUBLISHING
    if dispatch.channel not in out.wires:
        out.store.run(lambda unit: promises.postpone(unit, dispatch_id, at + timedelta(minutes=1)))
        return Relayed.NO_LANE
    step = _expand if dispatch.purpose == Purpose.MAIN.value else _expand_ending
    while not dispatch.is_expanded:
        found = out.store.run(lambda unit: step(unit, out, dispatch_id))
        if found is None:
            return Relayed.NOT_DUE
        names, dispatch = found
        for name in names:
            out.bell(job_of(dispatch.lane), name)
        if dispatch.next_due <= out.clock() + CALLS_END:  # it waits for the warning's last calls
            return Relayed.WAITS
    out.store.run(lambda unit: ending.finish(unit, dispatch_id, out.clock()))
    return Relayed.EXPANDED


def _take(unit: Unit, out: Outgoing, dispatch_id: str) -> Dispatch | None:
    at = out.clock()
    seen = promises.get(unit, dispatch_id)
    if seen is None or seen.next_due > at or seen.state not in (DispatchState.READY, DispatchState.OPEN):
        return None
    if seen.channel not in out.wires and seen.channel not in out.publishers:
        return seen
    if seen.release:  # before the dispatch: every act locks in this order
        ending.start(unit, seen.release, at)
    dispatch = promises.take(unit, dispatch_id, at=at, until=at + IN_HAND)
    if dispatch is None:
        return None
    if dispatch.state is DispatchState.READY:
        promises.move(unit, dispatch, "start", at)
        dispatch = promises.get(unit, dispatch_id)
    if dispatch is not None and dispatch.channel in out.publishers and not dispatch.is_expanded:
        # nothing to expand: from now on the sweep offers it to the publishing lane
        promises.note_expanded(unit, dispatch_id, cursor="", expanded=0, is_expanded=True, next_due=at)
    return dispatch


def _expand(unit: Unit, out: Outgoing, dispatch_id: str) -> tuple[list[str], Dispatch] | None:
    """One chunk of the audience; None when the dispatch is no longer open, or somebody finished it."""
    at = out.clock()
    dispatch = promises.get(unit, dispatch_id, lock=True)
    release = releases.get(unit, dispatch.release) if dispatch else None
    if (
        dispatch is None
        or release is None
        or dispatch.state is not DispatchState.OPEN
        or dispatch.is_expanded
    ):
        return None
    wanted = release.draft.audience
    chosen = Selector(
        channel=dispatch.channel, list_version=release.list_version,
        areas=wanted.areas or release.draft.areas, groups=wanted.groups, languages=wanted.languages,
    )  # fmt: skip
    promised = {d.language for d in promises.of_release(unit, release.id) if d.channel == dispatch.channel}
    spoken = [language for language in release.draft.languages if language in promised]
    names, cursor, size = audience.expand(unit, dispatch, chosen, spoken, at)
    is_over = size < audience.most_of(dispatch)
    promises.note_expanded(
        unit, dispatch_id, cursor=cursor, expanded=dispatch.expanded + size, is_expanded=is_over,
        next_due=at + (LOOK_AGAIN if is_over else IN_HAND),
    )  # fmt: skip
    after = promises.get(unit, dispatch_id)
    return (names, after) if after else None


def _expand_ending(unit: Unit, out: Outgoing, dispatch_id: str) -> tuple[list[str], Dispatch] | None:
    """One chunk of those whom the warning reached; None when the dispatch is no longer open, or is expanded.

    First everybody reached so far, at once. Then, when no call of the warning is under way, those whom its
    last calls have reached. An attempt that is under way may end either way: whoever has not got the warning
    gets no ending of it.
    """
    at = out.clock()
    dispatch = promises.get(unit, dispatch_id, lock=True)
    if dispatch is None or dispatch.state is not DispatchState.OPEN or dispatch.is_expanded:
        return None
    names: list[str] = []
    cursor, size, next_due = dispatch.cursor, 0, at + CALLS_END
    if cursor != endings.BEHIND or endings.is_quiet(unit, dispatch):
        names, cursor, size = endings.expand(unit, dispatch, at)
        next_due = at + (LOOK_AGAIN if cursor == endings.DONE else IN_HAND)
    promises.note_expanded(
        unit, dispatch_id, cursor=cursor, expanded=dispatch.expanded + size,
        is_expanded=cursor == endings.DONE, next_due=next_due,
    )  # fmt: skip
    after = promises.get(unit, dispatch_id)
    return (names, after) if after else None
