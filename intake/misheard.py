"""Landmarks whose names were misheard or mistyped: 大平村 for 大坪村, told by how they sound."""

import re
from collections.abc import Iterable, Iterator, Mapping

from intake.same.sounds import syllables

READ_MAX = (
    2_000  # characters whose sounds are looked up, 2 ms: who mishears a name calls or texts, and is brief
)
SHORTEST = 3  # characters of a name; two that sound alike are an accident
_RUN = re.compile("[一-鿿]{3,}")

Sounds = Mapping[str, tuple[tuple[str, int], ...]]  # da pin cun -> (大坪村, its number) ...


def sounds(names: Iterable[tuple[str, int]]) -> Sounds:
    """The names of landmarks, each with its number, by their sounds; what is no Chinese or too short is left out."""
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, number in names:
        if len(name) >= SHORTEST and _RUN.fullmatch(name):
            key = " ".join(syllables(name))
            found[key] = (*found.get(key, ()), (name, number))
    return found


def heard(text: str, known: Sounds) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """(start, end, numbers) of what sounds like landmarks and is written otherwise, but for what kind of place it is."""
    lengths = sorted({key.count(" ") + 1 for key in known}, reverse=True)
    for run in _RUN.finditer(text[:READ_MAX]) if known else ():
        said = syllables(run[0])
        if len(said) != len(run[0]):
            continue  # a letter that no table speaks
        at = 0
        while at < len(said):
            length, numbers = _here(run[0], said, at, lengths, known)
            if numbers:
                yield run.start() + at, run.start() + at + length, numbers
            at += length


def _here(
    run: str, said: list[str], at: int, lengths: list[int], known: Sounds
) -> tuple[int, tuple[int, ...]]:
    """How far the name goes that is heard at `at`, and whose it is; (1, ()) for none."""
    for length in lengths:
        words = run[at : at + length]
        alike = known.get(" ".join(said[at : at + length]), ())
        near = tuple(number for name, number in alike if name[-1] == words[-1] and name != words)
        if near:
            return length, near
    return 1, ()
