"""Every real mail through the real SMTP door into the queue: kept byte for byte, filed, read right."""

import csv
import email
import email.message
import re
import unicodedata
from pathlib import Path

import pytest

from channels.codecs.charsets import ALIASES
from domain.report import Report
from tests.corpus.mail_hub import MailHub, is_open


@pytest.fixture(scope="module")
def rows(corpora: Path) -> list[dict[str, str]]:
    found = list(csv.DictReader((corpora / "INDEX-email.csv").open(encoding="utf-8")))
    assert len(found) >= 300
    return found


@pytest.fixture(scope="module")
def filed(rows: list[dict[str, str]], corpora: Path, mails: MailHub) -> dict[str, Report]:
    """Path in the corpus -> the report that came of it."""
    line = mails.line()
    codes = {row["path"]: mails.send((corpora / row["path"]).read_bytes(), line=line) for row in rows}
    line.close()
    mails.file()
    return {path: report for path, code in codes.items() if (report := mails.found(code))}


def test_every_mail_is_filed_and_its_original_comes_back_byte_for_byte(
    rows: list[dict[str, str]], corpora: Path, hub_of_each_store: MailHub
) -> None:
    hub = hub_of_each_store
    line = hub.line()
    codes = {row["path"]: hub.send((corpora / row["path"]).read_bytes(), line=line) for row in rows}
    line.close()
    hub.file()
    shelved = {origin: reason for _, reason, origin in hub.shelf()}
    for path, code in codes.items():
        assert hub.original(code) == hub.sent[code], path
        report = hub.found(code)
        assert report is not None, f"{path} is nowhere"
        if "unparsed" in report.content.findings:
            assert shelved[report.id], path
    assert is_open(hub)


def test_no_mail_of_the_corpus_is_too_hard_to_read(
    filed: dict[str, Report], rows: list[dict[str, str]]
) -> None:
    assert len(filed) == len(rows)
    assert [path for path, report in filed.items() if "unparsed" in report.content.findings] == []


def _first_text(mail: email.message.Message) -> email.message.Message | None:
    for part in mail.walk():
        if part.get_content_type() == "message/rfc822":
            return None
        if part.get_content_type() == "text/plain" and part.get_content_disposition() != "attachment":
            return part
    return None


def _letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", text) if c.isprintable() and not c.isspace())


_STUB = re.compile(r"html capable", re.IGNORECASE)  # "use another program": no words of the mail


def _by_the_library(raw: bytes) -> str:
    """What Python's own parser reads as the first words of a mail, where it reads them without any doubt.

    Up to the files that stand inside in uuencode, which it takes for words.
    """
    try:
        part = _first_text(email.message_from_bytes(raw))
        if part is None or part.defects or part.get_filename():
            return ""
        charset = str(part.get_content_charset("ascii"))
        data = part.get_payload(decode=True)
        text = data.decode(ALIASES.get(charset, charset) or "ascii") if isinstance(data, bytes) else ""
        return "" if _STUB.search(text) else text.partition("\nbegin 6")[0]
    except (LookupError, UnicodeError, ValueError, AttributeError):
        return ""


def test_where_the_standard_library_has_no_doubt_it_reads_the_same_words(
    filed: dict[str, Report], corpora: Path
) -> None:
    compared, different = 0, []
    for path, report in filed.items():
        said = _letters(_by_the_library((corpora / path).read_bytes()))
        if len(said) >= 10:
            compared += 1
            if said[:2_000] not in _letters(report.content.text):
                different.append(path)
    assert compared > 150
    assert different == []


REPORTED = (
    "报告：11月23日8时，滨江县青龙镇发生危化品泄漏，已疏散群众120人，无人员伤亡。联系人：张三 13800000000"
)
# Subject, name of the sender, where the text begins, names of files; read from the bytes by hand.
CHINESE: dict[str, tuple[str, str, str, list[str]]] = {
    "made_here/zh_01.eml": (
        "突发事件报告（初报）",
        "滨江县应急局",
        "报告：𠮷林镇㙍村、䶮家湾发生山体滑坡，伤者叶㛃、王𬭎2人。",
        [],
    ),
    "made_here/zh_03.eml": ("镕喆洪水报告", "陶喆", "报告人：陶喆、朱镕。青龙镇洪水。", []),
    "made_here/zh_05.eml": ("洪水险情5", "青龙镇", REPORTED, []),
    "made_here/zh_07.eml": ("关于青龙镇危化品泄漏事件的紧急报告续报二", "", REPORTED, []),
    "made_here/zh_09.eml": ("颱風警報", "值班室", "颱風將至，請注意防範。第9報", []),
    "made_here/zh_11.eml": ("洪水报告", "", REPORTED, []),
    "made_here/zh_13.eml": ("附件：事件报告", "", REPORTED, ["事故报告（初报）.docx"]),
    "made_here/zh_15.eml": ("附件：事件报告", "", REPORTED, ["事故报告（初报）.docx"]),
    "made_here/zh_17.eml": ("自动回复：您的报告已收到", "", "我正在休假。", []),
    "made_here/zh_19.eml": ("系统退信", "", "抱歉，您的邮件被退回来了。收件人不存在 550 User not found", []),
    "SpamScope__mail-parser/mail_test_12.eml": (
        "代开各地增值税发票",
        "张先生",
        "你好！我公司可代开各类增值税发票，17%专用发票",
        [],
    ),
    "SpamScope__mail-parser/mail_test_9.eml": (
        "我把镜头拉近些，",
        "xwfcpggy",
        "http://go2buy.com.cn/ 9065",
        [],
    ),
    "Webklex__php-imap/gbk_charset.eml": ("Nuu", "", "Hi", []),
    "Webklex__php-imap/ks_c_5601-1987_headers.eml": (
        "RE: 회원님께 Ersi님이 메시지를 보냈습니다.",
        "김 현진",
        "Content",
        [],
    ),
    "Webklex__php-imap/issue-410.eml": (
        "☆第132号 「ガーデン&エクステリア」専門店のためのＱ&Ａサロン 【月刊エクステリア・ワーク】",
        "",
        "Hi!",
        ["☆第132号 「ガーデン&エクステリア」専門店のためのＱ&Ａサロン 【月刊エクステリア・ワーク】"],
    ),
    "jstedfast__MimeKit/messages_japanese.txt.eml": (
        "日本語メールテスト (testing Japanese emails)",
        "Atsushi Eno",
        "Let's see",
        [],
    ),
    "php-mime-mail-parser__php-mime-mail-parser/failure.eml": (
        "",
        "",
        "次の受信者またはグループへの配信に失敗しました:",
        [],
    ),
    "php-mime-mail-parser__php-mime-mail-parser/m0018.eml": (
        "[Korea] Name",
        "",
        "My traveling companions!",
        ["사진.JPG", "ATT00001.txt"],
    ),
    "sisimai__set-of-emails_shared/lhost-kddi-01.eml": (
        "メールエラー通知",
        "",
        "送信先のメールボックスが一杯のため",
        ["猫ちゃん.eml"],
    ),
    "stalwartlabs__mail-parser/thirdparty_010.eml": ("こんにちは", "", "人権の無視及", []),
    "HiraokaHyperTools__msgreader/newOutlook_Microsoft_Outlook_test.msg": (
        "Microsoft Outlook テスト メッセージ",
        "",
        "この電子メール メッセージは、アカウントの設定のテスト中に",
        ["attachment-1.msg"],
    ),
}


@pytest.mark.parametrize("name", CHINESE)
def test_an_officer_reads_what_the_sender_wrote(filed: dict[str, Report], name: str) -> None:
    found = filed[f"email/{name}"].content
    subject, sender, text, files = CHINESE[name]
    assert found.first("subject").startswith(subject)
    assert found.first("name") == sender
    assert found.text.startswith(text)
    assert [a.name for a in found.attachments] == files
    assert found.language in ("zh", "ja", "ko", "en", "und")
