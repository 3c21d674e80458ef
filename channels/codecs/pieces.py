"""What lists are made of, kept: a list of a thousand that gained one row makes that row."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 20_000  # about 1 KB each: five forms of what a thousand releases in force need


class Pieces(Generic[T]):
    """Pieces by what they are made of. A key must name all of it: the same key, the same piece."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The piece of that key, made where it is not there. The one longest unused goes first."""
        made = self._kept.pop(key, None)
        if made is None:
            made = make()
            while len(self._kept) >= self._most:
                self._kept.pop(next(iter(self._kept)), None)
        self._kept[key] = made
        return made
