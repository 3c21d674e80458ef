"""The geometry of CAP areas: points, rings and circles from their text, exactly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

_NUMBER = r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})"
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})")
_CIRCLE = re.compile(rf"({_NUMBER}),({_NUMBER}) ({_NUMBER})")
_SCALE = 10**15  # the digits that _NUMBER admits after the point: coordinates become whole numbers
CHINA = (Decimal(3), Decimal(54), Decimal(73), Decimal(136))  # south, north, west, east
PAIRS_TRIED = (
    2_000_000  # edge pairs compared before giving up: about one second; real alerts need under 100,000
)


@dataclass(frozen=True, slots=True)
class Point:
    """WGS 84 degrees."""

    lat: Decimal
    lon: Decimal

    @property
    def is_on_earth(self) -> bool:
        """Whether both numbers are in range."""
        return abs(self.lat) <= 90 and abs(self.lon) <= 180

    @property
    def is_china_swapped(self) -> bool:
        """Whether it is a place in China once latitude and longitude change places."""
        south, north, west, east = CHINA
        return west <= self.lat <= east and south <= self.lon <= north


def ring(text: str) -> list[Point] | None:
    """The points of a polygon, or None when a word of it is not ``lat,lon``."""
    pairs = [_PAIR.fullmatch(word) for word in text.split()]
    points = [Point(Decimal(p[1]), Decimal(p[2])) for p in pairs if p]
    return points if points and len(points) == len(pairs) else None


def circle(text: str) -> tuple[Point, Decimal] | None:
    """Centre and radius in kilometres of ``lat,lon km`` with one blank, or None."""
    match = _CIRCLE.fullmatch(text)
    return (Point(Decimal(match[1]), Decimal(match[2])), Decimal(match[3])) if match else None


Spot = tuple[int, int]
Edge = tuple[Spot, Spot]


def crosses_itself(points: Sequence[Point]) -> bool | None:
    """Whether two edges of a closed ring properly cross; None when there are too many to compare.

    Touching is no crossing: real outlines of islands share a vertex. Exact, in whole numbers.
    """
    spots = [(int(p.lat * _SCALE), int(p.lon * _SCALE)) for p in points]
    edges = [(min(a, b), max(a, b)) for a, b in pairwise(spots) if a != b]
    edges.sort()
    active: list[Edge] = []
    tried = 0
    for edge in edges:
        active = [e for e in active if e[1][0] >= edge[0][0]]
        tried += len(active) + 1
        if tried > PAIRS_TRIED:
            return None
        if any(_cross(edge, other) for other in active):
            return True
        active.append(edge)
    return False


def _cross(one: Edge, two: Edge) -> bool:
    (a, b), (c, d) = one, two
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Spot, b: Spot, p: Spot) -> int:
    turn = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    return (turn > 0) - (turn < 0)
