"""CAP-CN: read as people write it, written strictly, and back into CAP 1.2 without losing the colour."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import bulletin_file, cap_cn, cap_cn_map
from channels.codecs.cap import build
from channels.codecs.cap_cn import BEIJING, File, Message, Method, Place, Text
from domain.errors import BadInput

AT = datetime(2012, 10, 25, 9, 10, 26, tzinfo=BEIJING)
MESSAGE = Message(
    identifier="33000041600000_20121025091026", sender="浙江省气象台", sender_code="33000041600000", sent=AT,
    methods=(Method(name="SMS", message="短信文本", groups="1,2", persons="13800000000"), Method(name="LED")),
    texts=(Text(event_type="11B01", severity="Blue", effective=AT, expires=AT + timedelta(hours=6), signer="张三",
                headline="浙江省气象台发布台风蓝色预警", description="预计…", instruction="注意防范",
                files=(File(name="a_P_00.jpg", size="12288", digest="ab"),),
                places=(Place(description="杭州", polygons=("30,120 31,121",), circles=("30.2,120.1 1500",),
                              geocodes=("330100000000", "330200000000")),)),),
)  # fmt: skip


def test_what_is_written_is_read_back_the_same_and_is_named_as_the_format_says() -> None:
    assert cap_cn.read(cap_cn.write(MESSAGE)) == MESSAGE
    assert cap_cn.write(MESSAGE) == cap_cn.write(cap_cn.read(cap_cn.write(MESSAGE)))
    assert cap_cn.check(MESSAGE) == []
    assert cap_cn.file_name(MESSAGE) == "33000041600000_20121025091026_11B01_BLUE_ALERT.XML"
    assert b"<sendTime>2012-10-25 09:10:26+08:00</sendTime>" in cap_cn.write(MESSAGE)


@pytest.mark.parametrize("tag", ["audencePrt", "audenceprt", "audiencePrt", "AUDIENCEPRT"])
@pytest.mark.parametrize("root", ["alert", "test", 'x:Alert xmlns:x="http://com.icss.amp"'])
def test_spellings_roots_and_namespaces_of_every_builder_are_taken(tag: str, root: str) -> None:
    text = cap_cn.write(MESSAGE).decode().replace("audencePrt", tag)
    text = text.replace("<alert>", f"<{root}>").replace("</alert>", f"</{root.partition(' ')[0]}>")
    assert cap_cn.read(text.encode()) == MESSAGE
    told, _ = bulletin_file.read(text.encode(), {})
    assert (told["format"], told["alerts"][0]["event_code"]) == ("CAP-CN", "11B01")


@pytest.mark.parametrize(
    ("size", "number"),
    [
        ("12288", 12288),
        ("12K", 12288),
        ("12k", 12288),
        ("1.5M", 1572864),
        ("12 KB", 12288),
        ("-1", None),
        ("viel", None),
    ],
)
def test_a_size_may_have_its_unit(size: str, number: int | None) -> None:
    assert File(name="a", size=size).bytes == number


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2012-10-25 09:10:26+08:00", AT), ("2012-10-25T09:10:26+08:00", AT), ("2012-10-25 09:10:26", AT),
        ("2012-10-25 01:10:26Z", AT), ("2012-10-25 9:10:26.0", AT), ("2012-13-25 09:10:26", None), ("", None),
    ],
)  # fmt: skip
def test_times_near_the_format_are_read(text: str, at: datetime | None) -> None:
    assert cap_cn.moment(text) == at


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01 00:00:00", "9999-12-31 23:59:59Z"])
def test_h58_a_time_that_no_zone_can_tell_is_none_and_loses_no_bulletin(text) -> None:
    assert cap_cn.moment(text) is None


@pytest.mark.parametrize("colour", [*cap_cn.SEVERITIES, "Purple", ""])
def test_the_colour_comes_back_exactly_whatever_it_was(colour: str) -> None:
    said = replace(MESSAGE, texts=(replace(MESSAGE.texts[0], severity=colour),))
    alert = cap_cn_map.to_alert(said)
    assert alert.infos[0].severity == {
        "Blue": "Minor",
        "Yellow": "Moderate",
        "Orange": "Severe",
        "Red": "Extreme",
    }.get(colour, "Unknown")
    back = cap_cn_map.from_alert(
        alert, identifier=said.identifier, sender=said.sender, sender_code=said.sender_code
    )
    assert back.texts[0].severity == colour
    assert back == replace(said, methods=tuple(replace(m, groups="", persons="") for m in said.methods))


def test_audiences_and_numbers_never_get_into_an_alert_and_metres_become_kilometres() -> None:
    alert = cap_cn_map.to_alert(MESSAGE)
    xml = build(replace(alert, sent=AT), zone=UTC)
    assert b"13800000000" not in xml
    assert alert.infos[0].areas[0].circles == ("30.2,120.1 1.5",)
    assert [g.value for g in alert.infos[0].areas[0].geocodes] == ["330100", "330200"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"identifier": "x"}, "alert/identifier"), ({"sent": None}, "alert/sendTime"), ({"methods": ()}, "alert/code"),
        ({"msg_type": "Cancel", "references": "x"}, "alert/note"), ({"msg_type": "Update"}, "alert/references"),
        ({"texts": ()}, "alert/info"), ({"status": "actual"}, "alert/status"),
    ],
)  # fmt: skip
def test_nothing_incomplete_is_written(wrong: dict[str, object], pointer: str) -> None:
    with pytest.raises(BadInput) as error:
        cap_cn.write(replace(MESSAGE, **wrong))  # type: ignore[arg-type]
    assert pointer in {flaw.pointer for flaw in error.value.flaws}


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=40).map(
    str.strip
)


@settings(max_examples=60, deadline=None)
@given(_WORDS, _WORDS, st.sampled_from(cap_cn.SEVERITIES))
def test_any_words_survive_the_way_there_and_back(headline: str, message: str, colour: str) -> None:
    said = replace(MESSAGE.texts[0], headline=headline or "x", severity=colour)
    one = replace(MESSAGE, texts=(said,), methods=(Method(name="SMS", message=message),))
    assert cap_cn.read(cap_cn.write(one)) == one


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_of_bulletins_raise_anything_but_bad_input(data: bytes) -> None:
    for body in (
        data,
        b"{" + data,
        b"<alert>" + data,
        b"<alert><identifier/><sendTime>" + data + b"</sendTime></alert>",
    ):
        try:
            bulletin_file.read(body, {})
        except BadInput as error:
            assert error.code
