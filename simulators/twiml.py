"""What a telephone understands of an answer in TwiML: sentences to hear, then one thing to do.

Sources: "TwiML for Programmable Voice", "TwiML: <Gather>", "<Record>", "<Redirect>" (twilio.com/docs/voice).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

from channels.codecs.markup import NotXml, parse_xml


class Do(StrEnum):
    """What the caller may do next."""

    GATHER = "gather"
    RECORD = "record"
    REDIRECT = "redirect"
    HANG_UP = "hang_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer: words in order, then `do` with the attributes of its verb, and where silence leads."""

    says: tuple[str, ...]
    do: Do
    ways: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""  # the redirect behind a question that nobody answers
    live: Mapping[str, str] = field(default_factory=dict)  # of a transcription while one speaks


def hear(text: str) -> Heard:
    """Raises ValueError for what Twilio would refuse (errors 12100 and 12200)."""
    try:
        root = parse_xml(text.encode())
    except NotXml as error:
        raise ValueError("12100 document parse failure") from error
    if root.tag != "Response":
        raise ValueError("12100 no Response")
    says: list[str] = []
    live: dict[str, str] = {}
    verbs = list(root)
    for n, verb in enumerate(verbs):
        after = next((other.text or "" for other in verbs[n + 1 :] if other.tag == "Redirect"), "")
        if verb.tag == "Say":
            says.append(verb.text or "")
        elif verb.tag == "Start":
            live = next((_ways(noun) for noun in verb if noun.tag == "Transcription"), {})
        elif verb.tag == "Gather":
            says += [noun.text or "" for noun in verb if noun.tag == "Say"]
            return Heard(says=tuple(says), do=Do.GATHER, ways=_ways(verb), otherwise=after)
        elif verb.tag == "Record":
            return Heard(says=tuple(says), do=Do.RECORD, ways=_ways(verb), otherwise=after, live=live)
        elif verb.tag == "Redirect":
            return Heard(says=tuple(says), do=Do.REDIRECT, otherwise=verb.text or "")
        elif verb.tag == "Hangup":
            break
        else:
            raise ValueError(f"12200 unknown verb {verb.tag}")
    return Heard(says=tuple(says), do=Do.HANG_UP)


def _ways(verb: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in verb.attrib.items()}
