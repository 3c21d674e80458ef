"""A stranger's XML becomes a tree, safely, and the OASIS schema gives its verdict."""

import codecs
import re
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

from lxml import etree

from domain.errors import BadInput

CAP_10 = "http://www.incident.com/cap/1.0"
CAP_11 = "urn:oasis:names:tc:emergency:cap:1.1"
CAP_12 = "urn:oasis:names:tc:emergency:cap:1.2"
XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"

# The largest real alert seen has 176 KB; NAADS allows 1 MB (LMD user guide). Twice that is never an alert.
LARGEST = 2 * 1024 * 1024

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DECLARED = re.compile(r"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_CONTROL = re.compile(  # XML 1.0 §2.2: the characters themselves, and as decimal or hexadecimal references
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
    r"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));"
)


def parse_xml(data: bytes, *, with_comments: bool = False) -> etree._Element:
    """The root of `data`; no entity is expanded, nothing is fetched.

    Comments and processing instructions are dropped, so that a value is one text node
    (`with_comments` keeps them: only for looking for them, and for signatures).
    Raises BadInput, its code is the reason: ``too_large``, ``doctype``, ``encoding``,
    ``control_characters``, ``not_well_formed``.
    """
    if len(data) > LARGEST:
        raise BadInput(f"larger than {LARGEST} bytes: not read", code="too_large")
    if _has_doctype(data):
        raise BadInput("a DOCTYPE is refused", code="doctype")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=not with_comments,
        remove_pis=not with_comments,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInput(_why(data, str(error)), code=_reason(data)) from None
    docinfo = root.getroottree().docinfo
    if getattr(docinfo, "doctype", ""):  # the scan above knows ASCII-like encodings and UTF-16 only
        raise BadInput("a DOCTYPE is refused", code="doctype")
    return root


def declared_encoding(data: bytes) -> tuple[str, str]:
    """(by byte order mark, by declaration), both lower case, '' where absent."""
    mark = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    head = data[:400].decode("utf-16" if mark == "utf-16" else "latin-1", "replace")
    match = _DECLARED.match(head.removeprefix("\ufeff").removeprefix("ï»¿"))
    return mark, match[1].lower() if match else ""


def schema_errors(root: etree._Element) -> list[tuple[int, str, str]]:
    """(line, message, XPath) of everything the CAP 1.2 schema refuses; empty when valid."""
    schema, lock = _schema()
    with lock:  # under threads libxml2's verdict is right but the error log is another document's
        if schema.validate(root.getroottree()):
            return []
        log: Any = getattr(schema, "error_log", ())  # lxml has it, its stubs do not
        return [(e.line, e.message, e.path or "") for e in log]


@lru_cache(maxsize=1)
def _schema() -> tuple[etree.XMLSchema, Lock]:
    source = files("channels").joinpath("codecs", "schema", "CAP-v1.2.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(source)), Lock()


def _has_doctype(data: bytes) -> bool:
    """Whether a DOCTYPE stands in the prolog; one pass, no backtracking."""
    mark, _ = declared_encoding(data)
    wide = mark == "utf-16" or data[:2] in (b"<\0", b"\0<")
    text = data.replace(b"\0", b"") if wide else data
    at = max(text.find(b"<"), 0)
    while True:
        if text.startswith(b"<?", at):
            end = text.find(b"?>", at)
        elif text.startswith(b"<!--", at):
            end = text.find(b"-->", at + 4)
        else:
            return text[at : at + 9].upper() == b"<!DOCTYPE"
        at = text.find(b"<", end) if end >= 0 else -1
        if at < 0:
            return False


def _text(data: bytes) -> str | None:
    """`data` decoded as it says it is, or None when it is not."""
    mark, declared = declared_encoding(data)
    try:
        return data.decode(mark or declared or "utf-8")
    except (LookupError, UnicodeError):
        return None


def _reason(data: bytes) -> str:
    text = _text(data)
    if text is None:
        return "encoding"
    return "control_characters" if _CONTROL.search(text) else "not_well_formed"


def _why(data: bytes, error: str) -> str:
    by_reason = {
        "encoding": "the bytes are not in the encoding they claim",
        "control_characters": "a control character that XML 1.0 does not allow",
    }
    return by_reason.get(_reason(data), f"not well-formed XML: {error[:200]}")
