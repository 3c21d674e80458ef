"""CAP alerts made from releases: what is written, read back and judged."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from channels.codecs.cap import Alert, Reference, build
from channels.codecs.cap_check import validate
from channels.codecs.cap_finding import report
from channels.codecs.cap_read import read
from channels.codecs.cap_release import Level, Place, Words, make_alert
from domain.artefact import Purpose
from domain.errors import BadInput
from domain.handling import Mode
from domain.release import Colour, Kind

CHINA = ZoneInfo("Asia/Shanghai")
SENT = datetime(2026, 11, 23, 6, 5, 7, 999_999, tzinfo=UTC)
WORDS = {
    "zh-CN": Words(
        event="暴雨",
        headline="发布暴雨橙色预警",
        description="预计降雨 <50 毫米> & 大风",
        instruction="停止户外作业",
        sender_name="示例市应急管理局",
    ),
    "en": Words(
        event="Rainstorm",
        headline="Orange rainstorm warning",
        description="Rain expected",
        instruction="Stop work outdoors",
    ),
}
PLACES = [
    Place(code="330102000000", names={"zh-CN": "上城区", "en": "Shangcheng District"}),
    Place(code="330105002", names={"zh-CN": "某街道"}),
]
MAIN = Reference(sender="duty@city.example.cn", identifier="rel-12", sent=SENT)


def alert(purpose: Purpose = Purpose.MAIN, **changes: object) -> Alert:
    given: dict[str, object] = {
        "purpose": purpose,
        "identifier": "rel-12" if purpose is Purpose.MAIN else f"rel-12-{purpose}",
        "sender": "duty@city.example.cn",
        "sent": SENT,
        "mode": Mode.LIVE,
        "kind": Kind.WARNING,
        "event_code": "11B03",
        "words": WORDS,
        "places": PLACES,
        "expires": SENT + timedelta(hours=6),
        "effective": SENT,
        "level": Level(colour=Colour.ORANGE, grade=2, response=3),
        "references": () if purpose is Purpose.MAIN else (MAIN,),
    }
    return make_alert(**{**given, **changes})


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", list(Kind))
def test_every_purpose_mode_and_kind_validates_without_a_finding(
    purpose: Purpose, mode: Mode, kind: Kind
) -> None:
    data = build(alert(purpose, mode=mode, kind=kind), zone=CHINA)
    assert report(validate(data, as_output=True)) == ""


def test_the_same_alert_gives_the_same_bytes_and_reads_back_whole() -> None:
    data = build(alert(), zone=CHINA)
    assert data == build(alert(), zone=CHINA)
    assert build(read(data), zone=CHINA) == data
    assert read(data).infos[0].description == "预计降雨 <50 毫米> & 大风"


def test_times_carry_the_given_offset_never_z_never_fractions() -> None:
    text = build(alert(), zone=CHINA).decode()
    assert "<sent>2026-11-23T14:05:07+08:00</sent>" in text
    assert "<sent>2026-11-23T06:05:07+00:00</sent>" in build(alert(), zone=UTC).decode()
    half = timezone(-timedelta(hours=3, minutes=30))
    assert "<sent>2026-11-23T02:35:07-03:30</sent>" in build(alert(), zone=half).decode()


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(BadInput):
        build(alert(expires=datetime(2026, 11, 23)), zone=CHINA)  # noqa: DTZ001


def test_control_characters_do_not_reach_the_file() -> None:
    words = {"zh-CN": Words(event="暴雨", headline="一\x00二\x1b三\ufffe", description="四\ud800")}
    assert "<headline>一二三</headline>" in build(alert(words=words), zone=CHINA).decode()


def test_codes_colour_and_levels_stand_where_the_design_says() -> None:
    info = alert().infos[0]
    assert [(c.name, c.value) for c in info.event_codes] == [("cn.eips", "11B03")]
    assert {(p.name, p.value) for p in info.parameters} == {
        ("cn:kind", "warning"),
        ("cn:color", "Orange"),
        ("cn:grade", "2"),
        ("cn:response_level", "3"),
    }
    assert [[(g.name, g.value) for g in a.geocodes] for a in info.areas] == [
        [("GB/T2260", "330102")],
        [("GB/T2260", "330105002000")],
    ]
    assert (info.categories, info.severity, info.urgency) == (("Met",), "Severe", "Immediate")
    assert [a.description for a in alert().infos[1].areas] == ["Shangcheng District", "某街道"]


@pytest.mark.parametrize(("purpose", "word"), [(Purpose.CORRECTION, "False alarm"), (Purpose.LIFT, "解除")])
def test_an_ending_cancels_the_warning_by_reference_and_says_why(purpose: Purpose, word: str) -> None:
    made = alert(purpose)
    assert (made.msg_type, made.references) == ("Cancel", (MAIN,))
    assert word in made.note
    assert {(i.urgency, i.response_types) for i in made.infos} == {("Past", ("AllClear",))}
    assert b"<references>duty@city.example.cn,rel-12,2026-11-23T14:05:07+08:00</references>" in build(
        made, zone=CHINA
    )


def test_replacing_an_earlier_release_is_an_update() -> None:
    earlier = Reference(sender="duty@city.example.cn", identifier="rel-11", sent=SENT - timedelta(hours=1))
    assert alert(references=(earlier,)).msg_type == "Update"
    assert alert().msg_type == "Alert"


@pytest.mark.parametrize(
    ("colour", "after", "urgency"),
    [
        (Colour.RED, 300, "Immediate"),
        (Colour.BLUE, 0, "Immediate"),
        (Colour.BLUE, 60, "Expected"),
        (Colour.BLUE, 61, "Future"),
    ],
)
def test_urgency_follows_colour_and_onset(colour: Colour, after: int, urgency: str) -> None:
    made = alert(level=Level(colour=colour), onset=SENT + timedelta(minutes=after))
    assert made.infos[0].urgency == urgency


def test_cap_1_1_and_broken_alerts_are_read_as_far_as_they_go() -> None:
    old = build(alert(), zone=CHINA).decode().replace("cap:1.2", "cap:1.1").replace("Likely", "Very Likely")
    assert read(old.encode()).infos[0].certainty == "Likely"
    broken = read(
        b"<alert><sent>yesterday</sent><references>a,b x,y,2026-11-23T08:00:00+08:00</references></alert>"
    )
    assert broken.sent is None
    assert [r.identifier for r in broken.references] == ["y"]
    assert broken.infos == ()
    with pytest.raises(BadInput):
        build(broken, zone=CHINA)
    with pytest.raises(BadInput):
        read(b"<feed/>")
