"""Words and characters that may not stand in a message: hidden ones, and those that mark exercises."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from domain.errors import Flaw
from domain.handling import Mode

# Letters that show nothing though their category says otherwise (Unicode Default_Ignorable_Code_Point and
# two blanks that look like nothing): two texts could look alike and differ.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_HIDDEN = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # control, format (bidi, zero width), unassigned
_DENIALS = ("不是演习", "不是演练", "并非演习", "并非演练", "notadrill", "notanexercise")  # Hawaii 2018
_MARKS = ("演习", "演练", "演習", "演練", "[演示]", "【演示】", "[test]", "[exercise]", "[drill]", "isadrill",
          "thisisanexercise", "exercisemessage", "exercise,exercise", "thatwasanexercise", "以下是演示", "以上是演示",
          "thisisonlyatest", "thatwasonlyatest")  # fmt: skip
_CLAIMS = ("本条为官方",)  # only a shell around a message may say so


def hidden(text: str, *, may_break_lines: bool = False) -> str:
    """The code point of the first character that a reader cannot see, as ``U+200B``; '' if there is none."""
    for c in text:
        if c == "\n" and may_break_lines:
            continue
        if unicodedata.category(c) in _HIDDEN or _INVISIBLE.match(c):
            return f"U+{ord(c):04X}"
    return ""


def reserved(text: str) -> str:
    """The reserved words that an author used; '' if none. Width, case and blanks do not hide them."""
    squeezed = _squeeze(text)
    return next((w for w in (*_DENIALS, *_MARKS, *_CLAIMS) if w in squeezed), "")


def contradiction(text: str, mode: Mode) -> str:
    """What in a finished text contradicts the mode: a mark when live, the denial of one in an exercise."""
    squeezed = _squeeze(text)
    words = (*_DENIALS, *_MARKS) if mode is Mode.LIVE else _DENIALS
    return next((w for w in words if w in squeezed), "")


def flaws_of_author(issuer: str, fields: Mapping[str, Any]) -> list[Flaw]:
    """What is wrong with the words that an author typed."""
    typed = {"/issuer": issuer, **{f"/fields/{name}": value for name, value in fields.items()}}
    found: list[Flaw] = []
    for pointer, value in typed.items():
        if not isinstance(value, str):
            continue
        if point := hidden(value):
            found.append(Flaw(pointer, f"holds a character that cannot be seen: {point}"))
        elif word := reserved(value):
            found.append(Flaw(pointer, f"holds words that are kept for marking exercises: {word}"))
    return found


def _squeeze(text: str) -> str:
    """Compatibility forms, lower case, nothing between the letters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
