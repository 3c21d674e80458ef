"""The one JSON parser for strangers' bytes: RFC 8259 with every doubtful reading refused."""

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from domain.errors import BadInput, Flaw

DEPTH = 20  # PROMISES H49: no body of ours nests deeper than 6
INT64 = 1 << 63
DIGITS = 400  # of one number; int() of a longer one costs time in its square
_SURROGATE = re.compile("[\ud800-\udfff]")
# One pass, whatever the text: possessive, and one that never ends is eaten whole. Otherwise each escaped quote of
# an open string would be tried as the beginning of another, to the end of the text every time.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def loads(raw: bytes) -> Any:
    """The value of `raw`: UTF-8 without a mark, no name twice, finite numbers, integers of 64 bits.

    Raises BadInput(code="bad_json") with an RFC 6901 pointer where there is one. No text of the sender's
    enters the error but the names of its fields, cut to 40 characters.
    """
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw:
        raise _bad("JSON is UTF-8 without a byte order mark")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("JSON is UTF-8") from None
    _measure(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_constant, parse_int=_integer, parse_float=_real
        )
    except json.JSONDecodeError as error:
        raise _bad(f"not JSON at character {error.pos}") from None
    _clean(value, "")
    return value


def name(text: str) -> str:
    """A sender's field name as an error may repeat it: short, and nothing unprintable."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:40])
    return shown.replace("~", "~0").replace("/", "~1")


def _measure(text: str) -> None:
    """Refuse nesting before the parser recurses; brackets inside strings do not count."""
    depth = 0
    for mark in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if mark.group() in "[{" else -1
        if depth > DEPTH:
            raise _bad(f"nested deeper than {DEPTH}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise _bad("a name came twice", f"/{name(twice)}")
    return found


def _constant(_text: str) -> NoReturn:
    raise _bad("numbers are finite")


def _integer(text: str) -> int:
    if len(text) > 20 or not -INT64 <= int(text) < INT64:
        raise _bad("integers have 64 bits")
    return int(text)


def _real(text: str) -> float:
    value = float(text) if len(text) <= DIGITS else math.inf
    if not math.isfinite(value):
        raise _bad("numbers are finite")
    return value


def _clean(value: Any, pointer: str) -> None:
    """No NUL and no half of a surrogate pair, in names and values."""
    if isinstance(value, str):
        if "\0" in value or _SURROGATE.search(value):
            raise _bad("text without NUL and lone surrogates", pointer)
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{pointer}/{name(key)}"
            _clean(key, inner)
            _clean(item, inner)
    elif isinstance(value, list):
        for n, item in enumerate(value):
            _clean(item, f"{pointer}/{n}")


def _bad(detail: str, pointer: str = "") -> BadInput:
    return BadInput(detail, code="bad_json", flaws=[Flaw(pointer, detail)])
