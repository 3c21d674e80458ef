"""Inputs that are small outside and endless inside, and the parsers they are given to."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from email import message_from_bytes, policy
from typing import Any

from jinja2.sandbox import SandboxedEnvironment
from lxml import etree

Answer = tuple[dict[str, Any], list[bytes]]


def stock_mail(data: bytes, _options: Mapping[str, Any]) -> Answer:
    """The library's own way, which ours avoids: quadratic in encoded words (finding 6)."""
    message = message_from_bytes(data, policy=policy.default)
    return {"subject": len(str(message["Subject"])), "to": len(str(message["To"]))}, []


def template(data: bytes, _options: Mapping[str, Any]) -> Answer:
    """A template in jinja2's sandbox, which stops attributes and neither memory nor time (finding 9)."""
    return {"size": len(SandboxedEnvironment().from_string(data.decode()).render())}, []


def tree(data: bytes, _options: Mapping[str, Any]) -> Answer:
    """XML with every guard of the library off."""
    parser = etree.XMLParser(huge_tree=True, resolve_entities=True, load_dtd=True)
    return {"size": len(etree.tostring(etree.fromstring(data, parser)))}, []


def unzip(data: bytes, _options: Mapping[str, Any]) -> Answer:
    """All members at once."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {"size": sum(len(archive.read(name)) for name in archive.namelist())}, []


def inflate(data: bytes, _options: Mapping[str, Any]) -> Answer:
    """The pixels of a PNG."""
    return {"size": len(zlib.decompress(data[data.index(b"IDAT") + 4 : -16]))}, []


def zip_bomb() -> bytes:
    """2 MB that are 2 GB."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as f,
    ):
        block = bytes(16 << 20)
        for _ in range(128):
            f.write(block)
    return out.getvalue()


def png_bomb() -> bytes:
    """30,000 x 30,000 pixels of nothing: 2.7 GB."""
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(90_001 * 100)) for _ in range(300)) + squeeze.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def laughs() -> bytes:
    """Ten entities of ten of the one before."""
    names = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE a [<!ENTITY l0 "lol">{names}]><a>&l9;</a>'.encode()


def subject_of(words: int) -> bytes:
    """A subject of encoded words."""
    return b"From: a@example.org\r\nSubject: " + b" ".join([b"=?utf-8?q?ab?="] * words) + b"\r\n\r\nx\r\n"


def nested(depth: int) -> bytes:
    """Mail in mail in mail."""
    parts = [f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n".encode() for n in range(depth)]
    return b"From: a@example.org\r\nMIME-Version: 1.0\r\n" + b"".join(parts) + b"\r\nx\r\n"


def wide(parts: int) -> bytes:
    """Many small parts."""
    return (
        b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * parts + b"--b--\r\n"
    )  # fmt: skip
