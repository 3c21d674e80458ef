"""One thing that speaks for or against that two reports tell of the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """`name` has a weight in weights.toml; `code` and `number` are shown to officers where there is a code."""

    name: str
    amount: float = 1.0
    code: str = ""
    number: int = 0
