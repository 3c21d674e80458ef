"""Mails made to burn time or memory, by what they attack; none above the size that a door takes."""

import base64
import random

HEAD = b"From: bomber@example.org\r\nTo: duty@example.org\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
HTML = HEAD + b"Content-Type: text/html\r\n\r\n"


def nested(depth: int) -> bytes:
    """Multiparts in each other."""
    inner = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(depth)
    )
    return (
        HEAD + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + inner + b"--b%d\r\n\r\nhi\r\n" % depth
    )


def parts(count: int) -> bytes:
    """As many small parts in one multipart."""
    return MIXED + b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n" * count + b"--B--\r\n"


def encoded_words(count: int) -> bytes:
    """One Subject of so many encoded words: quadratic in Python's email.policy.default."""
    return HEAD + b"Subject: " + b"\r\n ".join([b"=?utf-8?B?5Lit?="] * count) + b"\r\n\r\nhi\r\n"


def _texts(count: int) -> bytes:
    """Texts of letters under heaps of marks: each letter is looked at one by one."""
    text = ("a" + "\u0301\u0323" * 120_000).encode()
    return (b"--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + b"\r\n") * count


def _pages(count: int) -> bytes:
    """Pages of formatting left open, which a parser opens anew in every block."""
    page = b"<b>" * 1_990 + b"<div>x</div>\r\n" * 8_000
    return (b"--B\r\nContent-Type: text/html\r\n\r\n" + page + b"\r\n") * count


SLOW = MIXED + b"--B\r\n\r\nfirst words\r\n" + _texts(48) + _pages(10) + b"--B--\r\n"
GREEDY = (
    MIXED + b"--B\r\n\r\nfirst words\r\n--B\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(bytes(17 << 20)) + b"--B--\r\n"
)  # fmt: skip

BOMBS = {
    "60,000 encoded words": encoded_words(60_000),
    "depth 1,000": nested(1_000),
    "depth 10,000": nested(10_000),
    "100,000 parts": parts(100_000),
    "1,000 nested comments": b"From: " + b"(" * 1_000 + b")" * 1_000 + b" <a@b.cn>\r\n\r\nhi\r\n",
    "20,000 addresses": HEAD + b"Cc: " + b",\r\n ".join([b'"x" <a@b.cn>'] * 20_000) + b"\r\n\r\nhi\r\n",
    "a line of 900 KB": b"Subject: x\r\n\r\n" + b"x" * 900_000 + b"\r\n",
    "a boundary in itself": MIXED
    + b"--B\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" * 100_000
    + b"--B\r\n\r\nhi\r\n",
    "1,000,000 fields": b"a: b\r\n" * 1_000_000 + b"\r\nhi\r\n",
    "open tags": HTML + b"<div>\r\n" * 200_000 + b"hi\r\n",
    "misnested tags": HTML + b"<div></b>\r\n" * 300_000 + b"\r\n",
    "zalgo": HEAD
    + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    + ("a" + "\u0301\u0323" * 200_000).encode()
    + b"\r\n",
    "noise": random.Random(7).randbytes(8 << 20).replace(b"\r\n.", b"") + b"\r\n",
    "begin without end": HEAD + b"\r\n" + b"begin 644 a\r\n" * 500_000 + b"end\r\n",
    "a file of zeros": GREEDY,
}
