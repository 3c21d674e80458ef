"""What the files of a report hold, on its page: escaped, with what is wrong first, and 'not scanned' where it was not."""

from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest

from domain.person import Role
from store import scans
from tests import documents_kit as kit
from tests.web.api_world import World, world
from tests.web.console_browser import add_person, bring, enter

CANARY = "<script>alert(1)</script>"


@pytest.fixture
def quick(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        yield made


def _mail(name: str, data: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.cn", "d@e.cn", "x"
    mail.set_content("详见附件")
    mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def _scan_all(quick: World) -> None:
    for row in quick.hub.store.read(lambda u: scans.due(u, quick.clock())):
        quick.hub.jobs.scan_file(row)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_says_what_an_attachment_holds_and_shows_no_byte_of_it_as_markup(
    quick: World, language: str
) -> None:
    inside = {
        f"{CANARY}.docx": kit.docx(f"大坪村{CANARY}"),
        "../x.exe": b"MZ",
        "公文.ofd": kit.ofd("通知", sealed_by="示例县政府"),
    }
    add_person(quick, "officer1", Role.OFFICER)
    report = bring(quick, "email", _mail("a.zip", kit.gbk_zip(inside)), "message/rfc822")
    browser = enter(quick, "officer1")
    if language == "en":
        browser.get("/console?lang=en")
    page = browser.get(f"/console/reports/{report}").text
    assert ("尚未检查" if language == "zh" else "Not scanned yet") in page
    _scan_all(quick)
    page = browser.get(f"/console/reports/{report}").text
    assert CANARY not in page
    assert "&lt;script&gt;" in page
    for word in (("越界路径", "可执行", "示例县政府", "未核验", "读出的文字") if language == "zh" else
                 ("outside path", "program", "示例县政府", "not verified", "Text that was read")):  # fmt: skip
        assert word in page, word


def test_mails_and_messages_inside_a_mail_are_read_with_their_documents(quick: World) -> None:
    inner = _mail("报告.docx", kit.docx("大坪村三组滑坡"))
    outer = EmailMessage()
    outer["From"], outer["To"] = "a@b.cn", "d@e.cn"
    outer.set_content("转发")
    outer.add_attachment(message_from_bytes(inner))
    report = bring(quick, "email", outer.as_bytes(), "message/rfc822")
    _scan_all(quick)
    texts = quick.hub.store.read(lambda u: scans.texts(u, report))
    assert any("详见附件" in text for text in texts)
    assert "大坪村三组滑坡" in texts


UNREAD = {
    "cut.pdf": kit.pdf("大坪村")[:200],
    "locked.pdf": kit.pdf("大坪村", password=True),
    "cut.docx": kit.docx("大坪村")[:-60],
    "inside.eml": b"From: a@b.cn\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n" + "大坪村".encode(),
    "empty.eml": b"From: a@b.cn\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n",
    "locked.zip": kit.zipped({"a.pdf": kit.pdf("大坪村", password=True)}),
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_file_that_cannot_be_read_closes_no_page(quick: World, name: str) -> None:
    add_person(quick, "officer1", Role.OFFICER)
    report = bring(quick, "email", _mail(name, UNREAD[name]), "message/rfc822")
    _scan_all(quick)
    page = enter(quick, "officer1").get(f"/console/reports/{report}")
    assert page.status_code == 200
    assert name in page.text
