"""The SMTP door over real sockets: what it takes, when it says so, and what hostile input gets."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import os
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.codecs.smtp_session import Limits
from channels.email import Door, _network, tls_context
from domain.errors import Unavailable
from domain.report import Inbound

AT = dt.datetime(2026, 7, 1, 8, 0, tzinfo=dt.UTC)
MAIL = b"Subject: fire\r\nMessage-ID: <1@example.org>\r\n\r\nsmoke over the harbour\r\n"
Take = Callable[[Inbound], Awaitable[str]]


class House:
    """A door in its own event loop, and what it was given."""

    def __init__(self, take: Take | None = None, **settings: Any) -> None:
        self.kept: list[Inbound] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

        async def keep(inbound: Inbound) -> str:
            self.kept.append(inbound)
            return "4F7K-92PX"

        def log(event: str, /, **ids: Any) -> None:
            self.logged.append((event, ids))

        self.door = Door(
            host="127.0.0.1", port=0, take=take or keep, log=log, now=lambda: AT, hostname="door", **settings
        )
        self.run(self.door.start())
        self.address = self.door.address

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.run(self.door.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture
def house() -> Iterator[Callable[..., House]]:
    opened: list[House] = []

    def build(take: Take | None = None, **settings: Any) -> House:
        opened.append(House(take, **settings))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


class Line:
    """A raw connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.file = self.socket.makefile("rb")
        self.greeting = self.read()

    def read(self) -> str:
        """One reply, '' at the end."""
        reply = b""
        with contextlib.suppress(ConnectionError):
            while (line := self.file.readline()) and line[3:4] == b"-":
                reply += line
            reply += line
        return reply.decode()

    def say(self, *lines: str) -> str:
        reply = ""
        for line in lines:
            self.socket.sendall(line.encode() + b"\r\n")
            reply = self.read()
        return reply

    def begin(self) -> str:
        return self.say("EHLO phone", "MAIL FROM:<a@example.org>", "RCPT TO:<duty@example.org>", "DATA")

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.socket.sendall(data)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


async def held(at: House) -> int:
    """Asked inside the loop of the door: between two of its steps."""
    return at.door.held


@pytest.fixture
def line() -> Iterator[Callable[[House], Line]]:
    opened: list[Line] = []

    def build(at: House) -> Line:
        opened.append(Line(at.address))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


def send(at: House, data: bytes, **options: Any) -> tuple[int, bytes]:
    with smtplib.SMTP(*at.address, timeout=10) as client:
        client.ehlo("sender.example.org")
        client.mail("caller@example.org", **options)
        client.rcpt("duty@example.org")
        return client.data(data)


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
    reply = phone.say("EHLO x", "MAIL FROM:<a@example.org>")
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


def certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return tls_context(certificate=folder / "cert.pem", key=folder / "key.pem")


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


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


@pytest.mark.parametrize("endless", [b"x" * 65_536, b"X: 1\n" * 13_000], ids=["line", "headers"])
def test_h3_what_never_ends_is_cut_with_421_at_the_limit(
    house: Callable[..., House], line: Callable[[House], Line], endless: bytes
) -> None:
    at = house(limits=Limits(size=200_000))
    phone = line(at)
    phone.begin()
    started = time.monotonic()
    for _ in range(20):
        phone.send(endless)
    reply = phone.read()
    assert reply[:4] == ("421 " if endless.startswith(b"x") else "552 ")
    assert phone.read() == ""
    assert time.monotonic() - started < 5
    assert at.kept == []
    assert at.run(held(at)) == 0


def test_h3_a_command_without_end_is_cut_with_421(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    phone = line(house())
    for _ in range(10):
        phone.send(b"x" * 65_536)
    assert phone.read().startswith("421 ")


MEASURE = """
import asyncio, datetime, resource, socket, threading
from channels.email import Door

async def take(inbound):
    return "never"

def rss():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()

async def main():
    door = Door(host="127.0.0.1", port=0, take=take, log=lambda *a, **k: None,
                now=lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    await door.start()
    told = []
    def attack():
        s = socket.create_connection(door.address)
        s.recv(100)
        for c in (b"EHLO x", b"MAIL FROM:<a@b.c>", b"RCPT TO:<a@b.c>", b"DATA"):
            s.sendall(c + b"\\r\\n"); s.recv(1000)
        block, sent = b"x" * 65536, 0
        s.settimeout(5)
        try:
            while sent < 150_000_000:
                s.sendall(block); sent += len(block)
        except OSError:
            pass
        told.append(sent)
    await asyncio.to_thread(attack)
    before, peak = rss(), 0
    work = asyncio.create_task(asyncio.to_thread(attack))
    while not work.done():
        await asyncio.sleep(0.005)
        peak = max(peak, rss())
    print(before, peak, told[-1])
    await door.stop()

asyncio.run(main())
"""


def test_h3_memory_does_not_grow_with_an_endless_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before, peak, sent = map(int, done.stdout.split())
    assert peak - before < 4 * 1024 * 1024, done.stdout
    assert sent < 20_000_000  # the line was cut long before all was sent


def test_h4_a_declared_size_over_the_limit_is_refused_at_once_and_told_where_to_go(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house(limits=Limits(size=1000), elsewhere="https://hub.example.org/report")
    phone = line(at)
    reply = phone.say("EHLO x", "MAIL FROM:<a@example.org> SIZE=50000000")
    assert reply == "552 5.3.4 mails are kept up to 1000 bytes https://hub.example.org/report\r\n"
    assert at.logged == [("smtp.too_big", {"limit": 1000})]


def test_h4_a_mail_over_the_limit_is_refused_and_the_next_one_is_taken(house: Callable[..., House]) -> None:
    at = house(limits=Limits(size=1000))
    with smtplib.SMTP(*at.address) as client:
        client.ehlo()
        client.mail("a@example.org")
        client.rcpt("duty@example.org")
        assert client.data(b"a\r\n" * 400) == (552, b"5.3.4 mails are kept up to 1000 bytes")
        client.sendmail("a@example.org", "duty@example.org", b"x" * 998 + b"\r\n")
    assert [len(mail.raw) for mail in at.kept] == [1000]
    assert at.run(held(at)) == 0


def test_all_mails_together_have_a_limit_too(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house(limits=Limits(held=100_000))
    phone = line(at)
    phone.begin()
    phone.send(b"a\r\n" * 70_000)
    assert phone.read().startswith("452 4.3.1")
    assert at.run(held(at)) == 0


def test_h5_the_hundred_and_first_recipient_gets_452_and_the_mail_is_taken_for_the_others(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house()
    phone = line(at)
    phone.say("EHLO x", "MAIL FROM:<a@example.org>")
    replies = [phone.say(f"RCPT TO:<duty{n}@example.org>")[:3] for n in range(130)]
    assert replies == ["250"] * 100 + ["452"] * 30
    phone.say("DATA")
    assert phone.say("hello\r\n.").startswith("250 ")
    assert len(at.kept[0].meta["rcpt_to"]) == 100


@pytest.mark.parametrize(
    "junk", ["XYZZY", "", "NOOP", "DATA", "X" * 600, "RCPT TO:<a@example.org>", "AUTH PLAIN x"]
)
def test_h5_twenty_junk_commands_end_the_connection_with_421(
    house: Callable[..., House], line: Callable[[House], Line], junk: str
) -> None:
    phone = line(house())
    replies = [phone.say(junk)[:3] for _ in range(21)]
    assert "421" not in replies[:20]
    assert replies[20] == "421"
    assert phone.read() == ""


def test_h5_one_network_gets_twenty_connections_and_this_machine_any_number(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = house()
    here = [Line(at.address) for _ in range(25)]
    assert all(one.greeting.startswith("220 ") for one in here)
    # Patched because every connection of a test comes from this machine.
    monkeypatch.setattr("channels.email._network", lambda _peer: "203.0.113.0/24")
    there = [Line(at.address) for _ in range(21)]
    assert [one.greeting[:3] for one in there] == ["220"] * 20 + ["421"]
    for one in (*here, *there):
        one.close()


def test_a_closed_connection_makes_room_for_the_next(
    house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.email._network", lambda _peer: "203.0.113.0/24")  # as above
    at = house(limits=Limits(per_network=1))
    for _ in range(3):
        one = Line(at.address)
        assert one.greeting.startswith("220 ")
        one.say("QUIT")
        assert one.read() == ""
        one.close()


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("127.0.0.1", ""),
        ("::1", ""),
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "unknown"),
    ],
)
def test_a_network_is_a_24_or_a_48(peer: str, network: str) -> None:
    assert _network(peer) == network


@pytest.mark.parametrize("limit", ["session", "silence"])
def test_h5_a_session_that_takes_too_long_ends_with_421(
    house: Callable[..., House], line: Callable[[House], Line], limit: str
) -> None:
    phone = line(house(limits=Limits(**{limit: dt.timedelta(milliseconds=300)})))
    phone.begin()
    phone.send(b"a")
    assert phone.read().startswith("421 ")
    assert phone.read() == ""


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
