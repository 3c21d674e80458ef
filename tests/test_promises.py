"""Every number that this version is held to has a test that bears it, and the table says which."""

import pytest

from tests.promise_table import BORNE, TABLE, borne, table


@pytest.mark.parametrize("number", BORNE)
def test_the_number_is_borne_by_a_test(number) -> None:
    assert borne().get(number), f"no test is named test_{number.lower()}_..."


def test_the_table_is_made_of_the_tests_as_they_are() -> None:
    assert TABLE.read_text() == table(), "python -m tests.promise_table writes it anew"
