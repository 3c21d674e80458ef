"""What speaks for and against that two reports tell of the same, each ground with how much of it there is."""

import math
from collections.abc import Iterator

from rapidfuzz import fuzz

from intake.same.ground import Ground
from intake.same.kinds import EXERCISE, LOOSE, affinity
from intake.same.places import places
from intake.same.sketch import Sketch

SOON = 5  # minutes within which many call about one event
LONG = 30  # minutes from which on it says less that one came later
TO_THE_MINUTE = 10  # by so many minutes do two that say a time differ
CALLED = 15  # minutes after it happened most have called
AGAIN = 120  # minutes from which "again" tells of another event
# Where a time to the minute says something.
HERE = frozenset(("place", "along", "town", "metres_300", "metres_1000", "site"))
ROAD_VEHICLES = frozenset(("bus", "truck", "bike", "car", "tractor"))  # the rest is a kind of event by itself
# Kinds that nobody who sees one leaves out.
OWN = frozenset(
    ("suicide", "lift", "power", "violence", "birth", "lightning", "dog", "bees", "game", "carcass", "theft", "nuisance",
     "crowd", "aircraft", "rail", "water", "wildfire", "boat", "mine", "quake", "dam", "blast", "poisoning", "illness", "comms")
)  # fmt: skip
# Kinds that are an event by themselves, whatever else is there.
ALONE = frozenset(
    ("suicide", "birth", "violence", "theft", "nuisance", "dog", "bees", "game", "lift", "lightning", "hail")
)


def grounds(one: Sketch, other: Sketch) -> Iterator[Ground]:
    """The same for both orders, but for the sign of minutes: how much earlier `other` arrived than `one`."""
    yield from _time(one, other)
    place = list(places(one, other))
    yield from place
    if any(ground.name in HERE for ground in place):
        yield from _clock(one, other)
    yield from _kind(one, other)
    yield from _numbers(one, other)
    yield from _words(one, other)


def _time(one: Sketch, other: Sketch) -> Iterator[Ground]:
    gap = max(0, max(one.begins, other.begins) - min(one.ends, other.ends))
    apart = abs(_when(one) - _when(other))
    last = one if one.at >= other.at else other
    later = last.stage == "later"
    yield Ground("minutes", 0.0, "minutes", one.at - other.at)
    if gap > 0 and (last.is_timed or not later):
        yield Ground("gap_of_follow_up" if later else "gap", math.log2(1 + gap / 30))
    if apart > SOON:
        yield Ground("apart_of_follow_up" if later else "apart", math.log2(min(apart, LONG) / SOON))
    if apart > LONG:
        yield Ground("apart_long_of_follow_up" if later else "apart_long", math.log2(apart / LONG))
    if apart > AGAIN and last.stage == "again":
        yield Ground("again")


def _when(one: Sketch) -> int:
    """What its text says to the minute, else when it arrived: 14时18分 of an account that comes an hour later."""
    return one.at if one.clock is None else one.clock


def _clock(one: Sketch, other: Sketch) -> Iterator[Ground]:
    """A time said to the minute is that of the other, or lies shortly before it arrived: 14时18分, a call at 14:20."""
    if one.clock is not None and other.clock is not None:
        is_near = abs(one.clock - other.clock) <= TO_THE_MINUTE
    elif one.clock is not None or other.clock is not None:
        clock, at = (one.clock or 0, other.at) if one.clock is not None else (other.clock or 0, one.at)
        is_near = -TO_THE_MINUTE <= at - clock <= CALLED
    else:
        return
    if is_near:
        yield Ground("clock")


def _kind(one: Sketch, other: Sketch) -> Iterator[Ground]:
    same, shared = affinity(one.kinds, other.kinds), one.kinds & other.kinds
    if same == 1:
        yield Ground("kind", 1.0, "kind")
        yield Ground("kinds_alike", len(shared) / len(one.kinds | other.kinds))
        yield Ground("kinds_unlike", min(2, len((one.kinds ^ other.kinds) & OWN)))
        if shared & OWN - LOOSE:
            yield Ground("kind_telling")
        if "quake" in shared:
            yield Ground("quake")  # everybody feels the one
    elif same > 0.1:
        yield Ground("kinds_alike", len(shared) / len(one.kinds | other.kinds))
        yield Ground("kind_end" if same == 0.7 else "kind_near", 1.0, "near_kind")
        yield Ground("kinds_unlike_near", min(2, len((one.kinds ^ other.kinds) & OWN)))
    elif same < 0:
        yield Ground("kind_other")
    else:
        yield Ground("kind_unsaid")
    if one.harm and other.harm and one.harm != other.harm:
        yield Ground("harm_other")
    if alone := (one.kinds ^ other.kinds) & ALONE:
        yield Ground("kinds_alone", min(2, len(alone)))
    if (EXERCISE in one.kinds) != (EXERCISE in other.kinds):
        yield Ground("exercise_other")
    yield from _vehicles(one.counted.vehicles, other.counted.vehicles)
    if "missing" in one.kinds & other.kinds and one.counted.who and not one.counted.who & other.counted.who:
        yield Ground("somebody_else", float(bool(other.counted.who)))
    yield from _sets("who", one.counted.who, other.counted.who)


def _vehicles(one: frozenset[str], other: frozenset[str]) -> Iterator[Ground]:
    if one & other & ROAD_VEHICLES:
        yield Ground("vehicle")
    elif one and other and not one & other:
        yield Ground("vehicle_other")


def _sets(name: str, one: frozenset[str], other: frozenset[str], code: str = "") -> Iterator[Ground]:
    if one & other:
        yield Ground(name, 1.0, code)
    elif one and other:
        yield Ground(f"{name}_other")


def _numbers(one: Sketch, other: Sketch) -> Iterator[Ground]:
    a, b = one.counted, other.counted
    if a.things & b.things:
        yield Ground("thing", 1.0, "named")
    elif a.things and b.things and not (a.marks or b.marks):
        yield Ground("thing_other")
    if a.marks and b.marks:
        off = min(abs(x - y) for x in a.marks for y in b.marks)
        yield Ground("mark", 1.0, "mark") if off <= 2 else Ground("mark_other", min(1.0, off / 6))
    yield from _sets("road", a.roads, b.roads, "road")
    yield from _units(a.units, b.units)
    if a.floors and b.floors:
        near = min(abs(x - y) for x in a.floors for y in b.floors) <= 1
        yield Ground("floor" if near else "floor_other")
    if a.counts & b.counts:
        yield Ground("count", 1.0, "numbers", len(a.counts & b.counts))


def _units(one: frozenset[str], other: frozenset[str]) -> Iterator[Ground]:
    """Buildings, houses, groups: another number of one sort speaks against, whatever else agrees."""
    if {u[0] for u in one} ^ {u[0] for u in other} >= {"b", "n"}:
        one, other = (frozenset(u.replace("n", "b") for u in units) for units in (one, other))  # 28号, 28号楼
    unlike = {u[0] for u in one} & {u[0] for u in other} - {u[0] for u in one & other}
    if unlike:
        yield Ground("unit_other")
    elif one & other:
        yield Ground("unit", 1.0, "house")


def _words(one: Sketch, other: Sketch) -> Iterator[Ground]:
    if one.sender and one.sender == other.sender:
        yield Ground("sender", 1.0, "sender")
    if not one.said or not other.said:
        return
    if one.said[0].isascii() != other.said[0].isascii():
        yield Ground("tongue_other")
    short, long = sorted((one.said, other.said), key=len)
    pairs = {short[n : n + 2] for n in range(len(short) - 1)}
    within = sum(pair in long for pair in pairs) / max(6, len(pairs))
    if len(short) >= 12 and fuzz.ratio(one.said, other.said) >= 80:
        yield Ground("copy", 1.0, "words")
    yield Ground("words", max(0.0, within - 0.15), "words" if within >= 0.35 else "")
