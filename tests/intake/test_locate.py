"""Places in a text: the longest name, what stands around it, and doubt that is shown and not decided."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.report import Content, Fact
from domain.whereabouts import Kind, Why
from intake.gazetteer import Known, Landmark, build, home_of
from intake.locate import in_text, locate

HOME = [
    Known(code="990000000000", name="示例省", name_en="Shili Province", lat=30.0, lon=113.0),
    Known(code="990100000000", name="甲江市", name_en="Jiajiang City", lat=30.1, lon=113.1),
    Known(code="990101000000", name="临江区", name_en="Linjiang District", lat=30.1, lon=113.2),
    Known(code="990103000000", name="青石县", name_en="Qingshi County", lat=30.4, lon=113.5),
    Known(code="990103101000", name="大坪镇", name_en="Daping Town"),
]
MARKS = [
    Landmark(name="青石水库", area="990103000000", lat=30.41, lon=113.52, aliases=("青石坝",), source="test")
]


@pytest.fixture(scope="module")
def gazetteer():
    return build(HOME, MARKS)


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("浙江省杭州市余杭区仓前街道大坪村三组发生山体滑坡", "330110012000", "大坪村三组"),
        ("北京朝阳区三里屯着火", "110105000000", "三里屯"),
        ("余杭发生火灾", "330110000000", ""),
        ("内蒙古通辽市奈曼旗大沁他拉镇透水", "150525100000", ""),
        ("青石县大坪镇滑坡", "990103101000", ""),
        ("临江区内涝", "990101000000", ""),  # 临江市 is another, and not here
        ("A fire broke out in Qingshi County this morning", "990103000000", ""),
        ("长春市朝阳区、宽城区内涝", "220100000000", ""),  # two districts: the city that both lie in
    ],
)
def test_the_longest_names_and_what_they_lie_in_tell_the_place(gazetteer, text, code, detail) -> None:
    found = in_text(text, gazetteer)
    assert (found.area, found.places[0].detail) == (code, detail)


def test_a_name_of_two_places_is_shown_and_not_decided(gazetteer) -> None:
    found = in_text("朝阳区着火了", gazetteer)
    assert {p.code[:6] for p in found.places} == {"110105", "220104"}
    assert found.area == ""
    assert all(Why.ONE_OF_SEVERAL in p.why for p in found.places)


def test_what_is_named_elsewhere_in_the_report_settles_it(gazetteer) -> None:
    subject = {"subject": (Fact(value="长春市应急局来报", origin="header"),)}
    found = locate(Content(text="朝阳区某小区着火了", language="zh", facts=subject), gazetteer)
    assert found.area == "220104000000"


@pytest.mark.parametrize(
    ("rule", "text", "code"),
    [  # what holds it back -> the words, and the place that they would be taken for
        ("words", "大家平安，都已脱险", "630203000000"),
        ("words", "公安已到", "421022000000"),
        ("roads", "南京路堵车", "320100000000"),
        ("roads", "大理石厂着火", "532900000000"),
        ("between", "南京西路堵车", "320100000000"),
        ("not_before", "临江区域内停电", "990101000000"),
        ("not_before", "大坪镇定", "990103101000"),
    ],
)
def test_everyday_words_are_no_places(gazetteer, rule, text, code) -> None:
    found = in_text(text, gazetteer)
    assert (found.area, list(found.places)) == ("", [])
    kept = gazetteer.manners
    without = build(HOME, MARKS, rules=replace(kept, **{rule: type(getattr(kept, rule))()}))
    assert in_text(text, without).area == code  # it is that rule alone


@pytest.mark.parametrize("text", ["", "菜市场着火", "山区道路安全", "朝阳小学着火"])
def test_words_that_name_nothing_here_are_no_places(gazetteer, text) -> None:
    assert in_text(text, gazetteer).area == ""


def test_words_come_with_where_they_stand(gazetteer) -> None:
    text = "刚刚，青石县大坪镇塌方"
    place = in_text(text, gazetteer).places[0]
    assert text[place.start : place.end] == place.words == "大坪镇"


def test_a_position_names_its_system_its_accuracy_and_the_division_around_it(gazetteer) -> None:
    facts = {
        "position": (
            Fact(value="30.405,113.51", origin="citizen", note="±25 m"),
            Fact(value="30.405,113.51", origin="caller", note="GCJ-02"),
        )
    }
    plain, moved = locate(Content(text="", language="und", facts=facts), gazetteer).places
    assert (plain.kind, plain.accuracy, plain.code, plain.detail) == (
        Kind.POSITION,
        25,
        "990103000000",
        "",
    )
    assert (moved.detail, moved.accuracy) == ("GCJ-02", 100)
    assert moved.lat != plain.lat


def test_the_name_of_a_picture_names_no_system(gazetteer) -> None:
    facts = {"position": (Fact(value="30.405,113.51", origin="exif", note="BD-09 ±5 m.jpg"),)}
    place = locate(Content(text="", language="und", facts=facts), gazetteer).places[0]
    assert (place.lat, place.lon, place.accuracy, place.origin) == (30.405, 113.51, 100, "exif")


def test_a_code_from_the_keypad_is_a_place(gazetteer) -> None:
    facts = {"area": (Fact(value="990103", origin="keypad"), Fact(value="no code", origin="keypad"))}
    found = locate(Content(text="", language="und", facts=facts), gazetteer)
    assert (found.area, found.places[0].why) == ("990103000000", (Why.GIVEN,))
    assert len(found.places) == 1


def test_a_call_that_keyed_the_area_in_and_named_it_has_one_place(gazetteer) -> None:
    facts = {
        "place": (
            Fact(value="青石县", origin="keypad", note="990103"),
            Fact(value="青石县那边", origin="speech"),
        )
    }
    found = locate(Content(text="", language="zh", facts=facts), gazetteer)
    assert [(p.code, p.origin, p.score) for p in found.places] == [("990103000000", "keypad", 1.0)]


def test_words_of_documents_are_read_behind_the_text(gazetteer) -> None:
    facts = {"document": (Fact(value="青石县大坪镇滑坡", origin="document"),)}
    found = locate(Content(text="详见附件", language="zh", facts=facts), gazetteer)
    assert (found.area, found.places[0].source) == ("990103101000", "document")


def test_a_landmark_is_found_by_its_other_name(gazetteer) -> None:
    place = in_text("青石坝漫水了", gazetteer).places[0]
    assert (place.kind, place.name, place.lat, place.accuracy) == (Kind.LANDMARK, "青石水库", 30.41, 200)


def test_a_landmark_lies_in_the_division_before_it_and_that_is_no_place_of_its_own(gazetteer) -> None:
    found = in_text("青石县青石水库漏水", gazetteer)
    assert [(p.name, p.kind) for p in found.places] == [("青石水库", Kind.LANDMARK)]
    assert Why.INSIDE_NAMED in found.places[0].why and found.area == "990103000000"


@pytest.mark.parametrize("text", ["轻食水库漏水了", "在青时水库，快来人"])
def test_a_landmark_that_was_misheard_is_proposed_and_said_to_be_written_otherwise(text, gazetteer) -> None:
    found = in_text(text, gazetteer)
    assert [(p.name, text[p.start : p.end][-2:]) for p in found.places] == [("青石水库", "水库")]
    assert Why.SOUNDS_LIKE in found.places[0].why and found.area == "990103000000"


@pytest.mark.parametrize("text", ["青时水裤", "轻食水", "清时水泵房", "\U00020000轻食\U00020000水库"])
def test_what_only_begins_like_a_landmark_or_is_another_kind_of_place_is_none(text, gazetteer) -> None:
    assert in_text(text, gazetteer).places == ()


def test_home_is_what_the_divisions_of_the_hub_share() -> None:
    assert home_of(row.code for row in HOME) == "9901"
    assert home_of(["990000000000", "990100000000", "990200000000"]) == "99"
    assert home_of(["330000000000", "330100000000", "330110000000"]) == "330110"
    assert home_of(["110000000000", "330000000000"]) == home_of([]) == ""


@given(
    st.text(max_size=300) | st.text(alphabet="示例省甲江市临青石县大坪镇朝阳区城关新华路 a1", max_size=300)
)
def test_any_text_may_come(gazetteer, text) -> None:
    found = in_text(text, gazetteer)
    assert all(0 <= p.score <= 1 and p.accuracy > 0 for p in found.places)
