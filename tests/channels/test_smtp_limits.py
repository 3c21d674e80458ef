"""The SMTP door under sizes, numbers and times that nobody honest needs (H3 to H5)."""

import datetime as dt
import smtplib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from channels.codecs import smtp_incoming
from channels.codecs.smtp_peers import network
from channels.codecs.smtp_session import Limits
from tests.channels.smtp_house import MAIL, House, Line, held


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


def test_a_mail_of_one_line_is_kept_up_to_the_size_of_a_mail(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house(limits=Limits(line=100_000, size=3_000_000))
    phone = line(at)
    phone.begin()
    body = b"Subject: x\r\n\r\n" + b"\r\n.." + b"QUJD" * 700_000 + b"\r\n" + b"end"
    for start in range(0, len(body), 60_000):
        phone.send(body[start : start + 60_000])
    phone.send(b"\r\n.\r\n")
    assert phone.read().startswith("250")
    assert at.kept[0].raw == body.replace(b"..", b".") + b"\r\n"
    assert at.run(held(at)) == 0


def test_a_long_line_without_room_on_the_disk_is_left_with_its_sender(
    house: Callable[..., House], line: Callable[[House], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(smtp_incoming.tempfile, "TemporaryFile", full)  # no disk of a test is full
    at = house(limits=Limits(line=10_000))
    phone = line(at)
    phone.begin()
    for _ in range(4):
        phone.send(b"x" * 60_000)
    assert phone.read().startswith("452 ")
    assert phone.read() == ""
    assert (at.kept, at.run(held(at))) == ([], 0)


def test_lines_without_end_count_among_what_all_mails_hold(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    at = house(limits=Limits(line=10_000, held=500_000))
    phone = line(at)
    phone.begin()
    for _ in range(20):
        phone.send(b"x" * 60_000)
    assert phone.read().startswith("452 ")
    assert at.run(held(at)) == 0


def test_a_line_that_is_too_long_to_be_kept_is_noted_and_its_sender_told_where_to_go(
    house: Callable[..., House], line: Callable[[House], Line]
) -> None:
    noted: list[str] = []
    at = house(
        limits=Limits(size=100_000), elsewhere="https://yj.example.cn/report",
        note=lambda reason, _who: noted.append(reason),
    )  # fmt: skip
    phone = line(at)
    phone.begin()
    phone.send(b"x" * 400_000)
    assert "https://yj.example.cn/report" in phone.read()
    assert (at.kept, noted) == ([], ["mail_too_big"])


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
    assert sent < 40_000_000  # cut at the size of a mail, long before all was sent


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
    ("peer", "expected"),
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
def test_a_network_is_a_24_or_a_48(peer: str, expected: str) -> None:
    assert network(peer) == expected


@pytest.mark.parametrize("limit", ["session", "silence"])
def test_h5_a_session_that_takes_too_long_ends_with_421(
    house: Callable[..., House], line: Callable[[House], Line], limit: str
) -> None:
    phone = line(house(limits=Limits(**{limit: dt.timedelta(milliseconds=300)})))
    phone.begin()
    phone.send(b"a")
    assert phone.read().startswith("421 ")
    assert phone.read() == ""


def test_r21_f39_a_full_door_says_451_before_the_mail_and_takes_the_next_one_when_it_is_not() -> None:
    full = [True]
    house = House(is_full=lambda: full[0])
    try:
        line = Line(house.address)
        assert line.say("EHLO a", "MAIL FROM:<a@example.org>").startswith("451 4.3.2 ")
        full[0] = False
        assert line.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@tocsin.example>").startswith("250")
        assert line.say("DATA").startswith("354")
        line.socket.sendall(MAIL + b".\r\n")
        assert line.read().startswith("250 2.0.0 ")
    finally:
        house.close()
