"""A stranger's XML becomes a tree, safely: the one place of the program that gives bytes to an XML parser."""

import codecs
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from lxml import etree

from domain.errors import BadInput

# The largest real alert seen has 459 KB, NAADS allows 1 MB (LMD user guide); the largest real feed 1.6 MB.
ALERT_BYTES = 1 << 20
FEED_BYTES = 8 << 20
SPACES = " \t\r\n"  # XML 1.0 §2.3: what white space is; a no-break or ideographic space is a letter like any

_GAP = re.compile(f"[{SPACES}]+")
_BOMS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = (  # XML 1.0 appendix F.1: without a byte order mark the first '<' tells
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0<", "utf-16-be"),
    (b"<\0", "utf-16-le"),
)
_DECLARED = re.compile(r"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_NOT_ASCII = re.compile(r"utf-?7|.*ebcdic.*|ibm-?\d+|cp(?:037|500|1026|1140)|unicode-1-1-utf-7", re.I)
_KNOWN = re.compile(  # names that Python and libxml2 understand alike; of others the prolog is read as ASCII
    r"utf-?(?:8|16|16le|16be|32)|(?:us-)?ascii|gb18030|gbk|gb2312|big5(?:-hkscs)?|iso-?8859-\d{1,2}|latin-?1"
    r"|windows-125\d|cp(?:125\d|936|949|932|950)|shift_jis|euc-(?:jp|kr|cn)|koi8-[ru]|iso-2022-jp",
    re.I,
)
_CONTROL = re.compile(  # XML 1.0 §2.2: the characters themselves, and as decimal or hexadecimal references
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
    r"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));"
)
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DOCTYPE_TOKEN = re.compile(r""""[^"]*"|'[^']*'|<!--.*?-->|<\?.*?\?>|[\[\]>]""", re.S)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z_:][\w:.-]*;")
_ELEMENTS = (
    500  # read before a validating parser is asked whether it has seen enough; the question copies its log
)


class NotXml(BadInput):
    """Bytes that were not read; `line` is 1-based, 0 when unknown. Its codes are those of parse_xml()."""

    def __init__(self, detail: str, *, code: str, line: int = 0) -> None:
        super().__init__(detail, code=code)
        self.line = line


def parse_xml(data: bytes, *, largest: int = ALERT_BYTES, with_comments: bool = False) -> etree._Element:
    """The root of `data`; no entity is expanded, nothing is fetched, no more than `largest` bytes are read.

    Comments and processing instructions are dropped, so that a value is one text node
    (`with_comments` keeps them: only for looking for them, and for signatures).
    Raises NotXml, its code is the reason: ``too_large``, ``doctype``, ``encoding``, ``too_deep``,
    ``control_characters``, ``not_well_formed``.
    """
    if len(data) > largest:
        raise NotXml(f"larger than {largest} bytes: not read", code="too_large")
    mark, declared = declared_encoding(data)
    if not mark and _NOT_ASCII.fullmatch(declared):
        raise NotXml("an encoding that is not read", code="encoding", line=1)
    text = decoded(data)
    if (at := _doctype(text)) is not None:
        raise NotXml("a DOCTYPE is refused", code="doctype", line=text.count("\n", 0, at) + 1)
    root = _parse(data, text, with_comments=with_comments)
    if getattr(root.getroottree().docinfo, "doctype", ""):  # in an encoding that we cannot read, it can
        raise NotXml("a DOCTYPE is refused", code="doctype")
    return root


def text_of(element: etree._Element) -> str:
    """All text in the element without the white space around it; no comment splits it or is part of it."""
    return "".join(map(str, element.itertext(etree.Element))).strip(SPACES)


def xml_text(text: str) -> str:
    """`text` without the characters that XML 1.0 §2.2 cannot hold."""
    return _NOT_XML.sub("", text)


def has_doctype(data: bytes) -> bool:
    """Whether a DOCTYPE stands in the prolog; no parser is asked, so a door may look before it answers."""
    return _doctype(decoded(data)) is not None


def words(text: str) -> list[str]:
    """What stands between white space, XML 1.0 §2.3."""
    return [word for word in _GAP.split(text) if word]


def declared_encoding(data: bytes) -> tuple[str, str]:
    """(by byte order mark, by declaration), both lower case, '' where absent."""
    mark = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    head = data[:800].decode(mark or _wide(data) or "latin-1", "replace")
    match = _DECLARED.match(head.removeprefix("\ufeff"))
    return mark, match[1].lower() if match else ""


def decoded(data: bytes) -> str:
    """The text as the parser reads it: by mark, then by declaration, then UTF-8; what does not fit is U+FFFD."""
    return data.decode(_codec(data), "replace").removeprefix("\ufeff")


def outline(data: bytes, *, largest: int = ALERT_BYTES) -> etree._Element | None:
    """The tree of a document without its DOCTYPE and entities, which no parser sees; None if it has none.

    Only for telling what was refused: whether the rest is well-formed and what it would have been.
    """
    text = decoded(data)
    start = _doctype(text)
    end = None if start is None else _end_of_doctype(text, start)
    if start is None or end is None:
        return None
    rest = re.sub(r"\A\s*<\?xml.*?\?>", "", _ENTITY.sub("?", text[:start] + text[end:]), count=1, flags=re.S)
    try:
        return parse_xml(rest.encode("utf-8", "replace"), largest=largest)
    except NotXml:
        return None


def first_invalid(root: etree._Element, schema: etree.XMLSchema, most: int) -> list[str]:
    """Up to `most` messages of what the schema refuses, in one pass that ends there.

    lxml's own validate() walks over all siblings for each message: for 130,000 it took 20 s, this 0.03 s.
    """
    data = io.BytesIO(etree.tostring(root, with_tail=False))
    events: Any = etree.iterparse(
        data, events=("end",), schema=schema, resolve_entities=False, no_network=True
    )
    try:
        for number, _ in enumerate(events, 1):
            if number % _ELEMENTS == 0 and len(events.error_log) >= most:
                break
    except etree.XMLSyntaxError:
        pass  # the messages are in the log
    return [str(entry.message) for entry in islice(events.error_log, most)]


def _parse(data: bytes, text: str, *, with_comments: bool) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=not with_comments,
        remove_pis=not with_comments,
    )
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        code, why = _reason(data, text, str(error))
        raise NotXml(why, code=code, line=line) from None


def _reason(data: bytes, text: str, error: str) -> tuple[str, str]:
    try:
        data.decode(_codec(data))
    except UnicodeError:
        return "encoding", "the bytes are not in the encoding they claim"
    if "encoding" in error.lower() and "unsupported" in error.lower():
        return "encoding", "an encoding that is not known"
    if _CONTROL.search(text):
        return "control_characters", "a control character that XML 1.0 does not allow"
    if "depth" in error.lower():
        return "too_deep", "nested deeper than any alert"
    if text.lstrip()[:1] in ("{", "["):
        return "not_well_formed", "JSON, and no XML"
    return "not_well_formed", f"not well-formed XML: {error.partition(', line ')[0][:200]}"


def _codec(data: bytes) -> str:
    mark, declared = declared_encoding(data)
    return (
        mark
        or _wide(data)
        or (declared if _KNOWN.fullmatch(declared) else "latin-1" if declared else "utf-8")
    )


def _wide(data: bytes) -> str:
    return next((name for start, name in _WIDE if data.startswith(start)), "")


def _doctype(text: str) -> int | None:
    """Where a DOCTYPE stands in the prolog; one pass, no backtracking."""
    at = text.find("<")
    while at >= 0:
        if text.startswith("<?", at):
            end = text.find("?>", at)
        elif text.startswith("<!--", at):
            end = text.find("-->", at + 4)
        else:
            return at if text[at : at + 9].upper() == "<!DOCTYPE" else None
        at = text.find("<", end) if end >= 0 else -1
    return None


def _end_of_doctype(text: str, start: int) -> int | None:
    is_inside = False
    for token in _doctype_tokens(text, start):
        if token[0] == "[":
            is_inside = True
        elif token[0] == "]":
            is_inside = False
        elif token[0] == ">" and not is_inside:
            return token.end()
    return None


def _doctype_tokens(text: str, start: int) -> Iterator[re.Match[str]]:
    return _DOCTYPE_TOKEN.finditer(text, start + len("<!DOCTYPE"))
