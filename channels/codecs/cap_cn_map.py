"""CAP-CN and CAP 1.2 into each other; what one has no element for is kept as a parameter, so that it comes back.

Red is Extreme, Orange Severe, Yellow Moderate, Blue Minor, as for our own warnings. Metres become kilometres.
Audiences of CAP-CN (ids and telephone numbers) are never put into an alert: an alert is published.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from channels.codecs.cap import Alert, Area, Info, Named, Resource
from channels.codecs.cap_cn import SEVERITIES, File, Message, Method, Place, Text
from domain.errors import BadInput
from domain.events import SCHEME, category, event_types
from domain.place import canonical

GEOCODE = "GB/T2260"
_TO_CAP = {"Red": "Extreme", "Orange": "Severe", "Yellow": "Moderate", "Blue": "Minor"}
_FROM_CAP = {after: before for before, after in _TO_CAP.items()}
_NUMBERS = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,12})?")


def to_alert(message: Message) -> Alert:
    """The message in the words of CAP 1.2, namespace and schema aside; references keep only what they say."""
    return Alert(
        identifier=message.identifier,
        sender=message.sender_code or message.sender,
        sent=message.sent,
        status=message.status,
        msg_type=message.msg_type,
        scope=message.scope or "Public",
        note=message.note,
        infos=tuple(_info(message, said) for said in message.texts),
    )


def from_alert(
    alert: Alert, *, identifier: str, sender: str, sender_code: str, references: str = "", signer: str = ""
) -> Message:
    """The message of an alert. `identifier`, `references` and codes are of the other format's grammar and given.

    Raises BadInput for an alert without info.
    """
    if not alert.infos:
        raise BadInput("an alert without info cannot be told in CAP-CN", code="no_info")
    first = alert.infos[0]
    return Message(
        identifier=identifier,
        sender=sender,
        sender_code=sender_code,
        sent=alert.sent,
        status=alert.status,
        msg_type=alert.msg_type,
        scope=alert.scope,
        methods=tuple(_methods(first)) or (Method(name="WEB"),),
        security=_parameter(first, "cn:security") or "None",
        note=alert.note,
        references=references,
        texts=tuple(_text(info, signer) for info in alert.infos),
    )


def _info(message: Message, said: Text) -> Info:
    known = event_types().get(said.event_type)
    return Info(
        language=said.language.replace("_", "-"),
        categories=(category(said.event_type),),
        event=known.name_zh if known else said.event_type,
        urgency=said.urgency,
        severity=_TO_CAP.get(said.severity, "Unknown"),
        certainty="Likely" if said.certainty == "VeryLikely" else said.certainty,
        event_codes=(Named(name=SCHEME, value=said.event_type),) if said.event_type else (),
        effective=said.effective,
        onset=said.onset,
        expires=said.expires,
        sender_name=message.sender,
        headline=said.headline,
        description=said.description,
        instruction=said.instruction,
        web=said.web,
        parameters=tuple(_parameters(message, said)),
        resources=tuple(
            Resource(description=f.name, mime_type="application/octet-stream", size=f.bytes, digest=f.digest)
            for f in said.files
        ),
        areas=tuple(_area(place) for place in said.places),
    )


def _parameters(message: Message, said: Text) -> Iterator[Named]:
    """What CAP has no element for. The colour as it was written, whatever it was."""
    yield Named(name="cn:color", value=said.severity)
    yield Named(name="cn:certainty", value=said.certainty)
    if said.signer:
        yield Named(name="cn:signer", value=said.signer)
    if message.security != "None":
        yield Named(name="cn:security", value=message.security)
    for method in message.methods:
        yield Named(name=f"cn:method:{method.name}", value=method.message)


def _text(info: Info, signer: str) -> Text:
    colour = next((p.value for p in info.parameters if p.name == "cn:color"), None)
    certainty = _parameter(info, "cn:certainty") or {"Possible": "Unknown"}.get(
        info.certainty, info.certainty
    )
    return Text(
        language=info.language,
        event_type=next((c.value for c in info.event_codes if c.name == SCHEME), ""),
        urgency=info.urgency,
        severity=colour if colour is not None else _FROM_CAP.get(info.severity, SEVERITIES[-1]),
        certainty=certainty,
        effective=info.effective,
        onset=info.onset,
        expires=info.expires,
        signer=_parameter(info, "cn:signer") or signer,
        headline=info.headline,
        description=info.description,
        instruction=info.instruction,
        web=info.web,
        files=tuple(
            File(name=r.description, size="" if r.size is None else str(r.size), digest=r.digest)
            for r in info.resources
        ),
        places=tuple(_place(area) for area in info.areas),
    )


def _methods(info: Info) -> Iterator[Method]:
    for parameter in info.parameters:
        if parameter.name.startswith("cn:method:"):
            yield Method(name=parameter.name.removeprefix("cn:method:"), message=parameter.value)


def _area(place: Place) -> Area:
    return Area(
        description=place.description,
        polygons=place.polygons,
        circles=tuple(_scaled(circle, Decimal("0.001")) for circle in place.circles),
        geocodes=tuple(Named(name=GEOCODE, value=_short(code)) for code in place.geocodes),
    )


def _place(area: Area) -> Place:
    codes = tuple(g.value for g in area.geocodes if g.name.replace(" ", "") == GEOCODE)
    return Place(
        description=area.description,
        polygons=area.polygons,
        circles=tuple(_scaled(circle, Decimal(1000)) for circle in area.circles),
        geocodes=tuple(_long(code) for code in codes),
    )


def _scaled(circle: str, by: Decimal) -> str:
    """``lat,lon radius`` with the radius in the other unit; what is no circle stays as it is."""
    numbers = _NUMBERS.findall(circle)
    if len(numbers) != 3 or _NUMBERS.sub("", circle).strip(" ,\t\r\n"):
        return circle
    try:
        radius = (Decimal(numbers[2]) * by).normalize()
    except InvalidOperation:
        return circle
    return f"{numbers[0]},{numbers[1]} {radius:f}"


def _short(code: str) -> str:
    """The 6 digits of GB/T 2260 down to the county, all 12 below it; what is no code survives as it is."""
    try:
        whole = canonical(code)
    except BadInput:
        return code
    return whole[:6] if whole[6:] == "000000" else whole


def _long(code: str) -> str:
    try:
        return canonical(code)
    except BadInput:
        return code


def _parameter(info: Info, name: str) -> str:
    return next((p.value for p in info.parameters if p.name == name), "")
