"""The files of a mail: their bytes, a harmless name, and what they are by content."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from channels.codecs.exif import exif_of
from channels.codecs.files import sniff
from channels.codecs.mail_headers import words
from channels.codecs.mime import Part, first
from channels.codecs.plain_text import one_line
from channels.codecs.tnef import open_tnef

NAME_MAX = 200  # characters shown; files are stored by their digest
PICTURES_MAX = 20  # pictures whose EXIF is read; each may take 50 ms when it was made to
_PATH = re.compile(r"[/\\]")
_UNWANTED = re.compile("[\x00-\x1f\x7f\ufffd\u200b-\u200d\u2060]")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")
_TNEF = ("application/ms-tnef", "application/vnd.ms-tnef")
_EXTENSIONS = {
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "application/pdf": ".pdf",
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
        name = _declared_name(part, hint)
        if not data.strip() and not name:
            continue
        declared = part.kind[:127]
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


def _add(taken: Taken, data: bytes, name: str, declared: str, *, media_type: str, is_inline: bool) -> None:
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


def _declared_name(part: Part, hint: str) -> str:
    name = part.disposition.text("filename", hint) or part.content_type.text("name", hint)
    if not name and part.kind == "message/rfc822":
        subject = re.search(
            rb"^subject:[ \t]*([^\r\n]{1,500})", part.body[:8192], re.IGNORECASE | re.MULTILINE
        )
        title = one_line(words(subject[1], hint), limit=80) if subject else ""
        name = _PATH.sub("_", title) + ".eml" if title else ""
    return name


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
        _add(taken, content, text, "", media_type=sniff(content), is_inline=False)
