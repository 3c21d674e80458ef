"""Documents as offices send them, written by hand: small, whole, and each with the words it is asked to hold."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from xml.sax.saxutils import escape

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OFD = 'xmlns:ofd="http://www.ofdspec.org/2016"'


def zipped(entries: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def gbk_zip(
    entries: Mapping[str, bytes], *, coding: str = "gbk", unicode_path: bool = False, flags: int = 0
) -> bytes:
    """As Windows in China packs it: names in GBK without the UTF-8 flag; stored, not packed."""
    out, directory = bytearray(), bytearray()
    for name, data in entries.items():
        raw, crc, offset = name.encode(coding), zlib.crc32(data), len(out)
        extra = b""
        if unicode_path:
            raw = b"?" * len(raw)
            field = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + name.encode()
            extra = struct.pack("<HH", 0x7075, len(field)) + field
        sizes = (crc, len(data), len(data), len(raw), len(extra))
        out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, flags, 0, 0, 0, *sizes) + raw + extra + data
        directory += (
            struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, flags, 0, 0, 0, *sizes, 0, 0, 0, 0, offset)
            + raw
            + extra
        )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(out), 0)
    return bytes(out + directory + end)


def odt(*paragraphs: str) -> bytes:
    """Its type stands first and is not packed (ISO/IEC 26300-3 §3.3)."""
    name = "urn:oasis:names:tc:opendocument:xmlns"
    body = "".join(f"<x:p><x:span>{escape(p[:3])}</x:span>{escape(p[3:])}</x:p>" for p in paragraphs)
    spaces = f'xmlns:o="{name}:office:1.0" xmlns:x="{name}:text:1.0"'
    content = f"<o:document-content {spaces}><o:body>{body}</o:body></o:document-content>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", content)
    return out.getvalue()


def docx(*paragraphs: str, **parts: str) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{escape(p)}</w:t></w:r></w:p>" for p in paragraphs)
    return zipped({
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {W}><w:body>{body}{parts.pop('more', '')}</w:body></w:document>", **parts,
    })  # fmt: skip


def xlsx(title: str, rows: list[list[str | int | float]], *, dated: int = -1) -> bytes:
    """`dated`: the column whose numbers are days."""
    words = [str(c) for row in rows for c in row if isinstance(c, str)]
    shared = "".join(f"<si><t>{w}</t><rPh><t>pinyin</t></rPh></si>" for w in words)
    places = iter(range(len(words)))
    lines = "".join(
        "<row>" + "".join(
            f'<c t="s"><v>{next(places)}</v></c>' if isinstance(c, str) else f'<c s="{int(n == dated)}"><v>{c}</v></c>'
            for n, c in enumerate(row)) + "</row>"
        for row in rows
    )  # fmt: skip
    return zipped({
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": f'<workbook {S} xmlns:r="{R}"><sheets><sheet name="{title}" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/sharedStrings.xml": f"<sst {S}>{shared}</sst>",
        "xl/styles.xml": f'<styleSheet {S}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f"<worksheet {S}><sheetData>{lines}</sheetData></worksheet>",
    })  # fmt: skip


def pptx(*slides: str) -> bytes:
    a = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    made = {f"ppt/slides/slide{n}.xml": f"<s {a}><a:p><a:r><a:t>{text}</a:t></a:r></a:p></s>"
            for n, text in enumerate(slides, 1)}  # fmt: skip
    return zipped(
        {"[Content_Types].xml": "<Types/>", "ppt/presentation.xml": "<p/>", **dict(reversed(made.items()))}
    )


def ofd(*lines: str, sealed_by: str = "") -> bytes:
    texts = "".join(
        f'<ofd:TextObject ID="{n}" Boundary="30 {20 + 10 * n} 100 8"><ofd:TextCode X="0" Y="6">{text}</ofd:TextCode>'
        "</ofd:TextObject>" for n, text in enumerate(lines)
    )  # fmt: skip
    parts = {
        "OFD.xml": f"<ofd:OFD {OFD}><ofd:DocBody><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>"
        f"{'<ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures>' if sealed_by else ''}</ofd:DocBody></ofd:OFD>",
        "Doc_0/Document.xml": f'<ofd:Document {OFD}><ofd:Pages><ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/>'
        "</ofd:Pages></ofd:Document>",
        "Doc_0/Pages/Page_0/Content.xml": f"<ofd:Page {OFD}><ofd:Content><ofd:Layer>{texts}</ofd:Layer></ofd:Content></ofd:Page>",
    }
    if sealed_by:
        parts["Doc_0/Signs/Signatures.xml"] = (
            f'<ofd:Signatures {OFD}><ofd:Signature ID="1" Type="Seal" BaseLoc="Sign_0/Signature.xml"/></ofd:Signatures>'
        )
        parts["Doc_0/Signs/Sign_0/Signature.xml"] = (
            f'<ofd:Signature {OFD}><ofd:SignedInfo><ofd:Provider ProviderName="{sealed_by}"/>'
            "<ofd:SignatureDateTime>20261126021900Z</ofd:SignatureDateTime></ofd:SignedInfo></ofd:Signature>"
        )
    return zipped(parts)


def pdf(*pages: str, signed: bool = False, password: bool = False) -> bytes:
    """Chinese in the predefined coding UniGB-UCS2-H, the font not embedded, as official programs write it."""
    kids = " ".join(f"{10 + 2 * n} 0 R" for n in range(len(pages)))
    objects = {
        1: "<</Type/Catalog/Pages 2 0 R"
        + ("/AcroForm<</Fields[6 0 R]/SigFlags 3>>" if signed else "")
        + ">>",
        2: f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        3: "<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UCS2-H/DescendantFonts[4 0 R]>>",
        4: "<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)"
        "/Supplement 2>>/FontDescriptor 5 0 R>>",
        5: "<</Type/FontDescriptor/FontName/STSong-Light/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0/Ascent 800"
        "/Descent -200/CapHeight 800/StemV 80>>",
    }
    if signed:
        objects[6] = "<</FT/Sig/T(s)/V 7 0 R/Type/Annot/Subtype/Widget/Rect[0 0 0 0]/P 10 0 R>>"
        objects[7] = (
            "<</Type/Sig/Filter/Adobe.PPKLite/M(D:20261126021900+08'00')/Contents<00>/ByteRange[0 1 2 1]>>"
        )
    for n, text in enumerate(pages):
        at = 10 + 2 * n
        content = f"BT /F1 12 Tf 50 700 Td <{text.encode('utf-16-be').hex()}> Tj ET"
        objects[at] = (f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {at + 1} 0 R"
                       "/Resources<</Font<</F1 3 0 R>>>>>>")  # fmt: skip
        objects[at + 1] = f"<</Length {len(content)}>>stream\n{content}\nendstream"
    more = ""
    if password:
        more = f"/Encrypt<</Filter/Standard/V 1/R 2/O<{'00' * 32}>/U<{'00' * 32}>/P -4>>/ID[<{'00' * 16}><{'00' * 16}>]"
    return _pdf(objects, more)


def _pdf(objects: Mapping[int, str], more: str) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {max(objects) + 1}\n".encode()
    for number in range(max(objects) + 1):
        used = number in places
        out += f"{places.get(number, 0):010} {0 if used else 65535:05} {'n' if used else 'f'} \n".encode()
    return (
        bytes(out)
        + f"trailer<</Size {max(objects) + 1}/Root 1 0 R{more}>>\nstartxref\n{start}\n%%EOF".encode()
    )


def ole(streams: Mapping[str, bytes]) -> bytes:
    """An OLE file of few streams (MS-CFB, version 3): each is filled up to 4 KB, so that none lies in the mini stream."""
    sector, filled = (
        512,
        {
            n: d.ljust(4096, b"\0").ljust(-(-max(len(d), 4096) // 512) * 512, b"\0")
            for n, d in streams.items()
        },
    )
    names = ["Root Entry", *filled]
    first = 1 + -(-len(names) // 4)
    fat = [0xFFFFFFFD, *range(2, first), 0xFFFFFFFE]
    entries, body = bytearray(), bytearray()
    for number, name in enumerate(names):
        data = filled.get(name, b"")
        start = len(fat) if data else 0xFFFFFFFE
        count = len(data) // sector
        fat += [*range(start + 1, start + count), 0xFFFFFFFE] if data else []
        raw = (name + "\0").encode("utf-16-le")
        right = number + 1 if 0 < number < len(names) - 1 else 0xFFFFFFFF
        child = 1 if number == 0 and len(names) > 1 else 0xFFFFFFFF
        entries += raw.ljust(64, b"\0") + struct.pack(
            "<HBBLLL", len(raw), 5 if number == 0 else 2, 1, 0xFFFFFFFF, right, child
        )
        entries += bytes(36) + struct.pack(
            "<LQ", start, len(streams.get(name, b"").ljust(4096, b"\0")) if data else 0
        )
        body += data
    directory = bytes(entries).ljust((first - 1) * sector, b"\0")
    table = b"".join(struct.pack("<L", n) for n in fat).ljust(sector, b"\xff")
    assert len(table) == sector
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
        + bytes(6)
    )
    head += struct.pack("<LLLLLLLLL", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0) + struct.pack("<L", 0)
    return head.ljust(sector, b"\xff") + table + directory + bytes(body)


def doc(text: str, *, encrypted: bool = False) -> bytes:
    """Word 97 to 2003 and WPS: one piece of UTF-16 (MS-DOC §2.4.1)."""
    main = bytearray(1024)
    struct.pack_into("<H", main, 0, 0xA5EC)
    struct.pack_into("<H", main, 10, 0x0200 | (0x0100 if encrypted else 0))
    words = text.encode("utf-16-le")
    clx = (
        b"\x02"
        + struct.pack("<L", 16)
        + struct.pack("<LL", 0, len(text))
        + struct.pack("<HLH", 0, len(main), 0)
    )
    struct.pack_into("<LL", main, 0x01A2, 0, len(clx))
    return ole({"WordDocument": bytes(main) + words, "1Table": clx})


def xls(title: str, cells: list[list[str | float]]) -> bytes:
    """Excel 97 to 2003 (BIFF8), labels and numbers only."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def words(text: str, length: str) -> bytes:
        return struct.pack(length, len(text)) + b"\x01" + text.encode("utf-16-le")

    sheet = record(0x0809, struct.pack("<HHHHLL", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0, 6))
    for r, row in enumerate(cells):
        for c, value in enumerate(row):
            place = struct.pack("<HHH", r, c, 0)
            sheet += (record(0x0204, place + words(value, "<H")) if isinstance(value, str)
                      else record(0x0203, place + struct.pack("<d", value)))  # fmt: skip
    sheet += record(0x000A, b"")
    head = record(0x0809, struct.pack("<HHHHLL", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0, 6))
    name = words(title, "<B")
    size = len(head) + 4 + 6 + len(name) + 4
    return ole(
        {"Workbook": head + record(0x0085, struct.pack("<LH", size, 0) + name) + record(0x000A, b"") + sheet}
    )
