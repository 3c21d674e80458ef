"""How alike two reports are, and why: weights for and against, added up like odds."""

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

from intake.same.grounds import grounds
from intake.same.sketch import Sketch

Name = TypeVar("Name")

THRESHOLD = 0.64  # proposed from here on
BEHIND = 1.5  # odds (natural logarithm): what is further behind the likeliest is not proposed beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A score from 0 to 1 and its grounds as (code, number): ('minutes', 12), ('metres', 300), ('kind', 0) ..."""

    score: float
    reasons: tuple[tuple[str, int], ...]


def likeness(one: Sketch, other: Sketch) -> Likeness:
    """The same for both orders, but for the sign of minutes: how much earlier `other` arrived than `one`."""
    weights = _weights()
    odds, reasons = weights["bias"], []
    for ground in grounds(one, other):
        odds += weights[ground.name] * ground.amount if ground.amount else 0.0
        if ground.code:
            reasons.append((ground.code, ground.number))
    return Likeness(score=1 / (1 + math.exp(-min(odds, 20.0))), reasons=tuple(reasons))


def likely(scored: Iterable[tuple[Name, Likeness]]) -> Sequence[tuple[Name, Likeness]]:
    """Those at or above the threshold, best first, without what is far behind the best."""
    found = sorted((pair for pair in scored if pair[1].score >= THRESHOLD), key=lambda pair: -pair[1].score)
    least = _odds(found[0][1].score) - BEHIND if found else 0.0
    return [pair for pair in found if _odds(pair[1].score) >= least]


def _odds(score: float) -> float:
    return math.log(score / max(1 - score, 1e-9))


@cache
def _weights() -> Mapping[str, float]:
    return tomllib.loads(files("intake.same").joinpath("weights.toml").read_text("utf-8"))
