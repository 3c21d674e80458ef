"""A CAP document against the schema and the rules CAP-R01 to CAP-R38.

Rules and their sources: docs of the project, "CAP rules beyond the schema"; they were collected from the
OASIS data dictionary and from every public validator found. R01 and R02 uniqueness is the store's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from lxml import etree

from channels.codecs import cap_rules_alert, cap_rules_area, cap_rules_info, cap_rules_resource
from channels.codecs.cap_finding import Finding, Severity
from channels.codecs.cap_page import Page, path_of
from channels.codecs.cap_xml import (
    CAP_10,
    CAP_11,
    CAP_12,
    XMLDSIG,
    declared_encoding,
    parse_xml,
    schema_errors,
)
from domain.errors import BadInput

Rule = Callable[[Page], Iterator[Finding]]

FINDINGS = 200  # nobody reads more, and a hostile file could make a million

RULES: tuple[Rule, ...] = (
    cap_rules_alert.identity,
    cap_rules_alert.times,
    cap_rules_alert.order_of_times,
    cap_rules_alert.scope,
    cap_rules_alert.references,
    cap_rules_alert.code_lists,
    cap_rules_alert.unknowns,
    cap_rules_alert.info_present,
    cap_rules_info.plain_words,
    cap_rules_info.links,
    cap_rules_info.one_event,
    cap_rules_info.translated,
    cap_rules_info.pairs,
    cap_rules_info.languages,
    cap_rules_info.headlines,
    cap_rules_info.expiry,
    cap_rules_resource.resources,
    cap_rules_area.polygons,
    cap_rules_area.circles,
    cap_rules_area.heights,
    cap_rules_area.places,
)

_CHILDREN = {
    "alert": "identifier sender sent status msgType source scope restriction addresses code note references"
    " incidents info",
    "info": "language category event responseType urgency severity certainty audience eventCode effective"
    " onset expires senderName headline description instruction web contact parameter resource area",
    "resource": "resourceDesc mimeType size uri derefUri digest",
    "area": "areaDesc polygon circle geocode altitude ceiling",
    "geocode": "valueName value",
}
_KNOWN = frozenset(" ".join(_CHILDREN.values()).split()) | {"eventCode", "parameter"}
_NAMED = re.compile(r"Element '(?:\{([^}]*)\})?([^']+)'")
_REASONS = {"doctype": "CAP-R28", "encoding": "CAP-R29", "control_characters": "CAP-R24"}


def validate(data: bytes, *, as_output: bool = False) -> list[Finding]:
    """Everything wrong with `data`, by line; at most FINDINGS. Never raises.

    Rule ``XSD`` is the verdict of the CAP 1.2 schema (a file that cannot be read is not valid either).
    `as_output` adds what we owe in what we publish: area with geometry or geocode (R27), expires (R35),
    info (R36), language (R33), UTF-8 (R29), no derefUri (R18), one info a language (R34), no HTML (R17).
    """
    try:
        root = parse_xml(data)
    except BadInput as error:
        rules = [r for r in (_REASONS.get(error.code), "XSD") if r]
        return [Finding(rule=r, severity=Severity.ERROR, line=0, message=error.detail) for r in rules]
    page = Page(root=root, data=data, as_output=as_output)
    found = [*_version(page), *_encoding(page), *_whole_values(page), *_schema(page)]
    if page.namespace not in (CAP_10, XMLDSIG) and etree.QName(root).localname == "alert":
        for rule in RULES:
            found += islice(rule(page), FINDINGS)
    return sorted(found, key=lambda f: (f.line, f.rule, f.path, f.message))[:FINDINGS]


def check(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """validate() for the sandbox: ``{"findings": [{"rule", "severity", "line", "message", "path"}]}``."""
    found = validate(data, as_output=bool(options.get("as_output", False)))
    rows = [
        {"rule": f.rule, "severity": f.severity.value, "line": f.line, "message": f.message, "path": f.path}
        for f in found
    ]
    return {"findings": rows}, []


def _version(page: Page) -> Iterator[Finding]:
    """R30: the namespace decides the version; 1.1 can be read, only 1.2 is published."""
    name = etree.QName(page.root).localname
    if name != "alert":
        yield page.error("R30", page.root, "the root is not a CAP alert")
    elif page.namespace != CAP_12:
        known = {CAP_10: "CAP 1.0", CAP_11: "CAP 1.1", "": "no namespace"}
        yield page.error(
            "R30", page.root, f"not CAP 1.2: {known.get(page.namespace, 'an unknown namespace')}"
        )


def _encoding(page: Page) -> Iterator[Finding]:
    """R29: UTF-8 goes out; what comes in is read by its byte order mark, then its declaration."""
    mark, declared = declared_encoding(page.data)
    if mark == "utf-16" and declared and not declared.startswith(("utf-16", "utf16")):
        yield page.duty("R29", page.root, "UTF-16 by its byte order mark, something else by its declaration")
    elif page.as_output and (mark or declared or "utf-8") != "utf-8":
        yield page.error("R29", page.root, "published alerts are UTF-8")


def _whole_values(page: Page) -> Iterator[Finding]:
    """R38: a comment inside a value splits it for careless readers, and leaves a signature valid."""
    if not (page.data.count(b"<!--") or page.data.count(b"<?") > 1 or b"\0" in page.data[:4]):
        return
    for node in parse_xml(page.data, with_comments=True).iter(etree.Comment, etree.PI):
        parent = node.getparent()
        if parent is not None and _is_value(parent):
            yield page.error("R38", parent, "a comment or processing instruction inside a value")


def _is_value(element: etree._Element) -> bool:
    """Whether the element holds text and no elements."""
    name = etree.QName(element).localname
    return len(element.findall("*")) == 0 and name not in _CHILDREN and name not in ("eventCode", "parameter")


def _schema(page: Page) -> Iterator[Finding]:
    """XSD, and R31 or R32 where the schema met an element or attribute that should not be there."""
    for line, message, path in islice(schema_errors(page.root), FINDINGS):
        at = _find(page.root, path)
        short = message.replace("{" + CAP_12 + "}", "")[:300]  # bounds what a stranger's value adds to a line
        yield Finding(rule="XSD", severity=Severity.ERROR, line=line, message=short, path=path_of(at))
        if "attribute" in message and "is not allowed" in message:
            yield page.error("R31", at, "an attribute that CAP does not know")
        elif "This element is not expected" in message:
            name = _NAMED.match(message)
            if name and (name[1] or "") == page.namespace and name[2] in _KNOWN:
                yield page.error("R32", at, "out of the order of the schema, or there twice")
            else:
                yield page.error("R31", at, "an element that CAP does not know")


def _find(root: etree._Element, path: str) -> etree._Element:
    """The element that libxml2 names; the root when its prefix is declared further down."""
    try:
        found = root.getroottree().xpath(path, namespaces={p: u for p, u in root.nsmap.items() if p})
    except etree.XPathError:
        return root
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else root
