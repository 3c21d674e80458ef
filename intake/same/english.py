"""Names of places in English texts: the words in front of a street, a hill or a hotel, and how Chinese speakers call them."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from itertools import islice, product
from typing import Any

from intake.same.sounds import spelt, syllables

WAYS = 6  # of saying one name in Chinese that are followed
_LONGEST = 2  # words of a name in front of its kind
# Kinds of place in English -> their sort, as of the Chinese kinds (named.py); '~' goes with any.
_HEADS = {word: sort for sort, words in (
    ("road", "street st road rd avenue ave lane drive close row crescent terrace boulevard highway way"),
    ("stay", "hotel guesthouse hostel inn lodge motel resort"),
    ("school", "school college university kindergarten primary academy"),
    ("home", "estate apartments court gardens mansions villas park"), ("village", "village vilage hamlet town"),
    ("bridge", "bridge viaduct flyover"), ("works", "factory plant mill refinery works"),
    ("shop", "mall market supermarket"), ("care", "hospital clinic home"),
    ("≈", "river canal creek lake sea"),
    ("square", "plaza square"),
    ("~", "hill ridge bend valley gorge island pier beach bay falls wharf harbour harbor reservoir peak cape "
          "point farm woods forest station crossing roundabout church "
          "tower centre center garden pass mountain airport cove "
          "fair stadium quay port dam mine tunnel campsite camp"),
) for word in words.split()}  # fmt: skip
_WORD = re.compile(r"[A-Za-z][A-Za-z'’]*|[^\sA-Za-z]")
_NEXT = re.compile(r"\s+([A-Za-z]+)")
_PREFIX = re.compile(r"\b(?:Mount|Mt\.?|Lake|St\.?|Saint|Port|Cape|Fort|Camp)\s+([A-Z][a-z'’]{3,20})")


def english_places(text: str) -> Iterator[str]:
    """Keys of places: ``|=golden|=lotus|stay``, and what Chinese speakers call it, ``|jin|lian|stay``."""
    words = [match[0] for match in _WORD.finditer(text)]
    for at, word in enumerate(words):
        sort = _HEADS.get(word.lower())
        if at and sort is not None and (name := _name(words, at)):
            yield from _keys(name, word.lower(), sort)
    for match in _PREFIX.finditer(text):
        yield from _keys([plain(match[1])], "hill", "~")


def plain(word: str) -> str:
    """As names are compared: without a capital and the s of a possessor."""
    bare = word.lower().replace("'", "").replace("’", "")
    return bare[:-1] if len(bare) > 4 and bare.endswith("s") and not bare.endswith("ss") else bare


def is_called(word: str) -> bool:
    """Whether it is an English word of the table, and thus no name in pinyin."""
    return word.lower() in _called() or is_kind_of_place(word)


def sort_behind(text: str) -> str:
    """The sort of the place that a name in front of `text` is of, ``road`` of " Road"; '' for none."""
    found = _NEXT.match(text)
    return _HEADS.get(found[1].lower(), "") if found else ""


def is_kind_of_place(word: str) -> bool:
    """Bend of Miller's Bend: no name by itself."""
    return word.lower() in _HEADS


def _name(words: list[str], at: int) -> list[str]:
    """The words in front of the kind at `at`; [] for none."""
    found: list[str] = []
    for word in reversed(words[max(0, at - _LONGEST) : at]):
        bare = word.lower()
        if len(bare) < 3 or not bare[0].isalpha() or bare in _no_modifiers():
            break
        if found and words[at - 1][0].isupper() and not word[0].isupper():
            break
        found.insert(0, plain(word))
    if len(found) == 1 and len(spelt(words[at - 1])) > 1 and not is_called(words[at - 1]):
        return []  # Daping village: named by its sounds
    return found


def _keys(name: list[str], head: str, sort: str) -> Iterator[str]:
    yield f"|{'|'.join(f'={word}' for word in name)}|{sort}"
    words = [*name, *([head] if sort == "~" and head in _called() else [])]
    ways = [_called().get(word, ()) for word in words]
    if all(ways) and (len(words) > 1 or any(len(way) > 1 for way in ways[0])):
        for way in islice(product(*ways), WAYS):
            sounds = [sound for part in way for sound in part]
            if len(sounds) > 1:
                yield f"|{'|'.join(sounds[-3:])}|{sort}"


@lru_cache(maxsize=1)
def _no_modifiers() -> frozenset[str]:
    return frozenset(_table()["no_modifiers"].split())


@lru_cache(maxsize=1)
def _called() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    return {word: tuple(tuple(syllables(way)) for way in ways.split())
            for word, ways in _table()["in_chinese"].items()}  # fmt: skip


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files("intake.same").joinpath("names.toml").read_text("utf-8"))
