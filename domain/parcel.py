"""Promises on their way: dispatch, parcel, delivery, and what providers said about them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.moves import Moves

BATCH = 500  # deliveries in a parcel: one INSERT ... SELECT of 500 takes under 5 ms


class DispatchState(StrEnum):
    """Where one artefact's promise stands."""

    READY = "ready"
    OPEN = "open"  # its audience is being expanded, its parcels sent, or its files written
    DONE = "done"
    STOPPED = "stopped"


DISPATCHES = Moves(
    "dispatch",
    DispatchState,
    {
        (DispatchState.READY, "start"): DispatchState.OPEN,
        (DispatchState.OPEN, "finish"): DispatchState.DONE,
        (DispatchState.READY, "stop"): DispatchState.STOPPED,
        (DispatchState.OPEN, "stop"): DispatchState.STOPPED,
    },
)


class ParcelState(StrEnum):
    """Where up to BATCH deliveries of one dispatch stand."""

    READY = "ready"
    LEASED = "leased"
    SETTLED = "settled"
    STOPPED = "stopped"
    BURIED = "buried"  # refused for good; on the shelf with its reason


PARCELS = Moves(
    "parcel",
    ParcelState,
    {
        (ParcelState.READY, "lease"): ParcelState.LEASED,
        (ParcelState.LEASED, "lease"): ParcelState.LEASED,  # taken over after the lease ran out
        (ParcelState.LEASED, "settle"): ParcelState.SETTLED,
        (ParcelState.LEASED, "give_back"): ParcelState.READY,
        (ParcelState.READY, "stop"): ParcelState.STOPPED,
        (ParcelState.LEASED, "stop"): ParcelState.STOPPED,
        (ParcelState.SETTLED, "stop"): ParcelState.STOPPED,  # an unsure delivery is never to be sent again
        (ParcelState.LEASED, "bury"): ParcelState.BURIED,
        (ParcelState.SETTLED, "reopen"): ParcelState.READY,  # an unsure delivery is to be sent again
    },
)


class DeliveryState(StrEnum):
    """What is known about one address of one parcel."""

    QUEUED = "queued"
    SENDING = "sending"  # an attempt is written down; the call may be under way
    UNSURE = "unsure"  # the call ended without an answer
    ACCEPTED = "accepted"  # the provider took it and gave an id
    SENT = "sent"  # the provider handed it on
    DELIVERED = "delivered"  # a receipt says the phone has it
    READ = "read"
    FAILED = "failed"
    EXPIRED = "expired"
    STOPPED = "stopped"
    OPTED_OUT = "opted_out"


D = DeliveryState
DELIVERIES = Moves(
    "delivery",
    DeliveryState,
    {
        (D.QUEUED, "send"): D.SENDING,
        (D.QUEUED, "stop"): D.STOPPED,
        (D.QUEUED, "opt_out"): D.OPTED_OUT,
        (D.QUEUED, "expire"): D.EXPIRED,
        (D.QUEUED, "refuse"): D.FAILED,
        (D.SENDING, "not_now"): D.QUEUED,
        (D.SENDING, "unsure"): D.UNSURE,
        (D.UNSURE, "absent"): D.QUEUED,  # the provider has shown that it holds no such message
        (D.UNSURE, "repeat"): D.QUEUED,  # a wire whose repeat reads as the same message
        **{(s, "accepted"): D.ACCEPTED for s in (D.SENDING, D.UNSURE)},
        **{(s, "sent"): D.SENT for s in (D.SENDING, D.UNSURE, D.ACCEPTED)},
        # FAILED too: "undelivered" may be called back before a late "delivered", and any order must end alike.
        **{(s, "delivered"): D.DELIVERED for s in (D.SENDING, D.UNSURE, D.ACCEPTED, D.SENT, D.FAILED)},
        **{(s, "read"): D.READ for s in (D.SENDING, D.UNSURE, D.ACCEPTED, D.SENT, D.DELIVERED, D.FAILED)},
        **{(s, "failed"): D.FAILED for s in (D.SENDING, D.UNSURE, D.ACCEPTED, D.SENT)},
    },
)

OPEN_DELIVERIES = (D.QUEUED, D.SENDING)
REACHED = (D.UNSURE, D.ACCEPTED, D.SENT, D.DELIVERED, D.READ)  # they have it, or may: its ending goes to them


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One address in a call, and the attempt that is written down for it."""

    delivery_id: str
    address: str
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a wire is asked to hand over in one call; it needs nothing else to do so."""

    channel: str
    payload: bytes  # the artefact, byte for byte
    sha256: str  # of the payload, as approved; the caller has just compared them
    language: str
    items: tuple[Item, ...]
    is_notice: bool = False  # a text to one person, which nobody has subscribed to


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider said about one item of a call."""

    delivery_id: str
    state: DeliveryState  # ACCEPTED, SENT or FAILED; QUEUED with `moved_to`
    provider_id: str = ""
    code: str = ""  # the provider's own code, verbatim
    is_gone: bool = False  # nobody is there any more to get anything: its subscriptions end
    moved_to: str = ""  # nothing was sent: it has this address now, for another attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A message as its provider lists it."""

    provider_id: str
    address: str
    text: str
    created_at: datetime
    state: DeliveryState
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider reported later. `delivery_id` is our own tag when it came back."""

    channel: str
    provider_id: str
    state: DeliveryState
    code: str = ""
    address: str = ""
    delivery_id: str = ""
    received_at: datetime
    raw: bytes = b""
