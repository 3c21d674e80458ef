"""What the outbox works with: handed to each of its acts, built once by the hub."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

from channels.contract import Publisher, Wire
from outbox.pace import Pace
from outbox.window import Courier
from store.database import Store

CHINA = timezone(timedelta(hours=8), "CST")  # Asia/Shanghai has had no other offset since 1991


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Store, wires and clock of one process. `bell(job, id)` never raises; a lost ring loses nothing."""

    store: Store
    wires: Mapping[str, Wire]  # channel -> wire that takes addresses
    publishers: Mapping[str, Publisher]  # channel -> publisher to everyone at once
    paces: Mapping[str, Pace]  # channel -> this process's share of the provider's rate
    courier: Courier
    clock: Callable[[], datetime]
    bell: Callable[[str, str], None]
    stop_file: Path  # data/STOP: while it exists nothing new leaves
    public_dir: Path  # root of the public files: /public/alerts.atom lies at public_dir/public/alerts.atom
    public_url: str
    zone: tzinfo = CHINA  # of printed numbers and months


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What workers run, each by the id of its row; safe to run twice, for any id."""

    file_report: Callable[[str], None]
    relay: Callable[[str], None]
    deliver: Callable[[str], None]
    publish: Callable[[str], None]
    fetch_media: Callable[[str], None] = lambda _id: None  # of a hub whose messages name no media
    check_sender: Callable[[str], None] = lambda _id: None  # nothing, where DNS is not asked

    @property
    def deliver_mail(self) -> Callable[[str], None]:
        """deliver() for the workers of the mail lane."""
        return self.deliver

    @property
    def deliver_urgent(self) -> Callable[[str], None]:
        """deliver() for the workers of the urgent lane."""
        return self.deliver
