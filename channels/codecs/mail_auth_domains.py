"""Domains of senders: in ASCII, the organisation they belong to, and names made to look like others."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

FOLDED_MIN = 6  # letters of a known name, without dots, below which a likeness is chance
_NAME = re.compile(r"(?!.{254})(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")
_LIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "-": "", ".": "", "_": ""})


def ascii_domain(text: str) -> str:
    """The domain in lower-case ASCII without a last dot; '' for what is no name with two labels or more."""
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return ""
    return name if _NAME.fullmatch(name) else ""


def organisation(domain: str) -> str:
    """The organisational domain by the public suffix list; '' for a public suffix itself."""
    return str(_suffixes().privatesuffix(domain) or "") if domain else ""


def alike(one: str, other: str, *, is_strict: bool = False) -> bool:
    """Alignment of RFC 7489 §3.1: the same domain, or of one organisation."""
    if is_strict or not one or not other:
        return bool(one) and one == other
    return organisation(one) == organisation(other) != ""


def is_lookalike(domain: str, known: Iterable[str]) -> bool:
    """Whether `domain` mixes scripts, or could be read as one of `known` without being of it."""
    if any(_is_mixed(label) for label in domain.split(".")):
        return True
    if any(domain == name or domain.endswith(f".{name}") for name in known):
        return False
    folded = _folded(domain)
    return any(_folded(name) in folded for name in known if len(_folded(name)) >= FOLDED_MIN)


def _folded(domain: str) -> str:
    return domain.translate(_LIKE).replace("rn", "m").replace("vv", "w")


def _is_mixed(label: str) -> bool:
    """An encoded label with letters that are not all Chinese, Japanese or Korean: others imitate Latin ones."""
    if not label.startswith("xn--"):
        return False
    try:
        letters = label[4:].encode().decode("punycode")
    except UnicodeError:
        return True
    return not all(c in "0123456789-" or _is_eastern(c) for c in letters)


def _is_eastern(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL"))


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
