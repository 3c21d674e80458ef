"""The one place that parses XML: what it refuses, what it makes of values, and that it is the only one."""

import ast
from pathlib import Path

import pytest
from lxml import etree

from channels.codecs.markup import ALERT_BYTES, FEED_BYTES, NotXml, outline, parse_xml, text_of, words
from tests.test_house import MODULES

PARSERS = ("XML", "XMLParser", "HTML", "HTMLParser", "XMLPullParser", "fromstring", "fromstringlist", "parse",
           "parseid", "iterparse", "XMLID", "ETCompatXMLParser", "XSLT", "XInclude", "RelaxNG", "DTD")  # fmt: skip
LIBRARIES = ("xml", "lxml.html", "lxml.objectify", "lxml.sax", "defusedxml", "feedparser", "bs4", "xmltodict",
             "html5lib", "expat", "pyexpat", "xsdata")  # fmt: skip


def test_no_other_module_calls_a_parser_of_xml() -> None:
    found = []
    for path, tree in MODULES:
        if path == Path("channels/codecs/markup.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                names = []
            found += [
                f"{path}:{n}" for n in names if any(n == lib or n.startswith(lib + ".") for lib in LIBRARIES)
            ]
            found += [f"{path}:{n}" for n in names if n.startswith("lxml.etree.")]
            if isinstance(node, ast.Attribute) and node.attr in PARSERS and isinstance(node.value, ast.Name):
                found += [f"{path}:{node.lineno}"] if node.value.id == "etree" else []
    assert found == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<!DOCTYPE a><a/>", "doctype"),
        (b"<?xml version='1.0'?>\n<!-- x --><?y?><!doctype a><a/>", "doctype"),
        ("\ufeff<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".encode("utf-16"), "doctype"),
        ("<!DOCTYPE a><a/>".encode("utf-16-le"), "doctype"),
        (b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-", "encoding"),
        ("<!DOCTYPE a><a/>".encode("cp037"), "encoding"),
        (b"<a>&b;</a>", "not_well_formed"),
        (b"<a>" * 300 + b"</a>" * 300, "too_deep"),
        (b"<a>" + b" " * ALERT_BYTES + b"</a>", "too_large"),
        ("<?xml version='1.0' encoding='UTF-8'?><a>雨</a>".encode("gb18030"), "encoding"),
        (b"<a>\x01</a>", "control_characters"),
        (b"", "not_well_formed"),
    ],
)
def test_what_is_refused_has_its_reason(data: bytes, code: str) -> None:
    with pytest.raises(NotXml) as caught:
        parse_xml(data)
    assert caught.value.code == code


def test_a_feed_may_be_larger_than_an_alert_and_has_its_end_too() -> None:
    feed = b"<feed>" + b" " * ALERT_BYTES + b"</feed>"
    assert parse_xml(feed, largest=FEED_BYTES).tag == "feed"
    with pytest.raises(NotXml):
        parse_xml(b" " * (FEED_BYTES + 1), largest=FEED_BYTES)


def test_a_refusal_says_the_line() -> None:
    for data, line in ((b"<a>\n\n<b></a>", 3), (b"\n\n<!DOCTYPE a><a/>", 3), (b"<a>\n\xff</a>", 2)):
        with pytest.raises(NotXml) as caught:
            parse_xml(data)
        assert caught.value.line == line


@pytest.mark.parametrize("between", ["<!--x-->", "<?x y?>", "<![CDATA[]]>", "<!-- a --><?b c?><!---->", ""])
def test_comments_instructions_and_cdata_never_split_a_value(between: str) -> None:
    data = f"<a>330100-{between}20261123</a>".encode()
    root = parse_xml(data)
    assert root.text == text_of(root) == "330100-20261123"
    assert text_of(parse_xml(data, with_comments=True)) == "330100-20261123"


def test_white_space_is_what_xml_says_it_is() -> None:
    assert text_of(etree.fromstring("<a> \t\r\n\u3000x\u00a0\n</a>")) == "\u3000x\u00a0"
    assert words(" a\tb\r\n\u3000c ") == ["a", "b", "\u3000c"]


def test_what_has_a_doctype_is_told_without_it() -> None:
    data = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "]>'"> <!-- ]> ' --> %p;]><a>&x;<b/></a>"""
    found = outline(data)
    assert found is not None
    assert [e.tag for e in found.iter()] == ["a", "b"]
    assert outline(b"<!DOCTYPE a [<a/>") is None
    assert outline(b"<!DOCTYPE a><a>") is None
    assert outline(b"<a/>") is None
