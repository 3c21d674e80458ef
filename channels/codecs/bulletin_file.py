"""What a peer sent, whatever it is, becomes alerts as plain values; for the sandbox.

CAP 1.0 to 1.2 alone, in lists, in Atom or RSS and in EDXL-DE envelopes; JSON CAP; CAP-CN. The type that the
sender declares is not believed: bytes that begin with a brace are JSON, all others XML.
"""

import codecs
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lxml import etree

from channels.codecs import (
    bulletin_bytes,
    bulletin_inside,
    bulletin_marks,
    cap_check,
    cap_cn,
    cap_cn_map,
    cap_json,
    cap_read,
    cap_seal,
    envelope,
    feed_read,
)
from channels.codecs.bulletin_area import areas_of
from channels.codecs.cap import Alert, Info, Named
from channels.codecs.cap_envelope import NATIONAL, alerts_in, version_of
from channels.codecs.cap_finding import Finding, Severity
from channels.codecs.cap_seal import Looked, Seal
from channels.codecs.markup import ALERT_BYTES, FEED_BYTES, parse_xml
from domain.bulletin import CHAIN
from domain.errors import BadInput

ALERTS = 500  # of one document: what is beyond is told and not read
TEXT = 20_000  # characters of one text that a page shows; the original is kept
INFOS, NAMED = 20, 100  # languages, and codes or parameters of one, that a page shows
FINDINGS = 50  # kept of one alert
_LOOSE = Finding(
    rule="XML", severity=Severity.WARNING, line=1, message="something stands around the document"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One alert with what was found out about it."""

    alert: Alert
    format: str
    findings: Sequence[Finding]
    looked: Looked
    sent_as: str
    refers_to: tuple[
        tuple[str, str], ...
    ] = ()  # (sender, identifier) where the format gives no time with them
    mark: str = ""  # of secrecy, wherever in the alert it stands


def read(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """``{"format", "alerts": [...], "items": [...], "more"}``; no blobs.

    Options: ``keys`` id -> PEM of pinned certificates, ``base`` the address it came from, ``charset`` that its type
    names, ``is_lifted`` when it was cut out of a feed. Raises BadInput with the
    reason: that of markup.parse_xml(), or not_an_alert, bad_json, no_alerts.
    """
    data = bulletin_bytes.in_utf8(data, str(options.get("charset", "")))
    if _is_json(data):
        return _told("JSON CAP", list(_json(data)), [], 0), []
    given, data = data, _trimmed(data)
    root = _tree(data)
    if cap_cn.is_one(root):
        return _told(NATIONAL, [_national(root)], [], 0), []
    found, commented = alerts_in(root), alerts_in(_with_comments(data, root))
    is_feed, is_one = feed_read.is_feed(root), bool(alerts_in(root)) and alerts_in(root)[0] is root
    if not found and not is_feed:
        raise BadInput("no alert is in it", code="no_alerts" if version_of(root) else "not_an_alert")
    keys = options.get("keys") or {}
    pairs = list(zip(found, commented, strict=True))[:ALERTS]
    is_lifted = not is_one or bool(options.get("is_lifted"))
    alerts = [
        _alert(plain, whole, data if is_one else None, keys, is_lifted=is_lifted) for plain, whole in pairs
    ]
    marks = bulletin_marks.of_elements(root, [plain for plain, _ in pairs])
    alerts = [replace(one, mark=mark) for one, mark in zip(alerts, marks, strict=True)]
    if given != data:
        alerts = [replace(one, findings=(_LOOSE, *one.findings)) for one in alerts]
    items, more = feed_read.items(root, base=str(options.get("base", ""))) if is_feed else ([], 0)
    return _told(version_of(root), alerts, items, more + max(0, len(found) - ALERTS)), []


def split(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """A document that was pulled: ``{"format", "items", "more", "is_lifted"}``, and each alert in it as bytes.

    A feed is new at every look, the alerts in it are not: they are kept one by one. Of an alert, a list of JSON or
    CAP-CN the bytes are those of the document. Options: ``base``, ``charset`` as for read(). Raises BadInput as read() does.
    """
    given, data = data, bulletin_bytes.in_utf8(data, str(options.get("charset", "")))
    if _is_json(data):
        cap_json.alerts(data)
        return {"format": "JSON CAP", "items": [], "more": 0, "is_lifted": False}, [given]
    data = _trimmed(data)
    root = _tree(data)
    found = [] if cap_cn.is_one(root) else alerts_in(root)
    if cap_cn.is_one(root) or (found and found[0] is root):
        return {"format": version_of(root) or NATIONAL, "items": [], "more": 0, "is_lifted": False}, [given]
    is_feed = feed_read.is_feed(root)
    if not found and not is_feed:
        raise BadInput("no alert is in it", code="no_alerts" if version_of(root) else "not_an_alert")
    if not is_feed and bulletin_marks.is_around(root, found):  # who reads an alert of it must know that
        return {"format": version_of(root), "items": [], "more": 0, "is_lifted": False}, [given]
    whole = alerts_in(_with_comments(data, root))[:ALERTS]
    items, more = feed_read.items(root, base=str(options.get("base", ""))) if is_feed else ([], 0)
    told = {
        "format": version_of(root),
        "items": [{"url": item.url, "stamp": item.stamp} for item in items],
        "more": more + max(0, len(found) - ALERTS),
        "is_lifted": True,
    }
    return told, [etree.tostring(one, with_tail=False, encoding="UTF-8") for one in whole]


def _trimmed(data: bytes) -> bytes:
    """Without blank lines before the declaration and NULs behind the end: programs that print pages leave them there.

    XML forbids both (§2.8, §2.2), and an alert is not dropped for it. Of wide encodings nothing is taken off.
    """
    if b"\0" in data[:4]:
        return data
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    return mark + data[len(mark) :].lstrip(b" \t\r\n").rstrip(b"\0\x1a")


def _is_json(data: bytes) -> bool:
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def _told(form: str, alerts: Sequence[_Read], items: Sequence[feed_read.Item], more: int) -> dict[str, Any]:
    return {
        "format": form,
        "alerts": [_values(one) for one in alerts],
        "items": [{"url": item.url, "stamp": item.stamp} for item in items],
        "more": more,
    }


def _with_comments(data: bytes, root: etree._Element) -> etree._Element:
    """The tree that a signature may cover; the same as `root` where nobody signed."""
    is_signed = next(root.iter(f"{{{cap_seal.DS}}}Signature"), None) is not None
    return _tree(data, with_comments=True) if is_signed else root


def _tree(data: bytes, *, with_comments: bool = False) -> etree._Element:
    return bulletin_inside.unfolded(parse_xml(data, largest=FEED_BYTES, with_comments=with_comments))


def _alert(
    plain: etree._Element, commented: etree._Element, whole: bytes | None, keys: Mapping[str, str], *,
    is_lifted: bool,
) -> _Read:  # fmt: skip
    """One alert of a document; `whole` when the document is that alert."""
    own = etree.tostring(plain, with_tail=False, encoding="UTF-8") if whole is None else whole
    if len(own) > ALERT_BYTES:
        raise BadInput("an alert larger than any that is read", code="too_large")
    if whole is None:
        again = etree.tostring(commented, with_tail=False, encoding="UTF-8")
        commented = parse_xml(again, largest=FEED_BYTES, with_comments=True)
    looked = cap_seal.look(commented, keys, is_lifted=is_lifted)
    seen = looked.signed if looked.seal is Seal.VERIFIED else own  # only what was signed (H56)
    root = parse_xml(seen)
    return _Read(
        alert=cap_read.read(seen), format=version_of(root), findings=cap_check.examine(own).findings, looked=looked,
        sent_as=_sent_as(root),
    )  # fmt: skip


def _sent_as(root: etree._Element) -> str:
    found = root.find("{*}sent")
    return "" if found is None else "".join(map(str, found.itertext())).strip()[:64]


def _json(data: bytes) -> Iterator[_Read]:
    for one in cap_json.alerts(data):
        xml, unknown = cap_json.to_xml(one)
        found = [
            Finding(rule=f.rule, severity=f.severity, line=0, message=f.message, path=f.path)
            for f in cap_check.examine(xml).findings
        ]
        found += [
            Finding(
                rule="CAP-R31",
                severity=Severity.WARNING,
                line=0,
                message=f"a name that CAP does not know: {name}",
            )
            for name in unknown[:FINDINGS]
        ]
        root = parse_xml(xml)  # and too large it may be only now: BadInput(too_large)
        yield _Read(
            alert=cap_read.read(xml), format="JSON CAP", findings=found, looked=Looked(seal=Seal.NONE),
            sent_as=_sent_as(root), mark=bulletin_marks.of_value(one),
        )  # fmt: skip


def _national(root: etree._Element) -> _Read:
    message = cap_cn.of_root(root)
    alert = cap_cn_map.to_alert(message)
    return _Read(
        alert=alert, format=NATIONAL, findings=cap_cn.check(message), looked=Looked(seal=Seal.NONE),
        sent_as=cap_cn.stamp(message.sent),
        refers_to=((alert.sender, message.references),) if message.references else (),
        mark=bulletin_marks.of_elements(root, [root])[0],
    )  # fmt: skip


def _values(one: _Read) -> dict[str, Any]:
    """The alert as JSON has it: bounded, with the findings and what is known of its signature."""
    alert = one.alert
    found = list(one.findings)
    if len(alert.references) > CHAIN:
        found.insert(0, Finding(rule="CAP-R08", severity=Severity.WARNING, line=0,
                                message=f"more than {CHAIN} references: the others are not followed"))  # fmt: skip
    areas, dropped = areas_of(alert)
    if dropped:
        found.insert(0, Finding(rule="CAP-R11", severity=Severity.WARNING, line=0,
                                message=f"{dropped} outlines are too long to be kept beside the original"))  # fmt: skip
    lead = alert.infos[0] if alert.infos else None
    said = {
        "identifier": alert.identifier[:300], "sender": alert.sender[:300], "sent": _iso(alert.sent),
        "sent_as": one.sent_as, "status": alert.status[:20], "msg_type": alert.msg_type[:20], "scope": alert.scope[:20],
        "format": one.format[:60], "references": _references(one),
        **_lead(lead), "areas": areas, "alert": _alert_values(alert),
    }  # fmt: skip
    said |= {"digest": _digest(alert), "mark": one.mark}
    said["findings"] = [
        {
            "rule": f.rule,
            "level": f.severity.value,
            "line": f.line,
            "message": f.message[:300],
            "path": f.path[:200],
        }
        for f in found[:FINDINGS]
    ]
    said |= {
        "seal": one.looked.seal.value,
        "seal_key": one.looked.key[:64],
        "seal_reason": one.looked.reason[:40],
    }
    return said


def _references(one: _Read) -> list[list[str | None]]:
    dated = [[r.sender[:300], r.identifier[:300], _iso(r.sent)] for r in one.alert.references[:CHAIN]]
    return dated + [[sender[:300], identifier[:300], None] for sender, identifier in one.refers_to]


def _lead(info: Info | None) -> dict[str, Any]:
    """What a list shows of the first language; all languages tell of one event (CAP-R22)."""
    if info is None:
        return {"event_scheme": "", "event_code": "", "event": "", "headline": "", "severity": "", "category": "",
                "onset": None, "effective": None, "expires": None}  # fmt: skip
    code = info.event_codes[0] if info.event_codes else Named(name="", value="")
    return {
        "event_scheme": code.name[:120], "event_code": code.value[:120], "event": info.event[:200],
        "headline": (info.headline or info.event)[:300], "severity": info.severity[:20],
        "category": (info.categories[0] if info.categories else "")[:20], "onset": _iso(info.onset),
        "effective": _iso(info.effective), "expires": _iso(info.expires),
    }  # fmt: skip


def _alert_values(alert: Alert) -> dict[str, Any]:
    return {
        "note": alert.note[:TEXT], "addresses": alert.addresses[:TEXT], "restriction": alert.restriction[:TEXT],
        "incidents": alert.incidents[:TEXT], "source": alert.source[:300], "codes": [c[:300] for c in alert.codes[:NAMED]],
        "infos": [_info_values(info) for info in alert.infos[:INFOS]],
    }  # fmt: skip


def _info_values(info: Info) -> dict[str, Any]:
    words = ("language", "event", "urgency", "severity", "certainty", "audience", "sender_name", "headline",
             "description", "instruction", "web", "contact")  # fmt: skip
    return {
        **{name: str(getattr(info, name))[:TEXT] for name in words},
        "categories": list(info.categories[:NAMED]),
        "responses": list(info.response_types[:NAMED]),
        "event_codes": _pairs(info.event_codes),
        "parameters": _pairs(info.parameters),
        "onset": _iso(info.onset), "effective": _iso(info.effective), "expires": _iso(info.expires),
        "resources": [
            {"description": r.description[:300], "mime_type": r.mime_type[:120], "size": r.size, "uri": r.uri[:2000],
             "digest": r.digest[:120]}
            for r in info.resources[:NAMED]
        ],
        "areas": [a.description[:2000] for a in info.areas[:NAMED]],
    }  # fmt: skip


def _pairs(pairs: Sequence[Named]) -> list[list[str]]:
    return [[pair.name[:300], pair.value[:TEXT]] for pair in pairs[:NAMED]]


def _digest(alert: Alert) -> str:
    """What the alert says, the same however it is spaced, spelled or wrapped."""
    return hashlib.sha256(repr(alert).encode("utf-8", "surrogatepass")).hexdigest()


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def as_report(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The n-th alert of a document as the fields of a slip; for the sandbox. Raises BadInput."""
    told, _ = read(_unwrapped(data), options)
    n = int(options.get("n", 0))
    if n >= len(told["alerts"]):
        raise BadInput("no such alert in it", code="no_alerts")
    one = told["alerts"][n]
    infos = one["alert"]["infos"]
    lines = [line for info in infos for line in _lines(info)]
    fields = {
        "subject": one["headline"], "text": "\n".join(lines)[:TEXT] or one["alert"]["note"],
        "event_code": one["event_code"], "place": "；".join(one["areas"]["names"][:5])[:500],
        "area": next(iter(one["areas"]["divisions"]), ""), "time": one["onset"] or one["effective"] or one["sent"],
        "sender": one["sender"],
    }  # fmt: skip
    return {
        "fields": fields,
        "findings": sorted({f["rule"] for f in one["findings"] if f["level"] == "error"}),
    }, []


def _unwrapped(data: bytes) -> bytes:
    """The bulletin of an envelope that a hub handed on; everything else as it is."""
    try:
        return envelope.read(data, {})[1][0] or data
    except BadInput:
        return data


def _lines(info: Mapping[str, Any]) -> Iterator[str]:
    return (info[name] for name in ("headline", "description", "instruction", "contact") if info[name])
