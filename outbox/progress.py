"""How far a release has got: counts by channel and state that add up to its reach at every moment."""

from collections.abc import Sequence
from typing import Any

from domain.artefact import Purpose
from domain.errors import NotFound
from domain.parcel import REACHED, DeliveryState, DispatchState
from domain.release import Release
from store import audience, lookups, parcels, promises, releases
from store.promises import Dispatch
from store.unit import Unit

_NOT_TRIED = {DeliveryState.QUEUED, DeliveryState.STOPPED, DeliveryState.OPTED_OUT, DeliveryState.EXPIRED}


def summary(unit: Unit, release_id: str) -> dict[str, Any]:
    """What a monitor shows. Raises NotFound.

    {"release", "state", "reach", "adds_up", "channels": {channel: {"dispatches": [{"id", "language",
    "state"}], "reach", "unexpanded", "states": {delivery state: n}, "adds_up", "first_at", "last_at",
    "look_ups": {verdict: n}, "probably": n | None, "by_spare": n,
    "doubled": n}},
    "endings": {"lift" | "correction": channels as above}}.
    `unexpanded` counts addresses that are not yet rows; `adds_up` says that states and unexpanded make
    up the reach. `look_ups` says what providers answered about deliveries (outbox.lookup.Verdict), `probably`
    how many of the unsure have arrived if they are like those that were settled, `by_spare` how many were last
    tried by the spare provider, `doubled` how many were sent again unproven, as the release says, and may come
    twice. Times are of the first and the
    last attempt or receipt, None before. A channel that publishes to everyone has reach None. The reach of an
    ending is whom its warning reached, or may have.
    """
    release = releases.get(unit, release_id)
    if release is None:
        raise NotFound("no such release")
    dispatches = promises.of_release(unit, release_id)
    tally = parcels.tally(unit, release_id)
    channels = _channels(dispatches, tally, Purpose.MAIN)
    for (name, verdict), n in lookups.verdicts(unit, release_id).items():
        channels[name]["look_ups"][verdict or "under_way"] = n
    doubles = lookups.doubles(unit, release_id)
    for name, channel in channels.items():
        channel["probably"] = _probably(channel)
        channel["doubled"] = doubles.get((Purpose.MAIN.value, name), 0)
        mine = [d for d in dispatches if d.channel == name and d.purpose == Purpose.MAIN]
        _reach(unit, release, name, channel, mine)
    endings = {
        purpose.value: found
        for purpose in (Purpose.LIFT, Purpose.CORRECTION)
        if (found := _channels(dispatches, tally, purpose))
    }
    for purpose, found in endings.items():
        for name, channel in found.items():
            channel["doubled"] = doubles.get((purpose, name), 0)
            walking = [
                d for d in dispatches if (d.purpose, d.channel) == (purpose, name) and not d.is_expanded
            ]
            _reach_of_ending(channels[name], channel, is_walked=not walking)
    total = sum(c["reach"] or 0 for c in channels.values())
    return {
        "release": release_id, "state": release.state.value, "reach": release.reach,
        "adds_up": total == release.reach and all(c["adds_up"] for c in channels.values()),
        "channels": channels, "endings": endings,
    }  # fmt: skip


def _channels(dispatches: Sequence[Dispatch], tally: Sequence[Any], purpose: Purpose) -> dict[str, Any]:
    channels: dict[str, Any] = {}
    for dispatch in dispatches:
        if dispatch.purpose == purpose:
            channel = channels.setdefault(dispatch.channel, _empty())
            one = {"id": dispatch.id, "language": dispatch.language, "state": dispatch.state.value}
            channel["dispatches"].append(one)
    for row in tally:
        if row.purpose == purpose:
            _count(channels[row.channel], row)
    return channels


def _reach_of_ending(main: dict[str, Any], channel: dict[str, Any], *, is_walked: bool) -> None:
    if main["reach"] is None:
        return
    rows = sum(channel["states"].values())
    reached = sum(main["states"].get(state.value, 0) for state in REACHED)
    # a receipt may still turn "sent" into "failed": what is a row stays one; of what was replaced, whom the
    # later one reached hears the ending of that one
    channel["reach"] = rows if is_walked else max(reached, rows)
    channel["unexpanded"] = channel["reach"] - rows


def _empty() -> dict[str, Any]:
    return {"dispatches": [], "reach": None, "unexpanded": 0, "states": {}, "adds_up": True,
            "first_at": None, "last_at": None, "look_ups": {}, "probably": None, "by_spare": 0, "doubled": 0}  # fmt: skip


def _probably(channel: dict[str, Any]) -> int | None:
    """Of the unsure; None when nothing is known that they could be measured by."""
    looks, unsure = channel["look_ups"], channel["states"].get(DeliveryState.UNSURE.value, 0)
    arrived = looks.get("found", 0) + looks.get("settled", 0)
    decided = arrived + looks.get("absent", 0)
    return round(unsure * arrived / decided) if unsure and decided else None


def _count(channel: dict[str, Any], row: Any) -> None:
    states = channel["states"]
    states[row.state] = states.get(row.state, 0) + row.n
    channel["by_spare"] += row.by_spare
    if row.state not in _NOT_TRIED:
        first, last = channel["first_at"], channel["last_at"]
        channel["first_at"] = min(first, row.first_at) if first else row.first_at
        channel["last_at"] = max(last, row.last_at) if last else row.last_at


def _reach(unit: Unit, release: Release, name: str, channel: dict[str, Any], mine: list[Dispatch]) -> None:
    rows = sum(channel["states"].values())
    is_published = all(d.is_expanded and not d.expanded for d in mine) and not rows
    if is_published:
        return
    if all(d.is_expanded for d in mine):
        channel["reach"] = sum(d.expanded for d in mine)
    else:
        wanted = release.draft.audience
        _, channel["reach"] = audience.count(
            unit, channel=name, areas=wanted.areas or release.draft.areas, groups=wanted.groups,
            languages=wanted.languages, list_version=release.list_version,
        )  # fmt: skip
    left = channel["reach"] - rows
    is_stopped = any(d.state is DispatchState.STOPPED for d in mine)
    channel["unexpanded"] = 0 if is_stopped else left
    if is_stopped and left:
        channel["states"][DeliveryState.STOPPED.value] = channel["states"].get("stopped", 0) + left
    channel["adds_up"] = (
        left >= 0 and sum(channel["states"].values()) + channel["unexpanded"] == channel["reach"]
    )
