"""A door for mail and connections to it, closed when the test is over."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.channels.smtp_house import House, Line, Take


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    opened: list[House] = []

    def build(take: Take | None = None, **settings: Any) -> House:
        opened.append(House(take, **settings))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


@pytest.fixture
def line() -> Iterator[Callable[[House], Line]]:
    opened: list[Line] = []

    def build(at: House) -> Line:
        opened.append(Line(at.address))
        return opened[-1]

    yield build
    for one in opened:
        one.close()
