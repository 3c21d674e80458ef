"""Text that is safe to store, to compare and to put into XML: NFC, no controls, no direction tricks."""

import re
import unicodedata

MARK = "\ufffd"  # stands where something unprintable stood, so that the officer sees that something was there
MARKS_PER_BASE = 8  # combining marks kept on one letter; Tibetan and Vietnamese need at most 4

_NEWLINES = re.compile("\r\n?|[\u2028\u2029\u0085]")
# Not an XML 1.0 Char (§2.2), a control of Unicode category Cc, or a noncharacter; TAB and LF stay.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
# UAX #9 explicit directional marks, and the byte order mark: dropped, they only change how text looks.
_INVISIBLE = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# Where combining marks live; text without any of these (all plain Chinese, all ASCII) takes the fast path.
_MAYBE_MARKS = re.compile(
    "[\u0300-\u1cff\u1dc0-\u1dff\u20d0-\u20ff\u2cef-\u2cf1\u2d7f-\u2dff\u302a-\u302f\u3099\u309a"
    "\ua66f-\uabff\ufb1e\ufe00-\ufe2f\U00010000-\U0010ffff]"
)


def clean(text: str) -> str:
    """`text` in NFC, newlines as LF, at most 8 combining marks on one letter, directional marks dropped.

    Controls, lone surrogates and what XML 1.0 cannot hold become U+FFFD. Safe to repeat.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _NEWLINES.sub("\n", text)
    text = _INVISIBLE.sub("", text)
    text = _UNPRINTABLE.sub(MARK, text)
    # Before NFC: the normaliser sorts the marks of one letter and takes quadratic time over a long run.
    text = _thin_marks(text) if _MAYBE_MARKS.search(text) else text
    return _thin_marks(text, unicodedata.normalize("NFC", text))


def one_line(text: str, *, limit: int) -> str:
    """clean() with every run of white space as one blank, cut at `limit` characters."""
    return " ".join(clean(text).split())[:limit].rstrip()


def _thin_marks(text: str, composed: str | None = None) -> str:
    """Drop combining marks past the eighth of a letter; decomposing first would make room for more."""
    if composed is not None and composed == text:
        return text
    source = text if composed is None else composed
    out, marks = [], 0
    for char in source:
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks <= MARKS_PER_BASE:
            out.append(char)
    return "".join(out)
