"""The geometry of CAP areas: points, rings and circles from their text, exactly."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from channels.codecs.markup import words

_NUMBER = r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})"
_PAIR = re.compile(rf"({_NUMBER}),({_NUMBER})")
_CIRCLE = re.compile(rf"({_NUMBER}),({_NUMBER})[ \t\r\n]({_NUMBER})")
_SCALE = 10**24  # the digits that _NUMBER admits after the point: coordinates become whole numbers
_HALF_TURN = 180 * _SCALE
CHINA = (Decimal(3), Decimal(54), Decimal(73), Decimal(136))  # south, north, west, east
PAIRS_TRIED = 400_000  # edge pairs compared before giving up: under a second; real alerts need under 100,000


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
    pairs = [_PAIR.fullmatch(word) for word in words(text)]
    points = [Point(Decimal(p[1]), Decimal(p[2])) for p in pairs if p]
    return points if points and len(points) == len(pairs) else None


def circle(text: str) -> tuple[Point, Decimal] | None:
    """Centre and radius in kilometres of ``lat,lon km`` with one blank, or None."""
    match = _CIRCLE.fullmatch(text)
    return (Point(Decimal(match[1]), Decimal(match[2])), Decimal(match[3])) if match else None


Spot = tuple[int, int]
Edge = tuple[int, int, int, int, Spot, Spot]  # least and most latitude, least and most longitude, both ends


def crosses_itself(points: Sequence[Point], most: int = PAIRS_TRIED) -> tuple[bool | None, int]:
    """Whether two edges of a closed ring properly cross, and how many pairs of edges were compared.

    None when more than `most` would have to be. Touching is no crossing: real outlines of islands share a
    vertex. A ring over the 180th meridian is followed across it. Exact, in whole numbers.
    """
    spots = _unrolled([(int(p.lat * _SCALE), int(p.lon * _SCALE)) for p in points])
    if spots[0] != spots[-1]:
        return False, 0  # it goes round a pole: on a flat map nothing can be said of it
    active: list[Edge] = []
    tried = 0
    for edge in sorted(_edge(a, b) for a, b in pairwise(spots) if a != b):
        active = [e for e in active if e[1] >= edge[0]]
        tried += len(active) + 1
        if tried > most:
            return None, tried
        _, _, west, east, a, b = edge
        if any(e[2] < east and e[3] > west and _cross(a, b, e[4], e[5]) for e in active):
            return True, tried
        active.append(edge)
    return False, tried


def _unrolled(spots: Sequence[Spot]) -> list[Spot]:
    """Longitudes that go on beyond 180 where an edge would otherwise lead around the earth."""
    turn, found = 0, list(spots[:1])
    for (_, before), (lat, lon) in pairwise(spots):
        turn += (lon - before < -_HALF_TURN) - (lon - before > _HALF_TURN)
        found.append((lat, lon + turn * 2 * _HALF_TURN))
    return found


def _edge(a: Spot, b: Spot) -> Edge:
    south, north = sorted((a[0], b[0]))
    west, east = sorted((a[1], b[1]))
    return south, north, west, east, a, b


def _cross(a: Spot, b: Spot, c: Spot, d: Spot) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Spot, b: Spot, p: Spot) -> int:
    turn = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    return (turn > 0) - (turn < 0)
