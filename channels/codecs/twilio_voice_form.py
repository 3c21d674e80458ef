"""The strict shape of Twilio's voice webhooks; see twilio_form for why a signature alone proves no shape.

Sources: "Twilio's request to your application", "TwiML: <Gather>", "<Record>", "<Transcription>", "Call resource:
StatusCallback" (twilio.com/docs/voice).
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from channels.codecs import twilio_form
from domain.call import Step
from domain.errors import BadInput, Flaw

TEXT_MAX = 20_000  # letters of one transcript that a report shows; the rest stays in the original
CALL = re.compile(r"CA[0-9a-f]{32}")
RECORDING = re.compile(r"RE[0-9a-f]{32}")
_NUMBER = re.compile(r"\+[1-9][0-9]{2,14}|[0-9]{3,12}")
# A number, a SIP or client address, or what a network puts there of who hides his ("anonymous", "Restricted").
_PARTY = re.compile(r"\+?[0-9]{0,20}|(?:sips?|client):[^\s<>\"]{1,200}|[A-Za-z ]{1,20}")
_HIDDEN = frozenset(  # what Twilio sends in place of a number that is withheld ("Anonymous callers")
    {"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "266696687", "86282452253"}
)
_WORD = re.compile(r"[A-Za-z_-]{0,40}")
_COUNT = re.compile(r"[0-9]{1,6}")
_SHAPES = {
    "CallSid": CALL,
    "ParentCallSid": CALL,
    "ApiVersion": re.compile(r"\d{4}-\d\d-\d\d"),
    "From": _PARTY,
    "To": _PARTY,
    "Caller": _PARTY,
    "Called": _PARTY,
    "ForwardedFrom": _PARTY,
    "Digits": re.compile(r"[0-9*#A-Dw]{0,64}|hangup"),  # more keys than any question takes are a flood
    "FinishedOnKey": re.compile(r"[0-9*#]?"),
    "msg": re.compile(r"[A-Za-z ]{0,40}"),  # "Gather End", with the keys of every <Gather>; no page names it
    "Confidence": re.compile(r"[01]?(?:\.[0-9]{1,20})?"),
    "RecordingSid": re.compile(r"(?:RE[0-9a-f]{32})?"),
    "TranscriptionSid": re.compile(r"(?:TR|GT)[0-9a-f]{32}"),
    **dict.fromkeys(
        ("CallStatus", "Direction", "RecordingStatus", "RecordingSource", "RecordingTrack", "TranscriptionStatus",
         "TranscriptionType", "TranscriptionEvent", "CallbackSource", "Track", "Language", "LanguageCode"),
        _WORD,
    ),
    **dict.fromkeys(
        ("CallDuration", "Duration", "RecordingDuration", "RecordingChannels", "SequenceId", "SequenceNumber"), _COUNT
    ),
}  # fmt: skip
_TEXTS = ("SpeechResult", "TranscriptionText", "TranscriptionData")
_REQUIRED: Mapping[Step, tuple[str, ...]] = {
    **dict.fromkeys((Step.BEGIN, Step.MENU, Step.PLACE, Step.SAID), ("From", "To", "CallStatus")),
    Step.RECORDING: ("RecordingSid", "RecordingStatus"),
    Step.TRANSCRIPT: (),
    Step.STATUS: ("CallStatus",),
}
# What a value never holds unless another parameter was cut into it.
_SWALLOWED = re.compile(
    r"AccountSid|ApiVersion|CallSid|CallStatus|Direction(?:in|out)|Digits|RecordingSid|RecordingUrl|SpeechResult|"
    r"Transcription(?:Sid|Text|Data)|(?:From|To|Called|Caller)(?:\+|\d{3}|City|Country|State|Zip)"
)
_NAME = re.compile(r"[A-Z][A-Za-z0-9_-]{0,99}")
_HEADER = "SipHeader_"  # of a call by SIP: its X- headers come so


def event(step: Step, raw: bytes, *, account_sid: str) -> dict[str, Any]:
    """What a verified form says of its call: {call, from, to, is_hidden, and what belongs to `step`}.

    Raises BadInput(code="bad_shape") with every flaw.
    """
    values = _strict(raw, account_sid, ("CallSid", *_REQUIRED[step]))
    sender = values.get("From", "")
    is_hidden = "From" in values and (sender in _HIDDEN or not _NUMBER.fullmatch(sender))
    said: dict[str, Any] = {
        "call": values["CallSid"],
        "from": "" if is_hidden else sender,
        "from_as_given": sender[:200] if is_hidden else "",
        "to": values.get("To", ""),
        "is_hidden": is_hidden,
    }
    said |= _of_step(step, values)
    return {name: value for name, value in said.items() if value not in ("", None, False, [])}


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: a form that the door has checked, read again; no blobs. Raises BadInput."""
    values = dict(twilio_form.pairs(raw))
    return {"call_status": values.get("CallStatus", ""), "caller_name": values.get("CallerName", "")[:80]}, []


def _of_step(step: Step, values: Mapping[str, str]) -> dict[str, Any]:
    if step is Step.MENU:
        return {"digits": values.get("Digits", "")}
    if step is Step.PLACE:
        return {
            "digits": values.get("Digits", ""),
            "speech": values.get("SpeechResult", "")[:TEXT_MAX],
            "confidence": values.get("Confidence", ""),
        }
    if step in (Step.SAID, Step.RECORDING):
        return _recording(values) | {"is_hung_up": values.get("Digits") == "hangup"}
    if step is Step.TRANSCRIPT:
        return _transcript(values)
    if step is Step.STATUS:
        return {"status": values["CallStatus"], "duration": values.get("CallDuration", "")}
    return {}


def _recording(values: Mapping[str, str]) -> dict[str, Any]:
    """{recording, seconds, media}; nothing of a recording that holds nothing."""
    url, sid, length = (values.get(f"Recording{name}", "") for name in ("Url", "Sid", "Duration"))
    sid = sid or url.rpartition("/")[2].partition(".")[0]
    if not url or not sid or length == "0" or values.get("RecordingStatus", "completed") != "completed":
        return {}
    return {"recording": sid, "seconds": length, "media": [url], "media_types": ["audio/x-wav"]}


def _transcript(values: Mapping[str, str]) -> dict[str, Any]:
    """{transcript, sequence}: of a whole recording, or of a sentence while it was spoken."""
    text, sequence = values.get("TranscriptionText", ""), "0"
    if values.get("TranscriptionEvent") == "transcription-content":
        try:
            text = str(json.loads(values.get("TranscriptionData", ""))["transcript"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _bad([Flaw("TranscriptionData", "no transcript")]) from None
        sequence = values.get("SequenceId", "0")
    return {"transcript": text[:TEXT_MAX], "sequence": f"{int(sequence):06d}" if text else ""}


def _strict(raw: bytes, account_sid: str, required: tuple[str, ...]) -> dict[str, str]:
    found = twilio_form.pairs(raw)
    values = dict(found)
    flaws = [Flaw(name, "missing") for name in ("AccountSid", *required) if name not in values]
    flaws += [Flaw("form", "a name came twice")] * (len(values) != len(found))
    flaws += [
        Flaw(name, "not a value of this parameter") for name in values if not _fits(name, values, account_sid)
    ]
    if flaws:
        raise _bad(flaws)
    return values


def _fits(name: str, values: Mapping[str, str], account_sid: str) -> bool:
    value = values[name]
    if name == "AccountSid":
        return value == account_sid
    if name in _TEXTS:
        return True
    if name == "RecordingUrl":
        return _is_of(value, values.get("RecordingSid", ""), account_sid)
    if (shape := _SHAPES.get(name)) is not None:
        return bool(shape.fullmatch(value))
    is_cut = any(len(known) > len(name) and (name + value).startswith(known) for known in (*_SHAPES, *_TEXTS))
    return bool(_NAME.fullmatch(name)) and not (is_cut or _has_swallowed(name) or _SWALLOWED.search(value))


def _has_swallowed(name: str) -> bool:
    """Whether a name has grown by the value that stood behind it, or by a whole parameter."""
    if name.isalpha():
        return False
    known = ("AccountSid", "RecordingUrl", *_SHAPES, *_TEXTS)
    has_grown = any(name.startswith(k) and not name[len(k) :].isalpha() for k in known)
    return has_grown or (not name.startswith(_HEADER) and bool(_SWALLOWED.search(name)))


def _is_of(url: str, sid: str, account_sid: str) -> bool:
    """Whether an address names the recording that the form speaks of, of our own account."""
    end = (
        re.escape(f"/2010-04-01/Accounts/{account_sid}/Recordings/") + r"(RE[0-9a-f]{32})(?:\.[a-z0-9]{2,4})?"
    )
    found = re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]{1,260}" + end, url)
    return url == "" or (found is not None and sid in ("", found[1]))


def _bad(flaws: list[Flaw]) -> BadInput:
    return BadInput("not the shape of a Twilio voice webhook", code="bad_shape", flaws=flaws)
