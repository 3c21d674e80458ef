"""Rules of triage: order, words, negation, a deployment's own file; what does not fit stops the start."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.events import event_types
from domain.report import Content, Fact
from intake.triage import ELEMENTS, rules, triage
from intake.wording import table

RULES = rules()


def seen(text, rule_book=RULES, **facts):
    told = {name: (Fact(value=value, origin="caller"),) for name, value in facts.items()}
    return triage(Content(text=text, language="und", facts=told), rule_book, has_place=False)


def test_the_first_rule_that_hits_decides_and_all_that_hit_are_kept_with_their_words() -> None:
    text = "暴雨引发山体滑坡，房屋倒塌"
    found = seen(text)
    assert [hit.rule for hit in found.hits] == ["building", "landslide", "rain"]
    assert all(text[hit.start : hit.end] == hit.words for hit in found.hits)
    assert found.event_code == found.hits[0].value


@pytest.mark.parametrize(
    "text", ["未发生火灾", "没有滑坡", "预防山洪", "not a fire", "firework", "wildfires2"]
)
def test_what_is_denied_or_part_of_another_word_is_no_hit(text) -> None:
    assert not {"fire", "landslide", "flash-flood"} & {hit.rule for hit in seen(text).hits}


def test_the_parts_of_a_phrase_stand_in_one_sentence() -> None:
    assert seen("化工厂今晨发生爆炸").hits[0].rule == "chemical-explosion"
    assert seen("化工厂停产。隔壁爆炸").hits[0].rule == "explosion"


def test_a_drill_is_no_event() -> None:
    assert (seen("周五举行消防演练，模拟火灾").event_code, seen("周五举行消防演练").hits[0].rule) == (
        "",
        "drill",
    )


def test_elements_that_are_there_are_not_asked_for() -> None:
    found = seen(
        "今天上午8时滑坡，2人被困，影响3户，已派救援队，险情得到控制", sender="+86139", place="大坪村"
    )
    assert found.missing == ()
    assert set(seen("").missing) == set(ELEMENTS)


def test_every_code_of_the_shipped_rules_is_in_the_table() -> None:
    assert [code for code in RULES.events.values if code and code not in event_types()] == []


def test_a_deployments_own_rules_stand_above_the_shipped_ones(tmp_path) -> None:
    own = '[[rule]]\nid = "our-fire"\ncode = "12G99"\nzh = ["冒火了"]\n'
    (tmp_path / "events.toml").write_text(own, encoding="utf-8")
    book = rules(tmp_path)
    assert (seen("七栋冒火了，着火", book).event_code, seen("着火", book).event_code) == ("12G99", "12G00")


@pytest.mark.parametrize(
    "own",
    ["[[rule]]\nid = 'x'\n", "[[rule]]\nid='x'\ncode='1'\nzh=['…']\n", "[[rule]]\nid='x'\ncode='1'\nzh=[3]\n", "not toml",
     "[[level]]\nlevel = 7\nzh = ['甲']\n"],
)  # fmt: skip
def test_rules_that_do_not_fit_are_refused_before_anything_starts(tmp_path, own) -> None:
    (tmp_path / "events.toml").write_text(own, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        rules(tmp_path)
    assert caught.value.code == "bad_rules"


@given(st.text(max_size=300) | st.text(alphabet="暴雨引发滑坡火灾着化工厂爆炸未无。fire on ", max_size=300))
def test_any_text_may_come(text) -> None:
    found = seen(text)
    assert set(found.missing) <= set(ELEMENTS)
    assert all(found.text[h.start : h.end] == h.words for h in (*found.hits, *found.level_hits))


def test_a_table_may_be_empty() -> None:
    assert table([], name="id", value="code").hits("着火") == []
