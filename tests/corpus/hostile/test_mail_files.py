"""What hangs on a mail and means harm: protected words, bombs in archives, names (H14, H15, H18)."""

import base64
import gzip
import io
import re
import resource
import stat
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest

from tests.corpus.mail_hub import MailHub, open_door
from tests.web.api_world import World, world

HEAD = b"From: caller@example.cn\r\nTo: duty@example.cn\r\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40)


def part(kind: bytes, data: bytes, disposition: bytes = b"") -> bytes:
    return (
        b"Content-Type: " + kind + b"\r\n" + disposition + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
    )  # fmt: skip


WORDLESS = {
    "winmail.dat": (part(b"application/ms-tnef; name=winmail.dat", b"\x78\x9f\x3e\x22\x01\x00"), ""),
    "S/MIME": (
        part(b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", b"0\x80\x06\x09"),
        "encrypted",
    ),
    "PGP": (
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n--b\r\n'
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream"
        b"\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n--b--\r\n",
        "encrypted",
    ),
    "a picture only": (part(b"image/png; name=photo.png", PNG), ""),
    "a calendar": (part(b"text/calendar; method=REQUEST", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), ""),
    "nothing at all": (b"\r\n\r\n", ""),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_h14_a_mail_without_words_is_filed_with_its_files_and_says_so(mails: MailHub, name: str) -> None:
    body, finding = WORDLESS[name]
    report = mails.report(HEAD + b"Subject: " + name.encode() + b"\r\n" + body)
    found = report.content
    assert "no_readable_text" in found.findings
    assert (found.text, found.first("subject")) == ("", name)
    assert not finding or finding in found.findings
    assert bool(found.attachments) is (name != "nothing at all")


def zipped(*entries: tuple[str, bytes], link: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in entries:
            archive.writestr(name, data)
        if link:
            entry = zipfile.ZipInfo("link")
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, link)
    return out.getvalue()


CASES = [
    "1:1026",
    "42.zip",
    "a sheet",
    "a document",
    "a gzip header",
    "a symbolic link",
    "1,000,000,000 claimed",
]


@lru_cache
def archives() -> dict[str, tuple[str, bytes]]:
    """Name of the case -> name of the file, bytes; each unfolds to hundreds of megabytes."""
    zeros = zipped(("zeros", bytes(64 << 20)))
    within = zeros
    for depth in range(4):
        within = zipped(*((f"{depth}-{n}.zip", within) for n in range(16)))
    sheet = zipped(("[Content_Types].xml", b"<Types/>"), ("xl/worksheets/sheet1.xml", b"<r/>" * (16 << 20)))
    text = zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", bytes(64 << 20)))
    header = gzip.compress(b"x")
    long_name = header[:3] + b"\x08" + header[4:10] + b"n" * 1_000_000 + b"\0" + header[10:]
    return {
        "1:1026": ("zeros.zip", zeros),
        "42.zip": ("42.zip", within),
        "a sheet": ("bomb.xlsx", sheet),
        "a document": ("bomb.docx", text),
        "a gzip header": ("bomb.gz", long_name),
        "a symbolic link": ("link.zip", zipped(link="/etc/passwd")),
        "1,000,000,000 claimed": (
            "liar.zip",
            zeros.replace((64 << 20).to_bytes(4, "little"), b"\xff\xff\xff\x7f"),
        ),
    }


@pytest.mark.parametrize("name", CASES)
def test_h15_an_archive_is_kept_as_it_came_and_opened_by_nobody(mails: MailHub, name: str) -> None:
    file, data = archives()[name]
    stored = sum(f.stat().st_size for f in (mails.hub.settings.data_dir / "blobs").rglob("*") if f.is_file())
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    body = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee file\r\n--b\r\n" + part(
        b"application/octet-stream",
        data,
        b'Content-Disposition: attachment; filename="' + file.encode() + b'"\r\n',
    )
    raw = HEAD + b"Subject: " + name.encode() + b"\r\n" + body + b"--b--\r\n"
    report = mails.report(raw)
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # KB, door and hub in one
    assert report.content.text == "see file"
    assert mails.attachment(report, file) == data
    now = sum(f.stat().st_size for f in (mails.hub.settings.data_dir / "blobs").rglob("*") if f.is_file())
    assert now - stored <= len(data) + len(raw) + 4_096  # the file, the original, and nothing from inside


NAMES = {  # as the sender wrote it -> as an officer sees it
    "../../etc/x": "x",
    "C:\\windows\\system32\\a.exe": "a.exe",
    "a\0.exe": "a.exe",
    "報告\u202egpj.exe": "報告gpj.exe",
    "報告\u2066gpj.exe\u2069": "報告gpj.exe",
    ".htaccess": ".htaccess",
    "a\r\nSet-Cookie: x.txt": "aSet-Cookie: x.txt",
    '"><script>alert(1)</script>.txt': "script>.txt",
    "..": "attachment-1.png",
    "n" * 5_000 + ".png": "n" * 196 + ".png",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, MailHub]]:
    """A hub with its pages and its mail door."""
    with (
        world(tmp_path_factory.mktemp("desk") / "data", datetime.now(UTC)) as made,
        open_door(made.hub) as door,
    ):
        yield made, door


@pytest.mark.parametrize("name", NAMES)
def test_h18_a_name_is_shown_harmless_stored_by_digest_and_given_back_as_a_download(
    desk: tuple[World, MailHub], name: str
) -> None:
    made, door = desk
    coded = b"=?utf-8?B?" + base64.b64encode(name.encode()) + b"?="
    number = list(NAMES).index(name)
    picture = PNG + bytes([number])
    raw = (
        HEAD
        + b"Subject: h18 %d\r\n" % number
        + part(b"image/png", picture, b'Content-Disposition: attachment;\r\n filename="' + coded + b'"\r\n')
    )
    code = door.send(raw)
    for inbound in door.due():
        made.hub.filing.file(inbound)
    report = door.found(code)
    assert report is not None
    (file,) = report.content.attachments
    assert file.name == NAMES[name]
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    kept = [f.name for f in Path(made.hub.settings.data_dir).rglob("*") if f.is_file()]
    assert not [one for one in kept if "htaccess" in one or "exe" in one or "script" in one]
    back = made.get("officer", f"/v1/reports/{report.id}/attachments/{file.sha256}")
    assert back.content == picture
    assert re.fullmatch(
        r"attachment; filename=\"[\x20-\x7e]{1,120}\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+",
        back.headers["content-disposition"],
    )
    assert back.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in back.headers["content-security-policy"]
