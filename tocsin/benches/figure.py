"""One measurement beside the ceiling of the same run, and what it shall reach."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PAIRS = (
    7  # the machine's speed swings by itself: ours and the ceiling in turn, and the median of their ratios
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` and `ceiling` in `unit`. `reach` is said of the ratio of the two, or of the value alone."""

    name: str
    store: str  # sqlite | postgres
    value: float
    unit: str
    ceiling: float
    against: str  # what the ceiling is
    reach: float
    is_ratio: bool  # what `reach` is said of
    is_at_most: bool = False
    runs: tuple[float, ...] = field(default=())  # what the medians are of: ratios, or seconds

    @property
    def ratio(self) -> float:
        """The median of the pairs, or of the two numbers when there is one of each."""
        if self.is_ratio and self.runs:
            return statistics.median(self.runs)
        return self.value / self.ceiling if self.ceiling else 0.0

    @property
    def is_reached(self) -> bool:
        """Whether the figure is what it shall be."""
        found = self.ratio if self.is_ratio else self.value
        return found <= self.reach if self.is_at_most else found >= self.reach

    def to_json(self) -> dict[str, object]:
        """The row of ``--json``."""
        wanted = "<=" if self.is_at_most else ">="
        return {
            "name": self.name, "store": self.store, "value": round(self.value, 4), "unit": self.unit,
            "ceiling": round(self.ceiling, 4), "against": self.against, "ratio": round(self.ratio, 3),
            "reach": f"{'ratio' if self.is_ratio else 'value'} {wanted} {self.reach:g}",
            "is_reached": self.is_reached, "runs": [round(run, 4) for run in self.runs],
        }  # fmt: skip


def in_turn(
    ours: Callable[[], float], ceiling: Callable[[], float], pairs: int, step: Callable[[], None]
) -> tuple[float, float, tuple[float, ...]]:
    """Run both in turn, `pairs` times: (median of ours, median of the ceiling, the ratios)."""
    found: list[tuple[float, float]] = []
    for n in range(pairs):
        first, second = (ours, ceiling) if n % 2 == 0 else (ceiling, ours)
        a, b = first(), second()
        found.append((a, b) if n % 2 == 0 else (b, a))
        step()
    ratios = tuple(a / b for a, b in found)
    return statistics.median(a for a, _ in found), statistics.median(b for _, b in found), ratios


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * int(percent * 10) // 1000) - 1, 0)]
