"""What came in: `Inbound` as it arrived, `Report` as the hub understands it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.handling import Handling
from domain.moves import Moves
from domain.sender import SenderCheck


class Arrival(StrEnum):
    """Where one message at a door stands."""

    RECEIVED = "received"  # durable, not yet read
    FILED = "filed"  # a report in the queue holds it
    SHELVED = "shelved"  # unreadable; kept with its reason


ARRIVALS = Moves(
    "inbound",
    Arrival,
    {
        (Arrival.RECEIVED, "file"): Arrival.FILED,
        (Arrival.RECEIVED, "shelve"): Arrival.SHELVED,
        (Arrival.SHELVED, "reprocess"): Arrival.RECEIVED,
    },
)


class MediaState(StrEnum):
    """Where one picture or sound stands that a message only names: it lies at the provider."""

    PENDING = "pending"  # to be fetched; the report is filed without it
    KEPT = "kept"  # an attachment of the report
    REFUSED = "refused"  # not to be had, or not wanted; the row says why


MEDIA = Moves(
    "media",
    MediaState,
    {
        (MediaState.PENDING, "attach"): MediaState.KEPT,
        (MediaState.PENDING, "refuse_media"): MediaState.REFUSED,
    },
)


class ScanState(StrEnum):
    """Where the look into one file of a report stands: what it holds, and what it says."""

    PENDING = "pending"  # not scanned yet; the report is in the queue without it
    SCANNED = "scanned"  # what was found is in the row, also that a part of it could not be read
    UNSCANNED = "unscanned"  # given up; the row says why


SCANS = Moves(
    "scan",
    ScanState,
    {
        (ScanState.PENDING, "scan"): ScanState.SCANNED,
        (ScanState.PENDING, "give_up_scan"): ScanState.UNSCANNED,
        (ScanState.UNSCANNED, "scan_again"): ScanState.PENDING,
    },
)


class State(StrEnum):
    """Where a report stands."""

    FILED = "filed"  # in the queue
    CLAIMED = "claimed"  # 受理: one officer has it
    VERIFIED = "verified"  # 核实
    MERGED = "merged"  # 归并: a repeat of another report
    TRANSFERRED = "transferred"  # 移送: another authority's duty
    SIGNED_FOR = "signed_for"  # 签收
    CLOSED = "closed"  # 办结


def _open(action: str, after: State) -> dict[tuple[State, str], State]:
    return {(s, action): after for s in (State.FILED, State.CLAIMED, State.VERIFIED)}


MOVES = Moves(
    "report",
    State,
    {
        (State.FILED, "claim"): State.CLAIMED,
        (State.CLAIMED, "release_claim"): State.FILED,
        (State.CLAIMED, "take_over"): State.CLAIMED,
        (State.VERIFIED, "take_over"): State.VERIFIED,
        (State.CLAIMED, "verify"): State.VERIFIED,
        (State.CLAIMED, "merge"): State.MERGED,
        (State.VERIFIED, "merge"): State.MERGED,
        (State.MERGED, "unmerge"): State.CLAIMED,
        (State.TRANSFERRED, "sign_for"): State.SIGNED_FOR,
        (State.TRANSFERRED, "transfer"): State.TRANSFERRED,
        (State.SIGNED_FOR, "transfer"): State.TRANSFERRED,
        (State.TRANSFERRED, "take_back"): State.CLAIMED,
        (State.SIGNED_FOR, "take_back"): State.CLAIMED,
        (State.SIGNED_FOR, "close"): State.CLOSED,
        (State.CLAIMED, "close"): State.CLOSED,
        (State.VERIFIED, "close"): State.CLOSED,
        (State.CLOSED, "reopen"): State.CLAIMED,
        **_open("transfer", State.TRANSFERRED),
    },
)


class Progress(StrEnum):
    """What whoever reported may know of the report: never who has it, nor why it was closed."""

    RECEIVED = "received"  # 已收到
    ACCEPTED = "accepted"  # 已受理
    SETTLED = "settled"  # 已处理


PROGRESS = {
    State.FILED: Progress.RECEIVED,
    State.CLAIMED: Progress.ACCEPTED,
    State.VERIFIED: Progress.ACCEPTED,
    State.MERGED: Progress.ACCEPTED,  # as far as the report it was merged into: store.inbox.stand follows it
    State.TRANSFERRED: Progress.ACCEPTED,  # another authority deals with it
    State.SIGNED_FOR: Progress.ACCEPTED,
    State.CLOSED: Progress.SETTLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One message exactly as a door received it; never edited afterwards."""

    channel: str  # the door: phone | email | sms | api | web | field | voice | fax | peer
    external_id: str  # unique per channel; the key against repeats
    raw: bytes
    media_type: str
    received_at: datetime  # aware, UTC
    sender: str = ""  # as given by the door: a number, an envelope address, a client id
    meta: Mapping[str, Any] = field(default_factory=dict)  # JSON; what the door knew beside the bytes
    organisation: str = ""
    handling: Handling = Handling.INTERNAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What receive() answers: the row that now holds the message, old or new."""

    inbound_id: str
    report_id: str
    code: str
    is_fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value with its origin: who or what says so."""

    value: str
    origin: str  # caller | envelope | header | exif | parser | department | citizen | officer
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a report, stored by the SHA-256 of its bytes."""

    sha256: str
    name: str  # as the sender called it, cleaned for display only
    media_type: str  # by content
    declared_type: str
    size: int
    is_inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one version of a report says. Immutable; a new reading is a new version."""

    text: str
    language: str  # zh | en | ja | ... | und
    facts: Mapping[str, tuple[Fact, ...]]  # sender, subject, place, time, position, area ...
    attachments: tuple[Attachment, ...] = ()
    findings: tuple[str, ...] = ()  # marks of the parsers: unverified_sender, no_readable_text ...

    def first(self, name: str) -> str:
        """The leading value of fact `name`, or ''."""
        values = self.facts.get(name, ())
        return values[0].value if values else ""


DESTROYED = Content(
    text="", language="und", facts={}, findings=("destroyed",)
)  # its key is gone, with all it sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A row of the queue."""

    id: str
    code: str
    channel: str
    organisation: str
    handling: Handling
    state: State
    revision: int
    received_at: datetime
    filed_at: datetime
    content: Content
    claimed_by: str = ""
    claimed_at: datetime | None = None
    event_code: str = ""
    grade: int | None = None  # 1 特别重大 .. 4 一般
    area: str = ""  # an officer's, or as the sender gave it
    found_area: str = ""  # what its places leave no doubt about, or an officer chose among them
    closed_reason: str = ""
    merged_into: str = ""
    is_aside: bool = False  # in quarantine: abuse, or of a blocked sender
    compartments: int = 0  # domain.secrecy.Compartment: whoever reads this sees them all
    sender: SenderCheck | None = None  # of a mail; other doors know their senders, or cannot

    @property
    def where(self) -> str:
        """The division that lists go by: the officer's, else what was found."""
        return self.area or self.found_area

    @property
    def trust(self) -> int:
        """0: who sent it is only claimed, and nothing may follow or be closed on its word alone. 1: proved.

        A department proves itself by its key. A caller's number, and what he says of himself, prove nothing.
        """
        return self.sender.trust if self.sender else int(self.channel in ("api", "field"))

    @property
    def findings(self) -> tuple[str, ...]:
        """What the parsers found, less the doubt about the sender when the sender has been verified."""
        is_proved = self.sender is not None and self.trust > 0
        return tuple(f for f in self.content.findings if not (is_proved and f == "unverified_sender"))
