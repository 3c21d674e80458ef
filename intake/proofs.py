"""A synthetic report that has come all the way: it is settled where a real one would enter the queue."""

from datetime import datetime

from domain import proof
from domain.piece import Piece
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
    "telegram": frozenset({"sender", "name"}),
}


def mark_of(key: bytes, inbound: Inbound) -> Mark | None:
    """The mark of ours that a message holds."""
    return proof.found(key, inbound.channel, inbound.raw) if key else None


def says_nothing_else(mark: Mark, inbound: Inbound, found: Reading, content: Content) -> bool:
    """Whether the report is the mark alone. Somebody who copied it and added anything has written a real report."""
    if mark.channel == "fax":
        return inbound.raw == proof.page(mark.text)  # what is on a page is in its bytes
    said = content.text.strip() or content.first("name")  # a call has no text: it says who calls
    subject = content.first("subject")
    more = (found.event_code, found.grade, found.area, _is_part(mark, found.piece), found.command, found.passes,
            content.attachments, inbound.meta.get("media"), inbound.meta.get("too_large"), follow_ups.followed(inbound),
            content.facts.keys() - _FACTS.get(mark.channel, frozenset()))  # fmt: skip
    return said == mark.text and subject in ("", mark.text) and not any(more)


def _is_part(mark: Mark, piece: Piece | None) -> bool:
    """Every message of a chat is a piece: one alone is whole."""
    is_alone = piece is not None and not piece.edited and not piece.answers and piece.thread == piece.message
    return piece is not None and not (mark.channel == "telegram" and is_alone)


def is_bulletin(key: bytes, raw: bytes) -> Mark | None:
    """The mark of a bulletin of ours; None for one with anything beside it."""
    mark = proof.found(key, "peer", raw) if key else None
    return mark if mark is not None and raw == proof.bulletin(mark.text) else None


def settle(unit: Unit, arrived: Arrived, mark: Mark, at: datetime) -> bool:
    """It was read as a real one is; nothing enters the queue, and the channel has been heard."""
    if not inbox.move(unit, arrived, "file"):
        return False
    proofs.proved(unit, mark.channel, mark.proof, at)
    return True
