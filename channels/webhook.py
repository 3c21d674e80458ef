"""One signed call to a department's address, as the Standard Webhooks specification (1.0.0) writes it."""

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException

from channels import closed_list
from channels.closed_list import Asked, Place
from channels.egress import Egress
from domain.errors import NotNow

LASTS = timedelta(seconds=10)  # a receiver stores and answers; who works first is told again
PREFIX = "whsec_"  # Standard Webhooks, "Secret generation"

ANSWER_BYTES = 4 << 10  # of an answer; only its status says anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls addresses that `place_of` allows. Safe to use from many threads."""

    place_of: Callable[[str], Place]  # raises Never for an address that may not be called
    egress_of: Callable[[Place], Egress]

    def check(self, url: str) -> None:
        """Return for an address that may be called by its looks; its network is looked at with each call. Raises Never."""
        closed_list.asked([self.place_of(url)], url)

    def call(self, url: str, call_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> int:
        """The status of the answer; of its body at most 4 KB are read, and none is kept.

        Raises Never(bad_address, bad_network), NotNow(no_name, no_connection, too_slow, cut).
        """
        place = self.place_of(url)
        asked = closed_list.asked([place], url)
        named = place.host if place.port in (80, 443) else f"{place.host}:{place.port}"
        headers = {"Host": named, "User-Agent": "tocsin", "Accept-Encoding": "identity", "Connection": "close",
                   "Content-Type": "application/json", **signed(call_id, body, secrets, at)}  # fmt: skip
        deadline = time.monotonic() + LASTS.total_seconds()
        with self.egress_of(place).connected(place, deadline) as (wire, has_run_out):
            try:
                return _posted(wire, asked, body, headers)
            except (OSError, HTTPException, ValueError) as error:
                code = "too_slow" if has_run_out.is_set() else "cut"
                raise NotNow("the answer ended early", code=code) from error


def _posted(wire: socket.socket, asked: Asked, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer to one POST over an open connection; no redirect is followed (PROMISES H53)."""
    http = HTTPConnection(asked.place.host)
    http.auto_open = 0  # never another connection than the one that was looked at
    http.sock = wire
    http.request("POST", asked.path, body=body, headers=dict(headers))
    with http.getresponse() as answer:
        answer.read(ANSWER_BYTES)
        return answer.status


def signed(call_id: str, body: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The three headers; one signature for each secret, the newest first."""
    moment = str(int(at.timestamp()))
    told = f"{call_id}.{moment}.".encode() + body
    made = [
        base64.b64encode(hmac.new(key_of(secret), told, hashlib.sha256).digest()).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": call_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{m}" for m in made),
    }


def key_of(secret: str) -> bytes:
    """The bytes behind ``whsec_`` and Base64."""
    return base64.b64decode(secret.removeprefix(PREFIX))
