"""Files by content: the table of magic, and the parser that the doors call."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from PIL import Image

from channels.codecs import files
from channels.codecs.files import UNKNOWN, sniff
from sandbox.pool import Pool


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
DOCUMENT = "application/vnd.openxmlformats-officedocument."


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (picture("JPEG"), "image/jpeg"),
        (picture("PNG"), "image/png"),
        (picture("GIF"), "image/gif"),
        (picture("WEBP"), "image/webp"),
        (picture("TIFF"), "image/tiff"),
        (picture("BMP"), "image/bmp"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "image/heic"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x18ftyp3gp4\0\0\0\0", "video/3gpp"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0", "video/quicktime"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/mp4"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\0\0scanner\r\n%PDF-1.4\n", "application/pdf"),
        (b"\0" + b"x" * 1_024 + b"%PDF-1.4\n", UNKNOWN),
        (b"ID3\x03\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(100), "audio/mpeg"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"\x02#!SILK_V3", "audio/silk"),
        (b"OggS\0\2", "audio/ogg"),
        (zipped("a.txt"), "application/zip"),
        (zipped("[Content_Types].xml", "word/document.xml"), DOCUMENT + "wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), DOCUMENT + "spreadsheetml.sheet"),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), DOCUMENT + "presentationml.presentation"),
        (zipped("OFD.xml", "Doc_0/Document.xml"), "application/ofd"),
        (OLE + "WordDocument".encode("utf-16-le"), "application/msword"),
        (OLE + "Workbook".encode("utf-16-le"), "application/vnd.ms-excel"),
        (OLE + "__properties_version1.0".encode("utf-16-le"), "application/vnd.ms-outlook"),
        (OLE, "application/x-ole-storage"),
        (b"Rar!\x1a\x07\0", "application/vnd.rar"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", "text/calendar"),
        (b"BEGIN:VCARD\r\n", "text/vcard"),
        (b"From: a@b.cn\r\nSubject: x\r\n\r\ny", "message/rfc822"),
        (b"<!DOCTYPE html><p>x", "text/html"),
        (b"\xef\xbb\xbf  <html>", "text/html"),
        (b"<?xml version='1.0'?><svg xmlns='x'><script/></svg>", "image/svg+xml"),
        (b"<?xml version='1.0'?><alert xmlns='urn:x'/>", "application/xml"),
        ("现场情况".encode("gb18030"), "text/plain"),
        ("现场情况".encode(), "text/plain"),
        ("现场情况".encode("utf-16"), "text/plain"),
        (b"Note: only one field\n", "text/plain"),
        (b"MZ" + bytes(100), "application/vnd.microsoft.portable-executable"),
        (b"\0\1\2\3", UNKNOWN),
        (b"", UNKNOWN),
        (b"P", "text/plain"),
    ],
)
def test_a_file_is_what_its_bytes_say(data: bytes, media_type: str) -> None:
    assert sniff(data) == media_type
    for cut in range(min(len(data), 40)):
        assert sniff(data[:cut])


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_doors_learn_type_and_position_through_the_sandbox(pool: Pool, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "S", (30.0, 15.0, 36.0), "W", (120.0, 9.0, 18.5)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, exif=exif)
    value = pool.run(files.inspect, file.getvalue()).value
    assert value["media_type"] == f"image/{kind.lower()}"
    assert value["size"] == len(file.getvalue())
    assert value["exif"] == {"lat": -30.26, "lon": -120.155139}
    assert pool.run(files.inspect, file.getvalue(), {"without_exif": True}).value["exif"] == {}


def test_a_block_inside_heic_is_found_without_decoding_it(pool: Pool) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2026:11:23 08:00:00"
    data = b"\0\0\0\x18ftypheic" + bytes(5_000) + exif.tobytes()
    assert pool.run(files.inspect, data).value["exif"] == {"time": "2026-11-23T08:00:00"}


@pytest.mark.parametrize("latitude", [(999.0, 0.0, 0.0), (1.0,), (0.0, 0.0, 0.0)])
def test_a_position_that_is_none_is_not_given(pool: Pool, latitude: object) -> None:
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", latitude, "E", (0.0, 0.0, 0.0)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    assert pool.run(files.inspect, file.getvalue()).value["exif"] == {}


def test_h26_a_picture_of_a_billion_pixels_costs_nothing(pool: Pool) -> None:
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")
    value = pool.run(files.inspect, file.getvalue()).value
    assert value == {
        "media_type": "image/png",
        "size": len(file.getvalue()),
        "pixels": [30_000, 30_000],
        "is_huge": True,
        "exif": {},
    }
