"""What speaks for and against that two reports tell of the same, each ground with how much of it there is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz

from intake.same.kinds import affinity
from intake.same.named import Named
from intake.same.rarity import worth
from intake.same.sketch import Sketch

TAIL = 0.5  # the last two syllables of a name of three: 石桥 of 大石桥
TELLING = 6.0  # bits of shared pieces from which on they are a name
AGAIN = 120  # minutes from which "again" tells of another event
OTHER_SORT = 0.45  # 桃源小区 and 桃源小学 share a name
# Sounds that tell two places of one name apart.
CONTRARY = tuple(
    frozenset(sounds.split())
    for sounds in ("don xi lan bei zon", "san xia zon", "da xiao", "lao xin", "qian hou zon", "zuo you", "lei wai",
                   "huan bai hei hon qin lu", "gao di", "yi er san si wu liu qi ba jiu si")
)  # fmt: skip
ROAD_VEHICLES = frozenset(("bus", "truck", "bike", "car", "tractor"))  # the rest is a kind of event by itself
WIDE = frozenset(
    ("flood", "quake", "power", "water", "comms", "wind", "hail", "snow", "fog")
)  # over many places at once
# Kinds that nobody who sees one leaves out.
OWN = frozenset(
    ("suicide", "lift", "power", "violence", "birth", "lightning", "dog", "bees", "game", "carcass", "theft", "nuisance",
     "crowd", "aircraft", "rail", "water", "wildfire", "boat", "mine", "quake", "dam", "blast", "poisoning", "illness", "comms")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ground:
    """`name` has a weight in weights.toml; `code` and `number` are shown to officers where there is a code."""

    name: str
    amount: float = 1.0
    code: str = ""
    number: int = 0


def grounds(one: Sketch, other: Sketch) -> Iterator[Ground]:
    """The same for both orders, but for the sign of minutes: how much earlier `other` arrived than `one`."""
    yield from _time(one, other)
    place = list(_where(one, other))
    yield from place
    yield from _kind(one, other)
    yield from _numbers(one, other)
    yield from _words(one, other)


def _time(one: Sketch, other: Sketch) -> Iterator[Ground]:
    gap = max(0, max(one.begins, other.begins) - min(one.ends, other.ends))
    apart = abs(one.at - other.at)
    later = "later" in (one.stage if one.at >= other.at else other.stage)
    yield Ground("minutes", 0.0, "minutes", one.at - other.at)
    if gap > 0:
        yield Ground("gap", math.log2(1 + gap / 30))
        if later:
            yield Ground("gap_of_follow_up", math.log2(1 + gap / 30))
        if gap > 720:
            yield Ground("half_a_day")
    if apart > 15:
        yield Ground("apart", math.log2(apart / 15))
        if later:
            yield Ground("apart_of_follow_up", math.log2(apart / 15))
    if apart > AGAIN and "again" in (one.stage if one.at >= other.at else other.stage):
        yield Ground("again")


def _where(one: Sketch, other: Sketch) -> Iterator[Ground]:
    metres = _metres(one.position, other.position)
    if metres is not None:
        yield from _by_distance(metres)
    if one.area and other.area and not _lies_in(one.area, other.area):
        yield Ground("area_other")
    elif len(one.area) > 4 and len(other.area) > 4:
        yield Ground("area_same", 1.0, "area")
    yield from _by_name(one, other)


def _by_name(one: Sketch, other: Sketch) -> Iterator[Ground]:
    a, b = one.named, other.named
    regions = _stems(a.regions | b.regions)
    bits = sum(worth(p) for p in one.rare & other.rare if "|".join(p.split("|")[:2]) not in regions)
    shared = max(_heard(a.places, b), _heard(b.places, a))
    towns = max(_heard(a.towns, b), _heard(b.towns, a))
    is_wide = bool(one.kinds & other.kinds & WIDE)
    if a.places and b.places and not shared:
        yield from _of_other_places(a, b, bits, is_wide=is_wide)
    else:
        yield from _of_one_place(shared, bits)
    yield from _sites(a, b, shared)
    if any(_is_contrary(x, y) for x in a.places | a.towns for y in b.places | b.towns):
        yield Ground("place_contrary")
    if towns:
        yield Ground("town", towns, "town")
    elif a.towns and b.towns:
        yield Ground("town_other")
    if any(f"|{stem}|" in a.heard and f"|{stem}|" in b.heard for stem in regions):
        yield Ground("region")
    elif a.regions and b.regions:
        yield Ground("region_other")
    if not (shared or towns or bits >= TELLING):
        silent = not (a.places or a.towns) or not (b.places or b.towns)
        yield Ground("nowhere" if silent else "elsewhere_of_wide" if is_wide else "elsewhere")


def _of_one_place(shared: float, bits: float) -> Iterator[Ground]:
    if shared == OTHER_SORT:
        yield Ground("place_of_other_sort", 1.0, "place")
    elif shared:
        yield Ground("place", shared, "place")
    if bits:
        yield Ground("bits_few", min(bits, TELLING) / TELLING, "" if shared or bits < TELLING else "place")
        yield Ground("bits_more", max(0.0, min(bits, 18) - TELLING) / 12)
        yield Ground("bits_many", max(0.0, min(bits, 40) - 18) / 22)


def _of_other_places(a: Named, b: Named, bits: float, *, is_wide: bool) -> Iterator[Ground]:
    """Two names, and none in both: less sure where they share a piece, for names are not always cut out well."""
    yield Ground("place_other_of_wide" if is_wide else "place_other", 1 - min(1.0, bits / 12))
    if bits:
        yield Ground("bits_of_other_places", min(bits, 20) / 20)


def _sites(a: Named, b: Named, shared: float) -> Iterator[Ground]:
    if not a.sites & b.sites:
        if a.sites and b.sites:
            yield Ground("site_other")
    elif shared:
        yield Ground("site_of_place")
    elif not (a.places and b.places):
        yield Ground("site", 1.0, "site")


def _stems(regions: frozenset[str]) -> set[str]:
    """``yun|tai`` of 云台县."""
    return {"|".join(name.strip("|").split("|")[:-1][:2]) for name in regions}


def _heard(places: frozenset[str], other: Named) -> float:
    """1 when a name of one is heard whole in the other; less for a name misheard, or for another sort of place."""
    best = 0.0
    for place in places:
        name, sort = _parted(place)
        if name in other.heard:
            sorts = {p.removeprefix(name) for p in other.places if p.startswith(name)}
            is_other = sort not in ("", "~") and sorts and not sorts & {sort, "", "~"}
            best = max(best, OTHER_SORT if is_other else 1.0)
        elif any(_is_misheard(name, _parted(p)[0]) for p in other.places):
            best = max(best, 0.9)
        elif sort != "~" and name.count("|") > 3 and _is_tail(name, other):
            best = max(best, TAIL)
    return best


def _parted(place: str) -> tuple[str, str]:
    end = place.rindex("|") + 1
    return place[:end], place[end:]


def _is_tail(name: str, other: Named) -> bool:
    """石桥 is heard where 大石桥 is named; what everybody says is no name."""
    tail = "|".join(name.strip("|").split("|")[-2:])
    return f"|{tail}|" in other.heard and worth(tail) > 1 and "|jia|" not in name


def _is_misheard(name: str, other: str) -> bool:
    """Three syllables of which one differs, and begins alike: 杉木坳, 山木坳."""
    one, two = name.strip("|").split("|"), other.strip("|").split("|")
    if len(one) != 3 or len(two) != 3:
        return False
    unlike = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    return len(unlike) == 1 and unlike[0][0][:1] == unlike[0][1][:1]


def _is_contrary(one: str, other: str) -> bool:
    """上营 and 下营, 老渡口 and 新渡口, 黄羊 and 白羊: whoever says the one means not the other."""
    a, b = (_parted(name)[0].strip("|").split("|") for name in (one, other))
    unlike = [{x, y} for x, y in zip(a, b, strict=False) if x != y]
    return len(a) == len(b) and len(unlike) == 1 and any(unlike[0] <= pair for pair in CONTRARY)


def _kind(one: Sketch, other: Sketch) -> Iterator[Ground]:
    same = affinity(one.kinds, other.kinds)
    if same == 1:
        yield Ground("kind", 1.0, "kind")
        yield Ground("kinds_alike", len(one.kinds & other.kinds) / len(one.kinds | other.kinds))
        yield Ground("kinds_unlike", min(2, len((one.kinds ^ other.kinds) & OWN)))
        if "quake" in one.kinds & other.kinds:
            yield Ground("quake")  # everybody feels the one
    elif same > 0.1:
        yield Ground("kinds_alike", len(one.kinds & other.kinds) / len(one.kinds | other.kinds))
        yield Ground("kind_end" if same == 0.7 else "kind_near", 1.0, "near_kind")
    elif same < 0:
        yield Ground("kind_other")
    else:
        yield Ground("kind_unsaid")
    vehicles, others = one.counted.vehicles, other.counted.vehicles
    if vehicles & others & ROAD_VEHICLES:
        yield Ground("vehicle")
    elif vehicles and others and not vehicles & others:
        yield Ground("vehicle_other")
    if "missing" in one.kinds & other.kinds and one.counted.who and not one.counted.who & other.counted.who:
        yield Ground("somebody_else", float(bool(other.counted.who)))
    yield from _sets("who", one.counted.who, other.counted.who)


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


def _metres(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float | None:
    """On the plane that touches the earth there: nobody compares over more than a province."""
    if one is None or other is None:
        return None
    north = (one[0] - other[0]) * 111_320
    east = (one[1] - other[1]) * 111_320 * math.cos(math.radians(one[0]))
    return math.hypot(north, east)


def _by_distance(metres: float) -> Iterator[Ground]:
    shown = int(round(metres, -1))
    for limit, name in (
        (300, "metres_300"),
        (1_000, "metres_1000"),
        (3_000, "metres_3000"),
        (6_000, "metres_6000"),
    ):
        if metres <= limit:
            yield Ground(name, 1.0, "metres", shown)
            return
    yield Ground("metres_more", 1.0, "metres", shown)


def _lies_in(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
