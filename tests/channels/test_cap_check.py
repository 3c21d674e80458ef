"""The CAP validator: one broken rule at a time, and what it owes to our own output."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from channels.codecs.cap_check import FINDINGS, check, validate
from channels.codecs.cap_finding import Severity, report
from channels.codecs.markup import ALERT_BYTES as LARGEST
from channels.codecs.markup import parse_xml
from domain.errors import BadInput
from sandbox.pool import Pool

SOUND = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>330100-1</identifier>
  <sender>duty@city.example.cn</sender>
  <sent>2026-11-23T08:00:00+08:00</sent>
  <status>Actual</status>
  <msgType>Alert</msgType>
  <scope>Public</scope>
  <info>
    <language>zh-CN</language>
    <category>Met</category>
    <event>暴雨</event>
    <urgency>Immediate</urgency>
    <severity>Extreme</severity>
    <certainty>Likely</certainty>
    <expires>2026-11-23T14:00:00+08:00</expires>
    <headline>暴雨红色预警</headline>
    <description>预计三小时雨量一百毫米以上。</description>
    <area><areaDesc>主城区</areaDesc><geocode><valueName>GB/T2260</valueName><value>330100</value></geocode></area>
  </info>
</alert>
"""
GEOCODE = "<geocode><valueName>GB/T2260</valueName><value>330100</value></geocode>"
REFERENCE = "duty@city.example.cn,A1,2026-11-22T08:00:00+08:00"


def rules(text: str | bytes, *, as_output: bool = False) -> set[str]:
    data = text.encode() if isinstance(text, str) else text
    return {f.rule.removeprefix("CAP-") for f in validate(data, as_output=as_output)}


def with_area(more: str) -> str:
    return SOUND.replace(GEOCODE, more + GEOCODE)


def with_resource(inner: str) -> str:
    resource = f"<resource><resourceDesc>图</resourceDesc>{inner}</resource>"
    return SOUND.replace("    <area>", resource + "\n    <area>")


def with_head(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new)


def update(references: str) -> str:
    return with_head("Alert<", "Update<").replace(
        "</scope>", f"</scope><references>{references}</references>"
    )


PNG = "<mimeType>image/png</mimeType>"
SECOND = (
    "<info><language>en</language><category>Met</category><event>Rain</event><urgency>Immediate</urgency>"
    "<severity>Extreme</severity><certainty>Likely</certainty><expires>2026-11-23T14:00:00+08:00</expires>"
    "<area><areaDesc>City</areaDesc>" + GEOCODE + "</area></info></alert>"
)

CASES = [
    ("R01", with_head(">330100-1<", "><")),
    ("R01", with_head(">330100-1<", ">330100,1<")),
    ("R02", with_head(">duty@city.example.cn<", ">duty room<")),
    ("R03", with_head("08:00:00+08:00", "08:00:00.5+08:00")),
    ("R03", with_head("08:00:00+08:00", "08:00:00")),
    ("R03", with_head("08:00:00+08:00", "08:00:00,08:00")),
    ("R04", with_head("14:00:00", "07:59:59")),
    ("R04", with_head("<expires>", "<onset>2026-11-23T15:00:00+08:00</onset><expires>")),
    ("R05", with_head("Public<", "Restricted<")),
    ("R05", with_head("</scope>", "</scope><restriction>内部</restriction>")),
    ("R06", with_head("Public<", "Private<")),
    ("R06", with_head("</scope>", '</scope><incidents>"a b</incidents>')),
    ("R07", with_head("Alert<", "Cancel<")),
    ("R07", with_head("Alert<", "Error<")),
    ("R08", update("duty@city.example.cn,A1")),
    ("R08", update(REFERENCE.replace("+08:00", "Z"))),
    ("R08", update(REFERENCE + "," + REFERENCE)),
    ("R09", update("duty@city.example.cn,330100-1,2026-11-23T08:00:00+08:00")),
    ("R10", update(REFERENCE.replace("11-22", "11-24"))),
    ("R11", with_area("<polygon/>")),
    ("R11", with_area("<polygon>30,120 30,121 30,120</polygon>")),
    ("R11", with_area("<polygon>30,120 30,121 31,121 31,120</polygon>")),
    ("R11", with_area("<polygon>30,120;30,121;31,121;30,120</polygon>")),
    ("R12", with_area("<polygon>30,190 30,121 31,121 30,190</polygon>")),
    ("R12", with_area("<polygon>80,40 80,41 81,41 80,40</polygon>")),
    ("R12", with_area("<circle>-91,120 5</circle>")),
    ("R13", with_area("<polygon>30,120 31,121 30,121 31,120 30,120</polygon>")),
    ("R14", with_area("<circle>30,120 0</circle>")),
    ("R14", with_area("<circle>30,120 -1</circle>")),
    ("R14", with_area("<circle>30,120  5</circle>")),
    ("R14", with_area("<circle>30,120 50000</circle>")),
    ("R15", with_head(GEOCODE, GEOCODE + "<ceiling>900</ceiling>")),
    ("R15", with_head(GEOCODE, GEOCODE + "<altitude>900</altitude><ceiling>100</ceiling>")),
    ("R16", with_head("    <area>", "<web>javascript:alert(1)</web><area>")),
    ("R16", with_head("    <area>", "<web>https://</web><area>")),
    ("R16", with_head("    <area>", "<web>https://x.example/预警</web><area>")),
    ("R17", with_head("预计三小时", "&lt;br/&gt;预计")),
    ("R17", with_head("预计三小时", "&amp;nbsp;预计")),
    ("R18", with_resource(PNG + "<uri>a.png</uri>")),
    ("R18", with_resource(PNG + "<uri>a.png</uri><derefUri>*</derefUri>")),
    ("R19", with_resource("<mimeType>picture/png</mimeType><uri>https://x.example/a.png</uri>")),
    ("R20", with_resource(PNG + "<size>-1</size><uri>https://x.example/a.png</uri>")),
    ("R20", with_resource(PNG + "<size>4</size><uri>a.png</uri><derefUri>YWJj</derefUri>")),
    ("R21", with_resource(PNG + f"<uri>a.png</uri><derefUri>YWJj</derefUri><digest>{'0' * 40}</digest>")),
    ("R22", with_head("</alert>", SECOND.replace("Met", "Geo"))),
    ("R22", with_head("</alert>", SECOND.replace("<language>en", "<language>zh-CN"))),
    (
        "R22",
        with_head(
            "</alert>",
            SECOND.replace(
                "<expires>", "<eventCode><valueName>x</valueName><value>y</value></eventCode><expires>"
            ),
        ),
    ),
    ("R23", with_head("</alert>", SECOND.replace("Rain<", "暴雨<"))),
    ("R24", with_head("预计", "\x0b预计")),
    ("R24", with_head("预计", "&#x1;预计")),
    ("R25", with_head("Immediate", "immediate")),
    ("R25", with_head(">Actual<", "> Actual <")),
    ("R26", with_head("<value>330100</value>", "<value> </value>")),
    ("R27", with_head(GEOCODE, "")),
    ("R28", with_head("<alert", "<!DOCTYPE alert><alert")),
    (
        "R28",
        with_head("<alert", '<!-- a --><!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert'),
    ),
    ("R29", SOUND.encode("gb18030")),
    ("R29", with_head("UTF-8", "klingon")),
    ("R29", b"\xff\xfe" + SOUND.encode("utf-16-le")),
    ("R30", with_head("cap:1.2", "cap:1.1")),
    ("R30", "<rss/>"),
    ("R31", with_head("  <info>", '<x:y xmlns:x="urn:x"/><info>')),
    ("R31", with_head("  <info>", '<info colour="red">')),
    ("R31", with_head("  <info>", "<codes>1</codes><info>")),
    (
        "R32",
        with_head(
            "<category>Met</category>\n    <event>暴雨</event>", "<event>暴雨</event><category>Met</category>"
        ),
    ),
    ("R32", with_head("<scope>", "<scope>Public</scope><scope>")),
    ("R33", with_head(">zh-CN<", ">zh_CN<")),
    ("R33", with_head("<language>zh-CN</language>", "")),
    ("R33", with_head("<language>zh-CN</language>", "<language/>")),
    ("R34", with_head("暴雨红色预警", "雨" * 161)),
    ("R35", with_head("<expires>2026-11-23T14:00:00+08:00</expires>", "")),
    ("R36", SOUND[: SOUND.index("  <info>")] + "</alert>"),
    ("R37", with_head("Likely", "Unknown")),
    ("R38", with_head("330100-1", "330100<!--x-->-1")),
    ("R38", with_head("暴雨红色", "暴雨<?x y?>红色")),
]


@pytest.mark.parametrize(("rule", "data"), CASES)
def test_one_broken_rule_gives_that_rule_and_no_other(rule: str, data: str | bytes) -> None:
    assert rules(data) - {"XSD", "XML"} == {rule}


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in CASES} == {f"R{n:02}" for n in range(1, 39)}


@pytest.mark.parametrize(
    "data",
    [
        SOUND,
        SOUND.replace("</alert>", SECOND),
        SOUND.replace("UTF-8", "GB18030").encode("gb18030"),
        b"\xef\xbb\xbf" + SOUND.encode(),
        SOUND.replace("14:00:00+08:00", "24:00:00+08:00"),
        SOUND.replace("+08:00", "-00:00"),
        with_area("<polygon>30,120 30,121 31,121 31,120 30,120</polygon>"),
        with_area("<polygon>-30.5,.5 -30,1 -31,1\n-30.5,.5</polygon>"),
        update(REFERENCE + "\n  " + REFERENCE.replace("A1", "A2")),
        with_head("Public<", "Private<").replace("</scope>", '</scope><addresses>a "b c"</addresses>'),
        with_resource(
            PNG + "<size>3</size><uri>https://x.example/a</uri><derefUri>YW\nJj</derefUri>"
            "<digest>A9993E364706816ABA3E25717850C26C9CD0D89D</digest>"
        ),
        with_head("三小时", "5 &lt; 10 &amp; 3 &gt; 2，值班 &lt;duty@city.example.cn&gt; R&amp;D; "),
        with_head("  <info>", "<!-- between -->\n  <info>"),
    ],
)
def test_a_sound_alert_has_no_finding(data: str | bytes) -> None:
    assert rules(data) == set()


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("R02", with_head(">duty@city.example.cn<", ">tocsin<")),
        ("R18", with_resource(PNG + "<uri>https://x.example/a</uri><derefUri>YWJj</derefUri>")),
        ("R27", with_head(GEOCODE, "")),
        ("R29", SOUND.replace("UTF-8", "GB18030").encode("gb18030")),
        ("R33", with_head("<language>zh-CN</language>", "")),
        ("R35", with_head("<expires>2026-11-23T14:00:00+08:00</expires>", "")),
        ("R36", SOUND[: SOUND.index("  <info>")] + "</alert>"),
    ],
)
def test_what_is_tolerated_from_others_forbids_our_own_output(rule: str, data: str | bytes) -> None:
    raw = data.encode() if isinstance(data, str) else data
    assert not any(f.is_error for f in validate(raw))
    found = [f for f in validate(raw, as_output=True) if f.is_error]
    assert {f.rule for f in found} == {f"CAP-{rule}"}


def test_a_place_on_svalbard_is_not_taken_for_china() -> None:
    norwegian = (
        with_area("<polygon>78,15 78,16 79,16 78,15</polygon>")
        .replace("zh-CN", "nb")
        .replace("GB/T2260", "NO")
    )
    assert rules(norwegian) == set()


def test_a_finding_tells_line_and_path_and_prints_on_one_line() -> None:
    found = validate(with_head("Alert<", "Update<").encode())
    assert [(f.rule, f.severity, f.line, f.path) for f in found] == [
        ("CAP-R07", Severity.ERROR, 7, "alert/msgType[1]")
    ]
    assert report(found).startswith("CAP-R07 error line 7: Update does not say")
    assert report([]) == ""


def test_prefixed_alerts_are_judged_alike() -> None:
    prefixed = (
        SOUND.replace("xmlns=", "xmlns:c=").replace("<", "<c:").replace("<c:/", "</c:").replace("<c:?", "<?")
    )
    assert rules(prefixed) == set()
    assert rules(prefixed.replace("<c:scope>", "<c:scope>Public</c:scope><c:scope>")) == {"XSD", "R32"}


def test_hostile_files_end_quickly_and_with_a_bounded_answer() -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><alert>&b;</alert>'
    assert rules(laughs) == {"R28"}
    assert rules(laughs.encode("utf-16")) == {"R28"}
    assert rules(b" " * (LARGEST + 1)) == {"XML"}
    assert rules("<a>" * 50_000) == {"XML"}
    assert rules(b"") == {"XML"}
    assert rules(b"\x00\xff\xfe<") <= {"XML", "R24", "R29"}
    areas = f"<area><areaDesc>a</areaDesc><polygon>x</polygon>{GEOCODE}</area>" * 5_000
    assert len(validate(SOUND.replace("    <area>", areas + "<area>").encode())) <= FINDINGS
    zigzag = " ".join(f"{30 + n % 2 / 10},{100 + n / 10_000:.4f}" for n in range(20_000))
    assert rules(with_area(f"<polygon>{zigzag} 30,100</polygon>")) <= {"R13", "R11"}


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP")
    data = f'<!DOCTYPE a [<!ENTITY s SYSTEM "{secret.as_uri()}">]><alert>&s;</alert>'.encode()
    with pytest.raises(BadInput) as caught:
        parse_xml(data)
    assert caught.value.code == "doctype"
    assert "TOP" not in report(validate(data))


def test_the_sandbox_form_answers_plain_data() -> None:
    value, blobs = check(with_head(GEOCODE, "").encode(), {"as_output": True})
    assert blobs == []
    assert [(r["rule"], r["level"]) for r in value["findings"]] == [("CAP-R27", "error")]
    assert check(SOUND.encode(), {})[0] == {
        "wellformed": True, "version": "1.2", "xsd_valid": True, "alerts": 1, "findings": [],
    }  # fmt: skip


def test_the_validator_runs_in_the_sandbox() -> None:
    pool = Pool(wall=timedelta(seconds=10), cpu=timedelta(seconds=5), memory_bytes=256 << 20)
    try:
        value = pool.run(check, with_head("Alert<", "Update<").encode(), {"as_output": True}).value
    finally:
        pool.close()
    assert [r["rule"] for r in value["findings"]] == ["CAP-R07"]


def test_messages_stay_with_their_document_under_threads() -> None:
    wrong = [with_head("<scope>", f"<scope>Public</scope><foreign{n}/><scope>").encode() for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        for n, found in enumerate(pool.map(validate, wrong * 5)):
            assert any(f.rule == "XSD" and f"foreign{n % 40}'" in f.message for f in found)
