"""Which grade the numbers of an accident suggest (生产安全事故报告和调查处理条例 art. 3); an officer decides."""

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from domain.casualties import Casualties
from domain.harm_words import Harm


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A grade, 1 to 4, and the number it rests on."""

    grade: int
    measure: str  # deaths | serious_injury | loss_cny
    number: int
    is_cautious: bool  # the number is the greater end of a range, or of injured whose wounds nobody described


def suggest(found: Casualties) -> Suggestion | None:
    """The strictest grade that any of the numbers reaches; None when nobody came to harm and nothing was lost, so far as is said.

    The missing do not count (the regulation counts the dead); injured of whom nobody says how badly count as badly hurt.
    """
    dead, serious = found.numbers.get(Harm.DEAD), found.numbers.get(Harm.SERIOUS)
    badly = found.most(Harm.SERIOUS) if serious else found.most(Harm.INJURED) - found.most(Harm.LIGHT)
    numbers = {
        "deaths": (found.most(Harm.DEAD), bool(dead and dead.low != dead.high)),
        "serious_injury": (badly, serious is None),
        "loss_cny": (found.loss_cny or 0, False),
    }
    reached = [
        Suggestion(grade=grade, measure=measure, number=number, is_cautious=is_cautious)
        for measure, (number, is_cautious) in numbers.items()
        for grade, least, below in _bounds(measure)
        if number > 0 and least <= number and (below is None or number < below)
    ]
    return min(reached, key=lambda s: s.grade, default=None)


@lru_cache(maxsize=3)
def _bounds(measure: str) -> tuple[tuple[int, int, int | None], ...]:
    text = files("domain").joinpath("codes", "accident_grades.csv").read_text(encoding="utf-8-sig")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        (int(row["level"]), int(row[f"{measure}_min"] or 0), int(row[f"{measure}_max_excl"] or 0) or None)
        for row in rows
    )
