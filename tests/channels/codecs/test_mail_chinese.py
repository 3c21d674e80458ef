"""What Chinese mail programs, web mails and gateways really send: each row is a class of mails, not one mail."""

import base64
import binascii
import struct
import time
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from channels.codecs import mail
from channels.codecs.charsets import decode
from channels.codecs.mail_headers import addresses, words

SENDER = b"From: a@b.cn\r\nMessage-ID: <1@b.cn>\r\n"
TITLE = "关于青龙镇危化品泄漏事件的紧急报告"
GBK = TITLE.encode("gb18030")
NAME = "事故报告（初报）2026年.docx"
PLACE = "青龙镇险情，请速派人"


def read(raw: bytes) -> tuple[dict[str, Any], list[bytes]]:
    return mail.read(raw, {"envelope_from": "a@b.cn"})


def word(data: bytes, charset: str) -> bytes:
    return b"=?" + charset.encode() + b"?B?" + base64.b64encode(data) + b"?="


def body(data: bytes, kind: str = "text/plain; charset=gb2312", encoding: str = "8bit") -> bytes:
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + data


def q(data: bytes) -> bytes:
    return b"".join(b"=%02X" % byte for byte in data)


SUBJECTS = {
    "a letter cut in two": word(GBK[:9], "gb2312") + b"\r\n " + word(GBK[9:], "gb2312"),
    "a letter cut in two between labels of one set": word(GBK[:9], "gb2312")
    + b"\r\n\t"
    + word(GBK[9:], "GBK"),
    "a letter cut in two between B and Q": word(GBK[:9], "gb2312") + b" =?gb2312?Q?" + q(GBK[9:]) + b"?=",
    "UTF-8 under a label of GB2312": word(TITLE.encode(), "gb2312"),
    "GBK under a label of UTF-8": word(GBK, "utf-8"),
    "GBK under a label of Latin-1": word(GBK, "iso-8859-1"),
    "GBK under a label of ASCII": word(GBK, "us-ascii"),
    "GBK under a label nobody knows": word(GBK, "GB2312_CHARSET"),
    "raw GBK": GBK,
    "raw UTF-8": TITLE.encode(),
    "one word folded in its middle": word(GBK, "gb18030")[:30] + b"\r\n " + word(GBK, "gb18030")[30:],
    "a word whose end was cut off": word(GBK, "gb18030").removesuffix(b"?="),
    "HZ in seven bits": TITLE.encode("hz"),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_is_read_however_it_was_written(name: str) -> None:
    value, _ = read(SENDER + b"Subject: " + SUBJECTS[name] + b"\r\n" + body(GBK))
    assert (value["subject"], value["text"]) == (TITLE, TITLE)


@pytest.mark.parametrize("text", ["洪水", "联通", "洪水来了", "险情3处"])
@pytest.mark.parametrize("label", ["", "iso-8859-1", "us-ascii", "utf-8", "x-unknown", "gb2312"])
def test_two_letters_are_enough_to_see_chinese(text: str, label: str) -> None:
    assert decode(text.encode("gbk"), label)[0] == text


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("ВНИМАНИЕ", "windows-1251"),
        ("ΠΡΟΣΟΧΗ ΦΩΤΙΑ", "iso-8859-7"),
        ("Frösche über", "iso-8859-1"),
        ("“Très” — déjà", "cp1252"),
    ],
)
def test_what_is_no_chinese_is_not_read_as_such(text: str, charset: str) -> None:
    assert decode(text.encode(charset), charset)[0] == text


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("青龙镇乗 <a@b.cn>".encode("gbk"), "青龙镇乗"),  # second bytes that are backslashes
        ('"許功蓋" <a@b.cn>'.encode("big5"), "許功蓋"),
        ('"張三, 李四" <a@b.cn>'.encode("iso2022_jp"), "張三, 李四"),
        ("张三 <a@b.cn>".encode("hz"), "张三"),
        (b"a@b.cn (" + word("张三".encode("gbk"), "gbk") + b")", "张三"),
        (word("张三 <a@b.cn>".encode("gbk"), "gb2312"), "张三"),  # name and address in one word
        (word("应急局,张三".encode("gbk"), "gb2312") + b"<a@b.cn>", "应急局,张三"),
        (b'"' + word("张三".encode("gbk"), "gb2312") + b'" <a@b.cn>', "张三"),
    ],
)
def test_a_sender_keeps_name_and_address(field: bytes, name: str) -> None:
    value, _ = read(b"From: " + field + b"\r\nSubject: x\r\n\r\nx")
    assert (value["from_name"], value["from_address"]) == (name, "a@b.cn")


def test_raw_letters_of_an_address_are_utf_8_whatever_the_body_is_written_in() -> None:
    assert addresses("<dangl\u00fce@b.cn>".encode(), "gb2312")[0].address == "dangl\u00fce@b.cn"


def test_a_stolen_name_does_not_take_the_place_of_the_address() -> None:
    field = word("省厅 <ting@gov.cn>".encode(), "utf-8") + b" <thief@example.org>"
    assert addresses(field)[0].address == "thief@example.org"


def attached(
    disposition: bytes, kind: bytes = b"application/octet-stream", charset: bytes = b"gb2312"
) -> bytes:
    return (
        SENDER + b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset="
        + charset + b"\r\n\r\nhi\r\n--b\r\nContent-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n"
        + b"Content-Disposition: attachment" + disposition + b"\r\n\r\nUEsDBGZha2U=\r\n--b--\r\n"
    )  # fmt: skip


G_FIRST, G_REST = NAME.encode("gbk")[:5], NAME.encode("gbk")[5:]  # cut in the middle of a letter
CODED = base64.b64encode(NAME.encode("gbk"))
NAMES = {
    "2231 GB2312": b"; filename*=gb2312''" + quote_from_bytes(NAME.encode("gbk")).encode(),
    "2231 cut in a letter": b";\r\n filename*0*=GBK''" + quote_from_bytes(G_FIRST).encode()
    + b";\r\n filename*1*=" + quote_from_bytes(G_REST).encode(),
    "2231 with an encoded word in pieces": b';\r\n filename*0="=?gb2312?B?' + CODED[:20]
    + b'";\r\n filename*1="' + CODED[20:] + b'?="',
    "2231 quoted": b"; filename*=\"utf-8''" + quote_from_bytes(NAME.encode()).encode() + b'"',
    "2231 GBK that says UTF-8": b"; filename*=UTF-8''" + quote_from_bytes(NAME.encode("gbk")).encode(),
    "percents without 2231": b'; filename="' + quote_from_bytes(NAME.encode()).encode() + b'"',
    "raw UTF-8 in a mail of GB2312": b'; filename="' + NAME.encode() + b'"',
    "raw GBK without quotes": b"; filename=" + NAME.encode("gbk"),
    "two words": b';\r\n filename="' + word(G_FIRST, "gb2312") + b"\r\n\t" + word(G_REST, "gb2312") + b'"',
    "a word without quotes": b"; filename==?gb2312?B?" + CODED + b"?=",
    "only described": b"\r\nContent-Description: =?gb2312?B?" + CODED + b"?=",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_read_however_it_was_written(name: str) -> None:
    value, blobs = read(attached(NAMES[name]))
    assert [a["name"] for a in value["attachments"]] == [NAME]
    assert blobs == [b"PK\x03\x04fake"]


def test_of_a_name_and_its_ruin_the_name_is_shown() -> None:
    kind = b'application/x; name="=?gb2312?B?' + CODED + b'?="'
    assert read(attached(b'; filename="????????2026?.docx"', kind))[0]["attachments"][0]["name"] == NAME


def test_a_latin_name_in_a_chinese_mail_is_not_read_as_chinese() -> None:
    value, _ = read(attached(b"; filename*=iso-8859-1''Fr%F6sche%20%FCber.txt"))
    assert value["attachments"][0]["name"] == "Frösche über.txt"


def test_a_name_whose_letters_end_in_backslashes_ends_where_it_ends() -> None:
    value, _ = read(attached('; filename="许可乗"; size=12'.encode("gbk")))
    assert value["attachments"][0]["name"] == "许可乗"


@pytest.mark.parametrize("name", ["100%.doc", "a%20b.doc", "%zz%41.doc"])
def test_a_percent_that_is_meant_stays(name: str) -> None:
    assert read(attached(b'; filename="' + name.encode() + b'"'))[0]["attachments"][0]["name"] == name


def iso_2022_cn(text: str) -> bytes:
    return b"\x1b$)A\x0e" + bytes(byte & 0x7F for byte in text.encode("gb2312")) + b"\x0f"


BODIES = {
    "ISO-2022-CN": body(iso_2022_cn(PLACE.replace("，", "")) + b"\r\n", "text/plain; charset=iso-2022-cn"),
    "ISO-2022-CN unlabelled": body(iso_2022_cn(PLACE.replace("，", "")) + b"\r\n", "text/plain"),
    "Base64 that nobody declared": body(base64.b64encode(PLACE.replace("，", "").encode("gbk"))),
    "Base64 in pieces, each with its padding": body(
        b"\r\n".join(base64.b64encode(part.encode("gbk")) for part in ("青龙镇险情", "请速", "派人")),
        encoding="base64",
    ),
    "Base64 with a footer in plain letters": body(
        base64.encodebytes("青龙镇险情请速派人".encode("gbk")) + b"\r\n-- \r\nThis mail was scanned\r\n",
        encoding="base64",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_read_however_it_was_coded(name: str) -> None:
    assert read(SENDER + BODIES[name])[0]["text"] == "青龙镇险情请速派人"


@pytest.mark.parametrize(
    "text", ["SGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", "deadbeefdeadbeefdeadbeef", "13800138000138001380001380"]
)
def test_letters_and_digits_that_hide_no_chinese_stay_as_they_are(text: str) -> None:
    assert read(SENDER + body(text.encode()))[0]["text"] == text


def uuencoded(name: bytes, data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(data), 45)]
    return b"begin 644 " + name + b"\r\n" + b"".join(lines) + b"`\r\nend\r\n"


def test_files_in_uuencode_are_taken_out_of_the_text() -> None:
    data = b"PK\x03\x04" + bytes(range(200))
    packed = uuencoded("报告.zip".encode("gbk"), data)
    value, blobs = read(
        SENDER + body(f"{PLACE}\r\n\r\n".encode("gbk") + packed + packed + "附二件\r\n".encode("gbk"))
    )
    assert value["text"].split() == [PLACE, "附二件"]
    assert [a["name"] for a in value["attachments"]] == ["报告.zip", "报告.zip"]
    assert blobs == [data, data]


def test_a_text_that_only_begins_like_uuencode_stays_text() -> None:
    text = "begin 644 a\r\n青龙镇发生险情，水位持续上涨\r\nend\r\n"
    value, blobs = read(SENDER + body(text.encode("gbk")))
    assert value["text"].split("\n") == ["begin 644 a", "青龙镇发生险情，水位持续上涨", "end"]
    assert blobs == []


def binhex(name: bytes, data: bytes) -> bytes:
    """RFC 1741 appendix A; checksums are not looked at."""
    head = bytes([len(name)]) + name + b"\0" + b"TEXTttxt" + struct.pack(">HII", 0, len(data), 0) + b"\0\0"
    plain = (head + data + b"\0\0\0\0").replace(b"\x90", b"\x90\x00").replace(b"xxxxxx", b"x\x90\x06")
    letters = base64.b64encode(plain).rstrip(b"=").translate(
        bytes.maketrans(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr",
        )
    )  # fmt: skip
    lines = b"\r\n".join(letters[at : at + 64] for at in range(0, len(letters), 64))
    return b"(This file must be converted with BinHex 4.0)\r\n:" + lines + b":\r\n"


def test_a_binhex_file_is_unpacked() -> None:
    data = b"\xff\xd8\xff" + bytes(range(256)) + b"xxxxxxxxxxxx"
    raw = (
        SENDER
        + b"Content-Type: application/mac-binhex40; name=photo.jpg\r\n\r\n"
        + binhex(b"photo.jpg", data)
    )
    value, blobs = read(raw)
    assert blobs == [data]
    assert value["attachments"][0]["media_type"] == "image/jpeg"


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "text/plain; charset=gb2312"])
@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(40)),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(range(200)),
    ],
)
def test_a_file_that_calls_itself_a_text_is_a_file(kind: str, data: bytes) -> None:
    value, blobs = read(SENDER + body(base64.b64encode(data), kind, "base64"))
    assert (value["text"], blobs) == ("", [data])
    assert "no_readable_text" in value["findings"]


@pytest.mark.parametrize("size", [0, 1, 4])
def test_a_damaged_outlook_file_is_kept_and_costs_nothing(size: int) -> None:
    data = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + "__properties_version1.0".encode("utf-16-le") * size
        + bytes(700)
    )
    value, blobs = read(SENDER + body(base64.b64encode(data), "application/vnd.ms-outlook", "base64"))
    assert blobs == [data]
    assert "unparsed" not in value["findings"]


BOUNCES = [
    *(
        "退信通知",
        "系统退信/Systems bounce",
        "来自qq.com的退信",
        "邮件投递失败通知",
        "未送达: 险情",
        "无法送达：险情",
    ),
    *("邮件被退回", "投递延迟", "延迟送达：险情", "郵件退回", "未传递的邮件：险情"),
]
AUTOMATIC = [
    *(
        "[自动回复] 险情",
        "自动答复: 险情",
        "外出自动回复: 出差",
        "不在办公室: 险情",
        "已读: 险情",
        "Read: 险情",
        "自動回覆：險情",
    ),
]
PLAIN = [
    "关于退信的情况说明",
    "退信处理不及时导致险情未能上报",
    "回复：自动喷淋系统故障",
    "自动回复机器人起火",
    "不在办公室的人员已疏散",
    "Reading room on fire",
]


@pytest.mark.parametrize(
    ("subject", "mark"),
    [*((s, "bounce") for s in BOUNCES), *((s, "auto_reply") for s in AUTOMATIC), *((s, "") for s in PLAIN)],
)
def test_machines_are_known_by_their_subjects(subject: str, mark: str) -> None:
    value, _ = read(SENDER + b"Subject: " + word(subject.encode(), "utf-8") + b"\r\n\r\nx")
    assert [f for f in value["findings"] if f in ("bounce", "auto_reply")] == [mark] * bool(mark)


@pytest.mark.parametrize(
    "raw",
    [
        b"=?gb2312?B?" + b"A" * 60_000,
        b"=?a?q?" * 20_000,
        b"begin 644 a\r\n" * 100_000 + b"end\r\n",
        b"=" * 200_000,
    ],
)
def test_what_looks_like_a_beginning_without_end_takes_linear_time(raw: bytes) -> None:
    words(raw[:60_000])
    read(SENDER + body(raw))
    read(SENDER + body(raw, encoding="base64"))


@pytest.mark.parametrize(
    "date",
    [
        "星期一, 23 十一月 2026 08:12:00 +0800",
        "周一, 23 11月 2026 08:12:00 +0800",
        "Mon, 23 Nov 2026 08:12:00 GMT+08:00",
        "Mon, 23 Nov 2026 08:12:00 +0800 (中国标准时间)",
    ],
)
@pytest.mark.parametrize("charset", ["gbk", "utf-8"])
def test_a_date_in_the_language_of_the_machine_is_read(date: str, charset: str) -> None:
    value, _ = read(SENDER + b"Date: " + date.encode(charset) + b"\r\n\r\nx")
    assert value["date"] == "2026-11-23T08:12:00+08:00"


PAGES = {
    "a paragraph in every cell": (
        "<table><tr><td><p>时间</p></td><td><p>11月23日</p></td></tr><tr><td><p>地点</p></td><td></td>"
        "<td><p>青龙镇</p></td></tr></table><p>完</p>",
        "时间\t11月23日\n地点\t\t青龙镇\n完",
    ),
    "a page laid out in one cell": ("<table><tr><td><p>一</p><p>二</p></td></tr></table>", "一\n\n二"),
    "a page laid out in two cells": (
        "<table><tr><td><p>栏目</p></td><td><p>一</p><p>二</p></td></tr></table>", "栏目\n\n一\n\n二",
    ),
    "a table in a table": (
        "<table><tr><td>左</td><td><table><tr><td>死亡</td><td>2人</td></tr></table></td></tr></table>", "左\n死亡\t2人",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_table_reads_row_by_row(name: str) -> None:
    page, text = PAGES[name]
    assert read(SENDER + body(page.encode("gbk"), "text/html; charset=gbk"))[0]["text"] == text


def test_a_page_that_calls_itself_plain_text_is_read_as_a_page() -> None:
    page = "<div style='x'>青龙镇</div><div>险情</div>"
    assert read(SENDER + body(page.encode("gbk")))[0]["text"] == "青龙镇\n险情"
    assert read(SENDER + body("<p 值班室> 水位上涨".encode("gbk")))[0]["text"] == "<p 值班室> 水位上涨"


@pytest.mark.parametrize("encoding", ["base64 (mime)", "base-64", "BASE64;", '"base64"'])
def test_an_encoding_is_known_in_every_spelling(encoding: str) -> None:
    assert read(SENDER + body(base64.b64encode(PLACE.encode("gbk")), encoding=encoding))[0]["text"] == PLACE


@pytest.mark.parametrize("label", ["gb2312", "gbk", ""])
@pytest.mark.parametrize("text", ["青龙镇险情", "青龙镇发生险情请速派人"])
def test_a_letter_that_was_cut_off_costs_no_other(text: str, label: str) -> None:
    assert decode(text.encode("gbk")[:-1], label)[0].startswith(text[:-1])


def test_a_byte_that_is_none_of_the_set_costs_one_letter() -> None:
    assert decode("损失".encode("gbk") + b"\x80" + "100万".encode("gbk"), "gbk")[0] == "损失\ufffd100万"
    assert decode("caf\u00e9".encode("latin-1"), "gb2312")[0] == "caf\u00e9"


@pytest.mark.parametrize("text", ["颱風將至，請注意防範，各鄉鎮立即轉移群眾。", "颱風警報第九號"])
def test_traditional_letters_are_read_under_either_label(text: str) -> None:
    assert decode(text.encode("big5"), "gb2312")[0] == text
    assert decode(text.encode("gb18030"), "gb2312") == (text, False)


@pytest.mark.parametrize(
    "field", [b"Content-Type: text/plain; name=", b"Content-Disposition: attachment; filename="]
)
def test_raw_letters_behind_a_quote_that_never_closes_take_linear_time(field: bytes) -> None:
    letters = "青龙镇险情".encode("gbk") * 150
    started = time.process_time()
    read(SENDER + field + b'"' + letters + b"\r\n\r\nx")
    assert time.process_time() - started < 1
