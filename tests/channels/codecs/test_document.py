"""The words of documents as offices send them, in the sandbox they are read in; what is not read says why."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import archive, document
from domain.errors import BadInput
from sandbox.pool import Pool
from tests import documents_kit as kit

LINE, SECOND = "示例县大坪村三组发生山体滑坡", "埋压2人，联系人张三"
MADE = {
    "docx": kit.docx(LINE, SECOND),
    "pptx": kit.pptx(LINE, SECOND),
    "ofd": kit.ofd(LINE, SECOND),
    "pdf": kit.pdf(LINE, SECOND),
    "doc": kit.doc(f"{LINE}\r{SECOND}\r"),
    "xls": kit.xls("报表", [[LINE, 2.0], [SECOND]]),
    "xlsx": kit.xlsx("报表", [[LINE, 2], [SECOND]]),
    "rtf": b"{\\rtf1\\ansi\\ansicpg936{\\fonttbl{\\f0 SimSun;}}\\f0 "
    + "".join(f"\\'{b:02x}" for b in LINE.encode("gbk")).encode() + b"\\par "
    + "".join(f"\\u{ord(c)}?" for c in SECOND).encode() + b"\\par}",
    "txt": f"{LINE}\r\n{SECOND}".encode("gb18030"),
    "odt": kit.odt(LINE, SECOND),
    "xml": f'<?xml version="1.0"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml"><w:body>'
    f"<w:p><w:r><w:t>{LINE[:5]}</w:t></w:r><w:r><w:t>{LINE[5:]}</w:t></w:r></w:p><w:binData>{'QUJD' * 100}</w:binData>"
    f"<w:p><w:r><w:t>{SECOND}</w:t></w:r></w:p></w:body></w:wordDocument>".encode(),
    "html": f"<html><meta charset=gbk><p>{LINE}<p>{SECOND}</html>".encode("gbk"),
}  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=20))
    yield opened
    opened.close()


def read(pool: Pool, data: bytes) -> dict[str, Any]:
    """The first document of a file, as the scanner reads it."""
    told = pool.run(archive.look, data, {"name": "file"})
    (found,) = told.value["documents"]
    return dict(pool.run(document.read, data, {"media_type": found["media_type"]}).value)


@pytest.mark.parametrize("kind", MADE)
def test_the_words_of_a_document_are_read_line_by_line(pool: Pool, kind: str) -> None:
    found = read(pool, MADE[kind])
    lines = [line.split("\t")[0] for line in found["text"].splitlines() if line and not line.startswith("【")]
    assert lines == [LINE, SECOND]
    assert found["tool"]
    assert found["reason"] == ""


def test_a_pdf_behind_what_a_scanner_put_before_it_is_read(pool: Pool) -> None:
    assert LINE in read(pool, b"\0\0scanner\r\n" + MADE["pdf"])["text"]


@pytest.mark.parametrize("page", [b"93", b"10008", b"9999999"])
def test_the_words_of_an_rtf_of_an_unknown_code_page_are_guessed(pool: Pool, page: bytes) -> None:
    assert LINE in read(pool, MADE["rtf"].replace(b"ansicpg936", b"ansicpg" + page))["text"]


def test_an_alert_that_came_as_a_file_gives_its_words_and_not_its_files(pool: Pool) -> None:
    alert = (
        '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a1</identifier><!-- x --><info>'
        f"<headline>{LINE}</headline><resource><derefUri>QUJD</derefUri></resource></info></alert>"
    )
    assert read(pool, f"<?xml version='1.0'?>{alert}".encode())["text"].splitlines() == ["a1", LINE]


def test_xml_inside_an_archive_takes_no_place_of_a_document(pool: Pool) -> None:
    entries = {f"{n}.xml": b"<?xml version='1.0'?><a>x</a>" for n in range(30)} | {
        "report.docx": MADE["docx"]
    }
    (found,) = pool.run(archive.look, kit.zipped(entries), {"name": "a.zip"}).value["documents"]
    assert found["path"] == "report.docx"


def test_a_table_is_rows_and_cells_and_what_was_deleted_is_not_said(pool: Pool) -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = [
        f"<w:tr>{cell.format(what)}{cell.format(count)}</w:tr>" for what, count in (("死亡", 2), ("失联", 1))
    ]
    more = (f"<w:tbl>{''.join(rows)}</w:tbl>"
            "<w:p><w:del><w:r><w:delText>删去的话</w:delText></w:r></w:del></w:p>")  # fmt: skip
    assert read(pool, kit.docx(LINE, more=more))["text"] == f"{LINE}\n死亡\t2\n失联\t1"


def test_days_of_a_workbook_are_dates(pool: Pool) -> None:
    found = read(pool, kit.xlsx("表", [["时间", 46352], ["人数", "3"], [7, 0.5]], dated=1))
    assert found["text"] == "【表】\n时间\t2026-11-26\n人数\t3\n7\t12:00"


@pytest.mark.parametrize(("data", "kind", "by"), [(kit.ofd(LINE, sealed_by="示例县人民政府"), "ofd_seal", "示例县人民政府"),
                         (kit.pdf(LINE, signed=True), "pdf_signature", ""),
                         (kit.docx(LINE, **{"_xmlsignatures/sig1.xml": "<s/>"}), "office_signature", "")])  # fmt: skip
def test_a_seal_is_said_to_be_there_and_never_to_be_genuine(
    pool: Pool, data: bytes, kind: str, by: str
) -> None:
    found = read(pool, data)
    assert [(s["kind"], s["by"]) for s in found["seals"]] == [(kind, by)]
    assert set(found["seals"][0]) == {"kind", "by", "at"}
    assert LINE in found["text"]


REFUSED = {
    "a password on a PDF": (kit.pdf(LINE, password=True), "document_encrypted"),
    "a password on a DOCX": (kit.ole({"EncryptedPackage": b"x"}), "document_encrypted"),
    "a password on a DOC": (kit.doc(LINE, encrypted=True), "document_encrypted"),
    "slides of 2003": (kit.ole({"PowerPoint Document": b"x"}), "document_old"),
    "a cut PDF": (b"%PDF-1.7\nnothing", "document_broken"),
    "a DOCX without a body": (kit.zipped({"[Content_Types].xml": "<T/>", "word/x.xml": "<x/>"}), "document_broken"),
    "a bomb in a DOCX": (kit.zipped({"[Content_Types].xml": "<T/>", "word/document.xml": bytes(64 << 20)}), "document_bomb"),
    "a bomb in an OFD": (kit.zipped({"OFD.xml": b"<a/>" * (8 << 20)}), "document_bomb"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_says_why(pool: Pool, name: str) -> None:
    data, code = REFUSED[name]
    with pytest.raises(BadInput) as refused:
        read(pool, data)
    assert refused.value.code == code


def test_a_scan_without_words_is_told_to_be_pictures(pool: Pool) -> None:
    assert read(pool, kit.pdf(""))["reason"] == "pictures_only"


def test_an_entity_in_a_document_is_not_expanded(pool: Pool) -> None:
    body = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document><w:p><w:t>&e;</w:t></w:p></w:document>'
    data = kit.zipped({"[Content_Types].xml": "<T/>", "word/document.xml": body})
    assert read(pool, data)["reason"] == "no_text"


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(MADE)), at=st.floats(0, 1), junk=st.binary(max_size=40), is_cut=st.booleans()
)
def test_a_damaged_document_is_read_or_refused_and_never_costs_the_child(
    kind, at, junk, is_cut, pool_of_all
) -> None:
    data = MADE[kind]
    place = int(at * len(data))
    broken = data[:place] + junk + (b"" if is_cut else data[place + len(junk) :])
    try:
        told = pool_of_all.run(archive.look, broken, {"name": "x"})
        for one in told.value["documents"]:
            if "blob" in one:
                content = broken if one["blob"] < 0 else told.blobs[one["blob"]]
                pool_of_all.run(document.read, content, {"media_type": one["media_type"]})
    except BadInput as error:
        assert error.code.startswith(("document_", "archive_"))


@pytest.fixture(scope="module")
def pool_of_all() -> Iterator[Pool]:
    opened = Pool(wall=timedelta(seconds=20))
    yield opened
    opened.close()
