"""Division codes (GB/T 2260): canonical 12 digits, cover by prefix."""

import re

from domain.errors import BadInput

_DIGITS = re.compile(r"[0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12}|[0-9]{14}")


def canonical(code: str) -> str:
    """The 12-digit form of a 2, 4, 6, 9, 12 or 14-digit code. Raises BadInput."""
    if not _DIGITS.fullmatch(code) or (len(code) == 14 and not code.endswith("00")):
        raise BadInput("an area is a division code of 6, 9 or 12 digits", code="bad_area")
    return code[:12].ljust(12, "0")


def prefix(code: str) -> str:
    """The digits that everything inside `code` begins with: 3301 for 330100000000."""
    code = canonical(code)
    for keep in (9, 6, 4, 2):
        if code[keep:].strip("0"):
            return code[: {9: 12, 6: 9, 4: 6, 2: 4}[keep]]
    return code[:2]


def covers(outer: str, inner: str) -> bool:
    """Whether division `inner` lies in `outer` (or is it)."""
    return canonical(inner).startswith(prefix(outer))
