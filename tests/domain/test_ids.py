"""Names that are spoken, copied by hand and keyed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import SPOKEN, code_of, short_code, spoken_digits

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
