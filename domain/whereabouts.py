"""Where a report may have happened: candidates, each with its origin, its accuracy and the words it came from."""

from dataclasses import dataclass
from enum import StrEnum

from domain.divisions import level

# The radius of a circle as large as the mean division of that level: 9.6 million km2 over 34, 342, 2849, 41,352 and
# 620,573 of them.
RADIUS = {2: 300_000, 4: 95_000, 6: 33_000, 9: 8_600, 12: 2_200}  # m
DEVICE = 100  # m, a position whose accuracy nobody said: phones outdoors say 5 to 30, in houses 100
LANDMARK = 200  # m


class Kind(StrEnum):
    """What a candidate rests on."""

    POSITION = "position"  # a device or a person gave degrees
    AREA = "area"  # the name or code of a division
    LANDMARK = "landmark"  # a place that the deployment knows by name


class Why(StrEnum):
    """What speaks for or against a candidate; shown beside it."""

    ONLY_ONE = "only_one"  # no other place has this name
    ONE_OF_SEVERAL = "one_of_several"
    INSIDE_NAMED = "inside_named"  # what it lies in is named too
    AT_HOME = "at_home"  # it lies in this hub's own region
    SHORT_FORM = "short_form"
    SOUNDS_LIKE = "sounds_like"  # it is written otherwise
    SPEAKER = "speaker"  # the name is that of an authority
    GIVEN = "given"  # as a code or in degrees
    NEAREST = "nearest"  # the division whose middle is nearest
    LATER = "later"  # another place is named before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One candidate. `score` orders candidates and is no probability."""

    kind: Kind
    code: str  # 12 digits, '' when no division is known
    accuracy: int  # m
    origin: str  # of the fact it comes from: caller | citizen | department | exif | keypad | text ...
    score: float = 0.0
    name: str = ""
    lat: float | None = None
    lon: float | None = None
    words: str = ""  # as they stand in the report
    source: str = ""  # which of its texts: place | subject | text | position | area
    start: int = 0  # of the words in it
    end: int = 0
    detail: str = ""  # what follows the name and no table knows: 大坪村三组
    why: tuple[Why, ...] = ()


def radius(code: str) -> int:
    """The metres in which a division as a place is good."""
    return RADIUS[level(code)]


def shared(codes: list[str]) -> str:
    """The smallest division, a city at most, that all of `codes` lie in; '' for none."""
    first, last = min(codes), max(codes)
    same = next((n for n in range(12) if first[n] != last[n]), 12)
    digits = max((n for n in (4, 6, 9, 12) if n <= min(same, *(level(c) for c in codes))), default=0)
    return first[:digits].ljust(12, "0") if digits else ""
