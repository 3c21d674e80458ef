"""How words sound: what is misheard, mistyped by pinyin or written in Latin letters is compared by it."""

import re
import unicodedata
from functools import lru_cache

from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT

LONGEST = 24  # letters of a word that may be a name in pinyin

# What southern speakers and dictation confuse: zh/z, ch/c, sh/s, n/l and r/l in front, ng/n behind.
_ALIKE = ((re.compile("^([zcs])h"), r"\1"), (re.compile("^[nr]"), "l"), (re.compile("ng$"), "n"))


def syllables(chinese: str) -> list[str]:
    """How each character of a run of Chinese sounds, without tones and without what is often confused."""
    return [_folded(sound) for sound in lazy_pinyin(chinese)]


@lru_cache(maxsize=4096)
def spelt(latin: str) -> tuple[str, ...]:
    """The syllables of a name that is written in pinyin, ``Daping``; () for what is no pinyin."""
    word = latin.lower().replace("ü", "v")
    if not 2 <= len(word) <= LONGEST or not word.isalpha():
        return ()
    return tuple(_folded(s) for s in _split(word))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Every syllable there is, about 420."""
    spoken = (sound for sounds in PINYIN_DICT.values() for sound in sounds.split(","))
    bare = (
        "".join(c for c in unicodedata.normalize("NFD", s) if not unicodedata.combining(c)) for s in spoken
    )
    return frozenset(s for s in bare if s.isascii() and any(c in "aeiou" for c in s))


def _split(word: str) -> list[str]:
    """Into syllables, the longest first; inside a word one begins with a consonant."""
    if not word:
        return []
    for end in range(min(6, len(word)), 0, -1):
        rest = word[end:]
        if word[:end] not in _known() or rest[:1] in ("a", "e", "i", "o", "u", "v"):
            continue
        if not rest:
            return [word]
        if tail := _split(rest):
            return [word[:end], *tail]
    return []


@lru_cache(maxsize=2048)
def _folded(sound: str) -> str:
    for pattern, by in _ALIKE:
        sound = pattern.sub(by, sound)
    return sound
