"""The keys under which a sketch is stored and looked for: only reports that share one are ever compared."""

import math
import zlib
from collections.abc import Iterator

from intake.same.named import Named
from intake.same.sketch import Sketch

WINDOWS = 80  # pairs of syllables of a text that are looked for; of a longer one its beginning
STORED = 30  # pairs that are stored for a text that names no place
CELL = 0.02  # degrees, about 2 km
_GRAM = 6  # letters of a piece of text that is hashed for forwarded messages
_SEEDS = (0x2D0A, 0x9E37, 0x51ED)


def stored(sketch: Sketch) -> list[str]:
    """Every key that a sketch is found under."""
    named = sketch.named
    names = _names(named)
    keys = {f"p{name}" for name in names} or {f"p{pair}" for pair in _pairs(named.heard)[:STORED]}
    keys |= set(_others(sketch)) | set(_cells(sketch, around=0)) | set(_copies(sketch.said))
    return sorted(keys)


def asked(sketch: Sketch) -> dict[str, float]:
    """key -> its weight: what those that may tell of the same are stored under."""
    named = sketch.named
    keys = {f"p{pair}": 1.0 for pair in (*_pairs(named.heard)[:WINDOWS], *_triples(named.heard)[:WINDOWS])}
    keys |= {f"p{name}": 3.0 for name in _names(named)}
    keys |= {key: 2.0 for key in _others(sketch)}
    keys |= {key: 3.0 for key in (*_cells(sketch, around=1), *_copies(sketch.said))}
    return keys


def _names(named: Named) -> set[str]:
    whole = {place[: place.rindex("|") + 1] for place in named.places | named.towns}
    tails = {f"|{'|'.join(sounds[-2:])}|" for name in whole if len(sounds := name.strip("|").split("|")) > 2}
    return whole | tails


def _pairs(heard: str) -> list[str]:
    return _runs(heard, 2)


def _triples(heard: str) -> list[str]:
    return _runs(heard, 3)


def _runs(heard: str, length: int) -> list[str]:
    found: list[str] = []
    for run in heard.split("·"):
        sounds = run.strip("|").split("|")
        found += [f"|{'|'.join(sounds[n : n + length])}|" for n in range(len(sounds) - length + 1)]
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
    yield from (f"r{road}" for road in sorted(named.roads))
    yield from (f"t{thing}" for thing in sorted(named.things))
    if sketch.sender:
        yield f"s{sketch.sender}"
    if "quake" in sketch.kinds:
        yield "kquake"


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
