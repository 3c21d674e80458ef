"""A synthetic report that has come all the way: it is settled where a real one would enter the queue."""

from datetime import datetime

from domain import proof
from domain.proof import Mark
from domain.report import Content, Inbound
from intake import follow_ups
from intake.reading import Reading
from store import inbox, proofs
from store.inbox import Arrived
from store.unit import Unit

_FACTS = {  # what a report of ours is read as (hub/proofs); any other fact is somebody's word
    "email": frozenset({"sender", "subject", "time", "message_id"}),
    "api": frozenset({"sender"}),
    "sms": frozenset({"sender"}),
    "voice": frozenset({"sender", "name", "call_started"}),
}


def mark_of(key: bytes, inbound: Inbound) -> Mark | None:
    """The mark of ours that a message holds."""
    return proof.found(key, inbound.channel, inbound.raw) if key else None


def says_nothing_else(mark: Mark, inbound: Inbound, found: Reading, content: Content) -> bool:
    """Whether the report is the mark alone. Somebody who copied it and added anything has written a real report."""
    said = content.text.strip() or content.first("name")  # a call has no text: it says who calls
    subject = content.first("subject")
    more = (found.event_code, found.grade, found.area, found.piece, found.command, found.passes, content.attachments,
            inbound.meta.get("media"), inbound.meta.get("too_large"), follow_ups.followed(inbound),
            content.facts.keys() - _FACTS.get(mark.channel, frozenset()))  # fmt: skip
    return said == mark.text and subject in ("", mark.text) and not any(more)


def settle(unit: Unit, arrived: Arrived, mark: Mark, at: datetime) -> bool:
    """It was read as a real one is; nothing enters the queue, and the channel has been heard."""
    if not inbox.move(unit, arrived, "file"):
        return False
    proofs.proved(unit, mark.channel, mark.proof, at)
    return True
