"""Mails made to break a parser: each ends within the limits of the sandbox and still becomes a report."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import mail
from sandbox.pool import Pool

HEAD = b"From: a@b.cn\r\nTo: c@d.cn\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"


def nested(depth: int) -> bytes:
    inner = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(depth)
    )
    head = HEAD + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n"
    return head + inner + b"--b%d\r\n\r\nhi\r\n" % depth


HOSTILE = {
    "60,000 encoded words": (
        HEAD + b"Subject: " + b"\r\n ".join([b"=?utf-8?B?5Lit?="] * 60_000) + b"\r\n\r\nhi",
        "header_too_large",
        "hi",
    ),
    "depth 1,000": (nested(1_000), "too_deep", ""),
    "depth 10,000": (nested(10_000), "too_deep", ""),
    "a boundary nested in itself": (
        MIXED + b"--B\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" * 100_000 + b"--B\r\n\r\nhi",
        "too_many_parts",
        "",
    ),
    "1,000 mails in each other": (
        HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 1_000 + b"\r\nhi",
        "no_readable_text",
        "",
    ),
    "20,000 addresses": (
        HEAD + b"Cc: " + b",\r\n ".join([b'"x" <a@b.cn>'] * 20_000) + b"\r\n\r\nhi",
        "header_too_large",
        "hi",
    ),
    "16,000 open comments": (b"From: " + b"(" * 16_000 + b" a@b.cn\r\n\r\nhi", "no_message_id", "hi"),
    "4,000 nested comments": (
        b"From: " + b"(" * 4_000 + b")" * 4_000 + b"<a@b.cn>\r\n\r\nhi",
        "no_message_id",
        "hi",
    ),
    "open quotes": (b"From: " + b'"\\' * 15_000 + b"\r\n\r\nhi", "no_message_id", "hi"),
    "half encoded words": (b"Subject: " + b"=?a?q?" * 5_000 + b"\r\n\r\nhi", "no_from", "hi"),
    "1,000,000 header fields": (b"a: b\r\n" * 1_000_000 + b"\r\nhi", "header_too_large", "hi"),
    "a boundary of 10 KB": (
        HEAD + b"Content-Type: multipart/mixed; boundary=" + b"x" * 10_000 + b"\r\n\r\n\r\n",
        "no_readable_text",
        "",
    ),
    "2,000,000 lines like a boundary": (MIXED + b"--Bx\n" * 2_000_000, "text_cut", None),
    "misnested tags": (HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div></b>" * 500_000, "html_only", None),
    "open tags": (
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 200_000 + b"hi",
        "html_only",
        "hi",
    ),
    "zalgo": (
        HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + ("a" + "\u0301\u0323" * 500_000).encode(),
        "no_message_id",
        None,
    ),
    "noise": (random.Random(7).randbytes(10 << 20), "no_from", None),
    "a picture of markers": (
        MIXED
        + b"--B\r\n\r\nhi\r\n--B\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + (b"/9j/" * 19 + b"\r\n") * 200_000,
        "no_message_id",
        "hi",
    ),
    "newlines": (b"\n" * 20_000_000, "no_from", ""),
    "returns": (b"\r" * 5_000_000, "no_from", ""),
    "nothing": (b"", "no_readable_text", ""),
    "uuencode without end": (
        HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\n" + b"M\n" * 2_000_000,
        "no_message_id",
        None,
    ),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_ends_within_the_limits_and_is_still_read(pool: Pool, name: str) -> None:
    raw, finding, text = HOSTILE[name]
    value = pool.run(mail.read, raw, {"envelope_from": "z@z.cn"}).value
    assert finding in value["findings"]
    assert "unparsed" not in value["findings"]
    assert value["from_address"] in ("a@b.cn", "z@z.cn")
    if text is not None:
        assert value["text"] == text


def test_of_100_000_parts_500_are_files_and_the_rest_is_one(pool: Pool) -> None:
    result = pool.run(mail.read, MIXED + b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n" * 100_000 + b"--B--")
    assert len(result.blobs) == 500
    assert result.blobs[0] == b"x"
    assert len(result.blobs[-1]) > 2_000_000
    assert "too_many_parts" in result.value["findings"]


def test_500_parts_are_not_too_many(pool: Pool) -> None:
    result = pool.run(mail.read, MIXED + b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n" * 499 + b"--B--")
    assert len(result.blobs) == 499
    assert "too_many_parts" not in result.value["findings"]


def test_the_time_for_a_subject_grows_with_its_length_only(pool: Pool) -> None:
    word = b"=?utf-8?B?5Lit?=\r\n "
    value = pool.run(mail.read, b"From: a@b.cn\r\nSubject: " + word * 1_700 + b"\r\n\r\nhi").value
    assert value["subject"] == "中" * 1_000


PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"--B",
            b"--B--",
            b"--",
            b"\0",
            b"\xff",
            b";",
            b":",
            b"=",
            b'"',
            b"=?",
        ),
        *(b"Content-Type: ", b"multipart/mixed", b"multipart/alternative", b"text/html", b"message/rfc822"),
        *(b"; boundary=B", b"; charset=", b"gb2312", b"utf-16", b"utf-7", b"x-nope", b"?B?", b"?Q?", b"?="),
        *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x-uuencode", b"begin 644 a\n"),
        *(b"Content-Disposition: attachment; filename", b"*0*=", b"*=gbk''%D6", b"<p>", b"</a>", b"&#0;"),
        *(b"From: ", b"Subject: ", b"Date: ", b"<a@b>", b"(", b")", b",", b"~{", b"\x1b$B", b"\xef\xbb\xbf"),
        *(
            b"application/mac-binhex40",
            b"(This file must be converted with BinHex 4.0)\r\n:",
            b":",
            b"!!!",
            b"end\n",
        ),
        *(
            b"application/pkcs7-mime",
            b"0\x80",
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
            b"\xa0\x80",
            b"\0\0",
        ),
        *(b"\x1b$)A", b"\x0e", b"\x0f", b"<table>", b"<tr>", b"<td>", b"</tr>", b"</table>", b"GMT+08:00"),
        *(
            "星期一".encode(),
            "十一月".encode("gbk"),
            b"application/vnd.ms-outlook",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        ),
        *(b"\x78\x9f\x3e\x22\0\0", b"\xff\xd8\xff\xe1", b"PK\x03\x04", b"II*\0", "镕".encode("gb18030")),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=40))
def test_no_mail_at_all_is_refused(pieces: list[bytes]) -> None:
    value, blobs = mail.read(b"".join(pieces), {"envelope_from": "z@z.cn"})
    assert "unparsed" not in value["findings"]
    assert len(blobs) == len(value["attachments"])
    value["text"].encode("utf-8")
