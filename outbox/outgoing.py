"""What the outbox works with: handed to each of its acts, built once by the hub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

from channels.contract import Publisher, Wire
from outbox.pace import Pace
from outbox.window import Courier
from store.database import Store

NO_PACE = Pace(0)
CHINA = timezone(timedelta(hours=8), "CST")  # Asia/Shanghai has had no other offset since 1991


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Store, wires and clock of one process. `bell(job, id)` never raises; a lost ring loses nothing."""

    store: Store
    wires: Mapping[str, Wire]  # channel -> wire that takes addresses
    publishers: Mapping[str, Publisher]  # channel -> publisher to everyone at once
    paces: Mapping[str, Pace]  # channel, or name of a spare -> this process's share of the provider's rate
    courier: Courier
    clock: Callable[[], datetime]
    bell: Callable[[str, str], None]
    stop_file: Path  # data/STOP: while it exists nothing new leaves
    public_dir: Path  # root of the public files: /public/alerts.atom lies at public_dir/public/alerts.atom
    public_url: str
    zone: tzinfo = CHINA  # of printed numbers and months
    spares: Mapping[str, Wire] = field(
        default_factory=dict
    )  # channel -> called while the provider of its wire rests

    def wire_now(self, channel: str) -> Wire | None:
        """The wire that a call of this channel goes by: its own, or its spare while that one must not be called."""
        first, spare = self.wires.get(channel), self.spares.get(channel)
        if first is None or spare is None or not self.courier.breaker_of(first).is_passed_over:
            return first
        if not self.courier.breaker_of(spare).is_passed_over:
            return spare
        rests = [self.courier.breaker_of(wire).look().rest for wire in (first, spare)]
        return first if rests[0] <= rests[1] else spare  # whichever may be called again first

    def wire_of(self, channel: str, spare: str) -> Wire | None:
        """The wire that an attempt was made by; `spare` is the name that the attempt bears, '' for the channel's own."""
        found = self.spares.get(channel) if spare else self.wires.get(channel)
        return found if found is None or not spare or found.name == spare else None

    def spare_name(self, wire: Wire) -> str:
        """What an attempt by it bears: the name of a spare, '' for a channel's own."""
        return wire.name if self.spares.get(wire.channel) is wire else ""

    def pace_of(self, wire: Wire) -> Pace:
        """How fast it may be called."""
        return self.paces.get(wire.name if self.spare_name(wire) else wire.channel, NO_PACE)

    def all_wires(self) -> list[Wire]:
        """Those of all channels, and their spares."""
        return [*self.wires.values(), *self.spares.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What workers run, each by the id of its row; safe to run twice, for any id."""

    file_report: Callable[[str], None]
    relay: Callable[[str], None]
    deliver: Callable[[str], None]
    publish: Callable[[str], None]
    scan_file: Callable[[str], None] = lambda _id: None
    fetch_media: Callable[[str], None] = lambda _id: None  # of a hub whose messages name no media
    attach_upload: Callable[[str], object] = lambda _id: None
    tell_webhook: Callable[[str], object] = lambda _id: None
    study_report: Callable[[str], None] = lambda _id: None
    read_bulletin: Callable[[str], None] = lambda _id: None
    pull_peer: Callable[[str], None] = lambda _id: None
    check_sender: Callable[[str], None] = lambda _id: None  # nothing, where DNS is not asked

    @property
    def deliver_mail(self) -> Callable[[str], None]:
        """deliver() for the workers of the mail lane."""
        return self.deliver

    @property
    def deliver_urgent(self) -> Callable[[str], None]:
        """deliver() for the workers of the urgent lane."""
        return self.deliver
