"""The SMTP door over real sockets: what it takes, when it says so, and what hostile input gets."""

import asyncio
import hashlib
import os
import smtplib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import example, given
from hypothesis import strategies as st

from channels.codecs.smtp_session import _PLAIN, Conversation
from domain.errors import Unavailable
from domain.report import Inbound
from tests.channels.smtp_house import AT, MAIL, House, Line, certificate, send, trusting


def test_a_mail_is_taken_whole_with_what_the_envelope_said(house: Callable[..., House]) -> None:
    at = house()
    assert send(at, MAIL) == (250, b"2.0.0 4F7K-92PX")
    (mail,) = at.kept
    assert (mail.channel, mail.media_type, mail.raw, mail.received_at) == (
        "email",
        "message/rfc822",
        MAIL,
        AT,
    )
    assert mail.sender == "caller@example.org"
    assert mail.meta == {
        "peer": "127.0.0.1",
        "helo": "sender.example.org",
        "rcpt_to": ["duty@example.org"],
        "tls": False,
        "bare_newline": False,
    }
    body = hashlib.sha256(b"smoke over the harbour\r\n").digest()
    assert mail.external_id == hashlib.sha256(b"<1@example.org>" + body).hexdigest()


@pytest.mark.parametrize(
    "raw",
    [
        b".\r\n",
        b"..\r\n.a\r\n",
        b"\r\n",
        b"\r\n\r\n.\x00\r\n",
        b"x" * 70_000 + b"\r\n.\r\n",
        b"a\r\n" * 60_000,
    ],
)
def test_every_byte_of_a_mail_survives_the_dots_of_the_protocol(
    house: Callable[..., House], raw: bytes
) -> None:
    at = house()
    assert send(at, raw)[0] == 250
    assert at.kept[0].raw == raw


def test_an_empty_mail_is_taken(house: Callable[..., House], line: Callable[[House], Line]) -> None:
    at = house()
    phone = line(at)
    phone.begin()
    assert phone.say(".") == "250 2.0.0 4F7K-92PX\r\n"
    assert at.kept[0].raw == b""


def test_a_bounce_with_an_empty_sender_is_taken(house: Callable[..., House]) -> None:
    at = house()
    with smtplib.SMTP(*at.address) as client:
        client.sendmail("", "duty@example.org", MAIL)
    assert at.kept[0].sender == ""


def test_addresses_that_are_not_text_are_kept_as_text_that_can_be_stored(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house()
    phone = line(at)
    phone.say("EHLO x")
    phone.socket.sendall(b"MAIL FROM:<\xff\xc0@example.org>\r\n")
    assert phone.read()[:3] in ("250", "553")
    phone.say("RSET", "MAIL FROM:<消防@example.org> SMTPUTF8", "RCPT TO:<duty@example.org>", "DATA")
    phone.send(MAIL + b".\r\n")
    assert phone.read().startswith("250 ")
    assert at.kept[0].sender == "消防@example.org"


def test_250_is_said_only_after_the_hub_has_taken_the_mail(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    kept, taken = threading.Event(), threading.Event()

    async def take(_inbound: Inbound) -> str:
        taken.set()
        await asyncio.to_thread(kept.wait, 10)
        return "4F7K-92PX"

    phone = line(house(take))
    phone.begin()
    phone.send(MAIL + b".\r\n")
    assert taken.wait(10)
    phone.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        phone.socket.recv(1)
    kept.set()
    phone.socket.settimeout(10)
    assert phone.socket.recv(100) == b"250 2.0.0 4F7K-92PX\r\n"


SECRET = "postgres://u:secret@h"


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (Unavailable(SECRET), "smtp.unavailable"),
        (RuntimeError(SECRET), "smtp.error"),
        (MemoryError(), "smtp.error"),
    ],
)
def test_when_the_hub_cannot_keep_it_the_sender_is_told_to_come_back_and_nothing_else(
    house: Callable[..., House], error: Exception, event: str
) -> None:
    async def take(_inbound: Inbound) -> str:
        raise error

    at = house(take)
    code, text = send(at, MAIL)
    assert code == 451
    assert b"secret" not in text
    assert type(error).__name__.encode() not in text
    assert [name for name, _ in at.logged] == [event]
    assert SECRET not in str(at.logged)


def test_an_error_in_a_command_is_answered_451_without_its_text(
    house: Callable[..., House], line: Callable[[House], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched because no input is known that makes the library itself raise here.
    def fail(*_: Any) -> None:
        raise RuntimeError(SECRET)

    at = house()
    phone = line(at)
    monkeypatch.setattr("aiosmtpd.smtp.SMTP._getaddr", fail)
    reply = phone.say("EHLO x", 'MAIL FROM:<"a b"@example.org>')  # plain ones are read without the library
    assert reply == "451 4.3.0 not taken, try again later\r\n"
    assert at.logged == [("smtp.error", {"error": "RuntimeError"})]


@pytest.mark.parametrize(
    "end", [b"\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r.\r\n", b"\n\r.\r\n"]
)
def test_h1_a_smuggled_end_is_content_of_exactly_one_mail(
    house: Callable[..., House], line: Callable[[House], Line], end: bytes
) -> None:
    at = house()
    phone = line(at)
    phone.begin()
    inner = b"MAIL FROM:<forged@example.org>\r\nRCPT TO:<duty@example.org>\r\nDATA\r\nforged\r\n"
    phone.send(b"Subject: a\r\n\r\ntext" + end + inner + b".\r\n")
    assert phone.read().startswith("250 ")
    assert phone.say("NOOP").startswith("250 ")
    (mail,) = at.kept
    assert mail.sender == "a@example.org"
    assert mail.raw.startswith(b"Subject: a\r\n\r\ntext")
    assert mail.raw.endswith(b"forged\r\n")
    assert mail.meta["bare_newline"] is (end != b"\r\n\0.\r\n")


def test_two_mails_in_one_packet_are_two_mails(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house()
    phone = line(at)
    phone.begin()
    phone.send(b"one\r\n.\r\nMAIL FROM:<b@example.org>\r\nRCPT TO:<duty@example.org>\r\nDATA\r\n")
    assert [phone.read()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
    phone.send(b"two\r\n.\r\n")
    phone.read()
    assert [(m.raw, m.sender) for m in at.kept] == [
        (b"one\r\n", "a@example.org"),
        (b"two\r\n", "b@example.org"),
    ]


def test_with_a_certificate_the_mail_comes_encrypted(house: Callable[..., House], tmp_path: Path) -> None:
    at = house(tls=certificate(tmp_path))
    with smtplib.SMTP(*at.address) as client:
        client.starttls(context=trusting())
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert "starttls" not in client.esmtp_features
        client.sendmail("a@example.org", "duty@example.org", MAIL * 20_000)
    assert at.kept[0].meta["tls"] is True
    assert at.kept[0].raw == MAIL * 20_000


def test_h2_bytes_behind_starttls_end_the_connection(
    house: Callable[..., House], line: Callable[[House], Line], tmp_path: Path
) -> None:
    at = house(tls=certificate(tmp_path))
    phone = line(at)
    phone.say("EHLO x")
    phone.send(b"STARTTLS\r\nMAIL FROM:<forged@example.org>\r\nRCPT TO:<duty@example.org>\r\n")
    assert phone.read().startswith("554 ")
    assert phone.read() == ""


def test_h2_a_session_forgets_what_was_said_before_the_handshake(
    house: Callable[..., House], tmp_path: Path
) -> None:
    at = house(tls=certificate(tmp_path))
    with smtplib.SMTP(*at.address) as client:
        client.ehlo()
        client.mail("forged@example.org")
        client.starttls(context=trusting())
        client.ehlo()
        assert client.rcpt("duty@example.org")[0] == 503


def test_closing_the_door_lets_a_mail_in_hand_be_kept_and_sends_the_idle_away() -> None:
    kept, taken = threading.Event(), threading.Event()

    async def take(_inbound: Inbound) -> str:
        taken.set()
        await asyncio.to_thread(kept.wait, 10)
        return "4F7K-92PX"

    at = House(take)
    idle, busy = Line(at.address), Line(at.address)
    busy.begin()
    busy.send(MAIL + b".\r\n")
    assert taken.wait(10)
    closing = asyncio.run_coroutine_threadsafe(at.door.stop(), at.loop)
    assert idle.read().startswith("421 ")
    kept.set()
    assert busy.read() == "250 2.0.0 4F7K-92PX\r\n"
    closing.result(10)
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection(at.address, timeout=1)
    at.close()


def test_no_address_reaches_the_log_of_the_library(
    house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    send(house(), MAIL)
    assert "caller@" not in caplog.text


@pytest.mark.skipif(
    not os.environ.get("TOCSIN_CORPUS") and not os.environ.get("CI"), reason="TOCSIN_CORPUS is unset"
)
def test_every_mail_of_the_corpus_comes_through_the_door_byte_for_byte(house: Callable[..., House]) -> None:
    folder = Path(os.environ["TOCSIN_CORPUS"]) / "email"
    at, sent = house(), []
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files
    with smtplib.SMTP(*at.address) as client:
        for path in files:
            # smtplib's data() makes every line end CRLF and adds one at the end; so does this.
            raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            raw += b"" if raw.endswith(b"\r\n") else b"\r\n"
            client.sendmail("a@example.org", "duty@example.org", raw)
            sent.append(raw)
    assert [mail.raw for mail in at.kept] == sent


@given(st.from_regex(r"\A<?[ -~\t]{0,30}@?[ -~]{0,12}>?[ -~\t]{0,20}\Z"))
@example("<a@b.c> SIZE=5")
@example("<a..b@c.d>")
@example("<a@b.c>x y")
def test_plain_addresses_are_read_as_the_library_reads_them(arg) -> None:
    library = SMTP.__new__(SMTP)
    library.local_part_limit = 0
    plain = _PLAIN.fullmatch(arg)
    if plain:
        assert (plain[1], plain[2]) == SMTP._getaddr(library, arg)


WRITTEN = [  # MAIL FROM as it came, and the envelope's sender
    ("<a@b.cn.>", "a@b.cn."),
    ("<a@b..cn>", "a@b..cn"),
    ("<a@b@c.cn>", "a@b@c.cn"),
    ("<<a@b.cn>>", "a@b.cn"),
    ('"Zhang" <a@b.cn>', "a@b.cn"),
    ("a@b.cn>", "a@b.cn"),
    ("<a,b@x.cn>", "a,b@x.cn"),
    ("<a[1]@b.cn>", "a[1]@b.cn"),
    ("<mailto:a@b.cn>", "mailto:a@b.cn"),
    ("<a@[>", "a@["),
    ("<a@b.cn> RET=HDRS ENVID=QQ314159", "a@b.cn"),
    ("<a@b.cn> AUTH=<>", "a@b.cn"),
    ("<a@b.cn> SIZE=abc", "a@b.cn"),
    ("<a@b.cn> BODY=BINARYMIME SMTPUTF8", "a@b.cn"),
    ("<a@b.cn> X=1 SIZE=100", "a@b.cn"),
    ("<> RET=FULL", ""),
]


@pytest.mark.parametrize(("written", "sender"), WRITTEN)
def test_how_an_address_is_written_or_what_stands_behind_it_is_no_reason_to_refuse_a_mail(
    house: Callable[..., House], line: Callable[[House], Line], written: str, sender: str
) -> None:
    at = house()
    phone = line(at)
    phone.say("EHLO x")
    told = phone.say(
        f"MAIL FROM:{written}", "RCPT TO:<duty@example.org.> NOTIFY=SUCCESS ORCPT=rfc822;x@y.cn", "DATA"
    )
    assert told.startswith("354"), told
    phone.send(MAIL + b".\r\n")
    assert phone.read().startswith("250 ")
    assert [(mail.sender, mail.meta["rcpt_to"]) for mail in at.kept] == [(sender, ["duty@example.org."])]


def test_a_size_over_the_limit_is_refused_behind_an_odd_address_too(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    phone = line(house())
    phone.say("EHLO x")
    assert phone.say("MAIL FROM:<a@b.cn.> SIZE=99999999").startswith("552 ")
    assert phone.say("MAIL FROM:").startswith("553 ")


@given(st.text(alphabet='<>@.,;:"\\()[] \tab张=\x00-_', max_size=14))
def test_no_address_is_too_odd_for_its_reader(written) -> None:
    session = Conversation.__new__(Conversation)
    session.local_part_limit = 0
    address, _ = session._getaddr(written)
    assert address is None or isinstance(address, str)
