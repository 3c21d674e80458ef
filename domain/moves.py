"""State machines as tables: one row a move, nothing else decides."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from domain.errors import IllegalMove

S = TypeVar("S", bound=StrEnum)


class Moves(Generic[S]):
    """A table ``(state, action) -> state``.

    The same pairs of states stand as rows and triggers in the store;
    ``tests/store/test_moves.py`` compares the two.
    """

    def __init__(self, name: str, states: type[S], table: Mapping[tuple[S, str], S]) -> None:
        self.name = name
        self.states = states
        self.table = dict(table)

    def after(self, state: S, action: str) -> S:
        """The state that `action` leads to. Raises IllegalMove if there is no such row."""
        try:
            return self.table[state, action]
        except KeyError:
            raise IllegalMove(f"{self.name}: no {action!r} from {state.value!r}") from None

    def allows(self, state: S, action: str) -> bool:
        """Whether there is a row for `action` from `state`."""
        return (state, action) in self.table

    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every (before, after) that some action allows; what the store's constraint holds."""
        return frozenset((before.value, after.value) for (before, _), after in self.table.items())
