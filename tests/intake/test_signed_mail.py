"""A mail that begins with 签收: what is only a signature, and what tells of something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.signed_mail import says_more, who_signs

OURS = "【演示】移送报告 K7Q2\n\n请登录签收：https://hub.example/handover/x\n20 分钟内签收。"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("签收", ""),
        ("已签收。", ""),
        ("签收：赵六", "赵六"),
        ("签收 水利局 李四", "水利局 李四"),
        ("Signed: Li Wei", "Li Wei"),
        ("签收：阿卜杜拉·买买提", "阿卜杜拉·买买提"),
        ("签收\n\n> 三号楼起火\n> 二行", ""),
        ("签收：赵六\n-- \n水利局 赵六\n电话 010-12345678\n", "赵六"),
        ("签收\n\n-----原始邮件-----\n发件人: a@hub.example\n发送时间: 2026年1月1日 08:00\n主题: 【演示】移送报告 K7Q2\n"
         "20 分钟内签收。", ""),
        ("签收\nOn Mon, 1 Jan 2026, duty wrote:\n> 移送", ""),
        ("签收\n发自我的iPhone", ""),
    ],
)  # fmt: skip
def test_a_name_quoted_words_and_a_signature_block_are_only_a_signature(text: str, who: str) -> None:
    assert who_signs(text) == who
    assert not says_more(text, "Re: 【演示】移送报告 K7Q2", OURS)


MORE = [
    "签收。三号楼起火，请立即支援",
    "已签收，王五。另有两人受伤",
    "Signed, but the bridge has collapsed",
    "签收\n> quote\n另外三号楼起火",
    "签收 大桥断了",
    "签收 决堤",
    "签收：山体 滑坡",
    "Signed Gas Smoke",
    "签收\n三号楼起火",
    "签收 王五 三号楼起火",
    "Signed Fire",
    "签收\n--\n三号楼起火",
    "签收\n-- \n王五\n三号楼起火\n> quote",
    "签收\n发件人：我\n三号楼起火",
    "签收\n主题：三号楼起火",
    "签收\n-----\n三号楼起火",
    "签收\r\n\r\n20 分钟内签收。三号楼起火",
]


@pytest.mark.parametrize("text", MORE)
def test_an_emergency_behind_the_word_is_more_than_a_signature(text: str) -> None:
    assert who_signs(text) is not None
    assert says_more(text, "", OURS)


@pytest.mark.parametrize("subject", ["三号楼起火", "Re: 三号楼起火", "Re: Re: fire"])
def test_a_subject_of_its_own_is_words_too(subject: str) -> None:
    assert says_more("签收", subject, OURS)


@given(st.sampled_from(["签收", "已签收", "Signed"]), st.text(max_size=40), st.booleans())
def test_no_line_of_news_is_ever_swallowed(word: str, noise: str, is_above: bool) -> None:
    lines = [noise, "另外三号楼起火"] if is_above else ["另外三号楼起火", noise]
    assert says_more("\n".join([word, *lines]), "", OURS)


@given(st.text(max_size=60))
def test_what_does_not_begin_with_the_word_signs_nothing(text: str) -> None:
    if not text.lstrip().lstrip("\ufeff").lower().startswith(("签收", "已签收", "signed")):
        assert who_signs(text) is None
