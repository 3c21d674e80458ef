"""Who came to harm: how people write it, corrections, "nobody", and the grade that numbers suggest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.casualties import casualties
from domain.grades import suggest
from domain.harm_words import Harm
from domain.numerals import Count, read


def said(text):
    return {harm.value: (c.low, c.high) for harm, c in casualties(text).numbers.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("两死三伤", {"dead": (2, 2), "injured": (3, 3)}),
        ("死亡2人受伤3人", {"dead": (2, 2), "injured": (3, 3)}),
        ("2人死亡3人失踪", {"dead": (2, 2), "missing": (3, 3)}),
        ("2死1伤1失联", {"dead": (2, 2), "injured": (1, 1), "missing": (1, 1)}),
        ("3人死亡(原报2人)", {"dead": (3, 3)}),
        ("死亡人数由2人上升至3人", {"dead": (3, 3)}),
        ("原报3人死亡，现核实2人死亡", {"dead": (2, 2)}),
        ("死亡2人，更正为3人", {"dead": (3, 3)}),
        ("不是3人死亡，是2人死亡", {"dead": (2, 2)}),
        ("共3人死亡，其中甲村2人死亡", {"dead": (3, 3)}),
        ("至少3人死亡，十余人受伤", {"dead": (3, None), "injured": (10, None)}),
        ("3至5人被困", {"trapped": (3, 5)}),
        ("两三个人被埋", {"trapped": (2, 3)}),
        ("一家三口被埋", {"trapped": (3, 3)}),
        ("伤亡5人", {"dead": (0, 5), "injured": (0, 5)}),
        ("二十三名矿工被困井下", {"trapped": (23, 23)}),
        ("１２人受伤", {"injured": (12, 12)}),
        ("3人重伤、5人轻伤", {"serious": (3, 3), "light": (5, 5), "injured": (8, 8)}),
        ("死了俩，伤了五个", {"dead": (2, 2), "injured": (5, 5)}),
        ("挖出来三个没气了", {"dead": (3, 3)}),
        ("两家没气了", {}),
        ("一家四口没跑出来", {"trapped": (4, 4)}),
        ("受伤人数更正为31人，无死亡", {"dead": (0, 0), "injured": (31, 31)}),
        ("死亡3", {}),
        ("暂无人员伤亡", {"dead": (0, 0), "injured": (0, 0)}),
        ("无人被困", {"trapped": (0, 0)}),
        ("无其他人员伤亡，1人死亡", {"dead": (1, 1)}),
        ("有人受伤", {"injured": (1, None)}),
        ("没有人受伤", {"injured": (0, 0)}),
        ("有没有人受伤？有无人员伤亡？", {}),
        ("事故死角2处，伤心", {}),
        ("2 people were killed and at least three injured", {"dead": (2, 2), "injured": (3, None)}),
        ("killing 4 people and injuring 20", {"dead": (4, 4), "injured": (20, 20)}),
        ("death toll rises to 12, previously 10 dead", {"dead": (12, 12)}),
        ("no casualties so far", {"dead": (0, 0), "injured": (0, 0)}),
    ],
)
def test_numbers_are_read_as_people_write_them(text, expected) -> None:
    assert said(text) == expected


def test_households_are_no_number_of_people() -> None:
    found = casualties("山塌了埋了2家")
    assert (found.households, found.numbers) == ({Harm.TRAPPED: Count(low=2, high=2)}, {})
    assert found.is_said


def test_that_nobody_knows_is_said_too() -> None:
    assert casualties("伤亡情况不明").is_unknown
    assert casualties("casualties are unknown").is_unknown
    assert not casualties("着火了").is_said


def test_each_number_stands_where_its_words_stand() -> None:
    text = "刚才塌方，3人死亡(原报2人死亡)"
    words = [(text[s.start : s.end], s.is_superseded) for s in casualties(text).statements]
    assert words == [("3人死亡", False), ("2人死亡", True)]


@pytest.mark.parametrize(
    ("text", "grade", "measure", "is_cautious"),
    [
        ("2人死亡", 4, "deaths", False),
        ("3人死亡", 3, "deaths", False),
        ("9人死亡", 3, "deaths", False),
        ("10人死亡", 2, "deaths", False),
        ("29人死亡", 2, "deaths", False),
        ("30人死亡", 1, "deaths", False),
        ("2至3人死亡", 3, "deaths", True),
        ("1人死亡，10人重伤", 3, "serious_injury", False),
        ("12人受伤", 3, "serious_injury", True),  # nobody says how badly
        ("直接经济损失4999万元", 3, "loss_cny", False),
        ("直接经济损失约1亿元", 1, "loss_cny", False),
    ],
)
def test_the_strictest_number_suggests_the_grade_by_the_bounds_of_the_regulation(
    text, grade, measure, is_cautious
) -> None:
    found = suggest(casualties(text))
    assert found is not None
    assert (found.grade, found.measure, found.is_cautious) == (grade, measure, is_cautious)


@pytest.mark.parametrize("text", ["无人员伤亡", "12人轻伤", "着火了", "3人被困", "2人失联"])
def test_without_dead_or_badly_hurt_no_grade_is_suggested(text) -> None:
    assert suggest(casualties(text)) is None


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("十二", 12, 12), ("两百零三", 203, 203), ("1,200", 1200, 1200), ("数十", 20, 99), ("a dozen", 12, 12), ("三五", 3, 5)],
)  # fmt: skip
def test_numerals(text, low, high) -> None:
    assert read(text) == Count(low=low, high=high)


WORDS = [
    "死亡",
    "受伤",
    "人",
    "名",
    "3",
    "两",
    "十",
    "至",
    "由",
    "上升",
    "无",
    "原报",
    "(",
    "，",
    "更正为",
    "people",
    "dead",
    "two",
]


@given(st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=60).map("".join))
def test_any_text_may_come(text) -> None:
    found = casualties(text)
    suggest(found)
    for s in found.statements:
        assert 0 <= s.start < s.end <= len(text)
        assert s.count.low >= 0
        assert s.count.high is None or s.count.high >= s.count.low


def test_a_text_made_to_be_slow_is_read_all_the_same() -> None:
    for word in ("死亡人数", "由3人上升", "3人", "1,", "one ", "2 people people ", "死亡有已达"):
        casualties(word * 5000)
