"""What the places that two reports name, lie in or were sent from say of whether they tell of the same."""

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache

from rapidfuzz import fuzz

from intake.same.counted import Counted
from intake.same.ground import Ground
from intake.same.named import ANY, SORTS, WATER, Named
from intake.same.rarity import worth
from intake.same.sketch import Sketch

TAIL = 0.5  # the last two syllables of a name of three: 石桥 of 大石桥
NEARLY = 88  # of 100: Fishermens Row, Fishermans Row
TELLING = 6.0  # bits of shared pieces from which on they are a name
OTHER_SORT = 0.45  # 桃源小区 and 桃源小学 share a name
ALONG = frozenset(("road", WATER, "~"))  # two events lie on one road, one river or one hill
# Sounds that tell two places of one name apart.
CONTRARY = tuple(
    frozenset(sounds.split())
    for sounds in ("don xi lan bei zon", "san xia zon", "da xiao", "lao xin", "qian hou zon", "zuo you", "lei wai",
                   "huan bai hei hon qin lu", "gao di", "yi er san si wu liu qi ba jiu si")
)  # fmt: skip
SIDES = tuple(map(frozenset, ("东西南北", "上下", "新老", "前后")))
# Over many places at once.
WIDE = frozenset(("flood", "quake", "power", "water", "comms", "wind", "hail", "snow", "fog"))


def places(one: Sketch, other: Sketch) -> Iterator[Ground]:
    """The grounds that places are."""
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
    bits = sum(worth(p) for p in one.rare & other.rare if "|".join(p.split("|")[:2]) not in _divisions(a, b))
    heard = {**_heard(b.places, a), **_heard(a.places, b)}
    shared = max(heard.values(), default=0.0)
    is_wide = bool(one.kinds & other.kinds & WIDE)
    is_other = not shared and _are_comparable(a.places, b.places)
    if is_other:
        yield from _of_other_places(a, b, bits, is_wide=is_wide)
    elif shared and all(_parted(place)[1] in ALONG for place, much in heard.items() if much):
        yield from _along(a, b, shared, heard, bits)
    else:
        yield from _of_one_place(shared, bits)
    yield from _sites(a, b, shared)
    if _is_contrary(a, b) or _is_contrary(b, a) or _are_sides(a.bare, b.bare):
        yield Ground("place_contrary")
    towns = max({**_heard(a.towns, b), **_heard(b.towns, a)}.values(), default=0.0)
    yield from _by_division(a, b, towns, is_other=is_other)
    if not (shared or towns or bits >= TELLING or _is_numbered_alike(one.counted, other.counted)):
        silent = not (a.places or a.towns) or not (b.places or b.towns)
        yield Ground("nowhere" if silent else "elsewhere_of_wide" if is_wide else "elsewhere")


def _divisions(a: Named, b: Named) -> set[str]:
    """Pieces of text that are names of counties and towns: those two share who tell of two villages."""
    return _stems(a.regions | b.regions) | _stems(a.towns | b.towns, kind=False)


def _by_division(a: Named, b: Named, towns: float, *, is_other: bool) -> Iterator[Ground]:
    """One town or county; that says little where each names another place in it."""
    if towns:
        yield Ground("town_of_other_places" if is_other else "town", towns, "town")
    elif a.towns and b.towns:
        yield Ground("town_other")
    if any(f"|{stem}|" in a.heard and f"|{stem}|" in b.heard for stem in _stems(a.regions | b.regions)):
        yield Ground("region_of_other_places" if is_other else "region")
    elif a.regions and b.regions:
        yield Ground("region_other")


def _along(a: Named, b: Named, shared: float, heard: Mapping[str, float], bits: float) -> Iterator[Ground]:
    """One road or one river, on which two events lie as easily; less where both tell where on it."""
    yield Ground("along", shared, "place")
    yield Ground("bits_along", min(bits, 18) / 18)
    if all(_has_finer(named, heard) for named in (a, b)) and not a.bare & b.bare:
        yield Ground("along_elsewhere")


def _has_finer(named: Named, heard: Mapping[str, float]) -> bool:
    """It names more than what is along: a house, a station."""
    return bool(named.bare) or any(
        not much and _parted(p)[1] not in ALONG for p, much in heard.items() if p in named.places
    )


def _are_comparable(one: frozenset[str], other: frozenset[str]) -> bool:
    """Both name places, and in one script: Willow Park may be 柳园."""
    return any(
        any(x.startswith("|=") == is_latin for x in one)
        and any(x.startswith("|=") == is_latin for x in other)
        for is_latin in (False, True)
    )


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
    is_loose = any(all(_parted(place)[1] in ("~", WATER) for place in named.places) for named in (a, b))
    name = "place_other_of_wide" if is_wide else "place_other_natural" if is_loose else "place_other"
    yield Ground(name, 1 - min(1.0, bits / 12))
    if bits:
        yield Ground("bits_of_other_places", min(bits, 20) / 20)


def _sites(a: Named, b: Named, shared: float) -> Iterator[Ground]:
    """The part of a place, or a kind of place without a name."""
    if shared:
        if a.bare & b.bare:
            yield Ground("site_of_place")
    elif not a.sites & b.sites:
        if a.sites and b.sites:
            yield Ground("site_other")
    elif not (a.places and b.places):
        yield Ground("site", 1.0, "site")


def _stems(names: frozenset[str], *, kind: bool = True) -> set[str]:
    """``yun|tai`` of 云台县; `kind`: the last sound is that of the kind."""
    return {"|".join(name.strip("|").split("|")[: -1 if kind else None][:2]) for name in names}


def _heard(places: frozenset[str], other: Named) -> dict[str, float]:
    """Place -> 1 when a name of one is heard whole in the other; less for a name misheard, or for another sort of place."""
    return {place: _heard_one(place, other) for place in places}


def _heard_one(place: str, other: Named) -> float:
    name, sort = _parted(place)
    if name in other.heard or any(p.startswith(name) for p in other.places):
        sorts = {p.removeprefix(name) for p in other.places if p.startswith(name)}
        is_other = sort not in ANY and sorts and not sorts & {sort, *ANY}
        is_other = is_other and all(SORTS.get(kind) != sort for kind in other.bare)  # 水洞村的学校, 水洞小学
        return OTHER_SORT if is_other else 1.0
    if any(_is_misheard(name, _parted(p)[0]) for p in other.places):
        return 0.9
    if sort not in ("~", WATER) and name.count("|") > 3 and _is_tail(name, other):
        return TAIL
    return 0.0


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
    if one[0].startswith("="):
        return len(name) > 7 and fuzz.ratio(name, other) >= NEARLY
    if len(one) != 3 or len(two) != 3:
        return False
    unlike = [(a, b) for a, b in zip(one, two, strict=True) if a != b]
    return len(unlike) == 1 and unlike[0][0][:1] == unlike[0][1][:1]


def _is_contrary(one: Named, other: Named) -> bool:
    """上营 and 下营, 老渡口 and 新渡口, 黄羊 and 白羊: whoever says the one means not the other."""
    for place in one.places | one.towns:
        name, _ = _parted(place)
        if name not in other.heard and any(contrary in other.heard for contrary in _contraries(name)):
            return True
    return False


@lru_cache(maxsize=4096)
def _contraries(name: str) -> tuple[str, ...]:
    sounds = name.strip("|").split("|")
    return tuple(
        f"|{'|'.join([*sounds[:n], by, *sounds[n + 1 :]])}|"
        for n, sound in enumerate(sounds)
        for pair in CONTRARY
        if sound in pair and len(sounds) > 1
        for by in sorted(pair - {sound})
    )


def _are_sides(one: frozenset[str], other: frozenset[str]) -> bool:
    """上寨 and 下寨 of one village."""
    sides = [{x[0], y[0]} for x in one - other for y in other - one if len(x) == len(y) == 2 and x[1] == y[1]]
    return not one & other and any(pair <= side for pair in sides for side in SIDES)


def _is_numbered_alike(one: Counted, other: Counted) -> bool:
    return bool(one.marks & other.marks or one.things & other.things)


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
