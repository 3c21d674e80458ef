"""What the machine on the telephone says: the same sentences in both languages, short enough for an ear."""

import re
import string

import pytest

from domain.call import CHINESE, ENGLISH, Step
from domain.handling import Mode
from intake.conversation import Line
from templates.voice_words import say, spelled, words

CHARACTERS, LETTERS = 60, 190  # about 14 seconds of slow speech in either language


def test_both_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    assert set(words()) == {CHINESE, ENGLISH}
    gaps = {
        language: {
            name: {gap for _, gap, _, _ in string.Formatter().parse(text) if gap}
            for name, text in said.items()
        }
        for language, said in words().items()
    }
    gaps[ENGLISH]["welcome"] |= {"organisation"}  # said once, in Chinese, before it
    assert gaps[CHINESE] == gaps[ENGLISH]


@pytest.mark.parametrize("name", words()[CHINESE])
def test_every_sentence_is_short_enough_for_somebody_in_need(name: str) -> None:
    assert len(words()[CHINESE][name]) <= CHARACTERS
    assert len(words()[ENGLISH][name]) <= LETTERS
    assert not re.search(r"[<>&]", words()[CHINESE][name] + words()[ENGLISH][name])


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
def test_the_code_is_said_twice_digit_by_digit_and_nobody_has_to_wait_for_a_call_back(language: str) -> None:
    code = spelled("4F7K-92PX", language)
    assert len(re.findall(r"\d", code)) == 12 and not re.search(r"\d\d", code)
    assert say("thanks", language, code=code).count(code) == 2
    for name in ("speak", "thanks"):
        assert re.search(
            "不用等回电|need not wait for a call back|Nobody has to call you back", words()[language][name]
        )
    assert re.search("短信|text message", words()[language]["thanks"])


@pytest.mark.parametrize("mode", list(Mode))
def test_an_exercise_line_says_so_before_anything_else(mode: Mode) -> None:
    line = Line(mode=mode, organisation="示例省应急管理厅")
    turn = line.turn(Step.BEGIN, {}, language=CHINESE, tries=0, code="4F7K-92PX", place=lambda _: None)
    first = turn.says[0][1]
    assert ("演" in first) == (mode is not Mode.LIVE)
    assert "按1" in "".join(text for _, text in turn.says)
