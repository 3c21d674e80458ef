"""Where a list goes on: an opaque mark that only its own caller can use, on its own list, for a day."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from domain.errors import BadInput

LASTS = timedelta(hours=24)
_MAC = 16


def write(key: bytes, owner: str, place: tuple[str, str], at: datetime) -> str:
    """The mark after `place`, the two keys that order the list; `owner` names caller, list and filters."""
    fields = [*place, int(at.timestamp())]
    body = json.dumps(fields, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(key, owner, body) + body).decode().rstrip("=")


def read(key: bytes, owner: str, text: str, at: datetime) -> tuple[str, str]:
    """The place of a mark. Raises BadInput(bad_cursor) for one edited, of another caller or list, or old."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad() from None
    mac, body = data[:_MAC], data[_MAC:]
    if not hmac.compare_digest(mac, _mac(key, owner, body)):
        raise _bad()
    first, second, made = json.loads(body)
    if not timedelta(0) <= at - datetime.fromtimestamp(made, at.tzinfo) <= LASTS + timedelta(seconds=1):
        raise _bad()
    return str(first), str(second)


def by_time(place: tuple[str, str] | None) -> tuple[datetime, str] | None:
    """The place in a list that is ordered by time and id."""
    return (datetime.fromisoformat(place[0]), place[1]) if place else None


def owner(caller: str, path: str, filters: Mapping[str, object]) -> str:
    """What a mark is bound to."""
    told = json.dumps({k: str(v) for k, v in filters.items() if v is not None}, sort_keys=True)
    return f"{caller}\0{path}\0{told}"


def link(path: str, filters: Mapping[str, object], limit: int, cursor: str) -> str:
    """The Link header of the next page (RFC 8288)."""
    query = {k: v for k, v in filters.items() if v is not None} | {"limit": limit, "cursor": cursor}
    return f'<{path}?{urlencode(query)}>; rel="next"'


def _mac(key: bytes, owner: str, body: bytes) -> bytes:
    return hmac.new(key, owner.encode() + b"\0" + body, hashlib.sha256).digest()[:_MAC]


def _bad() -> BadInput:
    return BadInput("this cursor is not of this list", code="bad_cursor")
