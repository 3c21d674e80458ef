"""What came to a return path: did the mail arrive, or fail, or did a machine or a person answer; for the sandbox.

Sources: RFC 3464 §2.3 (per-recipient fields), RFC 3463 (status codes), RFC 3834 (auto-replies); bounces
without a delivery-status part as exim, qmail, Gmail, WorkMail and Chinese providers send them.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from channels.codecs import mail_body, mail_marks
from channels.codecs.mail_headers import Fields, addresses, parameters, words
from channels.codecs.mime import Walk, first, split
from channels.codecs.plain_text import one_line

STATUS_MAX = 64 << 10  # bytes of delivery status that are read: a group for each of a hundred recipients
TEXT_MAX = 8_000  # characters of text in which a code is looked for; below stands the mail itself

_FIELD = re.compile(
    r"^[ \t]*(action|status|diagnostic-code)[ \t]*:[ \t]*(.{0,1000})$", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(r"\n[ \t]+")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])(5[0-5]\d)[ -]+[#A-Za-z<\u4e00-\u9fff]")
_DELAY = re.compile(
    r"delay|延迟|推迟|稍后.{0,4}重试|继续尝试|will (?:be )?(?:retr|keep trying|continue)|still (?:being )?tr(?:ied|ying)",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"(?:could not|cannot|can't|couldn't|unable to|failed to|not) (?:be )?deliver|delivery .{0,40}failed"
    r"|undeliver|user unknown|no such (?:user|mailbox|address)|mailbox (?:is )?(?:full|unavailable)"
    r"|退信|被退回|投递失败|无法投递|收件人不存在|送信できません|配信に失敗|届けられません",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"^(?:mailer-daemon|mail-daemon|mail\.delivery\.system|postmaster|no-?reply|bounces?|do-?not-?reply)\b",
    re.IGNORECASE,
)


class Came(StrEnum):
    """What a mail to a return path is."""

    FAILED = "failed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # handed on to where no notifications come from
    DELAYED = "delayed"
    ANSWERED = "answered"  # by a machine: out of office, a read receipt
    LETTER = "letter"  # by a person, as far as we can tell


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """{came, code}. `options`: ``envelope_from``. In doubt it is a letter: a person reads it. Never raises."""
    try:
        came, code = _read(raw, str(options.get("envelope_from", "")).strip("<> "))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        came, code = Came.LETTER, ""  # a bug of ours
    return {"came": came.value, "code": code}, []


def _read(raw: bytes, envelope: str) -> tuple[Came, str]:
    fields, walk = split(raw)
    told = _from_status(_status_text(walk))
    if told is not None:
        return told
    subject = one_line(words(first(fields, "subject")), limit=1_000)
    text = mail_body.compose(walk).text[:TEXT_MAX]
    top = parameters(first(fields, "content-type")[:2_000])
    report = top.text("report-type").lower() if top.value == "multipart/report" else ""
    is_bounce = (
        bool(first(fields, "x-failed-recipients"))
        or report == "delivery-status"
        or bool(mail_marks.BOUNCE_SUBJECT.search(subject))
    )
    if report == "disposition-notification" or (not is_bounce and mail_marks.is_auto_reply(fields, subject)):
        return Came.ANSWERED, ""
    if not _is_machine(fields, envelope) or not (is_bounce or _FAILURE.search(text)):
        return Came.LETTER, ""
    return _from_status(text) or _from_status(_enclosed(walk)) or _from_words(subject, text)


def _enclosed(walk: Walk) -> str:
    """The status of a bounce that a mail filter has packed into a mail of its own."""
    inner = next((part for part in walk.leaves if part.kind == "message/rfc822"), None)
    return _status_text(split(inner.decoded(), depth=1)[1]) if inner else ""


def _status_text(walk: Walk) -> str:
    parts = [
        part.decoded()[:STATUS_MAX].decode("utf-8", "replace")
        for part in walk.leaves
        if part.kind in ("message/delivery-status", "message/global-delivery-status")
    ]
    return "\n\n".join(parts)


def _from_status(text: str) -> tuple[Came, str] | None:
    """What per-recipient fields say; of several recipients, to whom ours was forwarded, the best news."""
    unfolded = _FOLD.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    found: dict[str, list[str]] = {"action": [], "status": [], "diagnostic-code": []}
    for match in _FIELD.finditer(unfolded):
        found[match[1].lower()].append(match[2].strip())
    codes = [one[1] for status in found["status"] if (one := _STATUS.search(status))]
    actions = {action.split(" ")[0].split("(")[0].lower() for action in found["action"]}
    code = codes[0] if codes else ""
    if code[1:] in ("", ".0.0"):  # the diagnostic often knows more
        said = " ".join(found["diagnostic-code"])
        better = _STATUS.search(said) or _REPLY.search(said)
        code = better[1] if better else code
    for action, came in (("delivered", Came.DELIVERED), ("relayed", Came.RELAYED), ("expanded", Came.RELAYED),
                         ("failed", Came.FAILED), ("delayed", Came.DELAYED)):  # fmt: skip
        if action in actions:
            return came, code
    by_class = {"5": Came.FAILED, "4": Came.DELAYED, "2": Came.DELIVERED}
    return (by_class[codes[0][0]], code) if codes and not actions else None


def _from_words(subject: str, text: str) -> tuple[Came, str]:
    codes = _STATUS.findall(text)
    final = next((code for code in codes if code[0] == "5"), "")
    if not final and _DELAY.search(f"{subject}\n{text}"):
        return Came.DELAYED, codes[0] if codes else ""
    reply = _REPLY.search(text)
    return Came.FAILED, final or (reply[1] if reply else "") or (codes[0] if codes else "")


def _is_machine(fields: Fields, envelope: str) -> bool:
    """A null envelope sender (RFC 5321 §4.5.5), or the name of a program in its place or in From."""
    senders = [envelope, *(a.address for a in addresses(first(fields, "from")[:4_000], most=2))]
    return not envelope or any(_MACHINE.match(sender) for sender in senders)
