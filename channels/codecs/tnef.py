"""winmail.dat: the body and the files inside Microsoft's TNEF (MS-OXTNEF), bounded and without recursion."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SIGNATURE = 0x223E9F78  # MS-OXTNEF §2.1.3.2
_HEADER = struct.Struct("<BII")  # level, attribute id, length; the checksum of two bytes follows the data
_BODY, _SUBJECT, _CODEPAGE, _PROPERTIES = 0x0002800C, 0x00018004, 0x00069007, 0x00069003  # §2.1.3.3
_NEW_FILE, _TITLE, _DATA, _FILE_PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_PR_BODY, _PR_HTML, _PR_LONG_NAME, _PR_SUBJECT = 0x1000, 0x1013, 0x3707, 0x0037  # MS-OXPROPS
_SIZES = {0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8, 0x48: 16}
_LONG = (0x0D, 0x1E, 0x1F, 0x102)  # object, 8-bit string, UTF-16 string, binary
FILES_MAX = 200
PROPERTIES_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was inside. Text is in `charset` unless it begins with a UTF-16 mark."""

    text: bytes
    html: bytes
    charset: str
    files: tuple[tuple[bytes, bytes], ...]  # (name, content)


@dataclass(slots=True, kw_only=True)
class _Inside:
    text: bytes = b""
    html: bytes = b""
    codepage: int = 0
    names: list[bytes] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)


def open_tnef(data: bytes) -> Envelope | None:
    """The inside of a winmail.dat; None when it is none. A damaged end gives what came before it."""
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != SIGNATURE:
        return None
    inside = _Inside()
    for attribute, value in _attributes(data):
        _take(inside, attribute, value)
    files = tuple((n, c) for n, c in zip(inside.names, inside.contents, strict=True) if c)
    charset = f"cp{inside.codepage}" if inside.codepage else ""
    return Envelope(text=inside.text.rstrip(b"\0"), html=inside.html, charset=charset, files=files)


def _take(inside: _Inside, attribute: int, value: bytes) -> None:
    if attribute == _CODEPAGE and len(value) >= 4:
        inside.codepage = struct.unpack_from("<I", value)[0]
    elif attribute == _BODY:
        inside.text = value
    elif attribute == _PROPERTIES:
        for name, content in _properties(value):
            inside.text = inside.text or (content if name == _PR_BODY else b"")
            inside.html = inside.html or (content if name == _PR_HTML else b"")
    elif attribute == _NEW_FILE and len(inside.names) < FILES_MAX:
        inside.names.append(b"")
        inside.contents.append(b"")
    elif inside.names and attribute == _TITLE:
        inside.names[-1] = inside.names[-1] or value.rstrip(b"\0")
    elif inside.names and attribute == _DATA:
        inside.contents[-1] = value
    elif inside.names and attribute == _FILE_PROPERTIES:
        long_name = next((content for name, content in _properties(value) if name == _PR_LONG_NAME), b"")
        inside.names[-1] = long_name or inside.names[-1]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 6  # signature and key
    while position + _HEADER.size <= len(data):
        _, attribute, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        yield attribute, data[position : position + length]
        position += length + 2


def _properties(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(property id, content) of a MAPI property list, MS-OXTNEF §2.1.3.4; UTF-16 gets its mark in front."""
    try:
        (count,) = struct.unpack_from("<I", data)
        position = 4
        for _ in range(min(count, PROPERTIES_MAX)):
            kind, name = struct.unpack_from("<HH", data, position)
            position = _after_name(data, position + 4) if name >= 0x8000 else position + 4
            if kind & ~0x1000 not in _LONG and not kind & 0x1000:
                size = _SIZES[kind]
                yield name, data[position : position + size]
                position += max(size, 4)
                continue
            values = struct.unpack_from("<I", data, position)[0]
            position += 4
            for _ in range(min(values, PROPERTIES_MAX)):
                content, position = _value(data, position, kind & ~0x1000)
                yield name, content
    except (struct.error, KeyError):
        return  # damaged, or a kind that no mail program writes: the properties read so far stand


def _value(data: bytes, position: int, kind: int) -> tuple[bytes, int]:
    if kind not in _LONG:
        size = _SIZES[kind]
        return data[position : position + size], position + max(size, 4)
    (length,) = struct.unpack_from("<I", data, position)
    content = data[position + 4 : position + 4 + length]
    if kind == 0x1F:
        content = b"\xff\xfe" + content.removesuffix(b"\0\0")
    elif kind == 0x1E:
        content = content.rstrip(b"\0")
    return content, position + 4 + length + (-length % 4)


def _after_name(data: bytes, position: int) -> int:
    """Past a named property's GUID, kind and number or name."""
    kind: int = struct.unpack_from("<I", data, position + 16)[0]
    if kind == 0:
        return position + 24
    length: int = struct.unpack_from("<I", data, position + 20)[0]
    return position + 24 + length + (-length % 4)
