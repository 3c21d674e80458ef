"""What the tests of look-ups share."""

import pytest

from tests.outbox.lookup_kit import House


@pytest.fixture
def house(store, at, tmp_path):
    made = House(store, at, tmp_path)
    yield made
    made.out.courier.close()
