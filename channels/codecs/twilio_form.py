"""The strict shape of Twilio's webhook forms.

Twilio signs the URL followed by every name and value in order of the names, with nothing between them: one
signature fits every other way to cut the same characters into names and values. So a form that is signed is
still only believed when the names we rely on are there once, with values that can be nothing else, and no
other value could have swallowed one of them. New parameters may come at any time ("Twilio will occasionally
add new parameters without advance notice"): they are let in and named in the findings.

Sources: "Twilio's request to your incoming message Webhook URL", "Track the Message Status of Outbound
Messages", "Webhooks Security".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from domain.errors import BadInput, Flaw

FIELDS = 200  # Twilio sends about 25; ten media items add 20
MEDIA = 10  # of one message ("Messaging media limits"); more are no MMS
_SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")
_NUMBER = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,12}"
)  # E.164, a short code, a 400 number or one of the region
_PORT = re.compile(r"106[0-9]{5,17}")  # of an SMS service in China: a name of up to 20 digits
_NAMED_SENDER = re.compile(
    r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}"
)  # alphanumeric sender id: at most 11 characters
_PLACE, _SENDER = re.compile(r"City|Country|State|Zip"), re.compile(r"From\+?\d{3}")
_STATUS = re.compile(r"[a-z_]{1,32}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,80}")  # a delivery id of ours
_ATTEMPT = re.compile(r"[1-9][0-9]{0,5}")

_SHAPES = {  # documented parameters whose form is known
    **dict.fromkeys(("SmsSid", "SmsMessageSid", "OriginalRepliedMessageSid"), _SID),
    "MessagingServiceSid": re.compile(r"(?:MG[0-9a-f]{32})?"),
    "ApiVersion": re.compile(r"\d{4}-\d\d-\d\d"),
    "SmsStatus": _STATUS,
    "MessageStatus": _STATUS,
    "NumMedia": re.compile(r"\d{1,3}"),
    "NumSegments": re.compile(r"\d{1,4}"),
    "ReferralNumMedia": re.compile(r"\d{1,3}"),
    "ErrorCode": re.compile(r"\d{0,6}"),
    "OptOutType": re.compile(r"[A-Z]{0,16}"),
    "RawDlrDoneDate": re.compile(r"\d{0,14}"),
    "ChannelInstallSid": re.compile(r"(?:XE[0-9a-f]{32})?"),
}
_FREE = frozenset(
    {
        *(f"{end}{part}" for end in ("From", "To") for part in ("City", "State", "Zip", "Country")),
        *(
            "ErrorMessage",
            "EventType",
            "MessageType",
            "ProfileName",
            "WaId",
            "Forwarded",
            "FrequentlyForwarded",
        ),
        *("ButtonText", "ButtonPayload", "Latitude", "Longitude", "Address", "Label", "AddOns", "Mcc", "Mnc"),
        *("OriginalRepliedMessageSender", "StructuredMessage", "InteractiveData", "FlowData", "ListId"),
        *("ListTitle", "ExternalUserId", "ParentExternalUserId", "MediaContentType", "MediaUrl"),
        *(
            f"Referral{part}"
            for part in ("Body", "Headline", "SourceId", "SourceType", "SourceUrl", "CtwaClid")
        ),
        *(f"ReferralMedia{part}" for part in ("Id", "ContentType", "Url")),
        *(f"Channel{part}" for part in ("Prefix", "Metadata", "ToAddress", "StatusMessage", "StatusCode")),
    }
)
_MEDIA = re.compile(r"Media(?:Url|ContentType)\d{1,2}")
_UNKNOWN = re.compile(r"[A-Z][A-Za-z]{0,63}\d{0,2}")
_REQUIRED = ("AccountSid", "Body", "From", "MessageSid", "MessageStatus", "To")
# What a value never holds unless another parameter was cut into it. `Body` alone may hold anything.
_SWALLOWED = re.compile(
    r"AccountSid|ApiVersion|MessageSid|MessagingServiceSid|NumMedia|NumSegments|SmsSid|SmsStatus|MessageStatus|"
    r"From[A-Za-z\d+]|To(?:\+|\d{3}|City|Country|State|Zip)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form of the strict shape.

    `unknown` names the parameters that no page documents, `tail` those that may be the end of the text, cut off.
    """

    values: Mapping[str, str]
    unknown: tuple[str, ...]
    tail: tuple[str, ...]

    def media(self) -> list[tuple[str, str]]:
        """Address and type of each attached medium, as claimed; nothing has been fetched."""
        count = min(int(self.values.get("NumMedia", "0")), MEDIA)
        named = (
            (self.values.get(f"MediaUrl{n}"), self.values.get(f"MediaContentType{n}", ""))
            for n in range(count)
        )
        return [(url, media_type) for url, media_type in named if url]


def pairs(raw: bytes) -> list[tuple[str, str]]:
    """Names and values in the order they came. Raises BadInput when `raw` is no UTF-8 form of <= FIELDS."""
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS,
        )
    except ValueError:
        raise BadInput("not a form", code="bad_shape") from None


def message(raw: bytes, *, account_sid: str) -> Form:
    """The form of an incoming message. Raises BadInput(code="bad_shape") with every flaw."""
    return _strict(raw, account_sid=account_sid, required=("AccountSid", "Body", "From", "MessageSid", "To"))


def status(raw: bytes, *, account_sid: str) -> Form:
    """The form of a status callback. `From` is absent while a messaging service has not chosen a sender.

    Raises BadInput(code="bad_shape") with every flaw.
    """
    return _strict(raw, account_sid=account_sid, required=("AccountSid", "MessageSid", "MessageStatus", "To"))


def tag(query: str) -> str:
    """The delivery id that our own callback address carries, '' when it carries none.

    Both parts or neither: a shortened query would leave its tail to be read as a parameter of the form.
    """
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict")
    except ValueError:
        raise _bad([Flaw("query", "unreadable")]) from None
    values = dict(found)
    if not found:
        return ""
    if (
        len(found) != 2
        or not _TAG.fullmatch(values.get("d", ""))
        or not _ATTEMPT.fullmatch(values.get("a", ""))
    ):
        raise _bad([Flaw("query", "not our tag")])
    return values["d"]


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """What a stored message says: {text, sender, subject, to, media, findings}; no blobs.

    The door has compared the account; `options["account_sid"]` compares it again.
    Raises BadInput(code="bad_shape").
    """
    account_sid = options.get("account_sid") or dict(pairs(raw)).get("AccountSid", "")
    form = message(raw, account_sid=str(account_sid))
    text, media = form.values["Body"], form.media()
    findings = [f"unknown_key:{name}" for name in form.unknown]
    if form.tail:
        findings.append("text_may_go_on")
    if media:
        findings.append("media_pending")
    if not text.strip():
        findings.append("no_readable_text")
    if not _NUMBER.fullmatch(form.values["From"]):
        findings.append("named_sender")
    return {
        "text": text,
        "sender": form.values["From"],
        "subject": "",
        "to": form.values["To"],
        "media": [url for url, _ in media],
        "findings": findings,
    }, []


def _strict(raw: bytes, *, account_sid: str, required: tuple[str, ...]) -> Form:
    found = pairs(raw)
    values = dict(found)
    flaws = [Flaw(name, "missing") for name in required if name not in values]
    flaws += [Flaw("form", "a name came twice")] * (len(values) != len(found))
    flaws += [Flaw(n, "not a value of this parameter") for n in values if not _fits(n, values, account_sid)]
    unknown = tuple(sorted(name for name in values if not _is_known(name)))
    flaws += [Flaw("form", "cut from another form") for name in unknown if _is_cut(name, values[name])]
    # Nothing that Twilio sends with an SMS sorts between Body and From: it may be the end of the text.
    tail = tuple(sorted(name for name in values if "Body" < name < "From")) if "Body" in required else ()
    if flaws:
        raise _bad(flaws)
    return Form(values=values, unknown=unknown, tail=tail)


def _fits(name: str, values: Mapping[str, str], account_sid: str) -> bool:
    value = values[name]
    if name == "Body":
        return True
    if name == "AccountSid":
        return value == account_sid
    if name == "MessageSid":
        return bool(_SID.fullmatch(value))
    if name == "To":
        return bool(_NUMBER.fullmatch(value))
    if name == "From":
        # FromCityBEIJING reads as a sender named CityBEIJING; the true one would then be inside the text.
        is_named = bool(_NAMED_SENDER.fullmatch(value)) and not _PLACE.match(value)
        is_digits = _NUMBER.fullmatch(value) or _PORT.fullmatch(value)
        return bool(is_digits) or (is_named and not _SENDER.search(values.get("Body", "")))
    if name in ("SmsSid", "SmsMessageSid"):
        return value == values.get("MessageSid")
    shape = _SHAPES.get(name)
    return bool(shape.fullmatch(value)) if shape else not _SWALLOWED.search(value)


def _is_known(name: str) -> bool:
    return name in _REQUIRED or name in _SHAPES or name in _FREE or bool(_MEDIA.fullmatch(name))


def _is_cut(name: str, value: str) -> bool:
    """Whether an unknown parameter is a known one cut at another place, or has swallowed one."""
    if not _UNKNOWN.fullmatch(name):
        return True
    if any(
        len(known) > len(name) and (name + value).startswith(known)
        for known in (*_REQUIRED, *_SHAPES, *_FREE)
    ):
        return True
    # FromACMEFromCity: the end of a named sender, then the next parameter.
    return any(
        name.startswith(known) and known in name[len(known) :] for known in ("From", "To", "MessageSid")
    )


def _bad(flaws: list[Flaw]) -> BadInput:
    return BadInput("not the shape of a Twilio webhook", code="bad_shape", flaws=flaws)
