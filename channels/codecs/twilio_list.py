"""One entry of Twilio's list of messages, as a look-up compares it.

Source: "Message resource", properties and "Read multiple Message resources" (twilio.com/docs).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from channels.codecs.twilio_answer import STATES
from domain.parcel import DeliveryState, Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the list says of one message. Its StatusCallback, which holds our tag, is not among it."""

    listed: Listed
    direction: str
    sender: str
    service: str

    def is_from(self, sender: Mapping[str, str]) -> bool:
        """Whether we may have made it: as `from_` or `messaging_service_sid` of the create call, by the API."""
        is_ours = sender.get("messaging_service_sid", self.service) == self.service
        return (
            is_ours and sender.get("from_", self.sender) == self.sender and self.direction == "outbound-api"
        )


def read(made: Any) -> Entry:
    """Raises ValueError for an entry that names no message, or not when it was made."""
    if not made.sid or made.date_created is None:
        raise ValueError("no message")
    return Entry(
        listed=Listed(
            provider_id=str(made.sid), address=str(made.to), text=str(made.body or ""),
            created_at=made.date_created, state=STATES.get(str(made.status), DeliveryState.ACCEPTED),
            code=str(made.error_code or ""),
        ),
        direction=str(made.direction), sender=str(made.from_ or ""), service=str(made.messaging_service_sid or ""),
    )  # fmt: skip
