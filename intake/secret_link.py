"""The secret link of a report's state page: made from its code and a key, kept nowhere."""

import base64
import hashlib
import hmac
import re

from domain.errors import NotFound
from domain.ids import code_of

_SHAPE = re.compile(r"[0-9A-Z]{8}[A-Za-z0-9_-]{22}")
_MAC = (
    16  # bytes: 128 bits, 22 letters of base64url; a shorter one could be guessed, a longer one cost an SMS
)


def token(key: bytes, code: str) -> str:
    """The secret that opens the state page of `code`: 8 letters of the code, 22 of its MAC."""
    mac = hmac.new(key, code.encode(), hashlib.sha256).digest()[:_MAC]
    return code.replace("-", "") + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def code_in(key: bytes, given: str) -> str:
    """The code that `given` opens. Raises NotFound for what token() did not make."""
    if _SHAPE.fullmatch(given):
        try:
            code = code_of(given[:8])
        except ValueError:
            raise _unknown() from None
        if hmac.compare_digest(given.encode(), token(key, code).encode()):
            return code
    raise _unknown()


def row_token(key: bytes, row_id: str) -> str:
    """The secret that opens the page of a row: its id and a MAC over it."""
    mac = hmac.new(key, f"row\0{row_id}".encode(), hashlib.sha256).digest()[:_MAC]
    return f"{row_id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def row_in(key: bytes, given: str) -> str:
    """The row that `given` opens. Raises NotFound for what row_token() did not make."""
    row_id = given.rpartition(".")[0]
    if row_id and given.isascii() and hmac.compare_digest(given.encode(), row_token(key, row_id).encode()):
        return row_id
    raise _unknown()


def _unknown() -> NotFound:
    return NotFound("no such link")
