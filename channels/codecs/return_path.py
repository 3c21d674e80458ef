"""Addresses that mail of ours comes back to: which delivery it was, and a proof that we wrote it (VERP).

Sources: RFC 5321 §4.5.3.1.1 (a local part has at most 64 letters), RFC 2104 §5 (truncated HMAC).
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

DOMAIN_MAX = 40  # so that a Message-ID, <35 + @ + 40>, fits the 80 letters that a delivery keeps of it
_MAC_LETTERS = 15  # 75 bits; with 5-digit parcels the longer address has 64 letters
_NAME = re.compile(r"([0-9a-z]{26})-([0-9]{1,6})-([0-9]{1,3})")
_TOKEN = re.compile(r"([0-9a-z]{26}-[0-9]{1,6}-[0-9]{1,3})-([a-z2-7]{15})")


class Box(StrEnum):
    """What comes to such an address."""

    BOUNCES = "bounces"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """An address of ours that mail came back to; `delivery_id` is '' when it bears no proof."""

    box: Box
    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPath:
    """Writes and reads these addresses. Relays may change the case of letters, so case says nothing."""

    key: bytes
    domain: str

    def address(self, box: Box, delivery_id: str) -> str:
        """``bounces+<delivery>-<proof>@domain``: the envelope sender, or where STOP is sent to."""
        name = _name(delivery_id)
        return f"{box}+{name}-{self._proof(box, name)}@{self.domain}"

    def message_id(self, delivery_id: str) -> str:
        """The Message-ID of a delivery: the same at each attempt, so that a mailbox can tell a repeat."""
        return f"<{_name(delivery_id)}@{self.domain}>"

    def read(self, address: str) -> Returned | None:
        """What an address of an envelope says; None for one that is not of this kind."""
        local, _, domain = address.strip("<> ").lower().rpartition("@")
        box, plus, token = local.partition("+")
        if domain != self.domain.lower() or not plus or box not in list(Box):
            return None
        match = _TOKEN.fullmatch(token)
        is_ours = match and hmac.compare_digest(match[2], self._proof(Box(box), match[1]))
        return Returned(box=Box(box), delivery_id=_delivery_id(match[1]) if match and is_ours else "")

    def _proof(self, box: Box, name: str) -> str:
        mac = hmac.new(self.key, f"{box}\0{name}".encode(), hashlib.sha256).digest()
        return base64.b32encode(mac).decode().lower()[:_MAC_LETTERS]


def _name(delivery_id: str) -> str:
    """``dsp_01J...-0-17`` without what is the same in all of them. Raises ValueError for no delivery id."""
    name = delivery_id.removeprefix("dsp_").lower()
    if not _NAME.fullmatch(name):
        raise ValueError("not the id of a delivery")
    return name


def _delivery_id(name: str) -> str:
    return f"dsp_{name.upper()}"
