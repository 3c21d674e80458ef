"""Puts MIME around an approved text: the same text gives the same bytes, and only listed headers are added.

Sources: RFC 5322, RFC 2045 to 2047, RFC 3282 (Content-Language), RFC 3834 (Auto-Submitted), RFC 2369 and
RFC 2919 (List-*).
"""

import base64
import binascii
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from channels.codecs.return_path import Box, ReturnPath
from domain.errors import Never

_WORD_BYTES = 36  # of UTF-8 in an encoded word: "Subject: " and 60 letters stay within 76 (RFC 2047 §2)
_PLAIN_MAX = 60  # letters of a field that is written as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What every mail of a hub says of its sender."""

    name: str  # the organisation, for people
    address: str
    path: ReturnPath


def wrap(
    payload: bytes,
    *,
    to: str,
    delivery_id: str,
    language: str,
    is_notice: bool,
    at: datetime,
    head: Letterhead,
) -> bytes:
    """A mail of 7-bit lines with CRLF.

    `payload`: UTF-8; the subject, an empty line, plain text. Headers, and no others: From, To, Subject, Date,
    Message-ID, MIME-Version, Content-Type, Content-Transfer-Encoding, Content-Language, Auto-Submitted, X-Loop; on a
    release Precedence, List-Id and List-Unsubscribe too. List-Unsubscribe-Post (RFC 8058) is not among them:
    it wants a page behind HTTPS and a DKIM signature over it, which only the relay can make.

    Raises Never(code="payload") for bytes of another form.
    """
    subject, text = _subject_and_text(payload)
    encoding, body = _body(text)
    fields = [
        ("From", f"{_words(head.name)} <{head.address}>" if head.name else head.address),
        ("To", to),
        ("Subject", _words(subject)),
        ("Date", format_datetime(at)),
        ("Message-ID", head.path.message_id(delivery_id)),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", encoding),
        ("Content-Language", language),
        ("Auto-Submitted", "auto-replied" if is_notice else "auto-generated"),
        ("X-Loop", head.address),  # an answering program that meets it, ours too, stays silent
    ]
    if not is_notice:
        stop = head.path.address(Box.UNSUBSCRIBE, delivery_id)
        fields += [
            ("Precedence", "bulk"),
            ("List-Id", f"<alerts.{head.path.domain}>"),
            ("List-Unsubscribe", f"<mailto:{stop}?subject=STOP>"),
        ]
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii") + b"\r\n" + body


def _subject_and_text(payload: bytes) -> tuple[str, str]:
    try:
        subject, newline, text = payload.decode().replace("\r\n", "\n").partition("\n\n")
    except UnicodeDecodeError:
        raise Never("the payload is not UTF-8", code="payload") from None
    is_one_line = not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in subject)
    if not newline or not subject.strip() or not text.strip() or not is_one_line:
        raise Never("a mail is a subject, an empty line, and text", code="payload")
    return subject.strip(), text


def _words(text: str) -> str:
    """A field's text: as it stands, or encoded words of whole letters on lines of their own."""
    is_plain = (
        text.isascii()
        and text.isprintable()
        and len(text) <= _PLAIN_MAX
        and not set(text) & set('=?<>()[]:;@\\,."')
    )
    if is_plain:
        return text
    words, held = [], b""
    for letter in text:
        one = letter.encode()
        if len(held) + len(one) > _WORD_BYTES:
            words.append(held)
            held = b""
        held += one
    return "\r\n ".join(f"=?utf-8?B?{base64.b64encode(word).decode()}?=" for word in [*words, held])


def _body(text: str) -> tuple[str, bytes]:
    """(encoding, the text in it). ASCII stays readable in the source; all else would treble as =E6=9A=B4."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    data = lines.replace("\n", "\r\n").encode()  # RFC 2045 §6.5: line ends are CRLF before they are encoded
    if text.isascii():
        return "quoted-printable", binascii.b2a_qp(data, istext=True)
    return "base64", base64.encodebytes(data).replace(b"\n", b"\r\n")
