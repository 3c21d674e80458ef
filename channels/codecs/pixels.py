"""How large a picture would be, read from its header: nothing is decoded (PROMISES H26)."""

import struct
from collections.abc import Callable, Mapping

LARGEST = 100_000_000  # pixels; 4 bytes each are 400 MB when drawn, and no MMS is half as large
_HEAD = 1 << 20  # bytes of a JPEG that are searched: its segments before the picture are 64 KB each
_TIFF_SHORT, _TIFF_LONG = 3, 4  # TIFF 6.0 §2, types of an entry
_WIDTH, _HEIGHT = 256, 257

Size = tuple[int, int]


def size_of(data: bytes, media_type: str) -> Size | None:
    """(width, height) as the header claims; None where there is no header that says it. Never raises."""
    read = _READERS.get(media_type)
    try:
        return read(data) if read else None
    except (struct.error, IndexError):  # it ends before the size
        return None


def is_too_large(size: Size | None) -> bool:
    """Whether a program that draws it would be in trouble."""
    return size is not None and size[0] * size[1] > LARGEST


def _png(data: bytes) -> Size | None:
    """PNG (ISO/IEC 15948) §11.2.2: IHDR comes first."""
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _gif(data: bytes) -> Size:
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _bmp(data: bytes) -> Size:
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)  # a negative height: top line first


def _jpeg(data: bytes) -> Size | None:
    """ITU-T T.81 §B.2.2: the first frame header; segments before it are skipped by their length."""
    at, end = 2, min(len(data), _HEAD)
    while at + 9 < end:
        if data[at] != 0xFF:
            return None
        kind = data[at + 1]
        if kind in (0xFF, 0x01) or 0xD0 <= kind <= 0xD8:  # fill bytes, and markers without a length
            at += 1 if kind == 0xFF else 2
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if length < 2 or kind in (0xD9, 0xDA):
            return None
        at += 2 + length
    return None


def _webp(data: bytes) -> Size | None:
    """RFC 9649 §2.5-2.7: lossy, lossless and extended headers."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _tiff(data: bytes) -> Size | None:
    """TIFF 6.0 §2: the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack(order + "I", data[4:8])
    (count,) = struct.unpack(order + "H", data[at : at + 2])
    found: dict[int, int] = {}
    for n in range(min(count, 64)):
        entry = data[at + 2 + 12 * n : at + 14 + 12 * n]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag in (_WIDTH, _HEIGHT) and kind in (_TIFF_SHORT, _TIFF_LONG):
            (found[tag],) = struct.unpack(
                order + ("H" if kind == _TIFF_SHORT else "I"), entry[8 : 10 if kind == _TIFF_SHORT else 12]
            )
    return (found[_WIDTH], found[_HEIGHT]) if len(found) == 2 else None


_READERS: Mapping[str, Callable[[bytes], Size | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/bmp": _bmp,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/tiff": _tiff,
}
