"""How a bulletin may be written and sent: in which character set, and as text inside an envelope."""

import base64
import codecs
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import pytest

from channels.codecs import bulletin_file
from tests.bulletin_kit import xml

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
BARE = xml("a", AT).decode().partition("?>")[2].strip()
HEAD = "示例省气象台发布暴雨橙色预警 a"
SAYS_UTF8 = '<?xml version="1.0" encoding="UTF-8"?>'


def headlines(data: bytes, **options: Any) -> list[str]:
    return [one["headline"] for one in bulletin_file.read(data, options)[0]["alerts"]]


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (BARE.encode("gb18030"), "GB18030"),
        (BARE.encode("gbk"), "gb2312"),
        ((SAYS_UTF8 + BARE).encode("gb18030"), "gb18030"),  # a proxy wrote it anew, and left the declaration
        (BARE.encode("utf-16-be"), "utf-16be"),
        (BARE.encode("utf-16-be"), "utf-16"),
        (BARE.encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF8 + BARE.encode(), "gb18030"),  # the mark comes first
        (BARE.encode(), "iso-8859-1"),  # a server's default around UTF-8
        ((SAYS_UTF8 + BARE).encode(), "gb18030"),
        (BARE.encode(), "us-ascii"),
        (BARE.encode(), "x-unknown"),
        (('<?xml version="1.0" encoding="GBK"?>' + BARE).encode("gbk"), ""),
    ],
)
def test_a_bulletin_is_read_by_its_mark_then_its_charset_then_its_declaration(
    data: bytes, charset: str
) -> None:
    assert headlines(data, charset=charset) == [HEAD]
    assert bulletin_file.split(data, {"charset": charset})[1] == [data]  # what is kept is what came


def test_json_is_read_by_the_charset_of_its_type_where_it_is_not_utf_8() -> None:
    one = '{"identifier": "j", "sender": "s", "info": [{"language": "zh-CN", "headline": "暴雨橙色预警"}]}'
    assert headlines(one.encode("gb18030"), charset="gb18030") == ["暴雨橙色预警"]
    assert headlines(one.encode(), charset="utf-8") == ["暴雨橙色预警"]


def _envelope(content: str, version: str = "1.0") -> bytes:
    space = f"urn:oasis:names:tc:emergency:EDXL:DE:{version}"
    return f'<EDXLDistribution xmlns="{space}"><contentObject>{content}</contentObject></EDXLDistribution>'.encode()


DECLARED = xml("a", AT).decode()
IN_BASE64 = base64.b64encode(xml("a", AT)).decode()
IN_GB = base64.b64encode(('<?xml version="1.0" encoding="GB18030"?>' + BARE).encode("gb18030")).decode()
NAMELESS = BARE.replace(' xmlns="urn:oasis:names:tc:emergency:cap:1.2"', "")
UNNAMED = NAMELESS.replace("<alert", '<alert xmlns=""')


@pytest.mark.parametrize(
    "content",
    [
        f"<xmlContent><embeddedXMLContent>{escape(DECLARED)}</embeddedXMLContent></xmlContent>",
        f"<xmlContent><embeddedXMLContent><![CDATA[\n{DECLARED}\n]]></embeddedXMLContent></xmlContent>",
        f"<xmlContent>{escape(BARE)}</xmlContent>",
        f"<nonXMLContent><mimeType>application/cap+xml</mimeType><contentData>{IN_BASE64}</contentData></nonXMLContent>",
        f"<nonXMLContent><mimeType>text/xml</mimeType><contentData>\n{IN_GB[:70]}\n{IN_GB[70:]}\n</contentData></nonXMLContent>",
        f"<nonXMLContent><mimeType>text/xml</mimeType><contentData>{escape(DECLARED)}</contentData></nonXMLContent>",
        f"<xmlContent><embeddedXMLContent>{escape(NAMELESS)}</embeddedXMLContent></xmlContent>",
        f"<xmlContent><embeddedXMLContent>{UNNAMED}</embeddedXMLContent></xmlContent>",
    ],
)
def test_an_alert_that_stands_as_text_in_an_envelope_is_read(content: str) -> None:
    for version in ("1.0", "2.0"):
        data = _envelope(content, version)
        assert headlines(data) == [HEAD]
        told, parts = bulletin_file.split(data, {})
        assert told["is_lifted"]
        assert [headlines(part, is_lifted=True) for part in parts] == [[HEAD]]


def test_text_in_an_envelope_that_is_no_alert_stays_text() -> None:
    broken = escape(BARE[:-9])
    other = base64.b64encode(b"<html><body>x</body></html>" * 3).decode()
    good = f"<xmlContent><embeddedXMLContent>{BARE}</embeddedXMLContent></xmlContent>"
    content = f"<xmlContent><embeddedXMLContent>{broken}</embeddedXMLContent></xmlContent>"
    content += f"<nonXMLContent><contentData>{other}</contentData></nonXMLContent>{good}"
    assert headlines(_envelope(content)) == [HEAD]
    bomb = escape('<!DOCTYPE a [<!ENTITY x "y">]>' + BARE)
    assert headlines(_envelope(f"<xmlContent>{bomb}</xmlContent>{good}")) == [HEAD]
