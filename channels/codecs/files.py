"""What a file is by its bytes, whatever its name and its sender say."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from channels.codecs import pixels
from channels.codecs.exif import exif_of
from channels.codecs.zip_file import ENTRIES, ZipFile
from domain.errors import BadInput

UNKNOWN = "application/octet-stream"
HEAD = 64 << 10  # bytes; enough for the first entries of an archive and the first tags of a page

# (offset, bytes, media type); from the registrations at IANA and the formats' own documents.
_MAGIC = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"#!AMR-WB", "audio/amr-wb"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"#!SILK", "audio/silk"),
    (0, b"\x02#!SILK", "audio/silk"),  # voice messages of WeChat
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd", "audio/midi"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
    (0, b"-----BEGIN PGP SIGNATURE", "application/pgp-signature"),
    (0, b"-----BEGIN PGP PUBLIC", "application/pgp-keys"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = (  # ISO/IEC 14496-12 §4.3, the registry of the MP4 Registration Authority
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "image/heic"),
    ((b"avif", b"avis"), "image/avif"),
    ((b"3gp", b"3g2", b"3gs"), "video/3gpp"),
    ((b"M4A", b"M4B"), "audio/mp4"),
    ((b"qt  ",), "video/quicktime"),
)
_OOXML = "application/vnd.openxmlformats-officedocument."
_ZIPPED = (
    (b"word/", _OOXML + "wordprocessingml.document"),
    (b"xl/", _OOXML + "spreadsheetml.sheet"),
    (b"ppt/", _OOXML + "presentationml.presentation"),
    (b"OFD.xml", "application/ofd"),  # GB/T 33190 公文版式
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
)
_OLE = (
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
)
_TAGS = re.compile(rb"<\s*(!doctype html|html|head|body|script|svg|table|div|p|br|meta)[\s>/]", re.IGNORECASE)
_MAIL_FIELD = re.compile(
    rb"^(return-path|received|from|to|subject|date|message-id|mime-version|delivered-to|content-type)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ANY_FIELD = re.compile(rb"(From |[A-Za-z][A-Za-z0-9-]{0,60}[ \t]*:)")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # ESC stays: ISO-2022 text holds it
_ZIP_MIMETYPE = re.compile(rb"mimetype(application/[a-z0-9.+-]{1,80})")
_CMS = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"  # the object identifier 1.2.840.113549.1.7, RFC 5652 §4


def inspect(data: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"media_type", "size", "pixels", "is_huge", "exif": {"lat", "lon", "time"}}``, no blobs.

    `pixels` is [width, height] as a picture's header claims, or None. A huge one is not opened.
    """
    media_type = sniff(data)
    size = pixels.size_of(data, media_type)
    is_closed = options.get("without_exif") or pixels.is_too_large(size)
    exif = {} if is_closed else exif_of(data, media_type)
    return {
        "media_type": media_type,
        "size": len(data),
        "pixels": size,
        "is_huge": pixels.is_too_large(size),
        "exif": exif,
    }, []


def sniff(data: bytes) -> str:
    """The media type of a file, or of its first 64 KB; application/octet-stream when nothing is known."""
    for offset, magic, media_type in _MAGIC:
        if data.startswith(magic, offset):
            return media_type
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "image/bmp"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], UNKNOWN)
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return next((kind for brands, kind in _BRANDS if brand.startswith(brands)), "video/mp4")
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zipped(data)
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":  # MS-CFB §2.2
        return next(
            (kind for name, kind in _OLE if name.encode("utf-16-le") in data), "application/x-ole-storage"
        )
    if data[:1] == b"0" and _CMS in data[:64]:
        return "application/pkcs7-mime"
    kind = _sound(data) or _program(data) or _text(data[:HEAD])
    # ISO 32000-1, Annex H.3.4.1: readers find the header within the first 1,024 bytes, behind whatever a scanner put there.
    return "application/pdf" if kind == UNKNOWN and b"%PDF-" in data[:1024] else kind


def _zipped(data: bytes) -> str:
    """An office document by the names of its entries, which stand uncompressed in the archive.

    By its directory where that is there: a document that lies unpacked in a ZIP does not make a document of the ZIP.
    """
    if (named := _ZIP_MIMETYPE.match(data, 30)) is not None:
        return named[1].decode("ascii")
    if names := _names_in(data):
        if not names & {b"[Content_Types].xml", b"OFD.xml", b"AndroidManifest.xml"}:
            return "application/zip"
        return next(
            (kind for start, kind in _ZIPPED if any(n.startswith(start) for n in names)), "application/zip"
        )
    head, tail = data[:HEAD], data[-HEAD:]
    if b"[Content_Types].xml" in head or b"[Content_Types].xml" in tail or b"OFD.xml" in head + tail:
        return next((kind for name, kind in _ZIPPED if name in head or name in tail), "application/zip")
    return _ZIPPED[-1][1] if _ZIPPED[-1][0] in head + tail else "application/zip"


def _names_in(data: bytes) -> set[bytes]:
    """The first thousand names of its directory; none where only its beginning is there."""
    try:
        return {entry.raw_name for entry in islice(ZipFile(data).entries(), ENTRIES)}
    except BadInput:
        return set()


def _sound(data: bytes) -> str:
    """MPEG audio and AAC without a container: frame sync with valid fields (ISO/IEC 11172-3 §2.4.2.3)."""
    if len(data) < 4 or data[0] != 0xFF:
        return ""
    if data[1] & 0xF6 == 0xF0:
        return "audio/aac"
    # Layers II and III only: the sync of layer I is also the byte order mark of UTF-16.
    is_mpeg = data[1] & 0xE0 == 0xE0 and data[1] & 0x06 in (0x02, 0x04) and data[1] & 0x18 != 0x08
    return "audio/mpeg" if is_mpeg and data[2] & 0xF0 != 0xF0 and data[2] & 0x0C != 0x0C else ""


def _program(data: bytes) -> str:
    if data[:2] != b"MZ" or len(data) < 64:
        return ""
    return "application/vnd.microsoft.portable-executable"


def _text(head: bytes) -> str:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "text/plain"
    if not head or _BINARY.search(head):
        return UNKNOWN
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:4096]
    upper = start[:40].upper()
    if upper.startswith(b"BEGIN:VCALENDAR"):
        return "text/calendar"
    if upper.startswith(b"BEGIN:VCARD"):
        return "text/vcard"
    if start.startswith(b"<"):
        tag = _TAGS.search(start)
        if tag and tag[1].lower() == b"svg":
            return "image/svg+xml"
        return (
            "application/xml"
            if upper.startswith(b"<?XML") and not tag
            else "text/html"
            if tag
            else "text/plain"
        )
    if _ANY_FIELD.match(start) and len({m.lower() for m in _MAIL_FIELD.findall(start)}) >= 2:
        return "message/rfc822"
    return "text/plain"
