"""What every reader of a report may rely on: clean text, its language, and a position that is one."""

import math
import re
from collections.abc import Mapping
from typing import Any

from channels.codecs.plain_text import clean as clean_text

READ_MAX = 20_000  # letters judged; a language shows in the first page
_WORDS_TRIED = 200

_SCRIPTS = {
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"),
    "kana": re.compile("[\u3041-\u3096\u30a1-\u30fa]+"),
    "hangul": re.compile("[\u1100-\u11ff\uac00-\ud7a3]+"),
    "tibetan": re.compile("[\u0f40-\u0fbc]+"),
    "arabic": re.compile("[\u0620-\u064a\u0671-\u06d3\u06d5]+"),
    "cyrillic": re.compile("[\u0400-\u04ff]+"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f]+"),
}
_UYGHUR = re.compile("[\u06d0\u06d5\u06c6\u06c7\u06c8\u06cb\u06ad]")  # ې ە ۆ ۇ ۈ ۋ ڭ: not in Arabic
_ENGLISH = frozenset(
    [
        "the",
        "and",
        "of",
        "to",
        "in",
        "is",
        "are",
        "at",
        "on",
        "for",
        "with",
        "there",
        "has",
        "have",
        "was",
        "we",
    ]
)
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?")
_ADDRESSES = re.compile(r"https?://\S{1,2000}|[^\s@]{1,64}@[^\s@]{1,255}")
_WORD = re.compile(r"[a-z\u00c0-\u024f]+")


def clean(text: str) -> str:
    """NFC, LF, at most 8 combining marks a letter, no direction marks; unprintables become U+FFFD.

    The same rule as at the doors (channels/codecs/plain_text.py), safe to repeat.
    """
    return clean_text(text)


def language(text: str) -> str:
    """A guess by script: zh, en, ja, ko, ru, bo, ug, or und. Links and Latin names do not outvote Chinese."""
    sample = _ADDRESSES.sub(" ", text[:READ_MAX])
    count = {name: sum(map(len, pattern.findall(sample))) for name, pattern in _SCRIPTS.items()}
    total = sum(count.values())
    if not total:
        return "und"
    east = count["han"] + count["kana"] + count["hangul"]
    if east * 5 >= total:  # one Chinese letter says as much as a Latin word of about five
        return _east(count)
    script = max(count, key=lambda name: count[name])
    if script == "arabic":
        return "ug" if _UYGHUR.search(sample) else "und"
    if script == "latin":
        return _latin(sample)
    return {"tibetan": "bo", "cyrillic": "ru", "hangul": "ko"}.get(script, "zh")


def position_from_exif(exif: Mapping[str, Any]) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees WGS 84 of a picture's ``exif`` object, or None when it has none."""
    lat, lon = exif.get("lat"), exif.get("lon")
    if not isinstance(lat, int | float) or not isinstance(lon, int | float):
        return None
    if not (math.isfinite(lat) and math.isfinite(lon)) or abs(lat) > 90 or abs(lon) > 180:
        return None
    return float(lat), float(lon)


def position(lat: str, lon: str) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees WGS 84 as a device wrote them, or None for anything else.

    (0, 0) lies in the Gulf of Guinea and is what a device without a fix sends.
    """
    if not (_DEGREES.fullmatch(lat) and _DEGREES.fullmatch(lon)):
        return None
    found = float(lat), float(lon)
    is_place = abs(found[0]) <= 90 and abs(found[1]) <= 180 and found != (0.0, 0.0)
    return found if is_place else None


def _east(count: Mapping[str, int]) -> str:
    if count["hangul"] > count["han"] + count["kana"]:
        return "ko"
    # Japanese prose is half kana; a Chinese text quoting a few kana stays below a tenth.
    return "ja" if count["kana"] * 10 > count["han"] + count["kana"] else "zh"


def _latin(sample: str) -> str:
    """English unless a text of some length has none of its small words."""
    words = _WORD.findall(sample.lower())[:_WORDS_TRIED]
    small = sum(word in _ENGLISH for word in words)
    return "en" if len(words) < 8 or small * 12 >= len(words) else "und"
