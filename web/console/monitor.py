"""How far a release and its endings have got, as the desk shows it: every number, and what they mean together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from domain.parcel import REACHED, DeliveryState, DispatchState
from domain.release import Release, State
from outbox import progress
from store import providers
from store.providers import Provider
from store.unit import Unit

MOVING = (State.APPROVED, State.PUBLISHING)
OUT = (*MOVING, State.PUBLISHED, State.STOPPED, State.CANCELLED, State.CORRECTED, State.SUPERSEDED, State.UNLIFTED,
       State.EXPIRED)  # fmt: skip
_OVER = (DeliveryState.DELIVERED, DeliveryState.READ)
_WAITING = (DeliveryState.QUEUED, DeliveryState.SENDING)
_OPEN = (DispatchState.READY.value, DispatchState.OPEN.value)
_FAST, _SLOW = 2, 10  # s between looks: while something leaves, and while receipts may still come in


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One channel. The numbers of `states` and `unexpanded` make up `reach`; None: published to everyone."""

    channel: str
    dispatches: Sequence[Mapping[str, str]]
    reach: int | None
    states: Sequence[tuple[str, int]]  # in the order of a delivery's life
    unexpanded: int
    adds_up: bool
    look_ups: Mapping[str, int] = field(default_factory=dict)  # verdict -> deliveries
    probably: int | None = None  # of the unsure, to whom it has come
    provider: Provider | None = None  # when it troubles us; the channel's own before its spare
    is_spared: bool = False  # another provider is called meanwhile
    by_spare: int = 0  # deliveries that went by it
    doubled: int = 0  # sent again unproven, as the release says: they may come twice

    @property
    def unsure(self) -> int:
        """Of how many nobody knows."""
        return self.count(DeliveryState.UNSURE)

    @property
    def asked(self) -> int:
        """Deliveries that the provider has said something certain about."""
        return sum(self.look_ups.get(v, 0) for v in ("found", "absent"))

    @property
    def over(self) -> int:
        """Those who have it for certain."""
        return self.count(*_OVER)

    @property
    def reached(self) -> int:
        """Those who have it, or may."""
        return self.count(*REACHED)

    @property
    def waiting(self) -> int:
        """Those to whom it has not left."""
        return self.count(*_WAITING) + self.unexpanded

    def count(self, *states: DeliveryState) -> int:
        """Deliveries in any of `states`."""
        wanted = {s.value for s in states}
        return sum(n for state, n in self.states if state in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """All channels, and the endings that were sent: purpose -> channels."""

    lines: Sequence[Line]
    endings: Mapping[str, Sequence[Line]]
    is_moving: bool

    @property
    def reached(self) -> int:
        """To how many an ending would go."""
        return sum(line.reached for line in self.lines)

    @property
    def waiting(self) -> int:
        """What a stop keeps here."""
        return sum(line.waiting for line in self.lines)

    @property
    def unsure(self) -> int:
        """Of how many nobody knows."""
        return sum(line.unsure for line in self.lines)

    @property
    def opted_out(self) -> int:
        """To how many nothing left because they opted out."""
        return sum(line.count(DeliveryState.OPTED_OUT) for line in self.lines)

    @property
    def pause(self) -> int:
        """Seconds until the page looks again."""
        return _FAST if self.is_moving else _SLOW


def monitor(unit: Unit, release: Release, at: datetime, spares: Collection[str] = ()) -> Monitor:
    """The numbers of a release that has left, or is leaving; `spares` are channels with a second provider."""
    told = progress.summary(unit, release.id)
    troubled = providers.troubled(unit, at)
    lines = [_with_provider(line, troubled, spares) for line in _lines(told["channels"])]
    endings = {purpose: _lines(channels) for purpose, channels in told["endings"].items()}
    everything = [*lines, *(line for found in endings.values() for line in found)]
    is_open = any(d["state"] in _OPEN for line in everything for d in line.dispatches)
    is_moving = release.state in MOVING or is_open or any(line.count(*_WAITING) for line in everything)
    return Monitor(lines=lines, endings=endings, is_moving=is_moving)


def _with_provider(line: Line, troubled: Sequence[Provider], spares: Collection[str]) -> Line:
    own = next((one for one in troubled if one.channel == line.channel and not one.spare), None)
    is_spare_well = not any(one.channel == line.channel and one.spare for one in troubled)
    return replace(line, provider=own, is_spared=line.channel in spares and is_spare_well)


def _lines(channels: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    order = {"sms": 0, "email": 1, "telegram": 2}
    names = sorted(channels, key=lambda name: (order.get(name, 9), name))
    return [_line(name, channels[name]) for name in names]


def _line(name: str, told: Mapping[str, Any]) -> Line:
    life = [s.value for s in DeliveryState]
    states = sorted(((s, n) for s, n in told["states"].items() if n), key=lambda pair: life.index(pair[0]))
    return Line(channel=name, dispatches=told["dispatches"], reach=told["reach"], states=states,
                unexpanded=told["unexpanded"], adds_up=told["adds_up"], look_ups=told["look_ups"],
                probably=told["probably"], by_spare=told["by_spare"], doubled=told["doubled"])  # fmt: skip
