"""What kind of event a text tells of, by the words people use; a rough kind, to compare reports by."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from itertools import product

WEAK = frozenset(("trapped", "missing", "illness", "fall"))  # what many kinds of event end in
LOOSE = frozenset(
    ("collapse", "leak", "power", "boat", "fall")
)  # words that other kinds of event are told with too
EXERCISE = "exercise"

# Kinds that two people may see in one event.
_SEEN_TOGETHER = (
    "slide collapse trapped | slide collapse rail | flood dam | flood trapped | flood drowning | flood boat | flood "
    "collapse | fire blast leak | fire power blast | fire wildfire | leak traffic | leak poisoning | traffic drowning "
    "boat | traffic trapped | gas poisoning | lift trapped | missing trapped | wind power | lightning fire | blast "
    "collapse | fire violence | traffic fire | power illness | wind collapse | boat drowning | aircraft fire | wind "
    "trapped | rail trapped | quake collapse | leak illness gas poisoning | fire illness | collapse fall drowning | "
    "collapse power | traffic power | traffic collapse | traffic slide | traffic fall | slide flood dam | flood power "
    "| flood water | water collapse | water leak illness poisoning | carcass leak water | crowd illness | crowd "
    "violence | suicide fall drowning | suicide crowd | fall trapped | missing drowning boat | lightning power | "
    "lightning illness | lightning blast | wind traffic | wind boat | snow traffic | snow trapped | fog traffic | fog "
    "boat | fog missing | rail traffic | rail fire | mine collapse trapped | mine flood | mine blast | mine gas | dam "
    "leak | lift fall | boat fire | boat trapped | aircraft power | aircraft trapped | quake slide | fire trapped | "
    "fire power | fire boat | breakdown traffic | breakdown boat | bees illness | dog fall | hail collapse wind | "
    "blast illness"
)
_TOGETHER = frozenset(
    pair for family in _SEEN_TOGETHER.split("|") for pair in product(family.split(), repeat=2)
)

# Event classes of the code table (domain/events.py) -> kind, for reports that a department or officer classified.
BY_CLASS = {"11A": "flood", "11B": "wind", "11C": "slide", "11D": "quake", "11G": "wildfire", "12G": "fire",
            "12H": "traffic", "12D": "leak"}  # fmt: skip


def kinds(text: str) -> frozenset[str]:
    """The kinds of event that `text` has words of."""
    return frozenset(kind for kind, words in _patterns().items() if words.search(text))


def affinity(one: frozenset[str], other: frozenset[str]) -> float:
    """1: they name one kind. 0.7: one end of many kinds. 0.4: kinds that one event can show. -1: unlike.

    0.1: both say nothing, 0: one does.
    """
    one, other = one - {EXERCISE}, other - {EXERCISE}
    if not one or not other:
        return 0.0 if one or other else 0.1
    shared = one & other
    if shared - WEAK:
        return 1.0
    if shared and (not one - WEAK or not other - WEAK):
        return 0.7
    if shared or any((a, b) in _TOGETHER for a in one for b in other):
        return 0.4
    return -1.0


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    table = tomllib.loads(files("intake.same").joinpath("kinds.toml").read_text("utf-8"))
    return {
        kind: re.compile("|".join(words[tongue].replace("\n", "") for tongue in ("zh", "en")), re.IGNORECASE)
        for kind, words in table.items()
    }
