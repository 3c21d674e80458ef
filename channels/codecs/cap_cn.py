"""CAP-CN as values: the Chinese national format (NEWIS v1, base of GB/T 35965.1), read leniently, written strictly.

Sources: public implementations of the national early warning platform's interface and the annex of the standard
they quote. Every builder spells some tags in his own way, so names are compared without case, in any namespace
and under any root.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from lxml import etree

from channels.codecs.cap_finding import Finding, Severity
from channels.codecs.markup import ALERT_BYTES, parse_xml, text_of
from domain.errors import BadInput, Flaw
from domain.instants import of_our_days

BEIJING = timezone(timedelta(hours=8))  # a time without an offset: China has one zone
SEVERITIES = ("Red", "Orange", "Yellow", "Blue", "Unknown")
METHODS = 200  # of one message; eight are defined
_LISTS = {
    "status": ("Actual", "Exercise", "Test", "Draft"),
    "msgType": ("Alert", "Update", "Cancel", "Ack", "Error"),
    "scope": ("Public", "Restricted", "Private"),
    "urgency": ("Immediate", "Expected", "Future", "Past", "Unknown"),
    "severity": SEVERITIES,
    "certainty": ("Observed", "VeryLikely", "Likely", "Unlikely", "Unknown"),
}
_IDENTIFIER = re.compile(r"[0-9]{14}_[0-9]{14}(?:_[0-9])?")
_CODE = re.compile(r"[0-9]{14}")
_EVENT = re.compile(r"[0-9]{2}[A-Z][0-9]{2}")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[T \t]+([0-9]{1,2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?\s*(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_SIZE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?\s*([KkMmGg]?)[Bb]?")
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One means of release with its own text; an empty text is the description."""

    name: str  # SMS | LED | SPEAKER | TV | BROADCAST | WEB | PHONE | FAX ...
    message: str = ""
    groups: str = ""  # ids, comma separated
    persons: str = ""  # numbers, comma separated


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that goes with the message; `size` as it is written, `bytes` what that means."""

    name: str
    size: str = ""
    digest: str = ""

    @property
    def bytes(self) -> int | None:
        """The size in bytes, of ``12288`` and of ``12K``; None for what is no size."""
        found = _SIZE.fullmatch(self.size.strip())
        if found is None:
            return None
        number = float(f"{found[1]}.{found[2] or 0}")
        return int(number * _BYTES[found[3].lower()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where: polygons may be open lines, circles have their radius in metres, geocodes are division codes."""

    description: str
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()
    geocodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What is said; in practice once a message."""

    language: str = "zh-CN"
    event_type: str = ""
    urgency: str = "Unknown"
    severity: str = "Unknown"  # the colour
    certainty: str = "Unknown"
    effective: datetime | None = None
    onset: datetime | None = None
    expires: datetime | None = None
    signer: str = ""  # senderName: 签发员
    headline: str = ""
    description: str = ""
    instruction: str = ""
    web: str = ""
    files: tuple[File, ...] = ()
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `references` is the identifier of the first message of the event."""

    identifier: str
    sender: str  # 发布单位名称
    sender_code: str  # 发布单位编码
    sent: datetime | None
    status: str = "Actual"
    msg_type: str = "Alert"
    scope: str = "Public"
    methods: tuple[Method, ...] = ()
    security: str = "None"  # secClassification: None | Inner
    note: str = ""
    references: str = ""
    texts: tuple[Text, ...] = ()


def is_one(root: etree._Element) -> bool:
    """Whether the document is of this format, whatever its root is called: it has the elements only this one has."""
    names = {_name(child) for child in root.iterchildren(etree.Element)}
    return "identifier" in names and bool(names & {"sendtime", "sendercode"})


def read(data: bytes, *, largest: int = ALERT_BYTES) -> Message:
    """The message as far as it can be understood; check() says what is wrong with it.

    Raises NotXml, and BadInput(not_an_alert) for what is no such message.
    """
    root = parse_xml(data, largest=largest)
    if not is_one(root):
        raise BadInput("the root is no CAP-CN message", code="not_an_alert")
    return of_root(root)


def of_root(root: etree._Element) -> Message:
    """The message below `root`."""
    code = _first(root, "code")
    methods = list(_all(code, "method"))[:METHODS] if code is not None else []
    return Message(
        identifier=_text(root, "identifier"),
        sender=_text(root, "sender"),
        sender_code=_text(root, "senderCode"),
        sent=moment(_text(root, "sendTime") or _text(root, "sent")),
        status=_text(root, "status"),
        msg_type=_text(root, "msgType"),
        scope=_text(root, "scope"),
        methods=tuple(
            Method(name=_text(m, "methodName"), message=_text(m, "message"), groups=_text(m, "audienceGrp"),
                   persons=_text(m, "audiencePrt") or _text(m, "audencePrt"))
            for m in methods
        ),
        security=_text(root, "secClassification") or "None",
        note=_text(root, "note"),
        references=_text(root, "references"),
        texts=tuple(_said(info) for info in _all(root, "info")),
    )  # fmt: skip


def moment(text: str) -> datetime | None:
    """``2012-10-25 09:10:26+08:00`` and what is near it; without an offset it is Beijing time."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, clock, offset = found.groups()
    zone = (offset or "+08:00").replace("Z", "+00:00")
    return of_our_days(f"{year}-{month:0>2}-{day:0>2}T{clock:0>8}{zone}")


def check(message: Message) -> list[Finding]:
    """What this message owes by its own format; rule ``CAP-CN``."""
    return [
        Finding(rule="CAP-CN", severity=Severity.ERROR, line=0, message=flaw.detail, path=flaw.pointer)
        for flaw in _flaws(message)
    ]


def write(message: Message) -> bytes:
    """The message as a file, without a namespace, in the order of the format; the same message, the same bytes.

    Raises BadInput with a flaw for everything that is missing or not in its list.
    """
    if flaws := list(_flaws(message)):
        raise BadInput("this is no complete CAP-CN message", code="bad_cap_cn", flaws=flaws)
    root = etree.Element("alert")
    for name, value in (
        ("identifier", message.identifier), ("sender", message.sender), ("senderCode", message.sender_code),
        ("sendTime", stamp(message.sent)), ("status", message.status), ("msgType", message.msg_type),
        ("scope", message.scope),
    ):  # fmt: skip
        _put(root, name, value, always=True)
    code = etree.SubElement(root, "code")
    for method in message.methods:
        made = etree.SubElement(code, "method")
        for name, value in (
            ("methodName", method.name),
            ("message", method.message),
            ("audienceGrp", method.groups),
        ):
            _put(made, name, value, always=True)
        _put(made, "audencePrt", method.persons)  # as the platform itself spells it
    _put(root, "secClassification", message.security)
    _put(root, "note", message.note)
    _put(root, "references", message.references)
    for said in message.texts:
        _write_text(etree.SubElement(root, "info"), said)
    etree.indent(root, space="  ")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + etree.tostring(root, encoding="UTF-8") + b"\n"


def stamp(at: datetime | None) -> str:
    """``2012-10-25 09:10:26+08:00`` in Beijing time; '' for None."""
    return f"{at.astimezone(BEIJING).replace(microsecond=0):%Y-%m-%d %H:%M:%S}+08:00" if at else ""


def file_name(message: Message) -> str:
    """``33000041600000_20121025091026_11B01_BLUE_ALERT.XML``: sender, time of signing, event, colour, kind."""
    said = message.texts[0]
    at = (said.effective or message.sent or datetime.min.replace(tzinfo=BEIJING)).astimezone(BEIJING)
    parts = (
        message.sender_code,
        f"{at:%Y%m%d%H%M%S}",
        said.event_type,
        said.severity.upper(),
        message.msg_type.upper(),
    )
    return "_".join(parts) + ".XML"


def _said(info: etree._Element) -> Text:
    return Text(
        language=_text(info, "language") or "zh-CN",
        event_type=_text(info, "eventType"),
        urgency=_text(info, "urgency") or "Unknown",
        severity=_text(info, "severity"),
        certainty=_text(info, "certainty") or "Unknown",
        effective=moment(_text(info, "effective")),
        onset=moment(_text(info, "onset")),
        expires=moment(_text(info, "expires")),
        signer=_text(info, "senderName"),
        headline=_text(info, "headline"),
        description=_text(info, "description"),
        instruction=_text(info, "instruction"),
        web=_text(info, "web"),
        files=tuple(
            File(name=_text(r, "resourceDesc"), size=_text(r, "size"), digest=_text(r, "digest"))
            for r in _all(info, "resource")
        ),
        places=tuple(
            Place(description=_text(a, "areaDesc"), polygons=_texts(a, "polygon"), circles=_texts(a, "circle"),
                  geocodes=tuple(g for text in _texts(a, "geocode") for g in re.split(r"[,，;；\s]+", text) if g))
            for a in _all(info, "area")
        ),
    )  # fmt: skip


def _flaws(message: Message) -> Iterator[Flaw]:
    owed = (
        ("identifier", _IDENTIFIER.fullmatch(message.identifier), "not 14 digits, underscore, 14 digits of a time"),
        ("sender", message.sender, "the name of the issuing unit is missing"),
        ("senderCode", _CODE.fullmatch(message.sender_code), "not 14 digits"),
        ("sendTime", message.sent is not None and message.sent.tzinfo, "not YYYY-MM-DD HH:MM:SS+08:00"),
        ("status", message.status in _LISTS["status"], "not a status of CAP-CN"),
        ("msgType", message.msg_type in _LISTS["msgType"], "not a msgType of CAP-CN"),
        ("scope", message.scope in _LISTS["scope"], "not a scope of CAP-CN"),
        ("code", message.methods, "no method of release"),
        ("references", message.references or message.msg_type not in ("Update", "Cancel"),
         f"{message.msg_type[:20]} does not say which message it is about"),
        ("note", message.note or message.msg_type != "Cancel", "Cancel without its reason"),
        ("info", message.texts, "no info"),
    )  # fmt: skip
    yield from (Flaw(f"alert/{name}", what) for name, is_kept, what in owed if not is_kept)
    for n, said in enumerate(message.texts, 1):
        yield from _flaws_of(said, f"alert/info[{n}]")


def _flaws_of(said: Text, path: str) -> Iterator[Flaw]:
    if not _EVENT.fullmatch(said.event_type):
        yield Flaw(f"{path}/eventType", "not two digits, a letter, two digits")
    for name, value in (
        ("urgency", said.urgency),
        ("severity", said.severity),
        ("certainty", said.certainty),
    ):
        if value not in _LISTS[name]:
            yield Flaw(f"{path}/{name}", f"not a {name} of CAP-CN")
    for name, text in (
        ("senderName", said.signer),
        ("headline", said.headline),
        ("description", said.description),
    ):
        if not text:
            yield Flaw(f"{path}/{name}", "is missing")
    if said.effective is None:
        yield Flaw(f"{path}/effective", "not YYYY-MM-DD HH:MM:SS+08:00")
    for n, file in enumerate(said.files, 1):
        if file.size and file.bytes is None:
            yield Flaw(f"{path}/resource[{n}]/size", "no number of bytes")


def _write_text(parent: etree._Element, said: Text) -> None:
    for name, value in (
        ("language", said.language), ("eventType", said.event_type), ("urgency", said.urgency),
        ("severity", said.severity), ("certainty", said.certainty), ("effective", stamp(said.effective)),
        ("onset", stamp(said.onset)), ("expires", stamp(said.expires)), ("senderName", said.signer),
        ("headline", said.headline), ("description", said.description), ("instruction", said.instruction),
        ("web", said.web),
    ):  # fmt: skip
        _put(parent, name, value)
    for file in said.files:
        made = etree.SubElement(parent, "resource")
        size = file.bytes
        for name, value in (
            ("resourceDesc", file.name),
            ("size", "" if size is None else str(size)),
            ("digest", file.digest),
        ):
            _put(made, name, value)
    for place in said.places:
        made = etree.SubElement(parent, "area")
        _put(made, "areaDesc", place.description, always=True)
        for name, values in (("polygon", place.polygons), ("circle", place.circles)):
            for value in values:
                _put(made, name, value)
        _put(made, "geocode", ",".join(place.geocodes))


def _put(parent: etree._Element, name: str, value: str, *, always: bool = False) -> None:
    if value or always:
        etree.SubElement(parent, name).text = value


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname.lower()


def _all(parent: etree._Element, name: str) -> Iterator[etree._Element]:
    wanted = name.lower()
    return (child for child in parent.iterchildren(etree.Element) if _name(child) == wanted)


def _first(parent: etree._Element, name: str) -> etree._Element | None:
    return next(_all(parent, name), None)


def _text(parent: etree._Element, name: str) -> str:
    child = _first(parent, name)
    return "" if child is None else text_of(child)


def _texts(parent: etree._Element, name: str) -> tuple[str, ...]:
    return tuple(text_of(child) for child in _all(parent, name))
