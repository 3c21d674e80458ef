"""The templates: every text of every version, and what a value cannot do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from channels.text import segments
from domain.artefact import Purpose
from domain.errors import BadInput, NotFound
from domain.events import event_types
from domain.handling import Mode
from domain.release import Colour, Kind
from templates import moments
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
# What a template that forgot something leaves behind: markup, doubled or lonely punctuation, a lost blank.
SLIPS = re.compile(
    r"\{\{|\{%|None|Undefined|\S  \S|（）|\(\)|,,|。。|，，|：：|，。|\.\.|：。|, \.| [,.;:](?:\s|$)|[a-z][.;:,][A-Za-z]"
)
ALL = sorted(library().values(), key=lambda t: t.id)
RAIN, OUTAGE = library()["heavy_rain"], library()["utility_outage"]
QUAKE, LEAK = library()["earthquake"], library()["hazmat_leak"]
CHANNELS = ("sms", "email", "telegram", "web_notice", "broadcast")
MARKS = {
    Mode.DEMO: {"zh-CN": "【演示】", "en": "[TEST]"},
    Mode.EXERCISE: {"zh-CN": "【演练】", "en": "[EXERCISE]"},
}


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


def updated(before: Colour | None = None, update: int = 2) -> dict[str, object]:
    """What the context of an update holds besides: the message that it replaces."""
    previous = SimpleNamespace(sent=SENT - timedelta(hours=2), colour=before, expires=SENT)
    return {"update": update, "previous": previous}


def texts(template: Template, purpose: Purpose, language: str, **changes: object) -> Iterator[str]:
    given = context(template, **changes)
    yield from (render(template, purpose, channel, language, given) for channel in CHANNELS)
    found = parts(template, purpose, language, given)
    yield from (found.headline, found.description, found.instruction)


def test_there_is_a_template_of_each_sort_and_their_codes_are_known() -> None:
    assert {t.id: (t.kind, t.needs_colour) for t in ALL} == {
        "heavy_rain": (Kind.WARNING, True),
        "earthquake": (Kind.NOTICE, False),
        "hazmat_leak": (Kind.SITUATION, False),
        "utility_outage": (Kind.NOTICE, False),
    }
    for template in ALL:
        assert set(template.channels) == {*CHANNELS, "cap_feed"}
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
    """Each option of each enum, with and without what is optional, first message and update."""
    optional = {f.name: "" for f in template.fields if not f.is_required}
    colours = list(Colour) if template.needs_colour else [None]
    chosen = [{}, *({f.name: value} for f in template.fields for value in f.options)]
    for colour, choice, bare, more in product(colours, chosen, ({}, optional), ({}, updated(Colour.ORANGE))):
        fields = {**template.example_fields, **choice, **bare}
        for text in texts(template, purpose, language, colour=colour, fields=fields, **more):
            assert text.strip()
            assert not SLIPS.search(re.sub(r"<[^>]*>", "", text)), text


def test_every_choice_of_a_leak_goes_together_and_the_steps_are_numbered_without_a_gap() -> None:
    enums = [[(f.name, v) for v in f.options] for f in LEAK.fields if f.type == "enum"]
    for language, choice in product(LANGUAGES, product(*enums)):
        fields = {**LEAK.example_fields, **dict(choice)}
        said = parts(LEAK, Purpose.MAIN, language, context(LEAK, fields=fields)).instruction
        steps = [int(line.partition(". ")[0]) for line in said.splitlines()[:-1]]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= 4


def test_a_rain_warning_holds_the_eight_elements_of_article_64() -> None:
    measures = {"zh-CN": ["停止户外作业"], "en": ["Stop outdoor work"]}
    said = {
        "zh-CN": ["暴雨", "橙色", "甲区、乙区", "山洪、滑坡和城市内涝", "示例市应急管理局"],
        "en": [
            "rainstorm",
            "orange",
            "Jia District and Yi District",
            "flash floods",
            "Shili City Emergency Office",
        ],
    }
    written = {"zh-CN": ["Ⅱ级", "11月23日14:05"], "en": ["Level II", "14:05 on 23 November"]}
    heard = {
        "zh-CN": ["14时05分发布", "有效至11月23日20时05分"],
        "en": ["2:05 pm", "Valid until 8:05 pm on 23 November"],
    }
    for language in LANGUAGES:
        sms, email, post, web, script, _, description, instruction = texts(RAIN, Purpose.MAIN, language)
        for text in (sms, email, post, web, description + instruction):
            words = said[language] + written[language] + measures[language]
            assert [w for w in words if w.lower() not in " ".join(text.lower().split())] == []
        words = said[language] + heard[language] + measures[language]
        assert [w for w in words if w.lower() not in script.lower()] == []


@pytest.mark.parametrize(
    ("template", "channel", "do", "what"),
    [
        (QUAKE, "sms", "护住头", "5.4级"), (LEAK, "sms", "撤离", "液氨"),
        (QUAKE, "email", "护住头", "震源深度"), (LEAK, "email", "捂住口鼻", "液氨"),
        (OUTAGE, "email", "水龙头", "预计"),
        (QUAKE, "web_notice", "护住头", "震源深度"), (LEAK, "web_notice", "捂住口鼻", "液氨"),
        (OUTAGE, "web_notice", "水龙头", "预计"),
        (QUAKE, "broadcast", "护住头", "5.4级"), (RAIN, "broadcast", "停止户外", "50毫米"),
        (OUTAGE, "broadcast", "水龙头", "预计"),
        (RAIN, "email", "停止户外", "50毫米"), (RAIN, "web_notice", "停止户外", "50毫米"),
    ],
    ids=lambda v: v.id if isinstance(v, Template) else str(v),
)  # fmt: skip
def test_what_to_do_comes_before_what_happened(template: Template, channel: str, do: str, what: str) -> None:
    text = render(template, Purpose.MAIN, channel, "zh-CN", context(template))
    assert 0 < text.index(do) < text.index(what)


def test_an_sms_begins_with_its_issuer_and_says_number_update_and_time() -> None:
    text = render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, update=2))
    assert text.startswith("【示例市应急管理局】第12号 更新2 14:05 ")
    english = render(RAIN, Purpose.MAIN, "sms", "en", context(RAIN))
    assert english.startswith("[Shili City Emergency Office] No. 12 14:05 ")
    for template, purpose in product(ALL, Purpose):
        for more, number in (({}, "第12号"), (updated(), "第12号 更新2")):
            text = render(template, purpose, "sms", "zh-CN", context(template, **more))
            assert text.startswith("【示例市应急管理局】")
            assert number in text
            assert ("更新" in text) is bool(more)
            assert "14:05" in text


def test_examples_stay_within_four_segments_and_endings_take_fewer() -> None:
    for template, purpose, language, colour in product(ALL, Purpose, LANGUAGES, Colour):
        for more in ({}, updated(Colour.ORANGE)):
            text = render(template, purpose, "sms", language, context(template, colour=colour, **more))
            most = {"zh-CN": 3, "en": 4}[language] - (purpose is not Purpose.MAIN)
            assert segments(text).parts <= most, text
            assert segments(text).encoding == ("UCS-2" if language == "zh-CN" else "GSM-7"), text


@pytest.mark.parametrize(
    ("before", "now", "chinese", "english"),
    [
        ("orange", "red", "暴雨橙色预警升级为红色（Ⅰ级）", "RAINSTORM WARNING RAISED FROM ORANGE TO RED (Level I)"),
        ("blue", "yellow", "暴雨蓝色预警升级为黄色（Ⅲ级）", "RAINSTORM WARNING RAISED FROM BLUE TO YELLOW (Level III)"),
        ("red", "orange", "暴雨红色预警降级为橙色（Ⅱ级）", "RAINSTORM WARNING LOWERED FROM RED TO ORANGE (Level II)"),
        ("yellow", "yellow", "继续发布暴雨黄色预警（Ⅲ级）", "YELLOW RAINSTORM WARNING CONTINUES (Level III)"),
    ],
)  # fmt: skip
def test_an_update_says_where_the_colour_went(before: str, now: str, chinese: str, english: str) -> None:
    given = context(RAIN, colour=Colour(now), **updated(Colour(before), 3))
    sms = render(RAIN, Purpose.MAIN, "sms", "zh-CN", given)
    assert sms.startswith(f"【示例市应急管理局】第12号 更新3 14:05 {chinese}：")
    sms = render(RAIN, Purpose.MAIN, "sms", "en", given)
    assert sms.startswith(f"[Shili City Emergency Office] No. 12 update 3 14:05 {english}: ")
    bare = chinese.partition("（")[0]
    assert bare in headline(RAIN, Purpose.MAIN, "zh-CN", given)
    for channel in ("email", "broadcast"):
        assert bare in render(RAIN, Purpose.MAIN, channel, "zh-CN", given)
    page = render(RAIN, Purpose.MAIN, "web_notice", "zh-CN", given)
    assert f'class="level {now}"' in page
    assert (bare in page) is (before != now)


def test_an_update_names_what_it_replaces_and_its_endings_name_the_update() -> None:
    for template in ALL:
        given = context(template, **updated(Colour.ORANGE if template.needs_colour else None))
        for channel in ("email", "web_notice"):
            text = " ".join(render(template, Purpose.MAIN, channel, "en", given).split())
            assert "in place of the message of 12:05 on 23 November" in text, (template.id, channel)
            assert "取代11月23日12:05发布的内容" in render(template, Purpose.MAIN, channel, "zh-CN", given)
        for purpose, channel in product((Purpose.LIFT, Purpose.CORRECTION), CHANNELS):
            assert re.search("第12号 ?更新2", render(template, purpose, channel, "zh-CN", given))
            assert re.search("(?:No.|number) 12,? update 2", render(template, purpose, channel, "en", given))
        assert all("更新" not in t for p in Purpose for t in texts(template, p, "zh-CN"))
        assert all("取代" not in t for p in Purpose for t in texts(template, p, "zh-CN"))


def test_an_update_whose_predecessor_is_not_known_says_its_number_and_no_more() -> None:
    for template, purpose, language in product(ALL, Purpose, LANGUAGES):
        for text in texts(template, purpose, language, update=2):
            assert not re.search("取代|升级|降级|in place of|raised|lowered", text)


def test_a_letter_is_a_subject_an_empty_line_and_a_body() -> None:
    """The longest number there can be in a year, in the mode with the longest mark."""
    for template, purpose, language, colour in product(ALL, Purpose, LANGUAGES, Colour):
        for more in ({}, updated(Colour.YELLOW, 99), updated(Colour.ORANGE, 99)):
            given = context(template, colour=colour, mode=Mode.EXERCISE, number=9999, **more)
            text = render(template, purpose, "email", language, given)
            subject, empty, *body = text.removesuffix("\n").split("\n")
            assert 0 < len(subject) <= 78, subject
            assert "9999" in subject
            assert empty == ""
            assert body[0] and body[-1]
            assert "" not in (a + b for a, b in pairwise(body))  # no two empty lines together
            if language == "en":
                assert max(map(len, body)) <= 72


def test_a_long_line_of_a_letter_breaks_between_words_and_under_its_number() -> None:
    text = render(RAIN, Purpose.MAIN, "email", "en", context(RAIN))
    assert "\n1. Stop outdoor work and gatherings. Schools and employers close where\n   conditions" in text
    address = "https://www.example.invalid/" + "x" * 80
    fields = {**RAIN.example_fields, "places_en": address[:80]}
    assert address[:80] in render(RAIN, Purpose.MAIN, "email", "en", context(RAIN, fields=fields))


def test_a_script_is_one_line_without_what_nobody_can_say() -> None:
    for template, purpose, language, more in product(ALL, Purpose, LANGUAGES, ({}, updated(Colour.ORANGE))):
        text = render(template, purpose, "broadcast", language, context(template, **more))
        assert not re.search(r"\n|[0-9]:[0-9]{2}(?! [ap]m)|[（）()/【】\[\]]", text), text


def test_the_time_of_a_script_is_said_as_people_say_it() -> None:
    for hour, minute, chinese, english in (
        (0, 0, "0时", "12 am"), (0, 5, "0时05分", "12:05 am"), (12, 0, "12时", "12 pm"), (23, 59, "23时59分", "11:59 pm"),
    ):  # fmt: skip
        at = datetime(2026, 11, 23, hour, minute, tzinfo=UTC)
        assert moments.spoken(at, "zh-CN") == f"11月23日{chinese}"
        assert moments.spoken(at, "en") == f"{english} on 23 November"


@pytest.mark.parametrize("mode", list(MARKS))
def test_a_script_of_a_demo_or_exercise_says_so_first_and_last_and_never_ends_the_exercise(
    mode: Mode,
) -> None:
    """演练结束 and "end of exercise" are orders to those who play; a script only speaks of itself."""
    word = {
        "zh-CN": {Mode.DEMO: "演示", Mode.EXERCISE: "演练"},
        "en": {Mode.DEMO: "test", Mode.EXERCISE: "exercise"},
    }
    for template, purpose, language in product(ALL, Purpose, LANGUAGES):
        text = render(template, purpose, "broadcast", language, context(template, mode=mode)).casefold()
        said = word[language][mode]
        assert said in text[:25] and said in text[-25:]
        assert "结束" not in text and "end of" not in text
        assert text.count(said) >= 3 if language == "zh-CN" else text.count(said) >= 2


@pytest.mark.parametrize("mode", list(MARKS))
def test_every_text_of_a_demo_or_exercise_starts_and_ends_with_the_mark(mode: Mode) -> None:
    for template, purpose, language in product(ALL, Purpose, LANGUAGES):
        mark = MARKS[mode][language]
        sms, email, post, web, _, *feed = texts(template, purpose, language, mode=mode)
        for text in (sms, email, post, web, *feed):
            bare = re.sub(r"<[^>]*>", "", text).strip()
            assert bare.startswith(mark)
            assert bare.endswith(mark)
        subject, _, body = email.partition("\n\n")
        assert mark in subject
        assert body.startswith(mark)
        live = list(texts(template, purpose, language))
        assert not any(re.search("演[示练]|EXERCISE|exercise|TEST", t) for t in live)


NASTY = "{{7*7}}{% x %}%s <b>'&"


@pytest.mark.parametrize("template", ALL, ids=lambda t: t.id)
def test_a_value_is_data_and_is_printed_as_it_stands(template: Template) -> None:
    """Every text of every template, in every place where an author's words may stand."""
    words = {f.name: NASTY[: f.max_length] for f in template.fields if f.type == "text"}
    fields = {**template.example_fields, **words}
    assert check_fields(template, fields) == []
    seen = {"zh-CN": 0, "en": 0}
    for purpose, language in product(Purpose, LANGUAGES):
        given = {"issuer": NASTY, "areas": [NASTY]}
        sms, email, post, web, script, *feed = texts(template, purpose, language, fields=fields, **given)
        for text in (sms, post, script, *feed):
            assert "49" not in text
        assert NASTY in sms and NASTY in script and NASTY in " ".join(email.split())
        assert "{{7*7}}{% x %}%s &lt;b&gt;&#39;&amp;" in web
        assert "<b>" not in web and "49" not in web
        seen[language] += web.count("{{7*7}}")
    assert min(seen.values()) > 3


def test_a_script_in_a_value_never_reaches_a_page() -> None:
    evil = "<script>x()</script>"
    for template, purpose, language in product(ALL, Purpose, LANGUAGES):
        words = {f.name: evil[: f.max_length] for f in template.fields if f.type == "text"}
        given = context(template, issuer=evil, areas=[evil], fields={**template.example_fields, **words})
        assert "<script" not in render(template, purpose, "web_notice", language, given)


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("magnitude", 5.4), ("magnitude", 5), ("magnitude", "5"), ("magnitude", "5.40"), ("magnitude", "05.4"),
        ("magnitude", "5,4"), ("magnitude", "+5.4"), ("magnitude", "-5.4"), ("magnitude", "５.４"), ("magnitude", "nan"),
        ("magnitude", "0.9"), ("magnitude", "10.1"), ("magnitude", "5.4\n"), ("magnitude", " 5.4"), ("magnitude", "1e3"),
        ("magnitude", ""), ("magnitude", True), ("magnitude", ["5.4"]), ("latitude", "30.1"), ("latitude", "120.05"),
        ("longitude", "30.12"), ("longitude", "999999.00"), ("depth_km", "10"), ("depth_km", 801),
        ("determination", "guessed"), ("occurred", "2026-11-23"),
    ],
)  # fmt: skip
def test_a_decimal_is_written_one_way_and_latitude_is_not_longitude(name: str, value: object) -> None:
    found = check_fields(QUAKE, {**QUAKE.example_fields, name: value})
    assert [f.pointer for f in found] == [f"/fields/{name}"]


@pytest.mark.parametrize("value", ["1.0", "9.9", "10.0"])
def test_a_decimal_within_its_bounds_is_printed_as_it_was_typed(value: str) -> None:
    fields = {**QUAKE.example_fields, "magnitude": value}
    assert check_fields(QUAKE, fields) == []
    assert f"发生{value}级地震" in render(QUAKE, Purpose.MAIN, "sms", "zh-CN", context(QUAKE, fields=fields))


def test_an_automatic_result_says_that_it_may_change() -> None:
    fields = {**QUAKE.example_fields, "determination": "automatic"}
    given = context(QUAKE, fields=fields)
    for channel in ("email", "web_notice"):
        assert "自动测定的结果可能修正" in render(QUAKE, Purpose.MAIN, channel, "zh-CN", given)
    for channel in CHANNELS:
        assert "may be revised" in " ".join(render(QUAKE, Purpose.MAIN, channel, "en", given).split())
        assert "自动测定" in render(QUAKE, Purpose.MAIN, channel, "zh-CN", given)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_is_sent_upwind_when_there_is_no_wind_nor_out_when_he_should_stay_in(language: str) -> None:
    def said(**chosen: str) -> str:
        given = context(LEAK, fields={**LEAK.example_fields, **chosen})
        return " ".join(t for t in texts(LEAK, Purpose.MAIN, language, **given) if t)

    upwind = "上风" if language == "zh-CN" else "against the wind"
    leave = "撤离" if language == "zh-CN" else "leave now"
    stay = "进入室内" if language == "zh-CN" else "go indoors"
    assert upwind in said(wind="north") and upwind not in said(wind="calm")
    assert leave in said(wind="calm") and stay not in said(action="evacuate")
    assert stay in said(action="shelter")
    assert not any(w in said(action="shelter") for w in (leave, upwind))


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
        render(RAIN, Purpose.MAIN, "broadcast", "zh-CN", context(RAIN, expires=None))
    with pytest.raises(BadInput):
        render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, colour=None))
    with pytest.raises(BadInput):
        render(RAIN, Purpose.MAIN, "sms", "zh-CN", context(RAIN, sent=datetime(2026, 11, 23)))  # noqa: DTZ001


@pytest.mark.parametrize("template", ALL, ids=lambda t: t.id)
def test_a_text_with_a_hole_where_a_required_value_belongs_is_refused(template: Template) -> None:
    english = {f"{name}_zh" for name in ("site", "scope", "epicentre")}  # another name stands in for these
    for wanted in (f for f in template.fields if f.is_required):
        for language, nothing in product(LANGUAGES if wanted.name not in english else ("zh-CN",), ("", None)):
            given = context(template, fields={**template.example_fields, wanted.name: nothing})
            for channel in ("sms", "web_notice"):
                with pytest.raises(BadInput):
                    render(template, Purpose.MAIN, channel, language, given)
            with pytest.raises(BadInput):
                parts(template, Purpose.MAIN, language, given)


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
