"""The rules of CAP at their edges: just right and just wrong, in other versions, encodings, envelopes and profiles."""

import pytest

from channels.codecs.cap_check import examine, validate
from tests.channels.test_cap_check import GEOCODE, PNG, REFERENCE, SOUND, rules, update, with_area, with_head
from tests.channels.test_cap_check import with_resource as resource

CAP = "urn:oasis:names:tc:emergency:cap:"
SENT = "2026-11-23T08:00:00+08:00"
SQUARE = "30,120 30,121 31,121 31,120 30,120"


def level(rule: str, text: str) -> str:
    (found,) = [f for f in validate(text.encode()) if f.rule == f"CAP-{rule}"]
    return str(found.severity)


def sent(text: str) -> str:
    return SOUND.replace(f"<sent>{SENT}</sent>", f"<sent>{text}</sent>").replace(
        "<expires>2026-11-23T14:00:00+08:00", "<expires>2027-01-01T00:00:00+08:00"
    )


def info(more: str) -> str:
    return with_head("    <area>", f"    {more}<area>")


TRADITIONAL = (
    with_head("暴雨红色预警", "颱風")
    .replace("预计三小时雨量一百毫米以上。", "大雨")
    .replace("主城区", "台北")
)
RIGHT = [
    sent("2026-11-23T08:00:00-00:00"),
    sent("2026-11-23T24:00:00+08:00"),
    sent("2026-11-23T08:00:00+14:00"),
    sent(" 2026-11-23T08:00:00+08:00\n"),
    sent("2024-02-29T08:00:00+08:00"),
    with_head("14:00:00", "08:00:00"),  # expires at the moment it is sent
    with_head(">330100-1<", ">2.49.0.1.156_预警-1;x<"),
    with_head(">duty@city.example.cn<", ">urn:oid:2.49.0.0.156<"),
    with_head("Public<", "Restricted<").replace("</scope>", "</scope><restriction>内部</restriction>"),
    with_head("</scope>", "</scope><restriction> </restriction>"),
    update(REFERENCE.replace("2026-11-22T08:00:00+08:00", SENT)),
    update(f"\n\t{REFERENCE}\r\n{REFERENCE}\n"),
    with_area(f"<polygon> {SQUARE}\n</polygon>"),
    with_area("<polygon>30.12345678901234567,120 30,121 31,121 30.12345678901234567,120</polygon>"),
    with_area("<polygon>-10,170 -10,-170 -20,-170 -20,170 -10,170</polygon>"),  # over the 180th meridian
    with_area("<polygon>0,170 10,-170 6,-179 5,179 0,170</polygon>"),  # on a flat map its edges cross
    with_area("<polygon>90,-180 90,180 -90,180 90,-180</polygon>"),
    with_area("<polygon>0,0 1,1 0,2 1,1 0,0</polygon>"),  # touches itself
    with_area("<circle>30.5,120.5 0.001</circle>"),
    with_area("<circle>-90,-180\n+5.</circle>"),
    with_head(GEOCODE, GEOCODE + "<altitude>900</altitude><ceiling>900</ceiling>"),
    with_head(GEOCODE, GEOCODE + "<altitude>-5.5</altitude>"),
    info("<web>HTTPS://x.example:8443/a?b=%E8%AD%A6&amp;c#d</web>"),
    with_head("三小时", "&lt;NAME&gt; &lt; 5 km/h &amp;c. AT&amp;T; &lt;duty@city.example.cn&gt;"),
    with_head("预计三小时", "<![CDATA[5 < 6 & 7]]>三小时"),
    resource("<mimeType>Image/SVG+xml; charset=utf-8</mimeType><uri>https://x.example/a</uri>"),
    resource(PNG + "<size>0</size><uri>cid:1@x.example</uri>"),
    resource(PNG + "<uri>a.png</uri><derefUri> YWJj\n </derefUri>"),
    with_head(">zh-CN<", ">i-hak<"),
    with_head("暴雨红色预警", "雨" * 160),
    with_head("<alert ", '<alert xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:schemaLocation="a b" '),
    with_head("</alert>", '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="a b"><x/></Signature></alert>'),
    with_head("<headline>", "<!-- between --><headline>"),
    with_head("Actual<", "Test<").replace("Likely", "Unknown"),
    SOUND.replace("UTF-8", "UTF-16").encode("utf-16"),
    b"\xff\xfe" + SOUND.replace("UTF-8", "UTF-16").encode("utf-16-le"),
    SOUND.replace("UTF-8", "utf8").encode(),
    SOUND.replace("UTF-8", "GBK").encode("gbk"),
    TRADITIONAL.replace("UTF-8", "Big5").encode("big5"),
    SOUND.replace("\n", "\r\n"),
    SOUND.replace("\n", ""),
]  # fmt: skip


@pytest.mark.parametrize("data", RIGHT)
def test_what_is_just_right_has_no_finding(data: str | bytes) -> None:
    assert rules(data) == set()


WRONG = [
    ("R01", with_head(">330100-1<", "> 330100-1<")),
    ("R01", with_head(">330100-1<", ">330100\u30001<")),
    ("R01", with_head(">330100-1<", ">330100&lt;1<")),
    ("R02", with_head(">duty@city.example.cn<", "><")),
    ("R02", with_head(">duty@city.example.cn<", ">dutyroom<")),
    ("R03", sent("2026-11-23T08:00:60+08:00")),  # a leap second
    ("R03", sent("2026-11-23T24:00:01+08:00")),
    ("R03", sent("2026-11-23T08:00:00+14:01")),
    ("R03", sent("2026-11-23T08:00+08:00")),
    ("R03", sent("2026-11-23 08:00:00+08:00")),
    ("R03", sent("2026-02-29T08:00:00+08:00")),
    ("R03", sent("２０２６-11-23T08:00:00+08:00")),
    ("R03", sent("\u00a02026-11-23T08:00:00+08:00")),
    ("R03", sent("")),
    ("R04", with_head("<expires>", f"<effective>{SENT}</effective><expires>").replace("14:00:00", "07:59:59")),
    ("R05", with_head("Public<", "Private<").replace(
        "</scope>", "</scope><restriction>x</restriction><addresses>a</addresses>")),
    ("R06", with_head("Public<", "Private<").replace("</scope>", "</scope><addresses> </addresses>")),
    ("R07", update(" \n ")),
    ("R08", update(REFERENCE + ",x")),
    ("R08", update(REFERENCE.replace("+08:00", ".000+08:00"))),
    ("R08", update(REFERENCE + "\u3000" + REFERENCE)),
    ("R10", update(REFERENCE.replace("2026-11-22T08:00:00", "2026-11-23T08:00:01"))),
    ("R11", with_area("<polygon>30,120 30,121 31,121</polygon>")),
    ("R11", with_area("<polygon>30, 120 30,121 31,121 30,120</polygon>")),
    ("R11", with_area(f"<polygon>{SQUARE.replace(' ', chr(0x3000))}</polygon>")),
    ("R11", with_area("<polygon>1e1,120 30,121 31,121 1e1,120</polygon>")),
    ("R11", with_area("<polygon>NaN,120 30,121 31,121 NaN,120</polygon>")),
    ("R12", with_area("<polygon>90.0001,120 30,121 31,121 90.0001,120</polygon>")),
    ("R12", with_area("<circle>30,-180.5 5</circle>")),
    ("R13", with_area("<polygon>-10,170 -20,-170 -10,-170 -20,170 -10,170</polygon>")),
    ("R14", with_area("<circle>30,120,5</circle>")),
    ("R14", with_area("<circle>30,120</circle>")),
    ("R14", with_area("<circle/>")),
    ("R15", with_head(GEOCODE, GEOCODE + "<altitude>900.1</altitude><ceiling>900</ceiling>")),
    ("R16", info("<web>www.example.cn/a</web>")),
    ("R16", info("<web>//x.example/a</web>")),
    ("R16", info("<web>https://x.example/a b</web>")),
    ("R16", info("<web>data:text/html,x</web>")),
    ("R16", info("<web/>")),
    ("R17", with_head("三小时", "<![CDATA[<BR />]]>")),
    ("R17", with_head("三小时", "&lt;script src='x'&gt;")),
    ("R17", with_head("主城区", "A&amp;#160;B")),
    ("R18", resource(PNG + "<uri>a.png</uri>")),
    ("R18", resource(PNG + "<uri>https://x.example/a</uri><derefUri>YWJ</derefUri>")),
    ("R19", resource("<mimeType>png</mimeType><uri>https://x.example/a</uri>")),
    ("R19", resource("<mimeType>image/</mimeType><uri>https://x.example/a</uri>")),
    ("R20", resource(PNG + "<size>2</size><uri>a</uri><derefUri>YWJj</derefUri>")),
    ("R21", resource(PNG + "<uri>https://x.example/a</uri><digest>A9993E364706816ABA3E25717850C26C9CD0D89</digest>")),
    ("R25", with_head("Public<", "public<")),
    ("R26", with_head("<valueName>GB/T2260</valueName>", "<valueName/>")),
    ("R28", with_head("<alert", "<!DOCTYPE alert><alert")),
    ("R30", with_head(CAP + "1.2", CAP + "1.3")),
    ("R30", with_head(f' xmlns="{CAP}1.2"', "")),
    ("R31", with_head("<headline>", "<headlines>x</headlines><headline>")),
    ("R31", with_head("<headline>", '<headline xml:lang="zh">')),
    ("R31", with_head("<event>", '<event xmlns="urn:x">x</event><event>')),
    ("R33", with_head(">zh-CN<", ">chinesisch<")),
    ("R34", with_head("暴雨红色预警", "𠮷" * 161)),
    ("R38", with_head("主城区", "主城<![CDATA[]]><!---->区")),
    ("R38", with_head("330100-1", "<?x?>330100-1")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "data"), WRONG)
def test_what_is_just_wrong_breaks_that_rule_alone(rule: str, data: str) -> None:
    assert rules(data) - {"XSD"} == {rule}


def test_levels_are_those_of_what_others_may_send() -> None:
    assert level("R10", update(REFERENCE.replace("11-22", "11-24"))) == "warning"
    assert level("R34", with_head("暴雨红色预警", "雨" * 161)) == "warning"
    assert level("R37", with_head("Likely", "Unknown")) == "warning"
    assert level("R27", with_head(GEOCODE, "")) == "note"
    assert level("R35", with_head("<expires>2026-11-23T14:00:00+08:00</expires>", "")) == "note"
    assert level("R36", SOUND[: SOUND.index("  <info>")] + "</alert>") == "note"
    assert level("R33", with_head("<language>zh-CN</language>", "")) == "note"
    assert level("R17", with_head("三小时", "&lt;b&gt;")) == "error"


def test_each_version_is_judged_by_its_own_schema() -> None:
    old = SOUND.replace(CAP + "1.2", CAP + "1.1")
    seen = examine(old.encode())
    assert (seen.version, seen.is_valid, [(f.rule, str(f.severity)) for f in seen.findings]) == (
        "1.1", True, [("CAP-R30", "note")],
    )  # fmt: skip
    wrong = examine(old.replace("<event>", "<evening>x</evening><event>").encode())
    assert (wrong.is_valid, {f.rule for f in wrong.findings}) == (False, {"CAP-R30", "CAP-R31", "XSD"})
    assert [f.rule for f in examine(old.encode(), as_output=True).findings if f.is_error] == ["CAP-R30"]
    first = examine(SOUND.replace(CAP + "1.2", "http://www.incident.com/cap/1.0").encode())
    assert (first.version, first.is_valid) == ("1.0", False)
    assert {f.rule for f in first.findings} == {"CAP-R30", "XSD"}
    other = examine(SOUND.replace(CAP + "1.2", "urn:oasis:names:tc:emergency:alerts:1.2").encode())
    assert (other.version, other.is_valid) == ("urn:oasis:names:tc:emergency:alerts:1.2", False)
    mixed = SOUND.replace("<info>", f'<info xmlns="{CAP}1.1">')
    assert {"CAP-R31", "XSD"} <= {f.rule for f in validate(mixed.encode())}


INSIDE = SOUND.partition("?>")[2].replace("Public<", "public<")


@pytest.mark.parametrize(
    ("outer", "version"),
    [
        ('<feed xmlns="http://www.w3.org/2005/Atom"><entry><title/>\n<content type="text/xml">{}</content></entry></feed>',
         "atom+cap"),
        ('<d:EDXLDistribution xmlns:d="urn:oasis:names:tc:emergency:EDXL:DE:1.0"><d:contentObject><d:xmlContent>'
         "<d:embeddedXMLContent>\n{}</d:embeddedXMLContent></d:xmlContent></d:contentObject></d:EDXLDistribution>",
         "EDXL-DE 1.0 envelope"),
        ("<alerts>\n{}</alerts>", "wrapper of 1.2"),
        ('<rss version="2.0"><channel><item>\n{}</item></channel></rss>', "rss+cap"),
    ],
)  # fmt: skip
def test_alerts_inside_an_envelope_are_judged_where_they_stand(outer: str, version: str) -> None:
    data = outer.format(INSIDE + INSIDE.replace("public<", "Public<"))
    seen = examine(data.encode())
    assert (seen.version, seen.alerts, seen.is_valid) == (version, 2, False)
    found = [f for f in seen.findings if f.rule == "CAP-R25"]
    line = data[: data.index("<scope>public")].count("\n") + 1
    assert [(f.line, f.path.partition("/")[0]) for f in found] == [(line, found[0].path.partition("/")[0])]
    assert found[0].path.endswith("alert[1]/scope[1]")


@pytest.mark.parametrize(
    "more",
    [
        "<code>IPAWSv1.0</code>",
        "<code>profile:CAP-CP:0.4</code><code>profile:CAP-CP:MinorChange:none</code>",
        "<code>urn:oasis:names:tc:emergency:cap:1.2:profile:cap-au:1.0</code>",
    ],
)
def test_national_profiles_are_alerts_like_any(more: str) -> None:
    parameters = "".join(
        f"<parameter><valueName>{name}</valueName><value>{value}</value></parameter>"
        for name, value in (("awareness_level", "2; yellow; Moderate"), ("awareness_type", "9; avalanches"),
                            ("CMAMtext", "x"), ("layer:SOREM:1.0:Broadcast_Immediately", "No"))
    )  # fmt: skip
    code = "<eventCode><valueName>SAME</valueName><value>SVR</value></eventCode>"
    places = "".join(
        f"<geocode><valueName>{name}</valueName><value>{value}</value></geocode>"
        for name, value in (("SAME", "006109"), ("EMMA_ID", "DE001"), ("profile:CAP-CP:Location:0.3", "10"))
    )
    data = with_head("</scope>", f"</scope>{more}").replace("<expires>", f"{code}<expires>")
    data = data.replace("    <area>", f"{parameters}<area>").replace(GEOCODE, places)
    assert rules(data) == set()


def test_the_chinese_national_format_is_named_and_not_judged_by_rules_of_another() -> None:
    data = (
        "<?xml version='1.0' encoding='UTF-8'?>\n<alert><identifier>33010041600000_20261123080000</identifier>"
        "<sender>杭州市气象台</sender><senderCode>33010041600000</senderCode><sendTime>2026-11-23 08:00:00+08:00</sendTime>"
        "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope><code><method><methodName>SMS</methodName>"
        "<message/></method></code><info><eventType>11B03</eventType><severity>Orange</severity></info></alert>"
    )
    seen = examine(data.encode())
    assert (seen.version, seen.is_wellformed, seen.is_valid) == ("CAP-CN", True, False)
    assert [(f.rule, f.line) for f in seen.findings] == [("CAP-R30", 2), ("XSD", 2)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_are_right_beyond_65_535(newline: str) -> None:
    data = SOUND.replace("<headline>", "\n" * 70_000 + "<headline\n\n>").replace("330100</value>", "</value>")
    data = (
        data.replace("预计", "&lt;b&gt;")
        .replace("<certainty>", "<foreign/>\n<certainty>")
        .replace("\n", newline)
    )
    data = data.replace("</headline>", "<!-- < <x> --></headline>").replace("主城区", "<![CDATA[<area>]]>")
    lines = data.split("\n")
    found = validate(data.encode())
    assert {f.rule for f in found} == {"CAP-R17", "CAP-R26", "CAP-R31", "CAP-R38", "XSD"}
    for each in found:
        name = each.path.rpartition("/")[2].partition("[")[0]
        assert f"<{name}" in lines[each.line - 1], each
    assert max(f.line for f in found) > 70_000
