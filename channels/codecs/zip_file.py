"""A stranger's ZIP: its directory, read no further than asked, and its entries, unpacked no further than a budget allows.

Source: PKWARE APPNOTE 6.3.10. The standard library reads the whole directory first and believes what it says.
"""

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from channels.codecs.charsets import decode
from domain.errors import BadInput

UNPACKED = 100 << 20  # bytes out of one file, all depths together (PROMISES H15)
ENTRIES = 1_000  # names out of one file, all depths together (H15)
CHUNK = 64 << 10
_END = struct.Struct("<4s4H2LH")  # APPNOTE 4.3.16
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_WHERE64 = struct.Struct("<4sLQL")  # 4.3.15
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
LOCAL_HEADER = _LOCAL.size  # bytes in front of a name
_UNIX, _SYMLINK, _KIND = 3, 0o120000, 0o170000  # "version made by", and st_mode in the external attributes
_FULL = 0xFFFFFFFF
_ENCRYPTED, _UTF8 = 0x1, 0x800  # 4.4.4
_SIZES64, _UNICODE_PATH = 0x0001, 0x7075  # 4.5.3, 4.6.9
STORED, DEFLATED, BZIP2, LZMA, AES = 0, 8, 12, 14, 99


class Spent(Exception):
    """More would be unpacked than the budget allows."""


@dataclass(slots=True)
class Budget:
    """What may still be unpacked of one file; one for all its depths."""

    left: int = UNPACKED
    entries: int = ENTRIES

    def take(self, count: int) -> None:
        """Raises Spent."""
        self.left -= count
        if self.left < 0:
            raise Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the directory; the sizes are what it claims."""

    raw_name: bytes
    name: str
    packed: int
    size: int
    method: int
    is_encrypted: bool
    is_symlink: bool
    offset: int  # of the local header

    @property
    def is_directory(self) -> bool:
        return self.raw_name.endswith(b"/")


class ZipFile:
    """The archive in `data`. Raises BadInput(archive_broken) when it has no directory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        end = data.rfind(b"PK\x05\x06", max(len(data) - (_END.size + 0xFFFF), 0))
        if end < 0 or end + _END.size > len(data):
            raise BadInput("no directory at its end", code="archive_broken")
        _, _, _, _, self.count, size, offset, _ = _END.unpack_from(data, end)
        if _FULL in (size, offset) or self.count == 0xFFFF:
            self.count, size, offset, end = self._end64(end, (self.count, size, offset))
        self._shift = max(end - size - offset, 0)  # what was put before the archive, e.g. a program
        self._start, self._end = offset + self._shift, end

    def entries(self) -> Iterator[Entry]:
        """Those of the directory, in its order, until it ends or breaks."""
        at = self._start
        while at + _CENTRAL.size <= self._end:
            (magic, made_by, _, flags, method, _, _, _, packed, size, n_name, n_extra, n_comment, _, _, attributes,
             offset) = _CENTRAL.unpack_from(self._data, at)  # fmt: skip
            if magic != b"PK\x01\x02":
                return
            at += _CENTRAL.size
            name, extra = self._data[at : at + n_name], self._data[at + n_name : at + n_name + n_extra]
            at += n_name + n_extra + n_comment
            fields = dict(_extras(extra))
            size, packed, offset = _sizes64(fields.get(_SIZES64, b""), size, packed, offset)
            yield Entry(
                raw_name=name, packed=packed,
                name=_name(name, fields.get(_UNICODE_PATH, b""), is_utf8=bool(flags & _UTF8), is_unix=made_by >> 8 == _UNIX),
                size=size, method=method, is_encrypted=bool(flags & _ENCRYPTED) or method == AES,
                is_symlink=made_by >> 8 == _UNIX and (attributes >> 16) & _KIND == _SYMLINK,
                offset=offset + self._shift,
            )  # fmt: skip

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """What it holds, in pieces of 64 KB and less. Raises BadInput: entry_encrypted, entry_method, entry_broken."""
        if entry.is_encrypted:
            raise BadInput("it needs a password", code="entry_encrypted")
        begin = entry.offset + _LOCAL.size
        if begin > len(self._data) or self._data[entry.offset : entry.offset + 4] != b"PK\x03\x04":
            raise BadInput("no entry where the directory says", code="entry_broken")
        fields = _LOCAL.unpack_from(self._data, entry.offset)
        begin += fields[-2] + fields[-1]
        packed = memoryview(self._data)[begin : begin + entry.packed]
        unpack = _METHODS.get(entry.method)
        if unpack is None:
            raise BadInput(f"method {entry.method} is not read", code="entry_method")
        try:
            yield from unpack(packed)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError, struct.error, MemoryError):
            raise BadInput("it does not unpack", code="entry_broken") from None

    def read(self, entry: Entry, budget: Budget, most: int) -> bytes:
        """The whole entry. Raises Spent for more than `most` or the budget, BadInput as pieces()."""
        return gathered(self.pieces(entry), budget, most)

    def find(self, name: str) -> Entry | None:
        """The first entry of that name among the first ten thousand."""
        wanted = name.lower()
        for number, entry in enumerate(self.entries()):
            if number >= 10 * ENTRIES:
                return None
            if entry.name.lower() == wanted:
                return entry
        return None

    def _end64(self, end: int, plain: tuple[int, int, int]) -> tuple[int, int, int, int]:
        data, where = self._data, end - _WHERE64.size
        if where < 0 or data[where : where + 4] != b"PK\x06\x07":
            return (*plain, end)
        at = data.rfind(b"PK\x06\x06", 0, where)
        if at < 0 or at + _END64.size > len(data):
            raise BadInput("its directory is not where it says", code="archive_broken")
        *_, count, size, offset = _END64.unpack_from(data, at)
        return count, size, offset, at


def gathered(pieces: Iterator[bytes], budget: Budget, most: int) -> bytes:
    """All of it together. Raises Spent when it is more than `most` bytes or the budget."""
    found = bytearray()
    for piece in pieces:
        budget.take(len(piece))
        if len(found) + len(piece) > most:
            raise Spent
        found += piece
    return bytes(found)


def inflated(data: memoryview, wbits: int = -15) -> Iterator[bytes]:
    """Deflated bytes, in pieces; with ``wbits=31`` the members of a gzip file one after another."""
    at = 0
    while at < len(data):
        made = zlib.decompressobj(wbits)
        while at < len(data) and not made.eof:
            rest = bytes(data[at : at + CHUNK])
            at += len(rest)
            while rest:
                if piece := made.decompress(rest, CHUNK):
                    yield piece
                rest = made.unconsumed_tail
            at -= len(made.unused_data)
        if wbits < 0 or not made.eof or bytes(data[at : at + 2]) != b"\x1f\x8b":
            return  # cut off, or followed by something else: gzip(1) ignores that too


def decompressed(made: "bz2.BZ2Decompressor | lzma.LZMADecompressor", data: memoryview) -> Iterator[bytes]:
    """One stream of bzip2 or xz, in pieces."""
    for at in range(0, len(data), CHUNK):
        piece = made.decompress(bytes(data[at : at + CHUNK]), CHUNK)
        yield piece
        while not made.eof and not made.needs_input:
            yield made.decompress(b"", CHUNK)
        if made.eof:
            return


def _stored(data: memoryview) -> Iterator[bytes]:
    for at in range(0, len(data), CHUNK):
        yield bytes(data[at : at + CHUNK])


def _deflated(data: memoryview) -> Iterator[bytes]:
    return inflated(data)


def _bzip2(data: memoryview) -> Iterator[bytes]:
    return decompressed(bz2.BZ2Decompressor(), data)


def _lzma(data: memoryview) -> Iterator[bytes]:
    """APPNOTE 5.8.8: version, length of the properties, the properties of a raw LZMA1 stream."""
    head = bytes(data[:9])
    length, first, dictionary = struct.unpack("<HBL", head[2:9])
    if length != 5 or first >= 9 * 5 * 5 or dictionary > 64 << 20:
        raise ValueError
    options = {"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": first % 9, "lp": first // 9 % 5,
               "pb": first // 45}  # fmt: skip
    return decompressed(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[options]), data[9:])


_METHODS: dict[int, Callable[[memoryview], Iterator[bytes]]] = {
    STORED: _stored, DEFLATED: _deflated, BZIP2: _bzip2, LZMA: _lzma,
}  # fmt: skip


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _sizes64(field: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Those that are full stand in the field, in this order (APPNOTE 4.5.3)."""
    found = [size, packed, offset]
    numbers = [int.from_bytes(field[at : at + 8], "little") for at in range(0, len(field) - 7, 8)]
    for place, value in enumerate(found):
        if value == _FULL and numbers:
            found[place] = numbers.pop(0)
    return found[0], found[1], found[2]


_HIGH = re.compile(rb"[\x80-\xff]")
_EASTERN = re.compile("[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]")  # three bytes each in UTF-8


def _name(raw: bytes, unicode_path: bytes, *, is_utf8: bool, is_unix: bool) -> str:
    """As the one who packed it saw it: by the Unicode path of the same name, by the flag, else as his system wrote it.

    Without the flag APPNOTE D.1 means code page 437, which no Chinese program ever wrote. macOS and Linux write UTF-8
    without it; of what Windows wrote, two letters of GBK can be valid UTF-8 by chance, in which no Chinese letter is.
    """
    if unicode_path[:1] == b"\x01" and unicode_path[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        return unicode_path[5:].decode("utf-8", "replace")
    if is_utf8 or not _HIGH.search(raw):
        return raw.decode("utf-8", "replace")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        return _legacy(raw)
    return name if is_unix or _EASTERN.search(name) else _legacy(raw)


def _legacy(raw: bytes) -> str:
    try:
        return raw.decode("gb18030")
    except UnicodeDecodeError:
        return decode(raw)[0]
