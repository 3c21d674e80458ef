"""Names of places in a text: the divisions of the country and of this hub, and the landmarks it was given."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from domain.divisions import counties, level, short_forms, townships
from domain.errors import BadInput
from intake.misheard import Sounds, heard, sounds

READ_MAX = (
    20_000  # characters of a text that are looked through: ten pages; who is longer names the place before
)
_TOWN = (
    "街道",
    "镇",
    "乡",
    "苏木",
)  # a name with another ending (开发区, 农场) needs what it lies in beside it
_LOWER = {
    n: n + 32 for n in range(ord("A"), ord("Z") + 1)
}  # keeps every letter where it is; str.lower() does not
_HEADWORDS = ("district", "county", "city", "province", "town", "township", "prefecture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """A place that the deployment knows by name."""

    name: str
    area: str  # 12 digits
    lat: float | None = None
    lon: float | None = None
    aliases: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A division as this hub has it."""

    code: str
    name: str
    name_en: str = ""
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True)
class Sense:
    """What a name may mean."""

    code: str
    is_weak: bool = False  # a short form or a bare name: alone it says less
    landmark: int = -1  # its number, for a landmark


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a text, from `start` up to `end`, and all that it may mean."""

    start: int
    end: int
    senses: tuple[Sense, ...]
    is_word: bool = False  # an everyday word that is also a short form
    is_speaker: bool = False  # an authority of that name follows
    is_heard: bool = False  # it is written otherwise and sounds like it


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How names are read (rules/places.toml)."""

    words: frozenset[str]
    not_before: Mapping[str, str]
    roads: tuple[str, ...]
    between: str
    authorities: tuple[str, ...]


def manners(folder: Path | None = None) -> Manners:
    """The rules as shipped, with the words that the deployment's own file adds. Raises BadInput(bad_rules)."""
    shipped = tomllib.loads(files("intake").joinpath("rules", "places.toml").read_text(encoding="utf-8"))
    more = ""
    if folder and (own := folder / "places.toml").exists():
        try:
            more = str(tomllib.loads(own.read_text(encoding="utf-8")).get("words", ""))
        except tomllib.TOMLDecodeError as error:
            raise BadInput(f"{own} is no TOML: {error}", code="bad_rules") from None
    return Manners(
        words=frozenset((shipped["words"] + " " + more).split()),
        not_before=shipped["not_before"],
        roads=tuple(shipped["roads"]["after"]),
        between=shipped["roads"]["between"],
        authorities=tuple(shipped["authorities"]["after"]),
    )


@dataclass(slots=True)
class Gazetteer:
    """Finds names in one pass: at each letter the longest name that begins there."""

    manners: Manners
    names: dict[str, tuple[Sense, ...]] = field(default_factory=dict)
    lengths: dict[str, tuple[int, ...]] = field(
        default_factory=dict
    )  # first two letters -> lengths, longest first
    titles: dict[str, str] = field(default_factory=dict)  # code -> name
    points: dict[str, tuple[float, float]] = field(default_factory=dict)  # code -> (lat, lon) of its middle
    landmarks: tuple[Landmark, ...] = ()
    sounds: Sounds = field(default_factory=dict)  # of their names
    home: str = ""  # digits that every division of this hub begins with

    def mentions(self, text: str) -> list[Mention]:
        """The names in `text`, from left to right, none inside another."""
        low = text[:READ_MAX].translate(_LOWER)
        found: list[Mention] = []
        at, end = 0, len(low)
        lengths, names = self.lengths, self.names
        while at < end - 1:
            step = 1
            for length in lengths.get(low[at : at + 2], ()):
                name = low[at : at + length]
                senses = names.get(name)
                if senses and self._stands(low, at, at + length, name, senses):
                    found.append(self._mention(low, at, at + length, name, senses))
                    step = length
                    break
            at += step
        return sorted([*found, *self._heard(text, found)], key=lambda one: one.start)

    def _heard(self, text: str, found: Sequence[Mention]) -> Iterator[Mention]:
        """Landmarks that are written otherwise, where no name stands."""
        for start, end, numbers in heard(text, self.sounds):
            if not any(one.start < end and start < one.end for one in found):
                senses = tuple(Sense(self.landmarks[n].area, landmark=n) for n in numbers)
                yield Mention(start, end, senses, is_heard=True)

    def name(self, code: str) -> str:
        """What a division is called, with what it lies in: 示例省甲市甲一区; '' when it is unknown."""
        parts = [self.titles.get(code[:n].ljust(12, "0"), "") for n in (2, 4, 6, 9) if n <= level(code)]
        return "".join(dict.fromkeys(p for p in parts if p))

    def _stands(self, low: str, start: int, end: int, name: str, senses: tuple[Sense, ...]) -> bool:
        """Whether it is a name here, and no part of another word."""
        after = low[end : end + 1]
        if name[-1].isascii():
            return not (after.isascii() and after.isalnum()) and not _is_letter(low[start - 1 : start])
        if after in self.manners.not_before.get(name[-1], "") and after:
            return False
        if not all(sense.is_weak for sense in senses):
            return True
        rest = low[end : end + 4]
        if rest[:1] in self.manners.between and rest.startswith(self.manners.roads, 1):
            return False
        return not rest.startswith(self.manners.roads)

    def _mention(self, low: str, start: int, end: int, name: str, senses: tuple[Sense, ...]) -> Mention:
        speaks = low.startswith(self.manners.authorities, end)
        return Mention(start, end, senses, is_word=name in self.manners.words, is_speaker=speaks)


def build(
    known: Sequence[Known] = (), landmarks: Sequence[Landmark] = (), *, rules: Manners | None = None,
    is_national: bool = True,
) -> Gazetteer:  # fmt: skip
    """Over the country's divisions (unless told otherwise), those of this hub and its landmarks."""
    country = _country() if is_national else _Names()
    names = _Names(country)
    for row in known:
        names.add_division(row.code, row.name, _point(row.lat, row.lon))
        names.add_english(row)
    for number, mark in enumerate(landmarks):
        for name in (mark.name, *mark.aliases):
            names.add(name, Sense(mark.area, landmark=number))
    lengths = dict(country.lengths)
    for name in names.found:
        lengths[name[:2]] = tuple(sorted({len(name), *lengths.get(name[:2], ())}, reverse=True))
    return Gazetteer(
        manners=rules or manners(),
        names={**country.found, **names.found},
        lengths=lengths,
        titles={**country.titles, **names.titles},
        points={**country.points, **names.points},
        landmarks=tuple(landmarks),
        sounds=sounds((name, n) for n, mark in enumerate(landmarks) for name in (mark.name, *mark.aliases)),
        home=home_of(k.code for k in known),
    )


class _Names:
    """name -> what it may mean, while a gazetteer is built, over what `below` holds."""

    def __init__(self, below: "_Names | None" = None) -> None:
        self.below = below
        self.found: dict[str, tuple[Sense, ...]] = {}
        self.lengths: dict[str, tuple[int, ...]] = {}
        self.titles: dict[str, str] = {}
        self.points: dict[str, tuple[float, float]] = {}

    def add(self, name: str, sense: Sense) -> None:
        key = name.translate(_LOWER)
        before = self.found.get(key) or (self.below.found.get(key, ()) if self.below else ())
        if len(key) > 1 and sense not in before:
            self.found[key] = (*before, sense)

    def add_division(self, code: str, name: str, point: tuple[float, float] | None) -> None:
        self.titles[code] = name
        if point:
            self.points[code] = point
        digits = level(code)
        is_bare = len(name) < 3 or (digits == 9 and not name.endswith(_TOWN))
        self.add(name, Sense(code, is_weak=is_bare))
        for short in short_forms(name, code) if digits < 9 else ():
            self.add(short, Sense(code, is_weak=short[-1] not in "州县旗区" or len(short) < 3))

    def add_english(self, row: Known) -> None:
        if not row.name_en:
            return
        self.add(row.name_en, Sense(row.code))
        *words, last = row.name_en.split()
        if words and last.lower() in _HEADWORDS and len("".join(words)) > 2:
            self.add(" ".join(words), Sense(row.code, is_weak=True))


@lru_cache(maxsize=1)
def _country() -> _Names:
    """The names of the whole country, built once a process."""
    made = _Names()
    for each in counties():
        made.add_division(each.code, each.name, _point(each.lat, each.lon))
    for each in townships():
        made.add_division(each.code, each.name, None)
    lengths: dict[str, set[int]] = {}
    for name in made.found:
        lengths.setdefault(name[:2], set()).add(len(name))
    made.lengths = {two: tuple(sorted(each, reverse=True)) for two, each in lengths.items()}
    return made


def home_of(codes: Iterable[str]) -> str:
    """The digits, whole levels of them, that all of `codes` begin with: where this hub is at home; '' for nowhere.

    Divisions that others of them lie in do not count: a county's hub has its province too.
    """
    ordered = sorted(codes)
    leaves = [a for a, b in pairwise([*ordered, ""]) if not b.startswith(a[: level(a)])]
    if not leaves:
        return ""
    first, last = leaves[0], leaves[-1]
    same = next((n for n in range(12) if first[n] != last[n]), 12)
    return first[: max((n for n in (2, 4, 6, 9) if n <= min(same, level(first))), default=0)]


def _point(lat: float | None, lon: float | None) -> tuple[float, float] | None:
    return (lat, lon) if lat is not None and lon is not None else None


def _is_letter(before: str) -> bool:
    return before.isascii() and before.isalnum()
