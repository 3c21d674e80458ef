"""The files of a mail: their bytes, a harmless name, and what they are by content."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from channels.codecs.charsets import decode
from channels.codecs.exif import exif_of
from channels.codecs.files import sniff
from channels.codecs.mail_headers import words
from channels.codecs.mime import HEADER_MAX, Part, first, header_block
from channels.codecs.old_codings import binhex
from channels.codecs.plain_text import one_line
from channels.codecs.tnef import open_tnef

NAME_MAX = 200  # characters shown; files are stored by their digest
PICTURES_MAX = 20  # pictures whose EXIF is read; each may take 50 ms when it was made to
_PATH = re.compile(r"[/\\]")
_UNWANTED = re.compile("[\x00-\x1f\x7f\ufffd\u200b-\u200d\u2060]")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_LOST = re.compile(r"\?\?|\?\.|\ufffd")
_PERCENTS = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f]){2}")
_HAN = re.compile("[\u4e00-\u9fff]")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_BINHEX = ("application/mac-binhex40", "application/binhex", "application/mac-binhex")
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "application/pdf": ".pdf",
    "application/vnd.ms-outlook": ".msg",
    "application/zip": ".zip",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFile:
    """One file; `declared_type` is the sender's word, `media_type` that of the bytes."""

    data: bytes
    name: str
    declared_type: str
    media_type: str
    is_inline: bool
    exif: dict[str, Any]

    def value(self, blob: int) -> dict[str, Any]:
        """The JSON object of this file, whose bytes are blob number `blob`."""
        return {
            "blob": blob,
            "name": self.name,
            "declared_type": self.declared_type,
            "media_type": self.media_type,
            "size": len(self.data),
            "is_inline": self.is_inline,
            "exif": self.exif,
        }


@dataclass(slots=True, kw_only=True)
class Taken:
    """The files, and the words that lay in a winmail.dat, still as bytes."""

    files: list[MailFile] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    text: bytes = b""
    page: bytes = b""
    charset: str = ""


def take(leaves: Iterable[Part], page: str, hint: str) -> Taken:
    """The leaves as files, in order; an empty leaf without a name is nothing. `page`: the HTML body."""
    taken = Taken()
    for part in leaves:
        data = part.decoded()
        name = _declared_name(part, data, hint)
        if not data.strip() and not name:
            continue
        declared = part.kind[:127]
        if declared in _BINHEX and (packed := binhex(data)):
            _add(taken, packed[1], name or words(packed[0], hint), declared, media_type=sniff(packed[1]))
            continue
        if declared in _TNEF or name.lower() == "winmail.dat":
            _open_winmail(taken, data)
        media_type = "message/rfc822" if declared == "message/rfc822" else sniff(data)
        _add(taken, data, name, declared, media_type=media_type, is_inline=_is_inline(part, page, media_type))
    return taken


def display_name(name: str, media_type: str, number: int) -> str:
    """A name to show: no path, no control or direction marks, at most 200 characters, never empty."""
    name = one_line(_UNWANTED.sub("", name), limit=20_000)
    name = _PATH.split(name)[-1].strip(" ") or f"attachment-{number}{_EXTENSIONS.get(media_type, '')}"
    if name.strip(".") == "":
        name = f"attachment-{number}{_EXTENSIONS.get(media_type, '')}"
    if len(name) <= NAME_MAX:
        return name
    extension = _EXTENSION.search(name)
    tail = extension[0] if extension else ""
    return name[: NAME_MAX - len(tail)] + tail


def _add(
    taken: Taken, data: bytes, name: str, declared: str, *, media_type: str, is_inline: bool = False
) -> None:
    pictures = sum(f.media_type.startswith("image/") for f in taken.files)
    exif = exif_of(data, media_type) if pictures < PICTURES_MAX else {}
    taken.files.append(
        MailFile(
            data=data,
            name=display_name(name, media_type, len(taken.files) + 1),
            declared_type=declared,
            media_type=media_type,
            is_inline=is_inline,
            exif=exif,
        )
    )


def _declared_name(part: Part, data: bytes, hint: str) -> str:
    name, other = part.disposition.text("filename", hint), part.content_type.text("name", hint)
    if not name or (_LOST.search(name) and other and not _LOST.search(other)):
        name = other  # a relay that only knew ASCII wrote "????.doc" over one of the two
    if not name and part.kind == "message/rfc822":
        subject = first(header_block(data[:HEADER_MAX], is_top=True)[0], "subject")
        title = one_line(words(subject, hint), limit=80)
        name = _PATH.sub("_", title) + ".eml" if title else ""
    if not name:
        described = one_line(words(first(part.fields, "content-description"), hint), limit=200)
        name = described if _EXTENSION.search(described) else ""
    return _without_percents(name)


def _without_percents(name: str) -> str:
    """Web mails put the percent-encoding of RFC 2231 into a plain name; "100%.doc" is not that."""
    if not (name.isascii() and _PERCENTS.search(name)):
        return name
    text, is_guessed = decode(unquote_to_bytes(name), "utf-8")
    return name if "\ufffd" in text or (is_guessed and not _HAN.search(text)) else text


def _is_inline(part: Part, page: str, media_type: str) -> bool:
    """A picture in the text: referred to by the page, or related to it and not sent as a file."""
    content_id = first(part.fields, "content-id").strip(b"<> \t").decode("latin-1")
    if content_id and f"cid:{content_id}" in page:
        return True
    is_related = any(subtype == "related" for subtype, _ in part.containers)
    is_meant = part.disposition.value == "inline" or (
        bool(content_id) and is_related and part.disposition.value != "attachment"
    )
    return is_meant and media_type.startswith("image/")


def _open_winmail(taken: Taken, data: bytes) -> None:
    inside = open_tnef(data)
    if inside is None:
        return
    taken.findings.append("winmail")
    if not taken.text and not taken.page:
        taken.text, taken.page, taken.charset = inside.text, inside.html, inside.charset
    for name, content in inside.files:
        text = name.decode("utf-16", "replace") if name[:2] == b"\xff\xfe" else words(name, inside.charset)
        _add(taken, content, text, "", media_type=sniff(content))
