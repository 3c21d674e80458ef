"""Names of things: prefixed ULIDs for rows, short codes for people."""

import os
from datetime import datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SPOKEN = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no 0/O, 1/I/L, U: read aloud and copied by hand without slips


def mint(prefix: str, at: datetime) -> str:
    """A new ``prefix_`` + ULID: 48 bits of `at` in milliseconds, 80 random bits; sorts by time."""
    number = (int(at.timestamp() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return f"{prefix}_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the shape that mint() gives."""
    body = text.removeprefix(f"{prefix}_")
    return len(body) == 26 and body != text and all(c in _CROCKFORD for c in body)


def short_code() -> str:
    """A code such as ``4F7K-92PX``: 8 of 30 letters = 39 bits, unique by the store's constraint."""
    letters = [SPOKEN[b % len(SPOKEN)] for b in os.urandom(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])
