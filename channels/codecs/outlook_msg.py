"""The words of an Outlook .msg file (MS-OXMSG), as mail programs attach one to another mail."""

import io
import struct
from dataclasses import dataclass

import olefile

from channels.codecs.charsets import decode
from channels.codecs.html_text import safe_html, text_of
from channels.codecs.plain_text import clean, one_line

STREAM_MAX = 4 << 20  # bytes of one property that are read; the file itself is kept whole
# MS-OXPROPS: PidTagSubject, PidTagSenderName, PidTagSenderSmtpAddress, PidTagSenderEmailAddress, PidTagBody, PidTagHtml
_SUBJECT, _NAME, _SMTP, _ADDRESS, _BODY, _HTML = "0037", "0C1A", "5D01", "0C1F", "1000", "1013"
_CONTENT, _LONG_NAME, _SHORT_NAME = "3701", "3707", "3704"  # PidTagAttachDataBinary, -LongFilename, -Filename
_ATTACHED = "__attach_version1.0_#"  # MS-OXMSG §2.2.2
FILES_MAX = 50
FILE_MAX = 32 << 20  # bytes; no mail that comes in holds more
DAMAGED = (  # the library checks little of what a stranger wrote
    ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError, struct.error,
)  # fmt: skip
_CODEPAGES = (0x3FFD0003, 0x3FDE0003)  # PidTagMessageCodepage, PidTagInternetCodepage
_HEADER = 32  # bytes before the first property of a top-level message, MS-OXMSG §2.4.1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlookMail:
    """What could be read; each may be ''."""

    subject: str
    sender: str
    text: str


def open_msg(data: bytes) -> OutlookMail | None:
    """The words of a .msg file; None when it is none, or too damaged to be opened. Never raises."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            return _read(file)
    except DAMAGED:
        return None


def files_of_msg(data: bytes) -> list[tuple[str, bytes]]:
    """(name, bytes) of the files that came with it, in order; as far as they could be read. Never raises."""
    found: list[tuple[str, bytes]] = []
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            charset = _charset(file)
            folders = sorted({path[0] for path in file.listdir() if path[0].startswith(_ATTACHED)})
            for folder in folders[:FILES_MAX]:
                name = _text(file, _LONG_NAME, charset, folder) or _text(file, _SHORT_NAME, charset, folder)
                if content := _stream(file, f"{folder}/__substg1.0_{_CONTENT}0102", FILE_MAX):
                    found.append((one_line(name, limit=200), content))
    except DAMAGED:
        return found
    return found


def _read(file: olefile.OleFileIO) -> OutlookMail:
    charset = _charset(file)
    sender = one_line(_text(file, _NAME, charset), limit=200)
    address = one_line(_text(file, _SMTP, charset) or _text(file, _ADDRESS, charset), limit=320)
    text = clean(_text(file, _BODY, charset)).strip()
    if not text and (page := _stream(file, f"__substg1.0_{_HTML}0102")):
        text = clean(text_of(safe_html(decode(page, charset)[0]))).strip()
    return OutlookMail(
        subject=one_line(_text(file, _SUBJECT, charset), limit=1_000),
        sender=f"{sender} <{address}>" if "@" in address and address != sender else sender,
        text=text,
    )


def _text(file: olefile.OleFileIO, tag: str, charset: str, folder: str = "") -> str:
    place = f"{folder}/" if folder else ""
    wide = _stream(file, f"{place}__substg1.0_{tag}001F")
    if wide:
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    return decode(_stream(file, f"{place}__substg1.0_{tag}001E").rstrip(b"\0"), charset)[0]


def _stream(file: olefile.OleFileIO, name: str, most: int = STREAM_MAX) -> bytes:
    if not file.exists(name):
        return b""
    with file.openstream(name) as stream:
        return bytes(stream.read(most))


def _charset(file: olefile.OleFileIO) -> str:
    """The code page of 8-bit strings: fixed properties stand in one stream, sixteen bytes each."""
    properties = _stream(file, "__properties_version1.0")
    for tag, _, value, _ in struct.iter_unpack("<IIII", _whole(properties[_HEADER:])):
        if tag in _CODEPAGES and value:
            return "utf-8" if value == 65001 else f"cp{value}"
    return ""


def _whole(data: bytes) -> bytes:
    return data[: len(data) - len(data) % 16]
