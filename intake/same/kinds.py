"""What kind of event a text tells of, by the words people use; a rough kind, to compare reports by."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

WEAK = frozenset(("trapped", "missing", "illness", "fall"))  # what many kinds of event end in


# Kinds that two people may see in one event.
_FAMILIES = tuple(
    frozenset(family.split())
    for family in (
        "slide collapse trapped", "slide collapse rail", "flood dam", "flood trapped", "flood drowning", "flood boat",
        "flood collapse", "fire blast leak", "fire power blast", "fire wildfire", "leak traffic", "leak poisoning",
        "traffic drowning boat", "traffic trapped", "gas poisoning", "lift trapped", "missing trapped", "wind power",
        "lightning fire", "blast collapse", "fire violence", "traffic fire", "power illness", "wind collapse",
        "boat drowning", "aircraft fire", "wind trapped", "rail trapped", "quake collapse",
    )
)  # fmt: skip

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
    if not one or not other:
        return 0.0 if one or other else 0.1
    shared = one & other
    if shared - WEAK:
        return 1.0
    if shared and (not one - WEAK or not other - WEAK):
        return 0.7
    if shared or any(a in family and b in family for family in _FAMILIES for a in one for b in other):
        return 0.4
    return -1.0


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    table = tomllib.loads(files("intake.same").joinpath("kinds.toml").read_text("utf-8"))
    return {
        kind: re.compile("|".join(words[tongue].replace("\n", "") for tongue in ("zh", "en")), re.IGNORECASE)
        for kind, words in table.items()
    }
