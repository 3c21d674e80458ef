"""Any mail to text, sender, files and findings; runs in the sandbox and never refuses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.codecs import mail_body, mail_files, mail_marks
from channels.codecs.charsets import decode
from channels.codecs.mail_dates import claimed_date
from channels.codecs.mail_headers import Address, Fields, addresses, words
from channels.codecs.mime import DEPTH_MAX, Part, Walk, first, split
from channels.codecs.outlook_msg import open_msg
from channels.codecs.plain_text import clean, one_line

TEXT_MAX = 200_000  # characters of body; a report is read by a person, the rest stays in the original
SUBJECT_MAX = 1_000  # characters
FROM_MAX = 4_000  # bytes of From that are read; the sender stands at its beginning
IDS_MAX = 100  # of References; threads beyond are cut at the old end
_ID = re.compile(rb"<[^<>\s]{1,990}>")  # RFC 5322 §3.6.4; one line holds 998 letters


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox. `options`: ``envelope_from`` (MAIL FROM, '' or '<>' for none), when the door knows it.

    Returns ``subject, from_name, from_address, to (list), date (ISO 8601 or ''), message_id, in_reply_to,
    references (list), text, html_sanitised, attachments, findings (list of stable keys)``; each attachment
    is ``blob`` (index of its bytes), ``name, declared_type, media_type, size, is_inline, exif``.
    Whatever the bytes are, it returns: what cannot be read becomes a finding.
    """
    try:
        return _read(raw, options)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return unread(raw, options, "unparsed"), []  # a bug of ours; the report must still reach the queue


def unread(raw: bytes, options: Mapping[str, Any], finding: str) -> dict[str, Any]:
    """The same object for a mail that no parser got through: envelope, first lines as they stand, `finding`.

    Takes linear time in 64 KB and may run outside the sandbox, after a parser_timeout or parser_crashed.
    """
    head = raw[: 64 << 10]
    body = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[-1]
    text = clean(body.decode("utf-8", "replace"))[:TEXT_MAX]
    findings = [finding] if finding == "unparsed" else [finding, "unparsed"]
    return _Draft(text=text, from_address=_envelope(options), findings=findings).value()


@dataclass(slots=True, kw_only=True)
class _Draft:
    """The answer while it is put together."""

    subject: str = ""
    from_name: str = ""
    from_address: str = ""
    to: list[str] = field(default_factory=list)
    date: str = ""
    message_id: str = ""
    in_reply_to: str = ""
    references: list[str] = field(default_factory=list)
    text: str = ""
    html_sanitised: str = ""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def value(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    fields, walk = split(raw)
    body = mail_body.compose(walk)
    draft = _Draft(text=body.text, html_sanitised=body.html, findings=[*walk.findings, *body.findings])
    _put_fields(draft, fields, body.charset, _envelope(options))
    leaves = [part for part in walk.leaves if id(part) not in body.used]
    taken = mail_files.take(leaves, body.page, body.charset)
    if not draft.text:
        _read_inside(draft, walk, taken)
    draft.attachments = [entry.value(index) for index, entry in enumerate(taken.files)]
    draft.findings += taken.findings
    draft.findings += mail_marks.of_fields(fields, walk, draft.subject, options)
    draft.findings += mail_marks.of_sender(fields, draft.from_address, options)
    draft.findings += mail_marks.of_bytes(raw, draft.text)
    if len(draft.text) > TEXT_MAX:
        draft.text = draft.text[:TEXT_MAX]
        draft.findings.append("text_cut")
    if not draft.text.strip():
        draft.findings.append("no_readable_text")
    draft.findings = list(dict.fromkeys(draft.findings))
    return draft.value(), [entry.data for entry in taken.files]


def _put_fields(draft: _Draft, fields: Fields, hint: str, envelope: str) -> None:
    """The header fields that people and threads need; of a repeated field the first counts."""
    draft.subject = one_line(words(first(fields, "subject"), hint), limit=SUBJECT_MAX)
    sender = _sender(fields, hint)
    draft.from_name, draft.from_address = sender.name, sender.address or envelope
    draft.to = [a.address or a.name for a in addresses(first(fields, "to"), hint)]
    draft.date = claimed_date(first(fields, "date"))
    draft.message_id = _id(first(fields, "message-id"))
    draft.in_reply_to = _id(first(fields, "in-reply-to"))
    ids = _ID.findall(first(fields, "references"))[-IDS_MAX:]
    draft.references = [one_line(i.decode("latin-1"), limit=998) for i in ids]
    if first(fields, "date") and not draft.date:
        draft.findings.append("date_unreadable")


def _sender(fields: Fields, hint: str) -> Address:
    """The first address of From; Sender and Reply-To prove no more and are not asked."""
    found = addresses(first(fields, "from")[:FROM_MAX], hint, most=2)
    with_address = [a for a in found if "@" in a.address]
    return (with_address or found or [Address(name="", address="")])[0]


def _id(value: bytes) -> str:
    """A message id with its brackets, or what stands there instead."""
    match = _ID.search(value)
    return one_line((match[0] if match else value).decode("latin-1"), limit=998)


def _envelope(options: Mapping[str, Any]) -> str:
    return one_line(str(options.get("envelope_from", "")).strip("<> "), limit=320)


def _read_inside(draft: _Draft, walk: Walk, taken: mail_files.Taken) -> None:
    """A mail without words of its own: those of its winmail.dat, of a text file, of the mail it carries."""
    if taken.text:
        draft.text = clean(decode(taken.text, taken.charset)[0])
        return
    if taken.page:
        draft.html_sanitised, draft.text = mail_body.rendered(decode(taken.page, taken.charset)[0])
        return
    if file := next((f for f in taken.files if _is_text_file(f)), None):
        draft.text = clean(decode(file.data[: mail_body.READ_MAX])[0]).strip()
        draft.findings.append("text_of_attachment")
        return
    if any(_read_outlook(draft, file) for file in taken.files):
        return
    inner = _enclosed(walk) or next((f.data for f in taken.files if f.media_type == "message/rfc822"), b"")
    for depth in range(1, DEPTH_MAX):
        if not inner:
            return
        fields, inside = split(inner, depth=depth)
        body = mail_body.compose(inside)
        if body.text:
            draft.text, draft.html_sanitised = body.text, body.html
            draft.subject = draft.subject or one_line(words(first(fields, "subject")), limit=SUBJECT_MAX)
            draft.findings.append("text_of_enclosed_mail")
            return
        inner = _enclosed(inside)


def _enclosed(walk: Walk) -> bytes:
    """The first mail in a mail; b'' without one."""
    return next((part.decoded() for part in walk.leaves if _is_mail(part)), b"")


def _is_mail(part: Part) -> bool:
    """A mail in a mail, or the first piece of one that was cut up (RFC 2046 §5.2.2): it begins with the words."""
    if part.kind == "message/partial":
        return part.content_type.text("number").strip() == "1"
    return part.kind in ("message/rfc822", "message/global")


def _read_outlook(draft: _Draft, file: mail_files.MailFile) -> bool:
    found = open_msg(file.data) if file.media_type == "application/vnd.ms-outlook" else None
    if found is None or not (found.text or found.subject):
        return False
    draft.text = (found.text or found.subject)[: TEXT_MAX + 1]
    draft.subject = draft.subject or found.subject
    draft.findings.append("text_of_enclosed_mail")
    return True


def _is_text_file(file: mail_files.MailFile) -> bool:
    is_meant = file.declared_type.startswith("text/") and file.declared_type != "text/rfc822-headers"
    return is_meant and file.media_type == "text/plain" and bool(file.data.strip())
