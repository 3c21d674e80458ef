"""Files as older mail programs wrote them into a text: uuencode, BinHex 4.0, Base64 that nothing declares."""

import binascii
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

UU_LINES_MAX = 600_000  # of 45 bytes each: 27 MB, more than any mail is allowed
TRIES_MAX = 5_000  # lines that look like the begin of one; more is an attack on our time
BLOCKS_MAX = 50  # files in one text; the rest stays text
BINHEX_MAX = 40 << 20  # bytes after its run lengths; a run of 255 costs the sender three letters

_NEWLINE = re.compile(rb"\r\n|\n|\r")
_UU_BEGIN = re.compile(rb"(?:\A|(?<=[\r\n]))begin [0-7]{3,4} ([^\r\n]{1,500})(?:\r\n|\n|\r)")
_UU_LINE = re.compile(rb"[ -`]{1,90}")
_UU_END = re.compile(rb"(?<=[\r\n])end[ \t]*(?:\r\n|\n|\r|\Z)")
_HQX = re.compile(rb"\(This file must be converted with BinHex[^\r\n]{0,40}[\r\n]+[ \t]*:([^:]*):")
_HQX_LETTERS = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_BASE64_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_HQX_TO_BASE64 = bytes.maketrans(_HQX_LETTERS, _BASE64_LETTERS)
_NOT_HQX = bytes(set(range(256)) - set(_HQX_LETTERS))
_BARE_BASE64 = re.compile(rb"\s{0,100}((?:[A-Za-z0-9+/]{4}){4,}[A-Za-z0-9+/]{0,4}={0,2})\s*")


class Block(NamedTuple):
    """A file that stood in a text between `start` and `end`."""

    start: int
    end: int
    name: bytes
    content: bytes


def uu_blocks(text: bytes) -> list[Block]:
    """The files between "begin 644 name" and "end" (POSIX uuencode); what only looks so stays text."""
    return list(islice(_uu_blocks(text), BLOCKS_MAX))


def _uu_blocks(text: bytes) -> Iterator[Block]:
    """Each begin and each end is looked at once, so that a text of begins alone takes linear time."""
    end = None
    begin = _UU_BEGIN.search(text)
    for _ in range(TRIES_MAX):
        if begin is None:
            return
        if end is None or end.start() < begin.end():
            end = _UU_END.search(text, begin.end() - 1)
        if end is None:
            return
        after = begin.end()
        first = _NEWLINE.split(text[after : after + 100], maxsplit=1)[0]
        if _UU_LINE.fullmatch(first) and (first[0] - 32 & 63) <= len(first) * 3 // 4 + 2:
            content, after = uu_decoded(text[begin.start() : end.end()]), end.end()
            if content:
                yield Block(begin.start(), end.end(), begin[1].strip(), content)
        begin = _UU_BEGIN.search(text, after)


def uu_decoded(body: bytes) -> bytes:
    """What stands behind the first "begin" line, or the whole; broken lines are left out."""
    begin = _UU_BEGIN.search(body)
    out = []
    for line in islice(_lines(body, begin.end() if begin else 0), UU_LINES_MAX):
        if line.strip() == b"end":
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            size = ((line[0] - 32 & 63) * 4 + 5) // 3 if line else 0  # some encoders pad lines too far
            try:
                out.append(binascii.a2b_uu(line[:size]))
            except binascii.Error:
                continue
    return b"".join(out)


def binhex(data: bytes) -> tuple[bytes, bytes] | None:
    """(name, data fork) of a BinHex 4.0 file (RFC 1741 appendix A), or None when it is none."""
    found = _HQX.search(data)
    if found is None:
        return None
    letters = found[1].translate(_HQX_TO_BASE64, _NOT_HQX)
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    packed = binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    plain = _without_runs(packed)
    size = plain[0] if plain else 0
    head = plain[1 + size : 1 + size + 19]  # version, type, creator, flags, two lengths; then a checksum
    if not 0 < size < 64 or len(head) < 19:
        return None
    start, length = 1 + size + 21, int.from_bytes(head[11:15], "big")
    return plain[1 : 1 + size], plain[start : start + length]


def _without_runs(packed: bytes) -> bytes:
    """Byte, 0x90, count: the byte that often; 0x90 0x00 is 0x90 itself."""
    out = bytearray()
    position = packed.find(b"\x90")
    begin = 0
    while position >= 0 and len(out) < BINHEX_MAX:
        out += packed[begin:position]
        count = packed[position + 1] if position + 1 < len(packed) else 0
        if count == 0:
            out.append(0x90)
        elif out:
            out += out[-1:] * (count - 1)
        begin = position + 2
        position = packed.find(b"\x90", begin)
    return bytes(out + packed[begin:])[:BINHEX_MAX]


def bare_base64(body: bytes) -> bytes:
    """The bytes of a text that is Base64 from its first letter to its last; b'' for any other text."""
    if len(body) > (1 << 20) or not (whole := _BARE_BASE64.fullmatch(body.translate(None, b"\r\n"))):
        return b""
    try:
        return binascii.a2b_base64(whole[1], strict_mode=True)
    except binascii.Error:
        return b""


def _lines(body: bytes, position: int) -> Iterator[bytes]:
    while position < len(body):
        newline = _NEWLINE.search(body, position)
        stop, after = (newline.start(), newline.end()) if newline else (len(body), len(body))
        yield body[position:stop]
        position = after
