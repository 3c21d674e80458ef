"""Names that are spoken, copied by hand and keyed in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import SPOKEN, code_of, mint, minted_at, short_code, spoken_digits

codes = st.text(alphabet=SPOKEN, min_size=8, max_size=8).map(lambda s: f"{s[:4]}-{s[4:]}")


@given(codes)
def test_a_code_and_its_digits_name_the_same_report(code):
    digits = spoken_digits(code)
    assert [len(part) for part in digits.split("-")] == [4, 4, 4]
    assert code_of(digits) == code_of(digits.replace("-", " ")) == code_of(code.lower()) == code


def test_a_fresh_code_has_no_letter_that_looks_like_another():
    assert not set("".join(short_code() for _ in range(200))) & set("01OILU")


@pytest.mark.parametrize(
    "typed", ["", "4F7K", "4F7K-92P0", "9999-9999-9999", "1234 5678 901", "４F7K-92PX-1"]
)
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(ValueError):
        code_of(typed)


@given(st.integers(min_value=0, max_value=200_000 * 86_400_000))
def test_a_name_tells_when_it_was_made(milliseconds):
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert abs(minted_at(mint("slp", at)) - at) <= timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "name", ["", "slp", "slp_", "slp_x", "slp_" + "U" * 26, "slp_" + "Z" * 26, "0" * 26, "slp_" + "0" * 27]
)
def test_what_was_not_minted_tells_no_time(name):
    with pytest.raises(ValueError):
        minted_at(name)
