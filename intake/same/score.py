"""How alike two reports are, and why: weights for and against, added up like odds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz

from intake.same.kinds import affinity
from intake.same.named import Named
from intake.same.sketch import Sketch

THRESHOLD = 0.65  # proposed from here on
TAIL = 0.5  # the last two syllables of a name of three: 石桥 of 大石桥
BIAS = -4.0  # odds of two reports of one window, when nothing is known of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A score from 0 to 1 and its grounds as (code, number): ('minutes', 12), ('metres', 300), ('kind', 0) ..."""

    score: float
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    weight: float
    code: str = ""
    number: int = 0


def likeness(one: Sketch, other: Sketch) -> Likeness:
    """The same for both orders, but for the sign of minutes: how much earlier `other` arrived than `one`."""
    grounds = [*_time(one, other), *_where(one, other), *_kind(one, other), *_numbers(one, other),
               *_words(one, other), *_sender(one, other)]  # fmt: skip
    odds = BIAS + sum(g.weight for g in grounds)
    reasons = tuple((g.code, g.number) for g in grounds if g.code)
    return Likeness(score=1 / (1 + math.exp(-odds)), reasons=reasons)


def _time(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    gap = max(0, max(one.begins, other.begins) - min(one.ends, other.ends))
    apart = abs(one.at - other.at)
    weight = 1.0 if gap == 0 else 0.6 if gap <= 60 else 0.0 if gap <= 180 else -1.0 if gap <= 480 else -4.5
    if apart <= 45:
        weight += 0.5
    yield _Ground(weight=weight, code="minutes", number=one.at - other.at)


def _where(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    metres = _metres(one.position, other.position)
    if metres is not None:
        yield _Ground(weight=_by_distance(metres), code="metres", number=int(round(metres, -1)))
    if one.area and other.area and not _lies_in(one.area, other.area):
        yield _Ground(weight=-3.0)
    elif one.area and other.area:
        yield _Ground(weight=0.3, code="area")
    yield from _by_name(one, other)


def _by_name(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    a, b = one.named, other.named
    shared = max(_heard(a.places, b), _heard(b.places, a))
    if shared:
        yield _Ground(weight=2.8 * shared, code="place")
    elif a.places and b.places:
        yield _Ground(weight=-2.5)
    elif a.sites & b.sites:
        yield _Ground(weight=1.2, code="site")
    towns = max(_heard(a.towns, b), _heard(b.towns, a))
    if towns and not shared:
        yield _Ground(weight=1.6, code="town")
    elif a.towns and b.towns and not towns and not shared:
        yield _Ground(weight=-2.0)
    regions = max(_heard(a.regions, b), _heard(b.regions, a))
    if (a.regions and b.regions) or regions:
        yield _Ground(weight=0.6 if regions else -1.0)
    if a.roads & b.roads:
        yield _Ground(weight=1.0, code="road")


def _heard(places: frozenset[str], other: Named) -> float:
    """1 when a name of one is heard whole in the other; less for a name misheard, or for another sort of place."""
    best = 0.0
    for place in places:
        name, sort = _parted(place)
        if name in other.heard:
            sorts = {p.removeprefix(name) for p in other.places if p.startswith(name)}
            best = max(best, 0.45 if sort not in ("", "~") and sorts and not sorts & {sort, "", "~"} else 1.0)
        elif any(_is_misheard(name, _parted(p)[0]) for p in other.places):
            best = max(best, 0.9)
        elif sort != "~" and name.count("|") > 3 and _tail(name) in other.heard and "|jia|" not in name:
            best = max(best, TAIL)
    return best


def _parted(place: str) -> tuple[str, str]:
    end = place.rindex("|") + 1
    return place[:end], place[end:]


def _tail(name: str) -> str:
    return f"|{'|'.join(name.strip('|').split('|')[-2:])}|"


def _is_misheard(name: str, other: str) -> bool:
    """Three syllables of which one differs, and begins alike: 杉木坳, 山木坳."""
    one, two = name.strip("|").split("|"), other.strip("|").split("|")
    if len(one) != 3 or len(two) != 3:
        return False
    unlike = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    return len(unlike) == 1 and unlike[0][0][:1] == unlike[0][1][:1]


def _kind(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    same = affinity(one.kinds, other.kinds)
    if same == 1:
        yield _Ground(weight=2.0, code="kind")
        if "quake" in one.kinds & other.kinds:
            yield _Ground(weight=2.0)  # everybody feels the one
    elif same > 0.1:
        yield _Ground(weight=1.4 if same == 0.7 else 0.3, code="near_kind")
    else:
        yield _Ground(weight=-2.5 if same < 0 else -1.2 if same == 0 else -0.3)
    a, b = one.named.vehicles, other.named.vehicles
    if a and b and not a & b:
        yield _Ground(weight=-2.5)


def _numbers(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    a, b = one.named, other.named
    if a.things & b.things:
        yield _Ground(weight=2.5, code="named")
    elif a.things and b.things and not (a.marks or b.marks):
        yield _Ground(weight=-1.0)
    if a.marks and b.marks:
        near = min(abs(x - y) for x in a.marks for y in b.marks) <= 2
        yield _Ground(weight=2.0 if near else -4.0, code="mark" if near else "")
    if a.houses and b.houses:
        same = bool(a.houses & b.houses)
        yield _Ground(weight=1.0 if same else -3.0, code="house" if same else "")
    if a.counts & b.counts:
        yield _Ground(weight=0.8, code="numbers", number=len(a.counts & b.counts))


def _words(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    if not one.said or not other.said:
        return
    alike = fuzz.ratio(one.said, other.said) / 100
    short, long = sorted((one.said, other.said), key=len)
    pairs = {short[n : n + 2] for n in range(len(short) - 1)}
    within = sum(pair in long for pair in pairs) / max(6, len(pairs))
    weight = 3.0 if alike >= 0.8 and len(short) >= 12 else 2.5 * max(0.0, within - 0.15)
    if weight > 0:
        yield _Ground(weight=min(weight, 3.0), code="words" if weight >= 0.5 else "")


def _sender(one: Sketch, other: Sketch) -> Iterator[_Ground]:
    if one.sender and one.sender == other.sender:
        yield _Ground(weight=1.5, code="sender")


def _metres(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float | None:
    """On the plane that touches the earth there: nobody compares over more than a province."""
    if one is None or other is None:
        return None
    north = (one[0] - other[0]) * 111_320
    east = (one[1] - other[1]) * 111_320 * math.cos(math.radians(one[0]))
    return math.hypot(north, east)


def _by_distance(metres: float) -> float:
    for limit, weight in ((300, 3.0), (1_000, 2.2), (3_000, 0.8), (6_000, -1.0)):
        if metres <= limit:
            return weight
    return -4.0


def _lies_in(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
