"""A CAP 1.2 alert as values, written as deterministic UTF-8 XML in the order of the schema."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from lxml import etree

from channels.codecs.cap_xml import CAP_12
from channels.codecs.markup import xml_text
from domain.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A valueName with its value: eventCode, parameter, geocode."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An earlier message, CAP 1.2 §3.2.1 references: ``sender,identifier,sent``."""

    sender: str
    identifier: str
    sent: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A file that goes with an info block; `size` in bytes, `digest` SHA-1 in hex."""

    description: str
    mime_type: str
    size: int | None = None
    uri: str = ""
    deref_uri: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Where, CAP 1.2 §3.2.4.

    Polygons ``lat,lon lat,lon ...`` closed, circles ``lat,lon km``; heights in feet above mean sea level.
    """

    description: str
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()
    geocodes: tuple[Named, ...] = ()
    altitude: str = ""
    ceiling: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What, in one language, CAP 1.2 §3.2.2."""

    language: str
    categories: tuple[str, ...]
    event: str
    urgency: str
    severity: str
    certainty: str
    response_types: tuple[str, ...] = ()
    audience: str = ""
    event_codes: tuple[Named, ...] = ()
    effective: datetime | None = None
    onset: datetime | None = None
    expires: datetime | None = None
    sender_name: str = ""
    headline: str = ""
    description: str = ""
    instruction: str = ""
    web: str = ""
    contact: str = ""
    parameters: tuple[Named, ...] = ()
    resources: tuple[Resource, ...] = ()
    areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message, CAP 1.2 §3.2.1. `sent` is None only for what was read from a stranger."""

    identifier: str
    sender: str
    sent: datetime | None
    status: str
    msg_type: str
    scope: str = "Public"
    source: str = ""
    restriction: str = ""
    addresses: str = ""
    codes: tuple[str, ...] = ()
    note: str = ""
    references: tuple[Reference, ...] = ()
    incidents: str = ""
    infos: tuple[Info, ...] = ()


def stamp(at: datetime, zone: tzinfo) -> str:
    """CAP 1.2 §3.3.2: ``2026-11-23T08:00:00+08:00``, whole seconds, never Z. Raises BadInput if naive."""
    if at.tzinfo is None:
        raise BadInput("a time in an alert carries its offset")
    return at.astimezone(zone).replace(microsecond=0).isoformat()


def build(alert: Alert, *, zone: tzinfo) -> bytes:
    """The alert as a file; the same alert gives the same bytes.

    Control characters that XML 1.0 cannot hold are dropped. Language is always written.
    Raises BadInput for a naive or missing time and for an info without a language.
    """
    root = etree.Element(f"{{{CAP_12}}}alert", nsmap={None: CAP_12})  # type: ignore[dict-item]  # stubs: None is the default prefix
    _alert(root, alert, zone)
    for info in alert.infos:
        _info(_open(root, "info"), info, zone)
    etree.indent(root, space="  ")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root, encoding="UTF-8") + b"\n"


def _alert(root: etree._Element, alert: Alert, zone: tzinfo) -> None:
    if alert.sent is None:
        raise BadInput("an alert that goes out has its time of sending")
    _put(root, "identifier", alert.identifier, always=True)
    _put(root, "sender", alert.sender, always=True)
    _put(root, "sent", stamp(alert.sent, zone))
    _put(root, "status", alert.status, always=True)
    _put(root, "msgType", alert.msg_type, always=True)
    _put(root, "source", alert.source)
    _put(root, "scope", alert.scope, always=True)
    _put(root, "restriction", alert.restriction)
    _put(root, "addresses", alert.addresses)
    _each(root, "code", alert.codes)
    _put(root, "note", alert.note)
    triplets = (f"{r.sender},{r.identifier},{stamp(r.sent, zone)}" for r in alert.references)
    _put(root, "references", " ".join(triplets))
    _put(root, "incidents", alert.incidents)


def _info(parent: etree._Element, info: Info, zone: tzinfo) -> None:
    if not info.language:
        raise BadInput("an info without its language would be read as en-US")
    _put(parent, "language", info.language)
    _each(parent, "category", info.categories)
    _put(parent, "event", info.event, always=True)
    _each(parent, "responseType", info.response_types)
    _put(parent, "urgency", info.urgency, always=True)
    _put(parent, "severity", info.severity, always=True)
    _put(parent, "certainty", info.certainty, always=True)
    _put(parent, "audience", info.audience)
    _named(parent, "eventCode", info.event_codes)
    for tag, at in (("effective", info.effective), ("onset", info.onset), ("expires", info.expires)):
        _put(parent, tag, stamp(at, zone) if at else "")
    _put(parent, "senderName", info.sender_name)
    _put(parent, "headline", info.headline)
    _put(parent, "description", info.description)
    _put(parent, "instruction", info.instruction)
    _put(parent, "web", info.web)
    _put(parent, "contact", info.contact)
    _named(parent, "parameter", info.parameters)
    for resource in info.resources:
        _resource(_open(parent, "resource"), resource)
    for area in info.areas:
        _area(_open(parent, "area"), area)


def _resource(parent: etree._Element, resource: Resource) -> None:
    _put(parent, "resourceDesc", resource.description, always=True)
    _put(parent, "mimeType", resource.mime_type, always=True)
    _put(parent, "size", "" if resource.size is None else str(resource.size))
    _put(parent, "uri", resource.uri)
    _put(parent, "derefUri", resource.deref_uri)
    _put(parent, "digest", resource.digest)


def _area(parent: etree._Element, area: Area) -> None:
    _put(parent, "areaDesc", area.description, always=True)
    _each(parent, "polygon", area.polygons)
    _each(parent, "circle", area.circles)
    _named(parent, "geocode", area.geocodes)
    _put(parent, "altitude", area.altitude)
    _put(parent, "ceiling", area.ceiling)


def _open(parent: etree._Element, tag: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{CAP_12}}}{tag}")


def _put(parent: etree._Element, tag: str, value: str, *, always: bool = False) -> None:
    if value or always:
        _open(parent, tag).text = xml_text(value)


def _each(parent: etree._Element, tag: str, values: Iterable[str]) -> None:
    for value in values:
        _put(parent, tag, value, always=True)


def _named(parent: etree._Element, tag: str, pairs: Iterable[Named]) -> None:
    for pair in pairs:
        child = _open(parent, tag)
        _put(child, "valueName", pair.name, always=True)
        _put(child, "value", pair.value, always=True)
