"""The identity of a mail, and that strangers cannot make it slow."""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.codecs import mail_id
from channels.codecs.mail_id import external_id

MAIL = b"From: a\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\r\nhello\r\nworld\r\n"


@pytest.mark.parametrize(
    "again",
    [
        b"Received: from relay\r\n by hub\r\n" + MAIL,
        MAIL.replace(b"\r\n", b"\n"),
        MAIL.replace(b"\r\n", b"\r"),
        MAIL.replace(b"Message-ID: <", b"message-id:\r\n\t <"),
        MAIL.replace(b"Subject: x", b"Subject: [duty] x"),
    ],
)
def test_the_same_mail_by_another_path_is_the_same(again: bytes) -> None:
    assert external_id(again) == external_id(MAIL)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"world", b"World"),
        MAIL.replace(b"<1@", b"<2@"),
        MAIL.replace(b"Message-ID", b"X-Message-ID"),
        MAIL + b"\r\n",
    ],
)
def test_another_text_or_another_id_is_another_mail(other: bytes) -> None:
    assert external_id(other) != external_id(MAIL)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"\r\nMessage-ID: <in-the-body@x>\r\n",
        b"Subject: a\r\n\r\nMessage-ID: <in-the-body@x>\r\n",
        b"Message-ID:\r\nSubject: empty\r\n\r\nbody",
        b"Message-ID: \r\n \r\n\r\nbody",
    ],
)
def test_without_a_message_id_the_bytes_are_the_identity(raw: bytes) -> None:
    assert external_id(raw) == hashlib.sha256(raw).hexdigest()


def test_of_two_message_ids_the_first_counts() -> None:
    assert external_id(b"Message-ID: <1@x>\n" + b"Message-ID: <2@x>\n\nb") == external_id(
        b"Message-ID: <1@x>\n\nb"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"Message-ID:" + b"\r\n " * 3_000_000,
        b"Message-ID:" + b" " * 9_000_000 + b"\n\nb",
        b"message-id\n" * 900_000,
        b"A: b\n" * 2_000_000,
        b"\r" * 9_000_000,
        b"Message-ID: <" + b"x" * 9_000_000,
    ],
    ids=["folds", "spaces", "names", "headers", "returns", "id"],
)
def test_h17_nine_megabytes_of_header_take_under_a_second(raw: bytes) -> None:
    started = time.process_time()
    assert len(external_id(raw)) == 64
    assert time.process_time() - started < 1


@given(
    lines=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"Message-ID: <1@x>", b"a", b" "]), max_size=14),
    piece=st.integers(1, 6),
)
def test_a_large_body_is_hashed_piece_by_piece_and_no_piece_splits_a_line_end(
    lines: list[bytes], piece: int
) -> None:
    raw = b"Message-ID: <1@x>\r\n\r\n" + b"".join(lines)
    whole = external_id(raw)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mail_id, "_PIECE", piece)
        assert external_id(raw) == whole
    assert external_id(raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) == whole
