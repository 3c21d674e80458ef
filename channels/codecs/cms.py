"""What an opaque S/MIME signature is around (RFC 8551 §3.5.2): found in its BER, the signature is not checked."""

from collections.abc import Iterator
from typing import NamedTuple

DEPTH_MAX = 12  # of an honest SignedData; strings in pieces are one deeper
PIECES_MAX = 30_000  # of a content that was written in pieces; Outlook cuts at 1,000 bytes, a mail has 25 MB
_SIGNED = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"  # 1.2.840.113549.1.7.2, RFC 5652 §5.1
_SEQUENCE, _OID, _OCTETS, _OCTETS_IN_PIECES, _CONTEXT_0 = 0x30, 0x06, 0x04, 0x24, 0xA0


class _Element(NamedTuple):
    tag: int
    start: int
    end: int  # of what is inside
    after: int


def signed_content(data: bytes) -> bytes:
    """The bytes that were signed, or b'' for encrypted, detached and damaged ones. Never raises."""
    try:
        return _content(data)
    except (IndexError, ValueError):
        return b""


def _content(data: bytes) -> bytes:
    kind, wrapped = list(_children(data, _element(data, 0, len(data))))[:2]
    if kind.tag != _OID or data[kind.start : kind.end] != _SIGNED or wrapped.tag != _CONTEXT_0:
        return b""
    (signed_data,) = _children(data, wrapped)
    _version, _algorithms, encapsulated, *_ = _children(data, signed_data)
    _type, explicit = _children(data, encapsulated)
    (octets,) = _children(data, explicit)
    if octets.tag == _OCTETS:
        return data[octets.start : octets.end]
    if octets.tag != _OCTETS_IN_PIECES:
        return b""
    return b"".join(
        data[piece.start : piece.end] for piece in _children(data, octets) if piece.tag == _OCTETS
    )


def _children(data: bytes, parent: _Element) -> Iterator[_Element]:
    position = parent.start
    for _ in range(PIECES_MAX):
        if position >= parent.end:
            return
        child = _element(data, position, parent.end)
        yield child
        position = child.after


def _element(data: bytes, position: int, limit: int, depth: int = 0) -> _Element:
    """The element at `position` (X.690 §8.1). Raises ValueError or IndexError for what is none."""
    tag, size, start = data[position], data[position + 1], position + 2
    if size == 0x80:
        end = _end_of_contents(data, start, limit, depth)
        return _Element(tag, start, end, end + 2)
    if size > 0x80:
        start += size & 0x7F
        if size > 0x84:
            raise ValueError("longer than any mail")
        size = int.from_bytes(data[position + 2 : start], "big")
    if start + size > limit:
        raise ValueError("cut off")
    return _Element(tag, start, start + size, start + size)


def _end_of_contents(data: bytes, position: int, limit: int, depth: int) -> int:
    if depth > DEPTH_MAX:
        raise ValueError("too deep")
    for _ in range(PIECES_MAX):
        if data[position : position + 2] == b"\0\0":
            return position
        position = _element(data, position, limit, depth + 1).after
    raise ValueError("too many pieces")
