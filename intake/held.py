"""A bulletin that bears a mark of secrecy: its bytes leave the book of bulletins for the security officer's shelf."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.codecs.markup import decoded
from domain.report import Inbound
from domain.secrecy import Compartment, mark_in
from intake import desk
from store import arrivals
from store.arrivals import Arrival
from store.unit import Unit

CHANNEL = "peer"
MARK = "mark"  # in the meta of a message: what was found in it before it is read as a report


def first_marked(alerts: Sequence[Mapping[str, Any]]) -> int | None:
    """Which alert of a document bears a mark, None for none."""
    return next((n for n, alert in enumerate(alerts) if alert["mark"]), None)


def mark_of(raw: bytes) -> str:
    """The mark in bytes that nobody could read as a bulletin, by their letters alone; '' for none."""
    return mark_in(decoded(raw)) or mark_in(raw.decode("gb18030", "replace"))


def hold(
    unit: Unit, one: Arrival, mark: str, *, sender: str = "", n: int = 0, blob: str, at: datetime
) -> None:
    """The arrival becomes a message that is filed as a held report, sealed, let go or destroyed like any other.

    In the caller's transaction, which has moved the arrival. Its own row keeps hash and journal, and no bytes: what
    else came in them is entered, and nobody can open the original of it.
    """
    inbound = Inbound(
        channel=CHANNEL, external_id=f"held:{one.id}", raw=one.raw, received_at=one.received_at,
        media_type=one.media_type[:120] or "application/octet-stream", sender=sender or one.peer,
        meta={"arrival": one.id, "n": n, MARK: mark},
    )  # fmt: skip
    desk.receive(unit, inbound, desk.mint_names(at), blob=blob, at=at)
    arrivals.forget_bytes(unit, one.id)


def born_in(inbound: Inbound) -> int:
    """The compartments of a report that are known before its words are."""
    return Compartment.MARKED.value if inbound.meta.get(MARK) else 0
