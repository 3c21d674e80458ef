"""The words of a document that came as a file, and what seals and signatures it bears; in the sandbox, after filing.

A seal is told to be there and never claimed to be genuine: nothing here verifies one.
"""

from collections.abc import Callable, Mapping
from typing import Any

from channels.codecs import (
    document_ofd,
    document_office,
    document_old,
    document_pdf,
    document_xml,
    fax_pages,
)
from channels.codecs.charsets import decode
from channels.codecs.document_said import Said, Seal
from channels.codecs.html_text import safe_html, text_of
from channels.codecs.plain_text import clean
from domain.errors import BadInput

TEXT_MAX = 200_000  # characters of one document; a person reads the rest in the original
PLAIN_MAX = 4 << 20  # bytes of a text file that are read
XML = "application/xml"
_ODF = "application/vnd.oasis.opendocument."
_OOXML = "application/vnd.openxmlformats-officedocument."
_SIGNED_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # RFC 5652 §5.1: 1.2.840.113549.1.7.2


def read(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox; `options`: ``media_type``, by content. No blobs.

    Answers ``{"text", "tool", "pages", "seals": [{"kind", "by", "at"}], "findings", "is_cut", "reason"}``; `reason` says
    why there is no text, '' when there is some. Raises BadInput for what is not read: document_encrypted,
    document_broken, document_bomb, document_old.
    """
    said = READERS[str(options["media_type"])](data)
    text = clean(said.text).strip()
    return {
        "text": text[:TEXT_MAX],
        "tool": said.tool,
        "pages": said.pages,
        "seals": [{"kind": seal.kind, "by": seal.by[:200], "at": seal.at[:40]} for seal in said.seals],
        "findings": list(said.findings),
        "is_cut": len(text) > TEXT_MAX,
        "reason": "" if text else said.reason or "no_text",
    }, []


def _plain(data: bytes) -> Said:
    return Said(text=decode(data[:PLAIN_MAX])[0], tool="tocsin-text/1")


def _page(data: bytes) -> Said:
    return Said(text=text_of(safe_html(decode(data[:PLAIN_MAX])[0])), tool="tocsin-html/1")


def _cms(data: bytes) -> Said:
    if _SIGNED_DATA in data[:64]:
        return Said(tool="tocsin-cms/1", seals=(Seal(kind="smime_signature"),), reason="signature_only")
    raise BadInput("enveloped for somebody's key", code="document_encrypted")


def _pgp_signature(_data: bytes) -> Said:
    return Said(tool="tocsin-pgp/1", seals=(Seal(kind="pgp_signature"),), reason="signature_only")


def _pgp_keys(_data: bytes) -> Said:
    return Said(tool="tocsin-pgp/1", reason="key_only")


def _pgp_message(_data: bytes) -> Said:
    raise BadInput("encrypted to somebody's key", code="document_encrypted")


def _tiff(data: bytes) -> Said:
    return Said(tool="pillow-tiff", pages=fax_pages.count(data), reason="pictures_only")


READERS: Mapping[str, Callable[[bytes], Said]] = {
    "text/plain": _plain,
    "text/calendar": _plain,
    "text/vcard": _plain,
    "text/html": _page,
    _OOXML + "wordprocessingml.document": document_office.docx,
    _OOXML + "spreadsheetml.sheet": document_office.xlsx,
    _OOXML + "presentationml.presentation": document_office.pptx,
    "application/ofd": document_ofd.ofd,
    _ODF + "text": document_xml.odf,
    _ODF + "spreadsheet": document_xml.odf,
    _ODF + "presentation": document_xml.odf,
    XML: document_xml.xml,
    "application/pdf": document_pdf.pdf,
    "application/msword": document_old.doc,
    "application/vnd.ms-excel": document_old.xls,
    "application/x-ole-storage": document_old.unknown_ole,
    "application/vnd.ms-powerpoint": document_old.ppt,
    "application/rtf": document_old.rtf,
    "image/tiff": _tiff,
    "application/pkcs7-mime": _cms,
    "application/pgp-signature": _pgp_signature,
    "application/pgp-keys": _pgp_keys,
    "application/pgp-encrypted": _pgp_message,
}
