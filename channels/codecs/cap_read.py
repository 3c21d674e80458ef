"""A received CAP alert, 1.1 or 1.2, valid or not, becomes values."""

from datetime import datetime

from lxml import etree

from channels.codecs.cap import Alert, Area, Info, Named, Reference, Resource
from channels.codecs.cap_page import Page, moment
from channels.codecs.markup import parse_xml, text_of, words
from domain.errors import BadInput


def read(data: bytes) -> Alert:
    """What the alert says, as far as it can be understood; findings about it come from validate().

    Times that are none are None, malformed references are left out, ``Very Likely`` of CAP 1.0 is Likely
    (CAP 1.2 §3.2.2). Raises BadInput when it cannot be parsed or its root is no alert.
    """
    root = parse_xml(data)
    if etree.QName(root).localname != "alert":
        raise BadInput("the root is not a CAP alert", code="not_an_alert")
    page = Page(root=root)
    return Alert(
        identifier=page.text(root, "identifier"),
        sender=page.text(root, "sender"),
        sent=page.time(root, "sent"),
        status=page.text(root, "status"),
        msg_type=page.text(root, "msgType"),
        scope=page.text(root, "scope"),
        source=page.text(root, "source"),
        restriction=page.text(root, "restriction"),
        addresses=page.text(root, "addresses"),
        codes=_texts(page, root, "code"),
        note=page.text(root, "note"),
        references=_references(page.text(root, "references")),
        incidents=page.text(root, "incidents"),
        infos=tuple(_info(page, i) for i in page.infos()),
    )


def _info(page: Page, info: etree._Element) -> Info:
    certainty = page.text(info, "certainty")
    return Info(
        language=page.text(info, "language") or "en-US",  # the default of CAP 1.2 §3.2.2
        categories=_texts(page, info, "category"),
        event=page.text(info, "event"),
        urgency=page.text(info, "urgency"),
        severity=page.text(info, "severity"),
        certainty="Likely" if certainty == "Very Likely" else certainty,
        response_types=_texts(page, info, "responseType"),
        audience=page.text(info, "audience"),
        event_codes=_pairs(page, info, "eventCode"),
        effective=page.time(info, "effective"),
        onset=page.time(info, "onset"),
        expires=page.time(info, "expires"),
        sender_name=page.text(info, "senderName"),
        headline=page.text(info, "headline"),
        description=page.text(info, "description"),
        instruction=page.text(info, "instruction"),
        web=page.text(info, "web"),
        contact=page.text(info, "contact"),
        parameters=_pairs(page, info, "parameter"),
        resources=tuple(_resource(page, r) for r in page.all(info, "resource")),
        areas=tuple(_area(page, a) for a in page.all(info, "area")),
    )


def _resource(page: Page, resource: etree._Element) -> Resource:
    size = page.text(resource, "size")
    return Resource(
        description=page.text(resource, "resourceDesc"),
        mime_type=page.text(resource, "mimeType"),
        size=int(size) if size.isascii() and size.isdecimal() and len(size) <= 18 else None,
        uri=page.text(resource, "uri"),
        deref_uri=page.text(resource, "derefUri"),
        digest=page.text(resource, "digest"),
    )


def _area(page: Page, area: etree._Element) -> Area:
    return Area(
        description=page.text(area, "areaDesc"),
        polygons=_texts(page, area, "polygon"),
        circles=_texts(page, area, "circle"),
        geocodes=_pairs(page, area, "geocode"),
        altitude=page.text(area, "altitude"),
        ceiling=page.text(area, "ceiling"),
    )


def _references(text: str) -> tuple[Reference, ...]:
    triplets = [item.split(",") for item in words(text)]
    found: list[tuple[str, str, datetime | None]] = [
        (t[0], t[1], moment(t[2])) for t in triplets if len(t) == 3
    ]
    return tuple(Reference(sender=s, identifier=i, sent=at) for s, i, at in found if at is not None)


def _texts(page: Page, parent: etree._Element, name: str) -> tuple[str, ...]:
    return tuple(text_of(e) for e in page.all(parent, name))


def _pairs(page: Page, parent: etree._Element, name: str) -> tuple[Named, ...]:
    return tuple(
        Named(name=page.text(e, "valueName"), value=page.text(e, "value")) for e in page.all(parent, name)
    )
