"""JSON CAP: the names of CAP 1.2 one to one, as the German NINA service and our own /v1 write them."""

import json
from collections.abc import Mapping
from typing import Any

from lxml import etree

from channels.codecs.cap_xml import CAP_12
from channels.codecs.markup import xml_text
from domain.errors import BadInput

ALERTS = 500  # of one document; the largest real list has 167
_DEPTH = 40  # alert > info > area > geocode is 4; json itself gives up at the recursion limit

_ORDER: Mapping[str, tuple[str, ...]] = {
    "alert": ("identifier", "sender", "sent", "status", "msgType", "source", "scope", "restriction", "addresses",
              "code", "note", "references", "incidents", "info"),
    "info": ("language", "category", "event", "responseType", "urgency", "severity", "certainty", "audience",
             "eventCode", "effective", "onset", "expires", "senderName", "headline", "description", "instruction",
             "web", "contact", "parameter", "resource", "area"),
    "resource": ("resourceDesc", "mimeType", "size", "uri", "derefUri", "digest"),
    "area": ("areaDesc", "polygon", "circle", "geocode", "altitude", "ceiling"),
    "eventCode": ("valueName", "value"),
    "parameter": ("valueName", "value"),
    "geocode": ("valueName", "value"),
}  # fmt: skip


def alerts(data: bytes) -> list[Mapping[str, Any]]:
    """The alerts of a document: one object, a list, or a list under ``alerts``.

    Raises BadInput(bad_json, not_an_alert, too_many).
    """
    try:
        value = json.loads(
            data.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_once, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        raise BadInput("no JSON", code="bad_json") from None
    found = value.get("alerts", [value]) if isinstance(value, dict) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise BadInput("no alert, and no list of them", code="not_an_alert")
    if not all("identifier" in one for one in found):
        raise BadInput("an object that is no alert", code="not_an_alert")
    if len(found) > ALERTS:
        raise BadInput(f"more than {ALERTS} alerts", code="too_many")
    return found


def to_xml(alert: Mapping[str, Any]) -> tuple[bytes, tuple[str, ...]]:
    """The alert as CAP 1.2, in the order of its schema, and the names that CAP does not know; those are left out."""
    unknown: list[str] = []
    root = _element("alert", alert, unknown, 0)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True), tuple(dict.fromkeys(unknown))


def _element(name: str, value: object, unknown: list[str], depth: int) -> etree._Element:
    made = etree.Element(f"{{{CAP_12}}}{name}", nsmap={None: CAP_12})  # type: ignore[dict-item]  # stubs: None is the default prefix
    order = _ORDER.get(name)
    if order is None or not isinstance(value, Mapping) or depth > _DEPTH:
        made.text = xml_text(_text(value))
        return made
    unknown += [str(key)[:60] for key in value if key not in order]
    for child in order:
        given = value.get(child)
        for one in given if isinstance(given, list) else [given]:
            if one is not None:
                made.append(_element(child, one, unknown, depth + 1))
    return made


def _text(value: object) -> str:
    """A value as XML has it; where an object or a list stands for a text, its JSON is kept as the text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one name: two readers would see two alerts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _constant(_name: str) -> object:
    raise ValueError("no number")
