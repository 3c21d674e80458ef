"""Telephone numbers as they come in, against a table of real spellings."""

import csv
import json
from pathlib import Path

import pytest

from intake.phones import mobile_of, phone
from tests.corpora import corpora as real_files

# Rows where we answer otherwise than phonenumbers alone (E.164 only when is_valid), and why.
DIFFERENT = {
    "0571-87051234-802": ("+8657187051234", "802", "fixed"),  # 总机-分机: the library reads one long number
    "14912345678": ("+8614912345678", "", "mobile"),  # 149: newer than the library's table; a caller has it
}
# Rows that the library parses into something that nobody can be called at: we keep them as text.
SHORT = {"12379", "119", "122", "10086"}  # +8612379 would ring nowhere
NO_NUMBER = {"138001380001", "+86 1380013800O", "abc", "+86"}


def corpus() -> Path:
    return real_files()


def test_every_number_of_the_corpus_is_read_as_the_library_reads_it_or_differs_on_purpose() -> None:
    rows = list(csv.DictReader((corpus() / "phone" / "cn_numbers.csv").open(encoding="utf-8")))
    assert len(rows) >= 27
    for row in rows:
        text = json.loads(row["input_json"])
        found = phone(text)
        if text in DIFFERENT:
            assert found is not None
            assert (found.e164, found.extension, found.kind) == DIFFERENT[text]
        elif text in SHORT:
            assert found is not None
            assert (found.e164, found.kind, found.as_given) == ("", "short", text)
        elif text in NO_NUMBER:
            assert found is None, text
        else:
            assert row["is_valid"] == "True", text
            assert found is not None, text
            assert found.e164 == row["parse_CN_e164_or_error"]


def test_every_example_number_of_the_world_keeps_its_e164() -> None:
    rows = list(csv.DictReader((corpus() / "phone" / "example_numbers.csv").open(encoding="utf-8")))
    assert len(rows) > 400
    wrong = [r["e164"] for r in rows if r["is_valid"] == "True" and not _is(r["e164"], r["e164"])]
    assert wrong == []


def _is(text: str, e164: str) -> bool:
    found = phone(text)
    return found is not None and found.e164 == e164


@pytest.mark.parametrize(
    ("text", "e164", "extension", "kind"),
    [
        ("１３８ ００１３ ８０００", "+8613800138000", "", "mobile"),
        ("手机：138-0013-8000", "+8613800138000", "", "mobile"),
        ("013800138000", "+8613800138000", "", "mobile"),
        ("87051234", "+8657187051234", "", "fixed"),
        ("8705 1234", "+8657187051234", "", "fixed"),
        ("８７０５１２３４", "+8657187051234", "", "fixed"),
        ("87051234转802", "+8657187051234", "802", "fixed"),
        ("87051234-802", "+8657187051234", "802", "fixed"),
        ("0571-87051234-802", "+8657187051234", "802", "fixed"),
        ("0571-87051234 转 802", "+8657187051234", "802", "fixed"),
        ("0571-87051234 分机号802", "+8657187051234", "802", "fixed"),
        ("(0571)87051234 ext. 802", "+8657187051234", "802", "fixed"),
        ("+86 571 8705 1234 #802", "+8657187051234", "802", "fixed"),
        ("010-12345678", "+861012345678", "", "fixed"),
        ("tel:+86-571-87051234;ext=802", "+8657187051234", "802", "fixed"),
        ("400-800-8123", "+864008008123", "", "other"),
        ("12345", "", "", "short"),
        ("110", "", "", "short"),
        ("95598", "", "", "short"),
        ("+1 415 555 2671", "+14155552671", "", "mobile"),
        ("+44 20 7946 0958", "+442079460958", "", "fixed"),
    ],
)
def test_a_number_keeps_its_extension_and_gets_the_default_area_code(
    text: str, e164: str, extension: str, kind: str
) -> None:
    found = phone(text, area_code="0571")
    assert found is not None
    assert (found.e164, found.extension, found.kind, found.as_given) == (e164, extension, kind, text)


# Every vector of phone/cn_numbers.csv, so that the facts stand here where the corpus does not; None: kept as text.
VECTORS: dict[str, tuple[str, str, str] | None] = {
    "13800138000": ("+8613800138000", "", "mobile"), "008613800138000": ("+8613800138000", "", "mobile"),
    "138-0013-8000": ("+8613800138000", "", "mobile"), "138–0013–8000": ("+8613800138000", "", "mobile"),
    "联系人张三 138 0013 8000": ("+8613800138000", "", "mobile"), "17012345678": ("+8617012345678", "", "mobile"),
    "19912345678": ("+8619912345678", "", "mobile"), "14912345678": ("+8614912345678", "", "mobile"),
    "(0571) 8705 1234": ("+8657187051234", "", "fixed"), "057187051234": ("+8657187051234", "", "fixed"),
    "0086-571-87051234": ("+8657187051234", "", "fixed"), "0891-6321234": ("+868916321234", "", "fixed"),
    "tel:0571-87051234;phone-context=+86": ("+8657187051234", "", "fixed"), "+86-10-12345678": ("+861012345678", "", "fixed"),
    "0571-87051234-802": ("+8657187051234", "802", "fixed"),
    "4008008123": ("+864008008123", "", "other"), "8008101234": ("+868008101234", "", "other"),
    "+852 9123 4567": ("+85291234567", "", "mobile"), "+886 912 345 678": ("+886912345678", "", "mobile"),
    "12379": ("", "", "short"), "119": ("", "", "short"), "122": ("", "", "short"), "10086": ("", "", "short"),
    "138001380001": None, "+86 1380013800O": None, "abc": None, "+86": None,
}  # fmt: skip


@pytest.mark.parametrize("text", VECTORS)
def test_each_vector_reads_as_it_stands_here(text: str) -> None:
    found = phone(text)
    assert (found and (found.e164, found.extension, found.kind)) == VECTORS[text]


def test_the_vectors_here_are_those_of_the_corpus() -> None:
    rows = csv.DictReader((corpus() / "phone" / "cn_numbers.csv").open(encoding="utf-8"))
    assert {json.loads(row["input_json"]) for row in rows} == set(VECTORS)


@pytest.mark.parametrize(
    "text",
    ["12379", "12345", "95598", "1065502004953566", "106901234567", "10690012345678901234", "106550123", "+86106901234567",
     "0086106550123"],
)  # fmt: skip
def test_service_numbers_and_ports_of_106_are_names_and_no_e164(text: str) -> None:
    found = phone(text, area_code="0571")
    assert found is not None
    assert (found.e164, found.kind, found.as_given) == ("", "short", text)
    assert mobile_of(text, "CN") == ""


def test_ten_digits_behind_the_country_code_are_a_number_of_beijing() -> None:
    found = phone("+861069123456")
    assert found is not None
    assert (found.e164, found.kind) == ("+861069123456", "fixed")


def test_an_area_code_is_taken_with_and_without_its_trunk_zero() -> None:
    with_zero, without = (phone("6321234", area_code=code) for code in ("0891", "891"))
    assert with_zero is not None
    assert with_zero == without
    assert with_zero.e164 == "+868916321234"


def test_a_local_number_without_a_known_area_is_kept_and_not_completed() -> None:
    found = phone("87051234")
    assert found is not None
    assert (found.e164, found.kind) == ("", "fixed")


@pytest.mark.parametrize(
    "text", ["", " ", "anonymous", "转802", "未知", "+" + "1" * 40, "a" * 10_000, "1" * 10_000, "+", "#", "0"]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert phone(text, area_code="0571") is None


def test_another_region_does_not_read_chinese_rules_into_its_numbers() -> None:
    found = phone("020 7946 0958", region="GB")
    assert found is not None
    assert found.e164 == "+442079460958"
