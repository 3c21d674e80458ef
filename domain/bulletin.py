"""What peers tell us: where an arrival stands, and whether a bulletin may be taken for one in force.

A hub never mixes what is real with what is practised (R11): a live hub takes only Actual as current, an exercise
or demo hub only Exercise and Test. Everything else is kept and shown apart, and nothing can be made of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.handling import Mode
from domain.moves import Moves

AHEAD = timedelta(minutes=10)  # PROMISES H58: what is farther ahead of our clock is for an officer
FIRST_SIGHT = timedelta(days=7)  # H57: what is older when we first see it may be a replay
ASSUMED = timedelta(hours=24)  # H63, CAP-R35: an alert without expires
CHAIN = 100  # H59: references of one message, and messages of one chain, that are followed
POINTS = 250  # H44: of a polygon that is kept beside the original


class ArrivalState(StrEnum):
    """Where the bytes of a peer stand."""

    RECEIVED = "received"  # durable, not yet read
    READ = "read"  # the bulletins in it are rows
    SHELVED = "shelved"  # none could be made of it; the shelf says why


ARRIVALS = Moves(
    "bulletin_arrival",
    ArrivalState,
    {
        (ArrivalState.RECEIVED, "read"): ArrivalState.READ,
        (ArrivalState.RECEIVED, "shelve"): ArrivalState.SHELVED,
        (ArrivalState.SHELVED, "reprocess"): ArrivalState.RECEIVED,
        (ArrivalState.READ, "countersign"): ArrivalState.RECEIVED,  # the same bytes, with another signature
    },
)


class ItemState(StrEnum):
    """Where a file stands that a feed of a peer names."""

    PENDING = "pending"  # to be fetched
    KEPT = "kept"  # an arrival
    REFUSED = "refused"  # not to be had, or not asked for; the row says why


ITEMS = Moves(
    "peer_item",
    ItemState,
    {
        (ItemState.PENDING, "keep"): ItemState.KEPT,
        (ItemState.PENDING, "refuse_item"): ItemState.REFUSED,
    },
)


class Standing(StrEnum):
    """Whether a bulletin counts."""

    CURRENT = "current"  # of our kind: in force until it ends or expires
    APART = "apart"  # kept and shown, and nothing can be made of it


BULLETINS = Moves(
    "bulletin",
    Standing,
    {
        (Standing.APART, "admit"): Standing.CURRENT,
        (Standing.CURRENT, "set_aside"): Standing.APART,
    },
)


class Apart(StrEnum):
    """Why a bulletin is apart."""

    OTHER_MODE = "other_mode"  # an exercise at a live hub, or something real at an exercise
    NOT_FOR_ALL = "not_for_all"  # scope Private or Restricted, or none that CAP knows
    NO_WARNING = "no_warning"  # Draft, System, Ack, Error: talk between systems
    OURSELVES = "ourselves"  # what we sent came back
    OTHER_SENDER = "other_sender"  # this peer speaks for others than it may
    AHEAD = "ahead"  # sent in the future, or at no time at all
    LATE = "late"  # older than first sight allows: an old one played again
    BROKEN_SEAL = "broken_seal"  # its signature says that it was changed
    QUARANTINED = "quarantined"  # set apart by an officer


ADMISSIBLE = frozenset(
    {Apart.AHEAD, Apart.LATE, Apart.QUARANTINED, Apart.NOT_FOR_ALL}
)  # by an officer's decision


class PairState(StrEnum):
    """Whether two bulletins tell of one event."""

    PROPOSED = "proposed"
    JOINED = "joined"
    PARTED = "parted"


PAIRS = Moves(
    "bulletin_pair",
    PairState,
    {
        (PairState.PROPOSED, "join"): PairState.JOINED,
        (PairState.PROPOSED, "part"): PairState.PARTED,
        (PairState.JOINED, "undo"): PairState.PROPOSED,
        (PairState.PARTED, "undo"): PairState.PROPOSED,
    },
)

OURS: Mapping[Mode, frozenset[str]] = {
    Mode.LIVE: frozenset({"Actual"}),
    Mode.EXERCISE: frozenset({"Exercise", "Test"}),
    Mode.DEMO: frozenset({"Exercise", "Test"}),
}
REAL_KINDS = frozenset({"Alert", "Update", "Cancel"})  # the others are answers between systems


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a bulletin says, read from its bytes; `alert` holds the texts of each language."""

    identifier: str
    sender: str
    sent: datetime | None
    sent_as: str  # as it was written: what has no time still has a name
    status: str
    msg_type: str
    scope: str
    format: str  # 1.1 | 1.2 | CAP-CN | JSON CAP ...
    references: tuple[tuple[str, str, datetime | None], ...] = ()
    event_scheme: str = ""
    event_code: str = ""
    event: str = ""
    headline: str = ""
    severity: str = ""
    category: str = ""
    onset: datetime | None = None
    effective: datetime | None = None
    expires: datetime | None = None
    areas: Mapping[str, Any] = field(default_factory=dict)  # codes, boxes, polygons, circles, names
    alert: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[Mapping[str, Any]] = ()
    digest: str = ""  # of what it says, however it is written
    seal: str = "none"
    seal_key: str = ""
    seal_reason: str = ""


def why_apart(
    said: Said, mode: Mode, *, ourselves: str, senders: Sequence[str], at: datetime
) -> Apart | None:
    """Why this bulletin does not count at a hub of `mode`, None when it does.

    `senders`: whom its peer may speak for, everybody when empty.
    """
    if ourselves and said.sender == ourselves:
        return Apart.OURSELVES
    if said.status in ("Draft", "System") or said.msg_type not in REAL_KINDS:
        return Apart.NO_WARNING
    if said.status not in OURS[mode]:
        return Apart.OTHER_MODE
    if senders and said.sender not in senders:
        return Apart.OTHER_SENDER
    if said.seal == "broken":
        return Apart.BROKEN_SEAL
    if said.scope != "Public":
        return Apart.NOT_FOR_ALL
    return _by_time(said.sent, at)


def _by_time(sent: datetime | None, at: datetime) -> Apart | None:
    if sent is None or sent > at + AHEAD:
        return Apart.AHEAD
    return Apart.LATE if sent < at - FIRST_SIGHT else None


def expiry(said: Said, received_at: datetime) -> tuple[datetime, bool]:
    """When it ends by itself, and whether we had to assume that; an expiry before `sent` is none (H63)."""
    start = said.sent or received_at
    if said.expires is not None and said.expires >= start:
        return said.expires, False
    return start + ASSUMED, True
