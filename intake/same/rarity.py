"""How telling it is that two texts share a piece: rare sounds behind each other are names, frequent ones are speech."""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

from intake.same.english import is_kind_of_place
from intake.same.named import PLACE_WORDS, frequent_english
from intake.same.sounds import spelt, syllables

FREQUENT = 12  # bits: shared pieces that are as frequent tell nothing (one in 4,096)
RAREST = 19  # bits: nothing is counted as rarer, the table is too small to know
KEPT = 160  # pieces of one text; of a longer one its beginning
_CHINESE = re.compile("[一-鿿]{2,}")
_LATIN = re.compile(r"(?<![A-Za-z])([A-Za-z]{4,24})(?![A-Za-z])")
_NAMED = re.compile(r" [A-Z][a-z]")  # Mill|Lane: a name, though a sentence begins with it
_NAME = 5.0  # of an English word with a capital, in bits above FREQUENT
_EXACT = 2.0  # the same letters besides the same sounds
_WORD = 2.5  # of any other English word that is none of the frequent ones


def pieces(text: str) -> frozenset[str]:
    """The pieces of a text that tell something: two sounds ``lao|yin``, two letters ``lao|yin|老鹰``, a word ``=Lotus``."""
    found: dict[str, None] = {}
    for run in _CHINESE.findall(text):
        sounds = syllables(run)
        for begin, end in _rest(run):
            for n in range(begin, end - 1):
                if worth(piece := f"{sounds[n]}|{sounds[n + 1]}") > 0:
                    found[piece] = found[f"{piece}|{run[n : n + 2]}"] = None
    found |= dict.fromkeys(_foreign(text))
    return frozenset(list(found)[:KEPT])


def _rest(run: str) -> Iterator[tuple[int, int]]:
    """What stands between the words that people say of any event."""
    begin = 0
    for match in _speech().finditer(run):
        yield begin, match.start()
        begin = match.end()
    yield begin, len(run)


@lru_cache(maxsize=65536)
def worth(piece: str) -> float:
    """0 for frequent speech, up to 7 bits."""
    if piece.startswith("="):
        return _NAME if piece[1].isupper() else _WORD
    if piece.count("|") > 1:
        return _EXACT
    first, _, second = piece.partition("|")
    pairs, singles = _table()
    alone = 1 + singles.get(first, 18) + singles.get(second, 18)
    return max(0.0, min(pairs.get(piece, RAREST), alone, RAREST) - FREQUENT)


def _foreign(text: str) -> Iterator[str]:
    for match in _LATIN.finditer(text):
        word = match[1]
        if word.lower() in frequent_english() or is_kind_of_place(word):
            continue
        is_first = not text[: match.start()].rstrip() or text[: match.start()].rstrip()[-1:] in ".!?。！？"
        if word[0].isupper() and (not is_first or _NAMED.match(text, match.end())):
            yield f"={word}"
        yield f"={word.lower()}"
        sounds = spelt(word)
        yield from (f"{a}|{b}" for a, b in pairwise(sounds) if worth(f"{a}|{b}") > 0)


@cache
def _table() -> tuple[Mapping[str, int], Mapping[str, int]]:
    pairs: dict[str, int] = {}
    singles: dict[str, int] = {}
    for line in files("intake.same").joinpath("rarity.txt").read_text("utf-8").splitlines():
        first, *rest = line.split(" ")
        if first == "#":
            continue
        for bits, sounds in zip(rest[::2], rest[1::2], strict=True):
            for sound in sounds.split(","):
                if first == "*":
                    singles[sound] = int(bits)
                else:
                    pairs[f"{first}|{sound}"] = int(bits)
    return pairs, singles


@cache
def _speech() -> re.Pattern[str]:
    """The words of the kinds, those of common.toml, and what stands behind the name of a place."""
    words = set(PLACE_WORDS)
    for name in ("kinds.toml", "common.toml"):
        words |= set(_CHINESE.findall(files("intake.same").joinpath(name).read_text("utf-8")))
    return re.compile("|".join(sorted(words, key=lambda word: (-len(word), word))))
