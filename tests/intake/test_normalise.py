"""Clean text, guessed language, believable position."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.normalise import clean, language, position_from_exif


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("火灾", "火灾"),
        ("e\u0301", "\u00e9"),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("a\ufffeb\U0001ffffc", "a\ufffdb\ufffdc"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\x85b\u2028c\r\nd\re", "a\nb\nc\nd\ne"),
        ("報告\u202egpj.exe", "報告gpj.exe"),
        ("\ufeff\u2066a\u2069\u200f", "a"),
        ("a\tb\nc", "a\tb\nc"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ufdfa", "\ufdfa"),
    ],
)
def test_text_becomes_printable_nfc_and_keeps_what_people_wrote(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_letter_keeps_eight_combining_marks_and_loses_the_rest() -> None:
    cleaned = clean("火" + "\u0335" * 10_000 + "灾")
    assert cleaned == "火" + "\u0335" * 8 + "灾"


def test_a_million_marks_of_mixed_classes_take_no_quadratic_time() -> None:
    began = time.process_time()
    clean("a" + "\u0301\u0323" * 500_000)
    assert time.process_time() - began < 3


@given(st.text(alphabet=st.characters()))
def test_cleaning_is_safe_to_repeat_and_leaves_only_xml_characters(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    cleaned.encode("utf-8")
    assert not [c for c in cleaned if unicodedata.category(c) == "Cc" and c not in "\t\n"]


@given(st.text(alphabet="a\u0301\u0344\u0958\u0f73\u1e14\u0323\uac00\u1100\u1161", max_size=60))
def test_cleaning_is_stable_where_composition_makes_new_marks(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("青龙镇危化品泄漏", "zh"),
        ("火灾 at http://example.com/a/very/long/path/of/latin/letters", "zh"),
        ("王先生 (Manager of ABC) 报告：3楼起火", "zh"),
        ("There is a fire at the mill on Main Street and we need help", "en"),
        ("help", "en"),
        ("Die Hasen klagten einst über ihre missliche Lage wir leben sprach ein Redner", "und"),
        ("地震が発生しました。避難してください", "ja"),
        ("불이 났어요 도와주세요", "ko"),
        ("Пожар в доме, помогите", "ru"),
        ("མེ་སྐྱོན་བྱུང་སོང་།", "bo"),
        ("ئوت كەتتى، ياردەم قىلىڭلار", "ug"),
        ("حريق في المبنى", "und"),
        ("", "und"),
        ("13800138000 !!!", "und"),
    ],
)
def test_a_language_is_guessed_by_its_script(text: str, expected: str) -> None:
    assert language(text) == expected


def test_a_position_is_taken_only_when_it_is_one() -> None:
    assert position_from_exif({"lat": 30.26, "lon": 120.16}) == (30.26, 120.16)
    for broken in (
        {},
        {"lat": 30.26},
        {"lat": float("nan"), "lon": 1.0},
        {"lat": 999, "lon": 1.0},
        {"lat": "1", "lon": 1},
    ):
        assert position_from_exif(broken) is None
