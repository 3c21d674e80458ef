"""What a provider reports later raises what is known of a delivery, and never lowers it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from domain.parcel import DELIVERIES, DeliveryState, Receipt
from store import endings, shelf
from store import receipts as book
from store.unit import Unit

PATIENCE = timedelta(minutes=10)  # a receipt may overtake our own commit; by then every call has long ended


class Taken(StrEnum):
    """What became of a receipt."""

    REPEATED = "repeated"
    APPLIED = "applied"
    NOTHING_NEW = "nothing_new"  # a higher state is known already
    HELD = "held"  # its message is not known yet
    MISMATCH = "receipt_mismatch"  # it speaks of another address or another message
    UNKNOWN = "unknown_receipt"


def take(unit: Unit, receipt: Receipt, at: datetime) -> Taken:
    """Store the receipt, then apply it if its delivery is known. Safe to repeat, in any order.

    A receipt with our own tag also settles what was unsure, and tells the provider's name of the message.
    """
    if not book.keep(unit, receipt):
        return Taken.REPEATED
    return apply(unit, receipt, at)


def apply(unit: Unit, receipt: Receipt, at: datetime) -> Taken:
    """Make of a stored receipt what can be made of it now; HELD leaves it waiting."""
    of = book.target(unit, receipt)
    if of is None:
        return Taken.HELD
    if not _fits(receipt, of):
        return _shelve(unit, receipt, Taken.MISMATCH, at)
    if not of.provider_id and receipt.provider_id:
        book.learn(unit, of, receipt.provider_id)
    book.note_applied(unit, receipt, at)
    if not DELIVERIES.allows(of.state, receipt.state.value):
        return Taken.NOTHING_NEW
    book.raise_to(unit, of, DELIVERIES.after(of.state, receipt.state.value), receipt)
    if of.state is DeliveryState.FAILED:  # it arrived after all: if the warning has ended, he is told so too
        endings.add_late(unit, of.parcel, of.seq, at)
    return Taken.APPLIED


def apply_waiting(unit: Unit, at: datetime) -> int:
    """Apply receipts whose delivery has become known since; shelve those older than PATIENCE. How many."""
    done = 0
    for receipt in book.waiting_since(unit, at):
        taken = apply(unit, receipt, at)
        if taken is Taken.HELD and receipt.received_at <= at - PATIENCE:
            taken = _shelve(unit, receipt, Taken.UNKNOWN, at)
        done += taken is not Taken.HELD
    return done


def apply_held(unit: Unit, channel: str, provider_ids: Iterable[str], at: datetime) -> None:
    """Apply what came before our own answer was written: its messages have just been named."""
    for receipt in book.waiting(unit, channel, provider_ids):
        apply(unit, receipt, at)


def _fits(receipt: Receipt, of: book.Target) -> bool:
    """Whether the receipt can be of this delivery; a queued one has no message it could be of."""
    is_same_address = not receipt.address or receipt.address == of.address
    is_same_message = not (receipt.provider_id and of.provider_id) or receipt.provider_id == of.provider_id
    return is_same_address and is_same_message and of.state is not DeliveryState.QUEUED


def _shelve(unit: Unit, receipt: Receipt, reason: Taken, at: datetime) -> Taken:
    if book.note_applied(unit, receipt, at):
        origin = f"{receipt.channel}/{receipt.provider_id}"
        shelf.put(unit, "receipt", reason.value, at=at, origin=origin, raw=receipt.raw)
    return reason
