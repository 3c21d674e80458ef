"""What an archive is said to hold: names as they were written, kinds by bytes, and no more unpacked than allowed."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import archive
from domain.errors import BadInput
from sandbox.pool import Pool
from tests import documents_kit as kit

NAME = "灾情/大坪村 报告（初报）.txt"
WORDS = "示例县大坪村三组".encode()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=20))
    yield opened
    opened.close()


def look(pool: Pool, data: bytes, name: str = "a.zip") -> dict[str, Any]:
    return dict(pool.run(archive.look, data, {"name": name}).value)


def names(found: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in found["entries"]]


def marks(found: dict[str, Any]) -> list[str]:
    return sorted({mark for entry in found["entries"] for mark in entry["marks"]})


def taped(*entries: tuple[str, bytes | str], form: int = tarfile.GNU_FORMAT, coding: str = "utf-8") -> bytes:
    """Bytes are a file, words a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding=coding) as tape:
        for name, data in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(data, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, data
                tape.addfile(entry)
            else:
                entry.size = len(data)
                tape.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("data", [
    kit.gbk_zip({NAME: WORDS}), kit.gbk_zip({NAME: WORDS}, coding="gb18030"),
    kit.gbk_zip({NAME: WORDS}, coding="utf-8", flags=0x800), kit.gbk_zip({NAME: WORDS}, coding="utf-8"),
    kit.gbk_zip({NAME: WORDS}, unicode_path=True), kit.zipped({NAME: WORDS}), b"MZ" + bytes(900) + kit.gbk_zip({NAME: WORDS}),
    taped((NAME, WORDS)), taped((NAME, WORDS), form=tarfile.PAX_FORMAT), taped((NAME, WORDS), coding="gbk"),
    gzip.compress(taped((NAME, WORDS))), bz2.compress(taped((NAME, WORDS))), lzma.compress(taped((NAME, WORDS))),
])  # fmt: skip
def test_a_chinese_name_is_read_as_it_was_written(pool: Pool, data: bytes) -> None:
    told = pool.run(
        archive.look, data, {"name": "a", "media_type": "application/zip" if data[:2] == b"MZ" else ""}
    )
    assert names(told.value) == [NAME]
    assert told.value["entries"][0]["size"] == len(WORDS)
    assert told.blobs == (WORDS,)


@pytest.mark.parametrize("name", ["通知.pdf", "通知/通知.doc"])
def test_two_letters_of_gbk_that_are_utf_8_by_chance_are_read_as_gbk(pool: Pool, name: str) -> None:
    name.encode("gbk").decode("utf-8")  # valid, and nonsense
    assert names(look(pool, kit.gbk_zip({name: WORDS}))) == [name]


def test_a_unicode_path_of_another_name_is_not_believed(pool: Pool) -> None:
    lie = kit.gbk_zip({"report.txt": WORDS}, unicode_path=True).replace(b"?" * 10, b"virus.exe!")
    assert names(look(pool, lie)) == ["virus.exe!"]


def test_one_packed_file_is_named_by_its_header_or_by_the_archive(pool: Pool) -> None:
    plain = gzip.compress(WORDS)
    named = plain[:3] + b"\x08" + plain[4:10] + NAME.encode("gbk") + b"\0" + plain[10:]
    assert names(look(pool, named, "x.gz")) == [NAME]
    assert names(look(pool, plain, "报告.txt.gz")) == ["报告.txt"]
    assert names(look(pool, lzma.compress(WORDS), "报告.txt.xz")) == ["报告.txt"]


def test_archives_are_opened_two_deep_and_a_third_is_named(pool: Pool) -> None:
    third = kit.zipped({"c.txt": WORDS})
    found = look(
        pool, kit.zipped({"b.zip": kit.zipped({"c.zip": third, "b.txt": WORDS}), "a.docx": kit.docx("词")})
    )
    assert names(found) == ["b.zip", "b.zip/c.zip", "b.zip/b.txt", "a.docx"]
    assert found["findings"] == ["archive_too_deep"]
    assert [d["path"] for d in found["documents"]] == ["b.zip/b.txt", "a.docx"]


def _with_link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        entry = zipfile.ZipInfo("link")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        made.writestr(entry, "/etc/passwd")
    return out.getvalue()


def _overlapping() -> bytes:
    """Fifield's: a hundred names for one kernel of data."""
    data = bytearray(kit.gbk_zip({f"{n:03}": bytes(100) for n in range(100)}))
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<L", data, at + 42, 0)
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


MARKED = {
    "a password": (lambda: kit.gbk_zip({"a.txt": WORDS}, flags=1), "archive_encrypted", "encrypted"),
    "a link": (_with_link, "archive_symlink", "symlink"),
    "a link on a tape": (lambda: taped(("link", "/etc/passwd")), "archive_symlink", "symlink"),
    "a path outside": (lambda: kit.zipped({"../../etc/cron.d/x": WORDS}), "archive_traversal", "traversal"),
    "a drive": (lambda: kit.gbk_zip({"C:\\windows\\x.txt": WORDS}), "archive_traversal", "traversal"),
    "a program by name": (lambda: kit.zipped({"通知.pdf.exe ": b"x"}), "archive_executable", "executable"),
    "a program by bytes": (lambda: kit.zipped({"通知.pdf": b"MZ" + bytes(100)}), "archive_executable", "executable"),
    "zeros": (lambda: kit.zipped({"zeros": bytes(20 << 20)}), "archive_bomb", "bomb"),
    "zeros in gzip": (lambda: gzip.compress(bytes(20 << 20)), "archive_bomb", "bomb"),
    "one kernel, many names": (_overlapping, "archive_bomb", "not_opened"),
    "a disk of zeros": (lambda: lzma.compress(bytes(200 << 20), preset=1), "archive_bomb", "not_opened"),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_what_is_wrong_with_an_entry_is_said_and_it_is_not_opened(pool: Pool, name: str) -> None:
    make, finding, mark = MARKED[name]
    found = look(pool, make())
    assert finding in found["findings"]
    assert mark in marks(found)


def test_a_thousand_names_are_listed_and_that_there_are_more_is_said(pool: Pool) -> None:
    found = look(pool, kit.zipped({f"{n}": b"" for n in range(1_500)}))
    assert len(found["entries"]) == 1_000
    assert found["findings"] == ["archive_many_entries"]


def test_a_directory_of_a_million_names_costs_no_more_than_a_thousand(pool: Pool) -> None:
    one = kit.gbk_zip({"a": b""})
    at, end = one.find(b"PK\1\2"), one.find(b"PK\5\6")
    line, count = one[at:end], 1_000_000
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFE, 0xFFFE, len(line) * count, at, 0)
    found = look(pool, one[:at] + line * count + tail)
    assert "archive_bomb" in found["findings"]  # a million names for one entry
    assert len(found["entries"]) == 1_000


def test_what_honest_archives_hold_is_found_without_a_mark(pool: Pool) -> None:
    found = look(
        pool, kit.zipped({"日志.csv": b"time,level\n" * 30_000, "图.png": b"\x89PNG\r\n\x1a\n" + bytes(60)})
    )
    assert (found["findings"], marks(found)) == ([], [])


UNLISTED = {
    "7-Zip": (b"7z\xbc\xaf'\x1c" + bytes(40), "archive_not_opened"),
    "no RAR": (b"Rar!\x1a\x07\x01\x00" + bytes(40), "archive_broken"),
    "no ZIP": (b"PK\3\4" + bytes(40), "archive_broken"),
}


@pytest.mark.parametrize("name", UNLISTED)
def test_what_cannot_be_listed_says_so(pool: Pool, name: str) -> None:
    data, code = UNLISTED[name]
    with pytest.raises(BadInput) as refused:
        look(pool, data)
    assert refused.value.code == code


def _rar(name: str, data: bytes) -> bytes:
    """RAR 5.0 archive format: vints below 128 are one byte; each header bears the CRC of its size and body."""

    def header(body: bytes) -> bytes:
        sized = bytes([len(body)]) + body
        return zlib.crc32(sized).to_bytes(4, "little") + sized

    raw = name.encode()
    file = (
        bytes([2, 2, len(data), 4, len(data), 0])
        + zlib.crc32(data).to_bytes(4, "little")
        + bytes([0, 0, len(raw)])
        + raw
    )
    return b"Rar!\x1a\x07\x01\x00" + header(bytes([1, 0, 0])) + header(file) + data + header(bytes([5, 0, 0]))


def test_the_names_in_a_rar_are_listed_and_nothing_of_it_is_opened(pool: Pool) -> None:
    found = look(pool, _rar("灾情/报告.exe", b"MZ"), "a.rar")
    assert [(e["name"], e["size"], e["marks"]) for e in found["entries"]] == [
        ("灾情/报告.exe", 2, ["executable", "not_opened"])
    ]
    assert found["findings"] == ["archive_not_opened", "archive_executable"]


MAKERS: dict[str, Callable[[], bytes]] = {
    "zip": lambda: kit.zipped({NAME: WORDS, "in.zip": kit.zipped({"x.docx": kit.docx("词")})}),
    "gbk": lambda: kit.gbk_zip({NAME: WORDS, "b": b"c"}, unicode_path=True),
    "tar": lambda: taped((NAME, WORDS), ("link", "x")), "pax": lambda: taped((NAME * 20, WORDS), form=tarfile.PAX_FORMAT),
    "gz": lambda: gzip.compress(taped((NAME, WORDS))), "xz": lambda: lzma.compress(WORDS), "bz2": lambda: bz2.compress(WORDS),
}  # fmt: skip
_MADE = {name: make() for name, make in MAKERS.items()}


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(sorted(_MADE)), at=st.floats(0, 1), junk=st.binary(max_size=30), is_cut=st.booleans()
)
def test_a_damaged_archive_is_listed_or_refused_and_never_costs_the_child(kind, at, junk, is_cut) -> None:
    data = _MADE[kind]
    place = int(at * len(data))
    broken = data[:place] + junk + (b"" if is_cut else data[place + len(junk) :])
    try:
        told, _ = archive.look(broken, {"name": "x"})
    except BadInput as error:
        assert error.code.startswith("archive_")
    else:
        assert len(told["entries"]) <= 1_000
