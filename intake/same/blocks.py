"""The keys under which a sketch is stored and looked for: only reports that share one are ever compared."""

import math
import zlib
from collections.abc import Iterator
from itertools import pairwise

from intake.same.named import Named
from intake.same.rarity import worth
from intake.same.sketch import Sketch

RAREST = 24  # pieces of a text that are stored and looked for: the rarest, among which its names are
HEARD = 40  # pairs of syllables that are looked for: a name may be cut out in the other text alone
SPOKEN = 12  # pairs of syllables of a text that has no rare piece
FOREIGN = 3  # hours back in which a report in Chinese looks for those in English of its kind
CELL = 0.02  # degrees, about 2 km
_GRAM = 6  # letters of a piece of text that is hashed for forwarded messages
_SEEDS = (0x2D0A, 0x9E37, 0x51ED)


def stored(sketch: Sketch) -> list[str]:
    """Every key that a sketch is found under."""
    keys = {f"p{name}" for name in _names(sketch.named)}
    keys |= {f"b{piece}" for piece in (*_rarest(sketch), *_within(sketch.named))}
    keys |= set(_others(sketch)) | set(_cells(sketch, around=0)) | set(_copies(sketch.said))
    if sketch.said[:1].isascii():
        keys |= set(_foreign(sketch, hours=1))
    return sorted(keys)


def asked(sketch: Sketch) -> dict[str, float]:
    """key -> its weight: what those that may tell of the same are stored under."""
    keys = {f"b{pair}": 1.0 for pair in _pairs(sketch.named.heard)[:HEARD]}
    keys |= {f"b{piece}": 1.0 + worth(piece) / 3 for piece in _rarest(sketch)}
    keys |= {f"p{name}": 3.0 for name in _names(sketch.named)}
    keys |= {key: 2.0 for key in _others(sketch)}
    if not sketch.said[:1].isascii():
        keys |= {key: 1.0 for key in _foreign(sketch, hours=FOREIGN)}
    keys |= {key: 3.0 for key in (*_cells(sketch, around=1), *_copies(sketch.said))}
    return keys


def _names(named: Named) -> set[str]:
    whole = {place[: place.rindex("|") + 1] for place in named.places | named.towns}
    tails = {f"|{'|'.join(sounds[-2:])}|" for name in whole if len(sounds := name.strip("|").split("|")) > 2}
    return whole | tails


def _within(named: Named) -> list[str]:
    return _pairs("·".join(sorted(place[: place.rindex("|")] for place in named.places | named.towns)))


def _rarest(sketch: Sketch) -> list[str]:
    """Sounds only: the letters are told apart in the comparison."""
    sounds = sorted((piece for piece in sketch.rare if piece.count("|") < 2), key=lambda p: (-worth(p), p))
    return sounds[:RAREST] or _pairs(sketch.named.heard)[:SPOKEN]


def _pairs(heard: str) -> list[str]:
    found: list[str] = []
    for run in heard.split("·"):
        sounds = run.strip("|").split("|")
        found += [f"{a}|{b}" for a, b in pairwise(sounds)]
    return list(dict.fromkeys(found))


def _others(sketch: Sketch) -> Iterator[str]:
    named = sketch.named
    county = sketch.area.ljust(6, "0")[:6] if len(sketch.area) > 4 else ""
    for kind in sorted(sketch.kinds):
        if county:
            yield f"k{county}{kind}"
        elif kind == "quake" or not (named.places or named.towns or sketch.position):
            yield f"k{kind}"
        for site in sorted(named.sites):
            yield f"u{site}{kind}"
    yield from (f"r{road}" for road in sorted(sketch.counted.roads))
    yield from (f"m{mark}" for mark in sorted(sketch.counted.marks))
    yield from (f"t{thing}" for thing in sorted(sketch.counted.things))
    if sketch.sender:
        yield f"s{sketch.sender}"
    if "quake" in sketch.kinds:
        yield "kquake"


def _foreign(sketch: Sketch, *, hours: int) -> Iterator[str]:
    """What was told in Latin letters, by its kind and hour: its names may be spoken otherwise in Chinese."""
    yield from (f"e{kind}{sketch.at // 60 - back}" for kind in sorted(sketch.kinds) for back in range(hours))


def _cells(sketch: Sketch, *, around: int) -> Iterator[str]:
    if sketch.position is None:
        return
    y, x = (math.floor(part / CELL) for part in sketch.position)
    steps = range(-around, around + 1)
    yield from (f"c{y + dy}:{x + dx}" for dy in steps for dx in steps)


def _copies(said: str) -> Iterator[str]:
    """Texts that were passed on share the least of their hashed pieces (MinHash; Broder 1997)."""
    raw = [said[n : n + _GRAM].encode() for n in range(len(said) - _GRAM + 1)]
    if len(raw) < 8:
        return
    for seed in _SEEDS:
        yield f"w{seed}:{min(zlib.crc32(piece, seed) for piece in raw)}"
