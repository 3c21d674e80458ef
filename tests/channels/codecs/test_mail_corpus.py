"""Real mails through the real sandbox: every one is read, and these are read exactly so."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.codecs import mail
from sandbox.pool import Pool, Result
from tests.corpora import corpora as real_files


@pytest.fixture(scope="module")
def corpus() -> Path:
    return real_files()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool(size=2)
    yield pool
    pool.close()


def read(pool: Pool, path: Path, **options: str) -> Result:
    return pool.run(mail.read, path.read_bytes(), options)


KEYS = {
    *("subject", "from_name", "from_address", "to", "date", "message_id", "in_reply_to", "references"),
    *("text", "html_sanitised", "attachments", "findings"),
}


def test_every_mail_of_the_corpus_is_read_and_none_is_refused(corpus: Path, pool: Pool) -> None:
    rows = list(csv.DictReader((corpus / "INDEX-email.csv").open(encoding="utf-8")))
    assert len(rows) >= 300
    for row in rows:
        result = read(pool, corpus / row["path"])
        assert set(result.value) == KEYS, row["path"]
        assert "unparsed" not in result.value["findings"], row["path"]
        assert [a["blob"] for a in result.value["attachments"]] == list(range(len(result.blobs)))
        for attachment in result.value["attachments"]:
            assert attachment["size"] == len(result.blobs[attachment["blob"]])
            assert 0 < len(attachment["name"]) <= 200
            assert not set(attachment["name"]) & set("/\\\0\r\n\u202e")
        said = result.value["text"] + result.value["subject"] + result.value["html_sanitised"]
        assert not [c for c in said if c < " " and c not in "\t\n"], row["path"]
        said.encode("utf-8")


REPORT = (
    "报告：11月23日8时，滨江县青龙镇发生危化品泄漏，已疏散群众120人，无人员伤亡。联系人：张三 13800000000"
)
CHINESE = {
    "zh_01.eml": (
        "突发事件报告（初报）",
        "滨江县应急局",
        "报告：𠮷林镇㙍村、䶮家湾发生山体滑坡，伤者叶㛃、王𬭎2人。",
    ),
    "zh_03.eml": ("镕喆洪水报告", "陶喆", "报告人：陶喆、朱镕。青龙镇洪水。"),
    "zh_05.eml": ("洪水险情5", "青龙镇", REPORT),
    "zh_07.eml": ("关于青龙镇危化品泄漏事件的紧急报告续报二", "", REPORT),
    "zh_09.eml": ("颱風警報", "值班室", "颱風將至，請注意防範。第9報"),
    "zh_11.eml": ("洪水报告", "", REPORT),
    "zh_13.eml": ("附件：事件报告", "", REPORT),
    "zh_15.eml": ("附件：事件报告", "", REPORT),
    "zh_17.eml": ("自动回复：您的报告已收到", "", "我正在休假。"),
    "zh_19.eml": ("系统退信", "", "抱歉，您的邮件被退回来了。收件人不存在 550 User not found"),
}


@pytest.mark.parametrize("name", CHINESE)
def test_chinese_mail_keeps_every_character(corpus: Path, pool: Pool, name: str) -> None:
    path = corpus / "email" / "made_here" / name
    value = read(pool, path).value
    assert (value["subject"], value["from_name"], value["text"]) == CHINESE[name]
    assert value["date"] == "2026-11-23T08:12:00+08:00"


@pytest.mark.parametrize("name", ["zh_13.eml", "zh_15.eml"])
def test_a_chinese_file_name_is_read_from_encoded_words_and_from_raw_bytes(
    corpus: Path, pool: Pool, name: str
) -> None:
    result = read(pool, corpus / "email" / "made_here" / name)
    assert [a["name"] for a in result.value["attachments"]] == ["事故报告（初报）.docx"]
    assert result.blobs == (b"PK\x03\x04fake",)
    assert result.value["attachments"][0]["media_type"] == "application/zip"  # not by its name


@pytest.mark.parametrize(("name", "finding"), [("zh_17.eml", "auto_reply"), ("zh_19.eml", "bounce")])
def test_answers_of_machines_are_marked(corpus: Path, pool: Pool, name: str, finding: str) -> None:
    assert finding in read(pool, corpus / "email" / "made_here" / name).value["findings"]


def files(value: Any) -> list[tuple[str, str, int, bool]]:
    return [(a["name"], a["media_type"], a["size"], a["is_inline"]) for a in value["attachments"]]


EXACT: dict[str, dict[str, Any]] = {
    "SpamScope__mail-parser/mail_test_12.eml": {  # raw GB2312 header and body, 8 bit
        "subject": "代开各地增值税发票",
        "from_name": "张先生",
        "text": "你好！我公司可代开各类增值税发票，17%专用发票，3%普通发票，点数优惠，所开发票均可查询验证后\n"
        "付款，电话：13662615434张经理 （微信同号13662615434）此信息永久有效望存",
    },
    "Webklex__php-imap/gbk_charset.eml": {"subject": "Nuu", "text": "Hi"},  # charset=x-gbk
    "Webklex__php-imap/ks_c_5601-1987_headers.eml": {
        "subject": "RE: 회원님께 Ersi님이 메시지를 보냈습니다.",
        "from_name": "김 현진",
    },
    "jstedfast__MimeKit/messages_japanese.txt.eml": {
        "subject": "日本語メールテスト (testing Japanese emails)",
        "text": "Let's see if both subject and body works fine...\n\n日本語が\n正常に\n送れているか\nテスト.",
    },
    "jstedfast__MimeKit/tnef_ukr.eml": {
        "text": "шостий\n\n\n{EMAILSIGNATURE}\n\n\n\nRR Test 1",
        "files": [("winmail.dat", "application/vnd.ms-tnef", 9566, False)],
        "findings": {"winmail"},
    },
    "jstedfast__MimeKit/messages_stack-overflow.txt.eml": {  # a header block of 130 KB
        "subject": "Message Subject",
        "from_address": "test@test.com",
        "text": "Message Body",
        "findings": {"header_too_large"},
    },
    "jstedfast__MimeKit/messages_multipart-digest.txt.eml": {
        "text": "m1 body",
        "files": [("submsg.eml", "message/rfc822", 330, False)],
        "findings": {"text_of_enclosed_mail"},
    },
    "sisimai__set-of-emails_shared/lhost-gsuite-01.eml": {  # its lines end in CR alone
        "subject": "Delivery Status Notification (Failure)",
        "from_address": "mailer-daemon@googlemail.com",
        "in_reply_to": "<00222222-2222-2222-2222-FF00FFFF0000@example.jp>",
        "files": [
            ("icon.png", "image/png", 1450, True),
            ("attachment-2.txt", "text/plain", 459, False),
            ("Nyaaan.eml", "message/rfc822", 1759, False),
        ],
        "findings": {"bounce", "auto_reply", "bare_newline"},
    },
    "sisimai__set-of-emails_shared/lhost-kddi-01.eml": {"subject": "メールエラー通知"},
    "php-mime-mail-parser__php-mime-mail-parser/failure.eml": {  # kana in GB2312
        "text": "次の受信者またはグループへの配信に失敗しました:",
        "findings": {"bounce"},
    },
    "php-mime-mail-parser__php-mime-mail-parser/m0129.eml": {
        "text": "Inline",
        "files": [("attachment-1.png", "image/png", 11293, True)],
        "findings": {"html_only"},
    },
    "Webklex__php-imap/issue-410.eml": {  # a name in ISO-2022-JP, words across several header lines
        "text": "Hi!",
        "files": [
            (
                "☆第132号 「ガーデン&エクステリア」専門店のためのＱ&Ａサロン 【月刊エクステリア・ワーク】",
                "text/plain",
                3,
                False,
            )
        ],
    },
    "mailgun__flanker/messages_bilingual-simple.eml": {
        "subject": "Simple text. How are you? Как ты поживаешь?",
        "date": "2010-02-07T14:02:38-08:00",
        "text": "This line is in English\nА эта линия по-русски.",
    },
    "mailgun__flanker/messages_enclosed.eml": {  # begins with a line of blanks
        "subject": "Wow",
        "from_name": "Bob Marley",
        "text": "Hello",
        "files": [("thanks.eml", "message/rfc822", 2502, False)],
    },
    "postalsys__postal-mime/calendar-event.eml": {
        "from_name": "Andris Reinman",
        "files": [
            ("attachment-1.ics", "text/calendar", 2052, False),
            ("invite.ics", "text/calendar", 2052, False),
        ],
    },
    "python__cpython/msg_26.eml": {  # declared application/riscos
        "text": "Simple email with attachment.",
        "files": [("clock.bmp", "image/bmp", 630, False)],
    },
    "zbateson__mail-mime-parser/emails_m2010.txt.eml": {  # uuencoded pictures
        "from_name": "Doug Sauder",
        "files": [("greenball.png", "image/png", 1298, False), ("blueball.png", "image/png", 1325, False)],
    },
    "notmuch__notmuch/crypto_encrypted-rfc822-attachment.eml": {
        "text": "",
        "findings": {"encrypted", "no_readable_text"},
    },
    "notmuch__notmuch/lkml_cur_1382298793.002302_2_.eml": {
        "in_reply_to": "<20b352f91642ca45ad730d8eeec0bbd323d26626.1289789605.git.joe@perches.com>",
        "references": [
            "<cover.1289789604.git.joe@perches.com>",
            "<20b352f91642ca45ad730d8eeec0bbd323d26626.1289789605.git.joe@perches.com>",
        ],
        "findings": {"list_mail"},
    },
}


@pytest.mark.parametrize("name", EXACT)
def test_a_real_mail_is_read_exactly(corpus: Path, pool: Pool, name: str) -> None:
    value = read(pool, corpus / "email" / name).value
    for key, expected in EXACT[name].items():
        if key == "files":
            assert files(value) == expected
        elif key == "findings":
            assert expected <= set(value["findings"])
        else:
            assert value[key] == expected


def test_a_reader_of_one_core_keeps_up_with_the_smtp_door(corpus: Path, pool: Pool) -> None:
    path = corpus / "email" / "made_here" / "zh_13.eml"
    results = [read(pool, path) for _ in range(200)]
    assert {r.value["subject"] for r in results} == {"附件：事件报告"}
