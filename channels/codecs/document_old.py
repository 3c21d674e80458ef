"""The words of what older programs wrote: DOC and WPS (MS-DOC), XLS and ET (by xlrd), RTF."""

import codecs
import io
import re
import struct
from collections.abc import Iterator
from datetime import datetime

import olefile
import xlrd

from channels.codecs.charsets import decode
from channels.codecs.document_said import Said
from channels.codecs.outlook_msg import DAMAGED
from domain.errors import BadInput

STREAM_MAX = 32 << 20  # bytes of one stream that are read
ROWS, COLUMNS = 20_000, 256  # of a sheet
_IDENT, _ENCRYPTED, _TABLE1 = (
    0xA5EC,
    0x0100,
    0x0200,
)  # MS-DOC §2.5.2 FibBase: wIdent, fEncrypted, fWhichTblStm
_CLX = 0x01A2  # §2.5.6: fcClx and lcbClx, for every version since Word 97
_COMPRESSED = 0x40000000  # §2.9.73 FcCompressed
_FIELD_CODE = re.compile(
    "\x13[^\x13-\x15]{0,5000}\x14?"
)  # §2.8.25: what a field is made of; its result follows
_MARKS = {0x07: "\t", 0x0B: "\n", 0x0C: "\n", 0x0D: "\n", 0x1E: "-", 0x1F: "", 0x01: "", 0x08: "", 0x14: "", 0x15: "",
          0x02: "", 0x05: "", 0x03: "", 0x04: ""}  # fmt: skip


def doc(data: bytes) -> Said:
    """Main text, notes and headers, in the order of the pieces. Raises BadInput."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            text, has_macros = _doc_text(file), file.exists("Macros/VBA") or file.exists("_VBA_PROJECT_CUR")
    except BadInput:
        raise
    except DAMAGED:
        raise BadInput("a damaged document", code="document_broken") from None
    return Said(text=text, tool="tocsin-doc/1", findings=("macros",) if has_macros else ())


def xls(data: bytes) -> Said:
    """Sheet by sheet, a row a line. Raises BadInput."""
    try:
        book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), on_demand=True)
        lines: list[str] = []
        for name in book.sheet_names()[:100]:
            sheet = book.sheet_by_name(name)
            lines += [f"【{name}】", *_rows(sheet, book.datemode)]
            book.unload_sheet(name)
    except xlrd.XLRDError as error:
        code = "document_encrypted" if "encrypted" in str(error).lower() else "document_broken"
        raise BadInput("the workbook does not open", code=code) from None
    except MemoryError:
        raise
    except Exception:  # the library raises whatever a damaged workbook makes it stumble over
        raise BadInput("a damaged workbook", code="document_broken") from None
    return Said(text="\n".join(lines), tool=f"xlrd/{xlrd.__version__}", pages=book.nsheets)


def ppt(_data: bytes) -> Said:
    """Said to be not read. Raises BadInput."""
    raise BadInput("slides of before 2007 are not read", code="document_old")


def unknown_ole(data: bytes) -> Said:
    """An OLE file whose kind stands in its directory alone; new documents with a password are such (MS-OFFCRYPTO §2.3).

    Raises BadInput.
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            names = {path[0] for path in file.listdir()}
    except DAMAGED:
        names = set()
    if "EncryptedPackage" in names:
        raise BadInput("it needs a password", code="document_encrypted")
    if "WordDocument" in names:
        return doc(data)
    if names & {"Workbook", "Book"}:
        return xls(data)
    raise BadInput(
        "no kind of document that is read", code="document_unknown" if names else "document_broken"
    )


def rtf(data: bytes) -> Said:
    """What a reader would see; pictures and tables of fonts are left out. Never raises."""
    return Said(text=_rtf_text(data[:STREAM_MAX]), tool="tocsin-rtf/1")


def _doc_text(file: olefile.OleFileIO) -> str:
    main = _stream(file, "WordDocument")
    ident, flags = struct.unpack_from("<H", main)[0], struct.unpack_from("<H", main, 10)[0]
    if ident != _IDENT:
        raise BadInput("a document of before Word 97", code="document_old")
    if flags & _ENCRYPTED:
        raise BadInput("it needs a password", code="document_encrypted")
    table = _stream(file, "1Table" if flags & _TABLE1 else "0Table")
    begin, length = struct.unpack_from("<LL", main, _CLX)
    raw = "".join(_pieces(main, table[begin : begin + length]))
    while (shorter := _FIELD_CODE.sub("", raw)) != raw:
        raw = shorter
    text = raw.translate(_MARKS)
    return re.sub(r"\t\t\n?|\t\n", "\n", text)


def _pieces(main: bytes, clx: bytes) -> Iterator[str]:
    """§2.9.38 Clx: formats (0x01) first, then the table of pieces (0x02): n+1 positions, n descriptors of 8 bytes."""
    at = 0
    while at < len(clx) and clx[at] == 0x01:
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at >= len(clx) or clx[at] != 0x02:
        raise BadInput("no table of pieces", code="document_broken")
    (size,) = struct.unpack_from("<L", clx, at + 1)
    table = clx[at + 5 : at + 5 + size]
    count = (len(table) - 4) // 12
    places = struct.unpack_from(f"<{count + 1}L", table)
    left = STREAM_MAX
    for number in range(count):
        (where,) = struct.unpack_from("<L", table, 4 * (count + 1) + 8 * number + 2)
        letters = min(max(places[number + 1] - places[number], 0), left)
        left -= letters  # pieces may overlap: many that say the same are no more text
        if where & _COMPRESSED:
            start = (where & ~_COMPRESSED) // 2
            yield main[start : start + letters].decode("cp1252", "replace")
        else:
            yield main[where : where + 2 * letters].decode("utf-16-le", "replace")


def _stream(file: olefile.OleFileIO, name: str) -> bytes:
    with file.openstream(name) as stream:
        return bytes(stream.read(STREAM_MAX))


def _rows(sheet: xlrd.sheet.Sheet, datemode: int) -> Iterator[str]:
    for number in range(min(sheet.nrows, ROWS)):
        cells = sheet.row(number)[:COLUMNS]
        if line := "\t".join(_cell(cell, datemode) for cell in cells).rstrip():
            yield line


def _cell(cell: xlrd.sheet.Cell, datemode: int) -> str:
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            at: datetime = xlrd.xldate_as_datetime(cell.value, datemode)
        except (xlrd.XLRDError, ValueError, OverflowError):
            return str(cell.value)
        return f"{at:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if cell.ctype == xlrd.XL_CELL_NUMBER and cell.value == int(cell.value):
        return str(int(cell.value))
    return (
        "" if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR) else str(cell.value)
    )


_RTF = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
_UNSEEN = {b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"themedata", b"datastore", b"listtable",
           b"listoverridetable", b"rsidtbl", b"generator", b"latentstyles", b"fldinst", b"xmlnstbl", b"bin"}  # fmt: skip
_RTF_BREAKS = {b"par": b"\n", b"line": b"\n", b"row": b"\n", b"cell": b"\t", b"tab": b"\t", b"page": b"\n"}


class _Rtf:
    """The state of a reader of RTF 1.9.1: which group is seen, and bytes that wait for their code page."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.waiting = bytearray()
        self.codec = "cp1252"
        self.groups: list[tuple[bool, int]] = [
            (True, 1)
        ]  # is it seen; letters that follow a \u for older readers
        self.skip = 0

    def flush(self) -> None:
        if self.waiting:
            data = bytes(self.waiting)
            self.out.append(data.decode(self.codec, "replace") if self.codec else decode(data)[0])
            self.waiting.clear()

    def letters(self, data: bytes) -> None:
        used = min(self.skip, len(data))
        self.skip -= used
        if self.groups[-1][0]:
            self.waiting += data[used:]

    def word(self, name: bytes, number: int | None) -> None:
        is_seen, after = self.groups[-1]
        if name == b"ansicpg" and number:
            self.flush()
            self.codec = "gb18030" if number == 936 else "utf-8" if number == 65001 else f"cp{number}"
            try:
                codecs.lookup(self.codec)
            except LookupError:
                self.codec = ""  # to be guessed
        elif name == b"uc":
            self.groups[-1] = (is_seen, min(max(number or 0, 0), 10))
        elif name == b"u" and number is not None:
            self.flush()
            self.skip = after
            if is_seen:
                self.out.append(chr(number % 0x10000))
        elif name in _UNSEEN:
            self.groups[-1] = (False, after)
        elif name in _RTF_BREAKS:
            self.skip = 0
            self.letters(_RTF_BREAKS[name])


def _rtf_text(data: bytes) -> str:
    state = _Rtf()
    for match in _RTF.finditer(data):
        name, number, code, symbol, brace, plain = match.groups()
        if brace == b"{":
            state.groups.append(state.groups[-1] if len(state.groups) < 1_000 else (False, 1))
        elif brace == b"}":
            state.groups = state.groups[:-1] or [(True, 1)]
        elif name:
            state.word(name, int(number) if number else None)
        elif code:
            state.letters(bytes([int(code, 16)]))
        elif symbol == b"*":
            state.groups[-1] = (False, state.groups[-1][1])
        elif symbol in (b"\\", b"{", b"}", b"~"):
            state.letters(b" " if symbol == b"~" else symbol)
        elif plain:
            state.letters(plain)
    state.flush()
    text = "".join(state.out)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
