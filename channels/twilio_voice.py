"""Calls by Twilio's Programmable Voice, in: what its webhooks say, and the TwiML that answers them.

Sources: "TwiML for Programmable Voice", "TwiML: <Gather>", "<Record>", "<Transcription>" (twilio.com/docs/voice).
"""

import hashlib
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from twilio.twiml.voice_response import Gather, VoiceResponse

from channels.codecs import twilio_form, twilio_voice_form
from channels.codecs.twilio_signature import verify
from domain.call import CHINESE, ENGLISH, LANGUAGES, RECORDING_SECONDS, Step, Turn
from domain.errors import BadInput, Flaw
from domain.report import Inbound

__all__ = ["answer", "parse", "state", "verify"]

FORM = "application/x-www-form-urlencoded"
KEY_SECONDS = 8  # between keys, and before the first: an old hand on a rotary pad needs them
SILENCE_SECONDS = 15  # that end a recording: people in fear stop speaking
_HEARD_AS = {CHINESE: "cmn-Hans-CN", ENGLISH: "en-US"}  # codes of speech recognition
_SPOKEN_AS = {CHINESE: "zh-CN", ENGLISH: "en-US"}


def parse(
    step: Step, raw: bytes, query: str, *, account_sid: str, at: datetime
) -> tuple[Inbound, Inbound | None]:
    """(the call, what it says now) of a verified form: the call as message CallSid, the rest under names below it.

    Whatever comes first makes the call, so it does not matter what was lost. Raises BadInput(code="bad_shape").
    """
    language, tries = state(query)
    said = twilio_voice_form.event(step, raw, account_sid=account_sid)
    call = str(said["call"])
    about: dict[str, object] = {
        name: said[name] for name in ("from", "from_as_given", "to", "is_hidden") if name in said
    }
    whole = Inbound(
        channel="voice",
        external_id=call,
        raw=raw,
        media_type=FORM,
        received_at=at,
        sender=str(said.get("from", "")),
        meta={"call": call} | about,
    )
    if step is Step.BEGIN:
        return whole, None
    same = repr((step.value, language, tries, sorted(twilio_form.pairs(raw)))).encode()
    event = Inbound(
        channel="voice",
        external_id=f"{call}/{step.value}/{hashlib.sha256(same).hexdigest()[:32]}",
        raw=raw,
        media_type=FORM,
        received_at=at,
        sender=str(said.get("from", "")),
        meta={**said, "step": step.value, "language": language},
    )
    return whole, event


def state(query: str) -> tuple[str, int]:
    """(language, how often this was asked) as our own address carries them; Twilio signs it whole.

    Raises BadInput(code="bad_shape") for another query.
    """
    if not query:
        return CHINESE, 0
    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=2))
    except ValueError:
        found = {}
    language, tries = found.get("l", ""), found.get("t", "")
    if set(found) != {"l", "t"} or language not in LANGUAGES or tries not in ("0", "1", "2"):
        raise BadInput("not our query", code="bad_shape", flaws=[Flaw("query", "not our state")])
    return language, int(tries)


def answer(turn: Turn, url: str) -> str:
    """`turn` as TwiML. `url` is the door's address; the library escapes every word."""
    made = VoiceResponse()
    if turn.ask is not None:
        then = _address(url, turn.ask.then, turn)
        ways: dict[str, object] = {"input": "dtmf speech" if turn.ask.takes_speech else "dtmf"}
        if turn.ask.takes_speech:
            ways |= {"language": _HEARD_AS[turn.language], "speech_timeout": "auto"}
        gather = Gather(
            action=then, method="POST", num_digits=turn.ask.keys, finish_on_key="#", timeout=KEY_SECONDS,
            action_on_empty_result=True, **ways,
        )  # fmt: skip
        _say(gather, turn)
        made.append(gather)
        made.redirect(then, method="POST")  # where an empty result is not told
        return str(made)
    _say(made, turn)
    if turn.records:
        _record(made, turn, url)
    else:
        made.hangup()
    return str(made)


def _record(made: VoiceResponse, turn: Turn, url: str) -> None:
    """Record what is said; the text of it comes later, or never."""
    told = {name: _address(url, name, turn) for name in (Step.SAID, Step.RECORDING, Step.TRANSCRIPT)}
    ways: dict[str, object] = {}
    if turn.language == ENGLISH:  # the transcription of <Record> knows no other language
        ways = {"transcribe": True, "transcribe_callback": told[Step.TRANSCRIPT]}
    else:
        made.start().transcription(
            status_callback_url=told[Step.TRANSCRIPT], status_callback_method="POST", track="inbound_track",
            language_code=_HEARD_AS[turn.language], partial_results=False,
        )  # fmt: skip
    made.record(
        action=told[Step.SAID], method="POST", max_length=RECORDING_SECONDS, timeout=SILENCE_SECONDS,
        finish_on_key="#", play_beep=True, trim="do-not-trim", recording_status_callback=told[Step.RECORDING],
        recording_status_callback_method="POST", recording_status_callback_event="completed absent", **ways,
    )  # fmt: skip
    made.redirect(told[Step.SAID], method="POST")  # a recording of nothing calls no action


def _say(verb: VoiceResponse | Gather, turn: Turn) -> None:
    for language, words in turn.says:
        verb.say(words, language=_SPOKEN_AS[language])


def _address(url: str, step: Step, turn: Turn) -> str:
    return f"{url}/{step.value}?{urlencode({'l': turn.language, 't': turn.tries})}"
