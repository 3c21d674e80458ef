"""Whether whoever reported hears that the report has arrived, where, and in which words."""

import re
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from channels.codecs.stop_word import is_stop
from channels.text import segments
from domain.handling import Mode
from domain.notice import Notice, NoticeKind
from domain.report import Content, Inbound
from intake.chat_commands import Reply
from intake.contacts import mail_in
from intake.phones import mobile_of, phone
from outbox import ledger
from store import inbox
from store.inbox import Arrived
from store.unit import Unit
from templates import notice_texts

LASTS = timedelta(
    hours=24
)  # a provider that was down for a night still lets the code through; later it confuses
SMS_PARTS = 2  # of a text to one person; the link is left out where it would make a third
# Per sender: a person in need writes a few times an hour; more is a machine, or a way to make us write to
# somebody. The first row is for mail alone, where two machines could answer each other (PROMISES H11).
MAIL_PAUSE = (timedelta(minutes=10), 1)
PER_SENDER = ((timedelta(hours=1), 3), (timedelta(days=1), 10))
PER_CHAT = (
    (timedelta(minutes=1), 10),
    (timedelta(hours=1), 60),
)  # a chat costs nothing, and its commands want answers
# A twentieth of the SMS pace of one process (100 a second): a flood of reports must not slow a warning.
PER_MINUTE = 300

# RFC 3834 §2: never answer these. VERP and bounce addresses are read by programs.
_NOBODY = re.compile(
    r"(?:mailer-daemon|mail-daemon|postmaster|no-?_?reply|do-?_?not-?_?reply|owner-.*|.*-(?:request|owner|bounces?)"
    r"|bounces?|bounces?[-+=.].*|listserv|majordomo|daemon|root|.*[+=][^@]*=.*)@.*",
    re.IGNORECASE,
)
_MARKS = {
    "bounce": "bounce",
    "auto_reply": "automatic",
    "list_mail": "list",
    "no_answer_wanted": "not_wanted",
}


class Silence(StrEnum):
    """Why nobody is written to; stands in the journal."""

    HAS_ANSWER = "has_answer"  # a department reads the answer to its request
    NO_ADDRESS = "no_address"  # none given, or none that an answer can go to
    NO_WIRE = "no_wire"  # this hub cannot write on that channel
    STOP_WORD = "stop_word"
    UNREAD = "unread"  # what no parser got through may be an automatic answer
    BOUNCE = "bounce"
    AUTOMATIC = "automatic"
    LIST = "list"
    NOT_WANTED = "not_wanted"
    NOBODY = "nobody"  # a daemon's address
    OURSELVES = "ourselves"
    SENDER_LIMIT = "sender_limit"
    OVERLOAD = "overload"
    REPEATED = "repeated"  # promised before
    BLOCKED = "blocked"  # he is on the block list
    STILL_TALKING = "still_talking"  # a call that has said nothing yet


class Valve:
    """How many acknowledgements one process promises in a minute, whoever asks."""

    def __init__(
        self, per_minute: int = PER_MINUTE, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._open = float(per_minute)
        self._at = monotonic()

    def take(self) -> bool:
        """Whether one more may be promised now."""
        now = self._monotonic()
        self._open = min(self._per_minute, self._open + (now - self._at) * self._per_minute / 60)
        self._at = now
        if self._open < 1:
            return False
        self._open -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledger:
    """What an acknowledgement needs to know of the hub; built once by the wiring."""

    mode: Mode
    organisation: str
    organisation_en: str = ""  # its English name; '' for none
    region: str
    channels: Set[str]  # that this hub has a wire for
    ourselves: Set[str]  # numbers and mail addresses of this hub, lower case: answering them is a loop
    link: Callable[[str], str]  # code -> address of the state page, '' where the public cannot reach one
    valve: Valve = field(default_factory=Valve)

    def promise(self, unit: Unit, arrived: Arrived, content: Content, at: datetime) -> tuple[str, str]:
        """(parcel to ring for, what the journal says): a promise in the caller's transaction, or the reason
        for none with '' as parcel. Safe to repeat: one acknowledgement of a report at most."""
        channel, address, reason = self._where(arrived.inbound, content)
        reason = reason or self._limit(unit, arrived.inbound, channel, at)
        if reason is not None:
            return "", reason.value
        language = notice_texts.language_for(arrived.inbound.meta.get("language") or content.language)
        notice = Notice(
            kind=NoticeKind.ACKNOWLEDGEMENT, about=arrived.report_id, channel=channel, address=address,
            language=language, payload=self._payload(channel, language, arrived), expires=at + LASTS,
        )  # fmt: skip
        parcel = ledger.put_notice(unit, notice, at)
        if not parcel:
            return "", Silence.REPEATED.value
        inbox.acknowledge(unit, arrived.id, at)
        return parcel, channel

    def answer(self, unit: Unit, arrived: Arrived, reply: Reply, language: str, at: datetime) -> str:
        """Promise the answer to a command of a chat; the parcel to ring for, '' for none."""
        channel, chat = arrived.inbound.channel, arrived.inbound.sender
        if channel not in self.channels or not chat or self._limit(unit, arrived.inbound, channel, at):
            return ""
        payload = notice_texts.chat(
            reply.kind, language, organisation=self.name_in(language), mode=self.mode, area=reply.area,
            choices=reply.choices, is_responsible=reply.is_responsible,
        )  # fmt: skip
        notice = Notice(
            kind=reply.kind, about=arrived.report_id, channel=channel, address=chat, language=language,
            payload=payload.encode(), expires=at + LASTS,
        )  # fmt: skip
        inbox.acknowledge(unit, arrived.id, at)
        return ledger.put_notice(unit, notice, at)

    def _where(self, inbound: Inbound, content: Content) -> tuple[str, str, Silence | None]:
        """(channel, address, None), or the reason for silence."""
        if inbound.channel == "api":
            return "", "", Silence.HAS_ANSWER
        if inbound.channel == "voice" and not (content.facts.get("recording") or content.facts.get("place")):
            return "", "", Silence.STILL_TALKING
        return self.reach(inbound, content)

    def reach(self, inbound: Inbound, content: Content) -> tuple[str, str, Silence | None]:
        """(channel, address, None): the one place where whoever sent this can be written to; or why there is none."""
        channel, address = self.address(inbound)
        reason = None
        if not address:
            reason = Silence.NO_ADDRESS
        elif address.lower() in self.ourselves:
            reason = Silence.OURSELVES
        elif channel not in self.channels:
            reason = Silence.NO_WIRE
        elif inbound.channel == "sms" and is_stop(content.text):
            reason = Silence.STOP_WORD
        elif inbound.channel == "email":
            reason = _of_mail(inbound, content)
        elif channel == "telegram":
            reason = (
                Silence.LIST if address.startswith("-") else None
            )  # a group: sent to many, never answered
        elif channel == "email" and _NOBODY.fullmatch(address):
            reason = Silence.NOBODY
        return channel, address, reason

    def address(self, inbound: Inbound) -> tuple[str, str]:
        """Where an answer goes: to the envelope's sender of a mail (RFC 3834 §4), never to its header.

        A number that somebody typed gets one only as a mobile of the region: whoever fills in a form must not
        make us pay for calls to premium and foreign numbers (PROMISES H27).
        """
        if inbound.channel == "fax":
            return "", ""  # a gateway is no reader, and a fax machine none of texts
        if inbound.channel == "sms":
            found = phone(inbound.sender, region=self.region)
            return "sms", found.e164 if found and found.kind == "mobile" else ""
        if inbound.channel == "telegram":
            return "telegram", inbound.sender
        if inbound.channel == "email" or "@" in inbound.sender:
            return "email", mail_in(inbound.sender)
        return "sms", mobile_of(inbound.sender, self.region)

    def _limit(self, unit: Unit, inbound: Inbound, channel: str, at: datetime) -> Silence | None:
        limits = {"email": (MAIL_PAUSE, *PER_SENDER), "telegram": PER_CHAT}.get(channel, PER_SENDER)
        for within, most in limits:
            if inbox.acknowledged(unit, inbound.sender, at - within) >= most:
                return Silence.SENDER_LIMIT
        return None if self.valve.take() else Silence.OVERLOAD

    def name_in(self, language: str) -> str:
        """What this hub is called in a text of that language."""
        return (self.organisation_en if language == notice_texts.ENGLISH else "") or self.organisation

    def _payload(self, channel: str, language: str, arrived: Arrived) -> bytes:
        code, name = arrived.code, self.name_in(language)
        link = self.link(code)
        if channel == "telegram":
            return notice_texts.chat(
                NoticeKind.ACKNOWLEDGEMENT, language, organisation=name, mode=self.mode, code=code, link=link,
                too_large=int(arrived.inbound.meta.get("too_large", 0)),
            ).encode()  # fmt: skip
        write = notice_texts.mail if channel == "email" else notice_texts.sms

        def text(link: str) -> str:
            return write(
                NoticeKind.ACKNOWLEDGEMENT, language, code=code, link=link, organisation=name, mode=self.mode,
            )  # fmt: skip

        if channel == "sms" and segments(text(link)).parts > SMS_PARTS:
            link = ""
        return text(link).encode()


def _of_mail(inbound: Inbound, content: Content) -> Silence | None:
    """RFC 3834 §2: what a program sent, or sent to many, is never answered."""
    if "unparsed" in content.findings:
        return Silence.UNREAD
    for mark, reason in _MARKS.items():
        if mark in content.findings:
            return Silence(reason)
    if _NOBODY.fullmatch(inbound.sender.strip()):
        return Silence.NOBODY
    told = {str(recipient).strip("<> ").lower() for recipient in inbound.meta.get("rcpt_to", ())}
    return Silence.OURSELVES if inbound.sender.strip("<> ").lower() in told else None
