"""Mails made for one trait each, read in this process."""

import base64
import email.policy
import io
import struct
from email.message import EmailMessage
from typing import Any

import pytest
from PIL import Image

from channels.codecs import mail
from channels.codecs.mail_headers import addresses, words
from channels.codecs.mime import split

HEAD = b"From: a@b.cn\r\nTo: c@d.cn\r\nMessage-ID: <1@b.cn>\r\nDate: Mon, 23 Nov 2026 08:12:00 +0800\r\n"
REPORT = "报告：青龙镇发生危化品泄漏，请求支援。"


def read(raw: bytes, **options: str) -> dict[str, Any]:
    value, blobs = mail.read(raw, options)
    assert [a["size"] for a in value["attachments"]] == [len(b) for b in blobs]
    return value


def parts(*pieces: bytes, kind: str = "mixed") -> bytes:
    body = b"".join(b"--B\r\n" + piece + b"\r\n" for piece in pieces)
    return HEAD + f"Content-Type: multipart/{kind}; boundary=B\r\n\r\n".encode() + body + b"--B--\r\n"


@pytest.mark.parametrize(
    ("charset", "encoding", "is_guessed"),
    [
        ("gb2312", "gb18030", False),
        ("gbk", "gb18030", False),
        ("x-gbk", "gb18030", False),
        ("utf-8", "utf-8", False),
        ("hz-gb-2312", "hz", False),
        ("utf-7", "utf-7", False),
        ("utf-16", "utf-16", False),
        ("utf-8", "gb18030", True),  # lies
        ("gb2312", "utf-8", True),
        ("iso-8859-1", "gb18030", True),
        ("nope", "gb18030", True),
        ("", "gb18030", True),
        ("us-ascii", "utf-8", True),
    ],
)
def test_a_body_is_read_whatever_its_charset_is_called(charset: str, encoding: str, is_guessed: bool) -> None:
    label = f"Content-Type: text/plain; charset={charset}\r\n".encode() if charset else b""
    value = read(HEAD + label + b"\r\n" + REPORT.encode(encoding))
    assert value["text"] == REPORT
    assert ("charset_guessed" in value["findings"]) is is_guessed


def test_accents_under_a_wrong_utf_8_label_are_read() -> None:
    label = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    value = read(HEAD + label + b"Det h=E4r =E4r ett meddelande i MIME-format, utan annat =E4n ASCII.\r\n")
    assert value["text"] == "Det här är ett meddelande i MIME-format, utan annat än ASCII."
    assert "charset_guessed" in value["findings"]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r"])
def test_a_soft_line_break_loses_nothing_whatever_the_line_ends_are(newline: bytes) -> None:
    label = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    raw = HEAD + label + "青龙镇".encode() + b" the dam =\r\nis leaking=\r\n, come\r\nnow\r\n"
    value = read(raw.replace(b"\r\n", newline))
    assert value["text"].rstrip() == "青龙镇 the dam is leaking, come\nnow"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("颱風將至，請注意防範土石流及淹水", "big5"),
        ("地震が発生しました。避難してください", "shift_jis"),
        ("地震が発生しました。避難してください", "euc_jp"),
        ("地震が発生しました。避難してください", "iso2022_jp"),
        ("Überschwemmung in der Straße, bitte kommen Sie", "cp1252"),
    ],
)
@pytest.mark.parametrize("charset", ["", "x-unknown"])
def test_an_undeclared_charset_is_found_by_its_everyday_letters(
    text: str, encoding: str, charset: str
) -> None:
    label = f"Content-Type: text/plain; charset={charset}\r\n".encode() if charset else b""
    assert read(HEAD + label + b"\r\n" + text.encode(encoding))["text"] == text


@pytest.mark.parametrize(
    ("label", "encoding"),
    [("big5", "big5"), ("shift-jis", "cp932"), ("ks_c_5601-1987", "cp949"), ("koi8-r", "koi8-r")],
)
def test_declared_neighbours_are_read(label: str, encoding: str) -> None:
    text = {"big5": "淹水", "cp932": "①火事", "cp949": "홍수 똠", "koi8-r": "Пожар"}[encoding]
    raw = HEAD + f"Content-Type: text/plain; charset={label}\r\n\r\n".encode() + text.encode(encoding)
    assert read(raw)["text"] == text


def test_a_damaged_byte_costs_one_letter_and_not_the_report() -> None:
    data = (REPORT * 5).encode("gb18030")
    value = read(HEAD + b"Content-Type: text/plain; charset=gb2312\r\n\r\n" + data[:-1])
    assert value["text"].startswith(REPORT * 4)
    assert value["text"].endswith("支援\ufffd")
    assert "charset_guessed" in value["findings"]


@pytest.mark.parametrize("charset", ["gbk", "gb2312", "gb18030", "utf-8", "big5"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_subject_cut_in_the_middle_of_a_letter_is_joined_before_decoding(charset: str, size: int) -> None:
    subject = "颱風" if charset == "big5" else "关于青龙镇事件"
    data = subject.encode(charset)
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    coded = b"\r\n ".join(b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(p)) for p in pieces)
    assert read(HEAD + b"Subject: " + coded + b"\r\n\r\nx")["subject"] == subject


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"=?utf-8?Q?a_b=E4=B8=AD?= c", "a b中 c"),
        (b"Re: =?GB2312?B?1tA=?= =?GB2312?B?zsQ=?= x", "Re: 中文 x"),
        (b"=?gb2312?B?1tA=?==?utf-8?B?5paH?=", "中文"),
        (b"=?utf-8*zh?B?5Lit?=", "中"),
        (b"=?utf-8?Q?why?_because?=", "why? because"),
        (b"=?nope?Q?abc?=", "abc"),
        (b"=?utf-8?B?!!!?=", ""),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("洪水".encode("gb18030"), "洪水"),
        ("洪水".encode(), "洪水"),
        (b"plain", "plain"),
        (b"", ""),
    ],
)
def test_encoded_words_in_every_spelling(value: bytes, text: str) -> None:
    assert words(value) == text


def test_line_ends_hidden_in_an_encoded_subject_stay_text() -> None:
    coded = base64.b64encode(b"a\r\nBcc: x@y.cn\0")
    value = read(HEAD + b"Subject: =?utf-8?B?" + coded + b"?=\r\n\r\nx")
    assert value["subject"] == "a Bcc: x@y.cn\ufffd"
    assert value["to"] == ["c@d.cn"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"a@b.cn", [("", "a@b.cn")]),
        (b"=?gb2312?B?1cXI/Q==?= <a@b.cn>", [("张三", "a@b.cn")]),
        (b'"=?utf-8?B?5byg5LiJ?=" <a@b.cn>', [("张三", "a@b.cn")]),
        (b'"Zhang, San" <a@b.cn>, c@d.cn', [("Zhang, San", "a@b.cn"), ("", "c@d.cn")]),
        (b"=?utf-8?Q?Zhang,_San?= <a@b.cn>", [("Zhang, San", "a@b.cn")]),
        (b"duty: a@b.cn, c@d.cn;", [("", "a@b.cn"), ("", "c@d.cn")]),
        (b"a@b.cn (comment (nested))", [("comment", "a@b.cn")]),
        ("张三".encode("gb18030") + b" <a@b.cn>", [("张三", "a@b.cn")]),
        (b"<a@b.cn", [("", "a@b.cn")]),
        (b"nobody", [("nobody", "")]),
        (b"", []),
    ],
)
def test_addresses_in_every_spelling(field: bytes, expected: list[tuple[str, str]]) -> None:
    assert [(a.name, a.address) for a in addresses(field)] == expected


def test_plain_text_is_preferred_and_html_is_read_where_it_stands_alone() -> None:
    plain = b"Content-Type: text/plain\r\n\r\nthe words"
    page = b"Content-Type: text/html\r\n\r\n<p>the <b>page</b></p>"
    both = read(parts(plain, page, kind="alternative"))
    assert both["text"] == "the words"
    assert both["html_sanitised"] == "<p>the <b>page</b></p>"
    assert both["attachments"] == []
    alone = read(parts(page, kind="alternative"))
    assert alone["text"] == "the page"
    assert "html_only" in alone["findings"]


def test_an_empty_or_apologetic_plain_half_does_not_hide_the_page() -> None:
    page = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + f"<p>{REPORT}</p>".encode() * 3
    stub = "您的邮件客户端不支持HTML格式".encode()
    for words_of_program in (b"", b" \r\n", stub):
        plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + words_of_program
        assert REPORT in read(parts(plain, page, kind="alternative"))["text"]


def test_html_becomes_lines_a_person_would_read_and_nothing_that_runs() -> None:
    page = (
        "<html><head><title>t</title><style>p{}</style></head><body><!-- c --><h1>警报</h1><p>第一段<br>第二行"
        "<table><tr><td>时间</td><td>8时</td></tr></table><ul><li>甲<li>乙</ul>"
        "<a href='https://x.cn/a'>点这里</a> <a href='javascript:alert(1)'>js</a>"
        "<script>alert(1)</script><img src='http://track.er/x.gif' alt='图' onerror=x>&lt;b&gt;"
    )
    value = read(HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + page.encode())
    assert value["text"] == (
        "警报\n\n第一段\n第二行\n\n时间\t8时\n- 甲\n- 乙\n点这里 (https://x.cn/a) js[图]<b>"
    )
    for danger in ("script", "onerror", "javascript:", "http://track.er", "style"):
        assert danger not in value["html_sanitised"]


def test_texts_of_a_mixed_mail_follow_each_other_and_files_do_not_join_them() -> None:
    value = read(
        parts(
            b"Content-Type: text/plain\r\n\r\none",
            b"Content-Type: text/plain; name=log.txt\r\nContent-Disposition: attachment\r\n\r\na log",
            b"Content-Type: text/plain\r\n\r\ntwo",
        )
    )
    assert value["text"] == "one\n\ntwo"
    assert [a["name"] for a in value["attachments"]] == ["log.txt"]


def test_a_picture_of_the_page_is_inline_and_its_exif_says_where() -> None:
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (30.0, 15.0, 36.0), "E", (120.0, 9.0, 18.5)
    inner = exif.get_ifd(0x8769)
    inner[0x9003], inner[0x9011] = "2026:11:23 07:59:01", "+08:00"
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG", exif=exif)
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "a@b.cn"
    message.set_content("<img src='cid:p1'>塌方", subtype="html")
    message.add_related(file.getvalue(), "image", "png", cid="<p1>", filename="现场.png")
    value = read(message.as_bytes())
    (picture,) = value["attachments"]
    assert picture == {
        "blob": 0,
        "name": "现场.png",
        "declared_type": "image/png",
        "media_type": "image/jpeg",
        "size": len(file.getvalue()),
        "is_inline": True,
        "exif": {"lat": 30.26, "lon": 120.155139, "time": "2026-11-23T07:59:01+08:00"},
    }
    assert value["text"] == "塌方"


@pytest.mark.parametrize(
    ("disposition", "shown"),
    [
        (b'filename="../../etc/x"', "x"),
        (b'filename="..\\\\..\\\\x.doc"', "x.doc"),
        (b'filename="C:\\x.doc"', "x.doc"),
        (b'filename="a\0.exe"', "a.exe"),
        ('filename="報告\u202egpj.exe"'.encode(), "報告gpj.exe"),
        (b"filename=.htaccess", ".htaccess"),
        (b"filename=..", "attachment-1.txt"),
        (b'filename=""', "attachment-1.txt"),
        (b"filename=" + b"x" * 5000 + b".docx", "x" * 195 + ".docx"),
        (b"filename*=gb18030''%CA%C2%B9%CA.doc", "事故.doc"),
        (b"filename*=utf-8'zh'%E4%BA%8B%E6%95%85.doc", "事故.doc"),
        (b"filename*0*=utf-8''%E4%BA; filename*1*=%8B; filename*2=.doc", "事.doc"),
        (b'filename="=?gbk?B?ysK5yg==?=.doc"', "事故.doc"),
        ('filename="事故.doc"'.encode("gb18030"), "事故.doc"),
        ('filename="事故.doc"'.encode(), "事故.doc"),
    ],
)
def test_a_file_name_is_read_in_every_spelling_and_made_harmless(disposition: bytes, shown: str) -> None:
    value = read(
        parts(
            b"\r\nwords",
            b"Content-Type: application/x\r\nContent-Disposition: attachment; " + disposition + b"\r\n\r\nq",
        )
    )
    assert [a["name"] for a in value["attachments"]] == [shown]


def test_a_mail_without_words_lends_those_of_the_mail_it_carries() -> None:
    inner = b"Subject: inside\r\n\r\nthe inner words"
    value = read(parts(b"Content-Type: message/rfc822\r\n\r\n" + inner))
    assert value["text"] == "the inner words"
    assert value["attachments"][0]["name"] == "inside.eml"
    assert "text_of_enclosed_mail" in value["findings"]
    with_words = read(parts(b"\r\nouter", b"Content-Type: message/rfc822\r\n\r\n" + inner))
    assert with_words["text"] == "outer"


@pytest.mark.parametrize("kind", [b"application/octet-stream", b"message/rfc822", b"application/x-eml"])
def test_a_carried_mail_lends_its_words_whatever_a_program_calls_it(kind: bytes) -> None:
    inner = (
        b"From: a@b.cn\r\nSubject: inside\r\nContent-Type: text/plain; charset=gbk\r\n\r\n"
        + REPORT.encode("gbk")
    )
    head = b"Content-Type: " + kind + b"; name=report.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    value = read(parts(head + base64.encodebytes(inner)))
    assert (value["text"], "text_of_enclosed_mail" in value["findings"]) == (REPORT, True)


@pytest.mark.parametrize("stray", ["\x07", "\x0c\x00", "\x01\x02\x03"])
def test_a_few_stray_control_characters_do_not_make_a_short_report_a_file(stray: str) -> None:
    value = read(HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + f"水位{stray}上涨".encode())
    assert value["text"].startswith("水位") and value["text"].endswith("上涨")
    assert value["attachments"] == []


def test_a_read_receipt_is_a_program_s_answer_and_no_bounce() -> None:
    kind = b"Content-Type: multipart/report; report-type=disposition-notification; boundary=B\r\n\r\n"
    told = b"--B\r\n\r\nread\r\n--B\r\nContent-Type: message/disposition-notification\r\n\r\nDisposition: x; displayed\r\n--B--"
    findings = read(HEAD + "Subject: 已读：洪水\r\n".encode() + kind + told)["findings"]
    assert ("auto_reply" in findings, "bounce" in findings) == (True, False)


def attribute(number: int, data: bytes) -> bytes:
    return struct.pack("<BII", 1, number, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def test_winmail_dat_gives_its_body_and_its_files() -> None:
    long_name = "事故报告.txt".encode("utf-16-le") + b"\0\0"
    padded = long_name + b"\0" * (-len(long_name) % 4)
    properties = struct.pack("<IHHII", 1, 0x1F, 0x3707, 1, len(long_name)) + padded
    winmail = (
        struct.pack("<IH", 0x223E9F78, 1)
        + attribute(0x00069007, struct.pack("<II", 936, 0))
        + attribute(0x0002800C, REPORT.encode("gbk") + b"\0")
        + attribute(0x00069002, b"\0" * 14)
        + attribute(0x00018010, b"SHIGU.TXT\0")
        + attribute(0x0006800F, b"the file")
        + attribute(0x00069005, properties)
    )
    coded = base64.encodebytes(winmail)
    raw = parts(
        b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + coded
    )
    value, blobs = mail.read(raw, {})
    assert value["text"] == REPORT
    assert [a["name"] for a in value["attachments"]] == ["事故报告.txt", "winmail.dat"]
    assert blobs == [b"the file", winmail]
    assert "winmail" in value["findings"]
    for cut in range(0, len(winmail), 7):
        broken = parts(b"Content-Type: application/ms-tnef\r\n\r\n" + winmail[:cut])
        assert "unparsed" not in read(broken)["findings"]


@pytest.mark.parametrize(
    ("head", "finding"),
    [
        (b"From: x@y.cn\r\n", "two_from"),
        (b"Subject: a\r\nSubject: b\r\n", "two_subjects"),
        (b"Auto-Submitted: auto-replied\r\n", "auto_reply"),
        ("Subject: 自动回复：在休假\r\n".encode(), "auto_reply"),
        ("Subject: 系统退信\r\n".encode("gb18030"), "bounce"),
        (b"Return-Path: <>\r\n", "bounce"),
        (b"List-Id: <x.y>\r\n", "list_mail"),
        (b"Precedence: bulk\r\n", "list_mail"),
        (b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n", "encrypted"),
        (b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n", "signed"),
        (b"Content-Type: multipart/signed; boundary=B\r\n\r\n--B\r\n\r\nx\r\n--B--", "signed"),
    ],
)
def test_what_a_rule_must_know_is_a_finding(head: bytes, finding: str) -> None:
    raw = HEAD + head + b"\r\nwords"
    assert finding in read(raw)["findings"]
    assert finding not in read(HEAD + b"\r\nwords")["findings"]


def test_the_envelope_is_compared_and_stands_in_for_a_missing_sender() -> None:
    assert "from_differs_from_envelope" in read(HEAD + b"\r\nx", envelope_from="z@z.cn")["findings"]
    assert "from_differs_from_envelope" not in read(HEAD + b"\r\nx", envelope_from="A@b.cn")["findings"]
    assert "from_differs_from_envelope" not in read(HEAD + b"\r\nx")["findings"]
    assert "bounce" in read(HEAD + b"\r\nx", envelope_from="<>")["findings"]
    nobody = read(b"Subject: s\r\n\r\nx", envelope_from="z@z.cn")
    assert nobody["from_address"] == "z@z.cn"
    assert "no_from" in nobody["findings"]


def test_line_ends_alone_are_marked_and_pairs_are_not() -> None:
    assert "bare_newline" not in read(HEAD + b"\r\na\r\nb\r\n")["findings"]
    for alone in (b"a\nb\r\n", b"a\rb\r\n", b"a\n.\r\n"):
        assert "bare_newline" in read(HEAD + b"\r\n" + alone)["findings"]


@pytest.mark.parametrize(
    ("date", "iso"),
    [
        (b"Mon, 23 Nov 2026 08:12:00 +0800", "2026-11-23T08:12:00+08:00"),
        (b"23 Nov 2026 08:12:00 -0000", "2026-11-23T08:12:00+00:00"),
        (b"Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00+00:00"),
        (b"Tue, 01 Dec 2099 00:00:00 GMT", "2099-12-01T00:00:00+00:00"),
        (b"Thu, 99 Foo", ""),
        (b"Mon, 99 Nov 2026 08:12:00 +0800", ""),
        (b"Mon, 23 Nov 2026 08:12:00 +9999999999", ""),
        (b"\xff\xfe", ""),
        (b"9" * 5000, ""),
    ],
)
def test_a_claimed_date_is_iso_or_nothing(date: bytes, iso: str) -> None:
    value = read(b"From: a@b.cn\r\nDate: " + date + b"\r\n\r\nx")
    assert value["date"] == iso
    assert ("date_unreadable" in value["findings"]) is (iso == "")


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Type: multipart/mixed\r\n\r\n--B\r\nContent-Type: text/plain\r\n\r\nhi\r\n--B--",
        HEAD + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nhi",
        HEAD + b'Content-Type: multipart/mixed; boundary="B"\n\n--B\n\nhi\n--B--\n',
        HEAD.replace(b"\r\n", b"\r") + b"Content-Type: multipart/mixed; boundary=B\r\r--B\r\rhi\r--B--",
        HEAD
        + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B  \r\n\r\nhi\r\n--Bx\r\n--B--".replace(
            b"--Bx\r\n", b""
        ),
        HEAD + b"Content-Type: text\r\n\r\nhi",
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\naGk",
        HEAD + b"Content-Transfer-Encoding: base64\r\n\r\naGk=\r\n-- \r\na footer of a list",
        b"From nobody Mon Nov 23\r\n" + HEAD + b"\r\nhi",
        b"\r\n \r\n" + HEAD + b"\r\nhi",
        b"hi",
    ],
)
def test_a_broken_structure_still_gives_its_words(raw: bytes) -> None:
    assert read(raw)["text"] == "hi"


def test_the_splitter_agrees_with_the_standard_library_on_sound_mails() -> None:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "a@b.cn"
    message.set_content("plain")
    message.add_alternative("<p>page</p>", subtype="html")
    message.add_attachment(b"\0\1" * 500, maintype="application", subtype="x", filename="f")
    other = EmailMessage(policy=email.policy.SMTP)
    other["Subject"] = "inner"
    other.set_content("inner words")
    message.add_attachment(other)
    raw = message.as_bytes()
    leaves = split(raw)[1].leaves
    parsed = email.message_from_bytes(raw)
    theirs = [p for p in parsed.walk() if not p.is_multipart() or p.get_content_type() == "message/rfc822"]
    assert [p.kind for p in leaves] == [p.get_content_type() for p in theirs][: len(leaves)]
    assert leaves[2].decoded() == b"\0\1" * 500


def test_a_mail_no_parser_got_through_is_still_a_report() -> None:
    raw = HEAD + b"\r\n" + REPORT.encode() + b"\0"
    value = mail.unread(raw, {"envelope_from": "<z@z.cn>"}, "parser_timeout")
    assert value["from_address"] == "z@z.cn"
    assert value["text"] == REPORT + "\ufffd"
    assert value["findings"] == ["parser_timeout", "unparsed"]
    assert set(value) == set(read(raw))
