"""A CAP document against the schema and the rules CAP-R01 to CAP-R38.

Rules and their sources: docs of the project, "CAP rules beyond the schema"; they were collected from the
OASIS data dictionary and from every public validator found. R01 and R02 uniqueness is the store's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lxml import etree

from channels.codecs import cap_rules_alert, cap_rules_area, cap_rules_info, cap_rules_resource
from channels.codecs.cap_envelope import NATIONAL, alerts_in, is_alert, is_envelope, is_national, version_of
from channels.codecs.cap_finding import Finding, Severity
from channels.codecs.cap_lines import Lines
from channels.codecs.cap_page import INFOS, Page, path_of
from channels.codecs.cap_xml import CAP_10, CAP_11, CAP_12, VERSIONS, schema_errors
from channels.codecs.markup import ALERT_BYTES, NotXml, declared_encoding, decoded, outline, parse_xml

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found out. `version` is that of cap_envelope.version_of(), '' when nothing could be read."""

    is_wellformed: bool
    version: str
    is_valid: bool  # by the schema of its version: False for whatever is no alert
    alerts: int
    findings: list[Finding]


def validate(data: bytes, *, as_output: bool = False) -> list[Finding]:
    """Everything wrong with `data`, by line; at most FINDINGS. Never raises."""
    return examine(data, as_output=as_output).findings


def examine(data: bytes, *, as_output: bool = False, largest: int = ALERT_BYTES) -> Verdict:
    """Whether `data` is XML, what it is, whether the schema takes it, and every finding. Never raises.

    Rule ``XSD`` is the verdict of the schema of its version, ``XML`` says why it was not read. Of an envelope
    or a feed every alert in it is judged. `as_output` adds what we owe in what we publish: version 1.2 (R30),
    area with geometry or geocode (R27), expires (R35), info (R36), language (R33), UTF-8 (R29), no derefUri
    (R18), one info a language (R34), values of parameters (R26), a sender that is globally unique (R02).
    """
    try:
        root = parse_xml(data, largest=largest)
    except NotXml as error:
        return _unread(data, error, largest)
    lines = Lines(decoded(data))
    page = Page(root=root, lines=lines, as_output=as_output)
    alerts = alerts_in(root)
    found = [*_kind(page, len(alerts)), *_size(page, data), *_encoding(page, data)]
    found += islice(_whole_values(page, data), FINDINGS)
    is_valid = bool(alerts)
    for alert in alerts:
        own = _of_alert(Page(root=alert, lines=lines, as_output=as_output))
        is_valid = is_valid and not any(f.rule == "XSD" for f in own)
        found += own
        if len(found) >= FINDINGS:
            break
    return Verdict(
        is_wellformed=True,
        version=version_of(root),
        is_valid=is_valid and is_alert(root),
        alerts=len(alerts),
        findings=sorted(found, key=lambda f: (f.line, f.rule, f.path, f.message))[:FINDINGS],
    )


def check(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """examine() for the sandbox, with its two options; the keys are those of `tocsin cap validate --json`."""
    seen = examine(
        data,
        as_output=bool(options.get("as_output", False)),
        largest=int(options.get("largest", ALERT_BYTES)),
    )
    return {
        "wellformed": seen.is_wellformed,
        "version": seen.version,
        "xsd_valid": seen.is_valid,
        "alerts": seen.alerts,
        "findings": [
            {"rule": f.rule, "level": f.severity.value, "line": f.line, "message": f.message, "path": f.path}
            for f in seen.findings
        ],
    }, []


def _unread(data: bytes, error: NotXml, largest: int) -> Verdict:
    """A document with a DOCTYPE is refused unseen by any parser; what it would be is told all the same."""
    rule = _REASONS.get(error.code)
    rules = [rule] if error.code == "doctype" else [r for r in (rule, "XML") if r]
    rest = outline(data, largest=largest) if error.code == "doctype" else None
    return Verdict(
        is_wellformed=rest is not None,
        version="" if rest is None else version_of(rest),
        is_valid=False,
        alerts=0,
        findings=[
            Finding(rule=str(r), severity=Severity.ERROR, line=error.line, message=error.detail)
            for r in rules
        ],
    )


def _of_alert(page: Page) -> list[Finding]:
    """The schema and the rules. CAP 1.0 and CAP-CN have other elements: of them only the version is told."""
    found = list(islice(_schema(page), 2 * FINDINGS))
    if page.namespace == CAP_10 or is_national(page.root) or len(found) >= FINDINGS:
        return found
    for rule in RULES:
        found += islice(rule(page), FINDINGS)
    return found


def _kind(page: Page, alerts: int) -> Iterator[Finding]:
    """R30: the namespace decides the version; 1.1 can be read, only 1.2 is published."""
    name = version_of(page.root)
    if not is_alert(page.root):
        if is_envelope(page.root):
            yield page.duty("R30", page.root, f"no alert, but {name} with {alerts} in it")
        else:
            yield page.error("R30", page.root, "the root is not a CAP alert")
    for alert in alerts_in(page.root)[:FINDINGS]:
        namespace = etree.QName(alert).namespace or ""
        if namespace == CAP_11:
            yield page.duty("R30", alert, "CAP 1.1: it is read, but only 1.2 is published")
        elif is_national(alert):
            yield page.error("R30", alert, f"not CAP 1.2: {NATIONAL}, the Chinese national format")
        elif namespace != CAP_12:
            known = f"CAP {VERSIONS[namespace]}" if namespace in VERSIONS else "an unknown namespace"
            yield page.error("R30", alert, f"not CAP 1.2: {known if namespace else 'no namespace'}")


def _size(page: Page, data: bytes) -> Iterator[Finding]:
    """An alert that other hubs will not read; feeds may be larger."""
    for alert in alerts_in(page.root)[:FINDINGS]:
        if len(page.all(alert, "info")) > INFOS:
            yield page.error("R36", alert, f"more than {INFOS} info blocks: the others are not looked at")
    if is_alert(page.root) and len(data) > ALERT_BYTES:
        yield Finding(rule="XML", severity=Severity.ERROR, line=1,
                      message=f"an alert larger than {ALERT_BYTES} bytes", path=path_of(page.root))  # fmt: skip


def _encoding(page: Page, data: bytes) -> Iterator[Finding]:
    """R29: UTF-8 goes out; what comes in is read by its byte order mark, then its declaration."""
    mark, declared = declared_encoding(data)
    if mark.startswith("utf-16") and declared and not declared.startswith(("utf-16", "utf16")):
        yield page.error("R29", page.root, "UTF-16 by its byte order mark, something else by its declaration")
    elif page.as_output and (mark or declared or "utf-8") != "utf-8":
        yield page.error("R29", page.root, "published alerts are UTF-8")


def _whole_values(page: Page, data: bytes) -> Iterator[Finding]:
    """R38: a comment inside a value splits it for careless readers, and leaves a signature valid."""
    if not (data.count(b"<!--") or data.count(b"<?") > 1 or b"\0" in data[:4]):
        return
    namespaces = {etree.QName(alert).namespace for alert in alerts_in(page.root)}
    commented = parse_xml(data, largest=len(data), with_comments=True)
    for node in commented.iter(etree.Comment, etree.PI):
        parent = node.getparent()
        if parent is not None and etree.QName(parent).namespace in namespaces and _is_value(parent):
            yield page.error("R38", parent, "a comment or processing instruction inside a value")


def _is_value(element: etree._Element) -> bool:
    """Whether the element holds text and no elements."""
    name = etree.QName(element).localname
    return element.find("*") is None and name not in _CHILDREN and name not in ("eventCode", "parameter")


def _schema(page: Page) -> Iterator[Finding]:
    """XSD, and R31 or R32 where the schema met an element or attribute that should not be there."""
    for line, message, path in islice(schema_errors(page.root), FINDINGS):
        at = _find(page.root, path)
        place = line if at is None else page.lines.of(at)
        short = message.replace("{" + CAP_12 + "}", "")[:300]  # bounds what a stranger's value adds to a line
        yield Finding(rule="XSD", severity=Severity.ERROR, line=place, message=short,
                      path=path_of(page.root if at is None else at))  # fmt: skip
        yield from _misplaced(page, page.root if at is None else at, message)


def _misplaced(page: Page, at: etree._Element, message: str) -> Iterator[Finding]:
    if "attribute" in message and "is not allowed" in message:
        yield page.error("R31", at, "an attribute that CAP does not know")
    elif "This element is not expected" in message:
        name = _NAMED.match(message)
        if name and (name[1] or "") == page.namespace and name[2] in _KNOWN:
            yield page.error(
                "R32", at, "out of the order of the schema, there twice, or behind one that is missing"
            )
        else:
            yield page.error("R31", at, "an element that CAP does not know")


def _find(alert: etree._Element, path: str) -> etree._Element | None:
    """The element that libxml2 names; None when its prefix is declared further down."""
    if not path:
        return alert
    try:
        found = alert.xpath(path, namespaces={p: u for p, u in alert.nsmap.items() if p})
    except etree.XPathError:
        return None
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else None
