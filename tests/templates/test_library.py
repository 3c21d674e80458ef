"""The templates: every text of every version, and what a value cannot do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from channels.text import segments
from domain.artefact import Purpose
from domain.errors import BadInput, NotFound
from domain.events import event_types
from domain.handling import Mode
from domain.release import Colour
from templates.library import (
    LANGUAGES,
    Template,
    check_fields,
    colour_name,
    headline,
    level_name,
    library,
    parts,
    pinned,
    render,
)

SENT = datetime(2026, 11, 23, 6, 5, 7, tzinfo=UTC)
ALL = sorted(library().values(), key=lambda t: t.id)
RAIN, OUTAGE = library()["heavy_rain"], library()["utility_outage"]


def context(template: Template, **changes: object) -> dict[str, object]:
    return {
        "number": 12,
        "issuer": {"zh-CN": "示例市应急管理局", "en": "Shili City Emergency Office"},
        "mode": Mode.LIVE,
        "zone": ZoneInfo("Asia/Shanghai"),
        "areas": {"zh-CN": ["甲区", "乙区"], "en": ["Jia District", "Yi District"]},
        "colour": Colour.ORANGE if template.needs_colour else None,
        "sent": SENT,
        "effective": SENT,
        "expires": SENT + timedelta(hours=6),
        "fields": template.example_fields,
        **changes,
    }


def texts(template: Template, purpose: Purpose, language: str, **changes: object) -> Iterator[str]:
    given = context(template, **changes)
    yield render(template, purpose, "sms", language, given)
    yield render(template, purpose, "web_notice", language, given)
    found = parts(template, purpose, language, given)
    yield from (found.headline, found.description, found.instruction)


def test_there_are_two_templates_and_their_codes_are_known() -> None:
    assert [t.id for t in ALL] == ["heavy_rain", "utility_outage"]
    for template in ALL:
        assert template.event_code in event_types()
        assert set(template.names) == set(template.events) == set(LANGUAGES)
        assert pinned(template.id, template.version) == template
    with pytest.raises(NotFound):
        pinned("heavy_rain", 999)


def test_the_example_of_every_template_is_accepted_and_every_enum_named_in_both_languages() -> None:
    for template in ALL:
        assert check_fields(template, template.example_fields) == []
        for wanted in template.fields:
            assert set(wanted.labels) == set(LANGUAGES)
            assert all(set(o) == set(LANGUAGES) for o in wanted.options.values())


@pytest.mark.parametrize(("template", "purpose", "language"), list(product(ALL, Purpose, LANGUAGES)))
def test_every_text_can_be_rendered_with_every_choice(
    template: Template, purpose: Purpose, language: str
) -> None:
    enums = [[(f.name, v) for v in f.options] for f in template.fields if f.type == "enum"]
    optional = {f.name: "" for f in template.fields if not f.is_required}
    for colour, chosen, bare in product(Colour, product(*enums), ({}, optional)):
        fields = {**template.example_fields, **dict(chosen), **bare}
        for text in texts(template, purpose, language, colour=colour, fields=fields, update=2):
            assert text.strip()
            assert not re.search(
                r"\{\{|\{%|None|Undefined|  |（）|\(\)|,,|。。|，，", text.replace("\n", "")
            ), text


def test_a_rain_warning_holds_the_eight_elements_of_article_64() -> None:
    for language, words in {
        "zh-CN": [
            "暴雨",
            "橙色",
            "Ⅱ级",
            "11月23日14:05",
            "甲区、乙区",
            "山洪、滑坡和城市内涝",
            "停止户外作业",
            "示例市应急管理局",
            "14:05",
        ],
        "en": [
            "rainstorm",
            "orange",
            "Level II",
            "14:05 on 23 November",
            "Jia District and Yi District",
            "flash floods",
            "Stop outdoor work",
            "Shili City Emergency Office",
            "14:05",
        ],
    }.items():
        sms, web, _, description, instruction = texts(RAIN, Purpose.MAIN, language)
        for text in (sms, web, description + instruction):
            assert [w for w in words if w.lower() not in text.lower()] == []


def test_an_sms_begins_with_its_issuer_and_says_number_update_and_time() -> None:
    text = render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, update=2))
    assert text.startswith("【示例市应急管理局】第12号 更新2 14:05 ")
    english = render(RAIN, Purpose.MAIN, "sms", "en", context(RAIN))
    assert english.startswith("[Shili City Emergency Office] No. 12 14:05 ")
    for template, purpose in product(ALL, Purpose):
        assert "第12号" in render(template, purpose, "sms", "zh-CN", context(template))


def test_examples_stay_within_three_segments() -> None:
    for template, purpose, language, colour in product(ALL, Purpose, LANGUAGES, Colour):
        text = render(template, purpose, "sms", language, context(template, colour=colour))
        most = 3 if language == "zh-CN" else 4
        assert segments(text).parts <= most, text
        assert segments(text).encoding == ("UCS-2" if language == "zh-CN" else "GSM-7")


@pytest.mark.parametrize(
    ("mode", "marks"),
    [
        (Mode.DEMO, {"zh-CN": "【演示】", "en": "[TEST]"}),
        (Mode.EXERCISE, {"zh-CN": "【演练】", "en": "[EXERCISE]"}),
    ],
)
def test_every_text_of_a_demo_or_exercise_starts_and_ends_with_the_mark(
    mode: Mode, marks: dict[str, str]
) -> None:
    for template, purpose, language in product(ALL, Purpose, LANGUAGES):
        for text in texts(template, purpose, language, mode=mode):
            bare = re.sub(r"<[^>]*>", "", text).strip()
            assert bare.startswith(marks[language])
            assert bare.endswith(marks[language])
        assert not any("演" in t or "EXERCISE" in t for t in texts(template, purpose, language))


def test_a_value_is_data_and_is_printed_as_it_stands() -> None:
    nasty = "{{ 7*7 }} {% x %} %s $x {0} <b>'\"&"
    fields = {**RAIN.example_fields, "places_zh": nasty}
    assert check_fields(RAIN, fields) == []
    sms, web, _, description, _ = texts(RAIN, Purpose.MAIN, "zh-CN", fields=fields)
    assert nasty in sms
    assert nasty in description
    assert "{{ 7*7 }} {% x %} %s $x {0} &lt;b&gt;&#39;&#34;&amp;" in web
    assert "<b>" not in web
    issuer = "<script>alert(1)</script>"
    assert issuer not in render(RAIN, Purpose.MAIN, "web_notice", "en", context(RAIN, issuer=issuer))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hotline", ""),
        ("hotline", None),
        ("hotline", 12345),
        ("hotline", "1" * 21),
        ("hotline", "   "),
        ("hotline", "1\n2"),
        ("hotline", "1\u202e2"),
        ("places_zh", "【演练】"),
        ("places_zh", "这不是演习"),
        ("places_en", "This is not a drill"),
        ("hours", "3"),
        ("hours", 0),
        ("hours", 25),
        ("hours", True),
        ("hours", 2.0),
        ("hazards", "fire"),
        ("hazards", ["both"]),
        ("surprise", 1),
    ],
)
def test_a_wrong_value_is_named_by_its_pointer(name: str, value: object) -> None:
    found = check_fields(RAIN, {**RAIN.example_fields, name: value})
    assert [f.pointer for f in found] == [f"/fields/{name}"]
    assert found[0].detail


@pytest.mark.parametrize("value", ["2026-11-23T14:05:00", "soon", 5, "2026-13-01T00:00:00+08:00"])
def test_a_time_needs_its_offset(value: object) -> None:
    found = check_fields(OUTAGE, {**OUTAGE.example_fields, "starts": value})
    assert [f.pointer for f in found] == ["/fields/starts"]


def test_missing_fields_are_all_named() -> None:
    required = {f"/fields/{f.name}" for f in RAIN.fields if f.is_required}
    assert {f.pointer for f in check_fields(RAIN, {})} == required


def test_what_is_missing_for_a_text_is_refused() -> None:
    for gone in ("number", "issuer", "zone", "sent", "fields"):
        given = context(RAIN)
        del given[gone]
        with pytest.raises(BadInput):
            render(RAIN, Purpose.MAIN, "sms", "zh-CN", given)
    with pytest.raises(BadInput):
        render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, colour=None))
    with pytest.raises(BadInput):
        render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, sent=datetime(2026, 11, 23)))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("channel", "language"), [("fax", "en"), ("sms", "fr"), ("sms", "../../1/words.en"), ("sms", "")]
)
def test_a_channel_or_language_without_text_is_not_found(channel: str, language: str) -> None:
    with pytest.raises(NotFound):
        render(RAIN, Purpose.MAIN, channel, language, context(RAIN))


def test_headline_colour_and_level_are_in_words() -> None:
    assert (
        headline(RAIN, Purpose.MAIN, "zh-CN", context(RAIN)) == "示例市应急管理局发布暴雨橙色预警（Ⅱ级/严重）"
    )
    assert (colour_name(Colour.RED, "en"), level_name(Colour.RED, "en")) == ("red", "Level I, extreme")
    assert level_name(Colour.BLUE, "zh-CN") == "Ⅳ级/一般"
