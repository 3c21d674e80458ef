"""Names of things: prefixed ULIDs for rows, short codes for people."""

from datetime import UTC, datetime

from domain.chance import random_bytes

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _CROCKFORD for b in _CROCKFORD]  # two letters at a time: 13 of them
_SHIFTS = range(120, -1, -10)
SPOKEN = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no 0/O, 1/I/L, U: read aloud and copied by hand without slips


def mint(prefix: str, at: datetime) -> str:
    """A new ``prefix_`` + ULID: 48 bits of `at` in milliseconds, 80 random bits; sorts by time."""
    return _named(prefix, at, int.from_bytes(random_bytes(10), "big"))


def floor(prefix: str, at: datetime) -> str:
    """No id that was minted at `at` or later sorts before it."""
    return _named(prefix, at, 0)


def _named(prefix: str, at: datetime, tail: int) -> str:
    number = (int(at.timestamp() * 1000) << 80) | tail
    return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"


def is_id(prefix: str, text: str) -> bool:
    """Whether `text` has the shape that mint() gives."""
    body = text.removeprefix(f"{prefix}_")
    return len(body) == 26 and body != text and all(c in _CROCKFORD for c in body)


def minted_at(row_id: str) -> datetime:
    """When mint() made this id, to the millisecond. Raises ValueError for what it did not make."""
    prefix, _, body = row_id.partition("_")
    if not is_id(prefix, row_id):
        raise ValueError("no id")
    number = 0
    for letter in body[:10]:
        number = number << 5 | _CROCKFORD.index(letter)
    if number >> 48:
        raise ValueError("no id")
    return datetime.fromtimestamp(number / 1000, UTC)


def short_code() -> str:
    """A code such as ``4F7K-92PX``: 8 of 30 letters = 39 bits, unique by the store's constraint."""
    letters = [SPOKEN[b % len(SPOKEN)] for b in random_bytes(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def spoken_digits(code: str) -> str:
    """`code` as 12 digits in groups of four, ``0123-4567-8901``: read aloud, or keyed in on a telephone.

    The same number in another base (30 ** 8 < 10 ** 12), so neither form needs a column of its own.
    Raises ValueError for what is no short code.
    """
    number = 0
    for letter in _letters(code):
        number = number * len(SPOKEN) + SPOKEN.index(letter)
    digits = f"{number:012d}"
    return "-".join(digits[n : n + 4] for n in (0, 4, 8))


def code_of(text: str) -> str:
    """The short code that somebody typed, as letters or as digits, with or without hyphens and blanks.

    Raises ValueError for what is neither.
    """
    typed = "".join(c for c in text.upper() if c not in " -－—\t")
    if len(typed) == 12 and typed.isascii() and typed.isdigit():
        number, letters = int(typed), ""
        for _ in range(8):
            number, rest = divmod(number, len(SPOKEN))
            letters = SPOKEN[rest] + letters
        if number:
            raise ValueError("no short code has these digits")
        return f"{letters[:4]}-{letters[4:]}"
    letters = _letters(typed)
    return f"{letters[:4]}-{letters[4:]}"


def _letters(code: str) -> str:
    letters = code.replace("-", "")
    if len(letters) != 8 or any(c not in SPOKEN for c in letters):
        raise ValueError("a short code has 8 letters or digits, or 12 digits")
    return letters
