"""Fits the weights of the grounds to the labelled reports: `python -m tests.intake.same.fit`, with --write into the product.

A logistic regression over pairs of reports of one stream. Each weight is drawn towards what one would say by hand (PRIOR),
and none may have the wrong sign: a ground that speaks for sameness never counts against it because of how the sets were
written. Printed first: each set scored with weights that were fitted to the other sets alone.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from intake.same import score as product
from intake.same.grounds import grounds
from intake.same.score import Likeness, likely
from intake.same.sketch import sketch
from tocsin.benches import labelled

WEIGHTS = Path(product.__file__).with_name("weights.toml")
ROUNDS = 25  # of Newton's method: it stands still after about ten
LEAP = 1.0  # by so much at most does a weight move in a round: without it two rounds can throw each other off
_DRAWN = 1.0  # how strongly a weight is drawn to what one would say by hand
# What the sets cannot tell: another number of a house and another road are other ones however fast the calls follow each
# other; nobody wrote enough English reports that stand alone; and the words of the kinds were mended after these texts, so
# that a kind unsaid or another one says more in them than it will of other texts.
_HARDER = {"tongue_other": 30.0, "thing": 3.0, "unit_other": 20.0, "kind_unsaid": 100.0, "kind_other": 60.0,
           "exercise_other": 30.0, "road_other": 10.0}  # fmt: skip
_LEAST = 0.003  # pairs that are less likely are left out: they move nothing
PRIOR = {
    "bias": -3.0, "metres_300": 3.0, "metres_1000": 2.2, "metres_3000": 0.8, "metres_6000": -1.0, "metres_more": -3.5,
    "thing": 2.5, "thing_other": -1.0, "mark": 2.0, "mark_other": -3.5, "unit": 1.0, "unit_other": -6.5, "road": 1.0,
    "road_other": -4.0, "copy": 2.5, "sender": 1.5, "area_other": -3.0, "area_same": 0.3, "site_other": -0.3, "town": 1.6,
    "town_other": -2.0, "place": 2.0, "place_other": -1.5, "kind_other": -2.5, "floor": 0.5, "floor_other": -0.5,
    "region": 0.5, "region_other": -1.0, "who_other": -0.5, "somebody_else": -1.5, "quake": 2.0, "place_contrary": -2.5,
    "tongue_other": 0.3, "again": -0.8, "kind_unsaid": -0.4, "place_of_other_sort": 0.2, "exercise_other": -7.0,
    "clock": 1.0, "along": 1.5, "along_elsewhere": -0.5,
}  # fmt: skip
AGAINST = frozenset((
    "again", "along_elsewhere", "apart", "apart_long", "apart_long_of_follow_up", "apart_of_follow_up", "area_other",
    "elsewhere", "elsewhere_of_wide", "exercise_other", "floor_other", "gap", "gap_of_follow_up", "harm_other",
    "kind_near", "kind_other", "kind_unsaid", "kinds_alone", "kinds_unlike", "kinds_unlike_near", "mark_other",
    "metres_6000", "metres_more", "nowhere", "place_contrary", "place_other", "place_other_natural",
    "place_other_of_wide", "region_other", "road_other", "site_other", "somebody_else", "thing_other", "town_other",
    "unit_other", "vehicle_other", "who_other",
))  # fmt: skip
EITHER = frozenset(("bias", "place_of_other_sort", "town_of_other_places", "region_of_other_places"))

Row = Mapping[str, float]
Pair = tuple[Row, bool]


def pairs(part: str) -> list[Pair]:
    """Every two reports of a part: what speaks for and against, and whether they tell of the same."""
    return [pair for later in _streams(part) for pair in later]


@cache
def _streams(part: str) -> list[list[Pair]]:
    """For each report of a part, in the order of arrival, its pairs with those before it."""
    reports = labelled.read(part)
    made = [sketch(one.report, labelled.ZONE) for one in reports]
    return [
        [
            (_row(made[n], made[m]), reports[n].incident == reports[m].incident)
            for m in range(n)
        ]
        for n in range(len(reports))
    ]  # fmt: skip


def _row(one, other) -> Row:
    row = {"bias": 1.0}
    for ground in grounds(one, other):
        if ground.amount:
            row[ground.name] = row.get(ground.name, 0.0) + ground.amount
    return row


def fit(parts: Sequence[str]) -> dict[str, float]:
    """The weights after `parts`."""
    given = [pair for part in parts for pair in pairs(part)]
    names = sorted({name for row, _ in given for name in row} | set(PRIOR))
    held: set[str] = set()
    while True:
        weights = _newton(given, [n for n in names if n not in held]) | dict.fromkeys(held, 0.0)
        wrong = {n for n, w in weights.items() if n not in EITHER and w * (-1 if n in AGAINST else 1) < 0}
        if not wrong:
            return {name: round(weights[name], 2) for name in names}
        held |= wrong


def _newton(given: Sequence[Pair], names: Sequence[str]) -> dict[str, float]:
    weights = {name: PRIOR.get(name, 0.0) for name in names}
    at = {name: n for n, name in enumerate(names)}
    for turn in range(ROUNDS):
        slope = [_pull(name) * (weights[name] - PRIOR.get(name, 0.0)) for name in names]
        bend = [[_pull(name) if m == n else 0.0 for m in range(len(names))] for n, name in enumerate(names)]
        for row, is_same in given:
            odds = sum(weights[name] * amount for name, amount in row.items() if name in at)
            share = 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
            if share < _LEAST and not is_same and turn:
                continue
            known = [(at[name], amount) for name, amount in row.items() if name in at]
            for n, amount in known:
                slope[n] += amount * (share - is_same)
                for m, other in known:
                    bend[n][m] += amount * other * share * (1 - share)
        step = [max(-LEAP, min(LEAP, part)) for part in _solved(bend, slope)]
        weights = {name: weights[name] - step[at[name]] for name in names}
        if max(map(abs, step)) < 1e-3:
            break
    return weights


def _pull(name: str) -> float:
    return 1e-3 if name == "bias" else _DRAWN * _HARDER.get(name, 1.0)


def _solved(matrix: list[list[float]], values: list[float]) -> list[float]:
    """Gauss: the matrix is positive definite, so no rows are changed."""
    rows = [[*row, value] for row, value in zip(matrix, values, strict=True)]
    size = len(rows)
    for n in range(size):
        for m in range(n + 1, size):
            if factor := rows[m][n] / rows[n][n]:
                rows[m] = [a - factor * b for a, b in zip(rows[m], rows[n], strict=True)]
    found = [0.0] * size
    for n in reversed(range(size)):
        found[n] = (rows[n][size] - sum(rows[n][m] * found[m] for m in range(n + 1, size))) / rows[n][n]
    return found


def scored(part: str, weights: Mapping[str, float]) -> labelled.Score:
    """A part by other weights than the product's."""
    reports, streams = labelled.read(part), _streams(part)
    at = {one.report.id: n for n, one in enumerate(reports)}

    def propose(one, earlier):
        rows = streams[at[one.report.id]]
        told = [
            (other, Likeness(score=_share(row, weights), reasons=()))
            for other, (row, _) in zip(earlier, rows, strict=True)
        ]
        return [other for other, _ in likely(told)]

    return labelled.score(reports, propose)


def _share(row: Row, weights: Mapping[str, float]) -> float:
    return 1 / (
        1 + math.exp(-min(20.0, sum(weights.get(name, 0.0) * amount for name, amount in row.items())))
    )


def main() -> None:
    """Held out one by one; then all together."""
    for part in labelled.PARTS:
        found = scored(part, fit([other for other in labelled.PARTS if other != part]))
        print(f"{part} held out: recall {found.recall:.3f} of {found.questions}, "
              f"precision {found.precision:.3f} of {found.proposed}", flush=True)  # fmt: skip
    weights = fit(labelled.PARTS)
    for part in labelled.PARTS:
        found = scored(part, weights)
        print(f"{part} fitted:   recall {found.recall:.3f}, precision {found.precision:.3f}")
    for part in labelled.HELD:
        found = scored(part, weights)
        print(f"{part} never seen: recall {found.recall:.3f} of {found.questions}, "
              f"precision {found.precision:.3f} of {found.proposed}")  # fmt: skip
    if "--write" in sys.argv:
        head = "# Weights of the grounds (grounds.py), fitted by tests/intake/same/fit.py; natural logarithms of odds.\n"
        WEIGHTS.write_text(head + "".join(f"{n} = {w:.2f}\n" for n, w in weights.items()), "utf-8")


if __name__ == "__main__":
    main()
