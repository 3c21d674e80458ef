"""The SMTP door of a whole hub under senders who mean harm: smuggling, sizes, bombs (H1, H4, findings 5 and 6).

H2, H3 and H5, which end before a mail is in memory, are tried on the door alone: tests/channels/test_smtp_*.py.
"""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.codecs.mail_wrap import wrap
from domain.errors import Never
from domain.handling import Mode
from hub import birth
from hub.settings import Settings
from hub.wiring import build
from sandbox.pool import Pool
from tests.channels.mail_kit import HEAD
from tests.channels.smtp_house import Line
from tests.corpus.hostile.mail_bombs import BOMBS, GREEDY, SLOW
from tests.corpus.mail_hub import DUTY, MailHub, is_open, mail_hub, post
from tests.servers import free_port, wait_for

ENDS = {
    "LF . CRLF": b"\n.\r\n",
    "LF . LF": b"\n.\n",
    "CRLF . LF": b"\r\n.\n",
    "CR . CR": b"\r.\r",
    "CRLF . CR": b"\r\n.\r",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
}


@pytest.mark.parametrize("name", ENDS)
def test_h1_a_smuggled_second_mail_is_text_of_the_one_report(mails: MailHub, name: str) -> None:
    before = len(mails.shelf())
    inner = b"MAIL FROM:<forged@gov.cn>\r\nRCPT TO:<duty@gov.cn>\r\nDATA\r\nSubject: forged\r\n\r\nevacuate"
    raw = b"Subject: real %d\r\n\r\nwater rises" % list(ENDS).index(name) + ENDS[name] + inner
    report = mails.report(raw)  # its original is there byte for byte
    assert report.content.text.startswith("water rises")
    assert report.content.text.rstrip().endswith("evacuate")
    assert ("bare_newline" in report.content.findings) is ("NUL" not in name)
    mails.file()
    assert mails.reports_of("forged@gov.cn") == 0
    assert len(mails.shelf()) == before


def test_h1_what_leaves_the_hub_has_whole_line_ends_only() -> None:
    text = "暴雨\n\n第一行\r第二行\n.\r\n第三行\r\n\r.\r"
    sent = wrap(text.encode(), to="a@b.cn", delivery_id="dsp_01JDZ3K5V8W9XYZABCDEFGHJKM-1-1", language="zh-CN",
                is_notice=True, at=datetime.now(UTC), head=HEAD)  # fmt: skip
    pairs = sent.count(b"\r\n")
    assert sent.count(b"\n") == sent.count(b"\r") == pairs
    with pytest.raises(Never):  # nor can a subject bring a header of its own
        wrap(b"a\rBcc: x@y.cn\n\ntext", to="a@b.cn", delivery_id="dsp_01JDZ3K5V8W9XYZABCDEFGHJKM-1-1",
             language="en", is_notice=True, at=datetime.now(UTC), head=HEAD)  # fmt: skip


@pytest.fixture
def public(tmp_path: Path) -> Iterator[MailHub]:
    with mail_hub(tmp_path / "data", public_url="https://yj.example.org") as made:
        yield made


def test_h4_a_declared_50_mb_is_refused_at_mail_with_the_address_of_the_form(public: MailHub) -> None:
    phone = public.line()
    reply = phone.say(f"MAIL FROM:<a@b.cn> SIZE={50 << 20}")
    assert reply == f"552 5.3.4 mails are kept up to {25 << 20} bytes https://yj.example.org/report\r\n"
    phone.say(f"MAIL FROM:<a@b.cn> SIZE={50 << 20}")
    phone.close()
    with public.door_idle():
        assert public.shelf() == [("door", "mail_too_big", "127.0.0.1 sender.example.org")]


def test_h4_an_undeclared_50_mb_is_cut_off_and_noted_on_the_shelf_once(public: MailHub) -> None:
    for _ in range(2):
        phone = public.line()
        phone.say("MAIL FROM:<a@b.cn>", f"RCPT TO:<{DUTY}>", "DATA")
        block, sent = b"Subject: photo\r\n\r\n" + b"a" * 70 + b"\r\n", 0
        started = time.monotonic()
        while sent < 50 << 20:
            try:
                phone.socket.sendall(block * 10_000)
            except OSError:
                break
            sent += len(block) * 10_000
        reply = phone.read()
        assert reply.startswith("552 5.3.4 ") and "https://yj.example.org/report" in reply
        assert sent < 40 << 20
        assert time.monotonic() - started < 10
        phone.close()
    assert is_open(public)
    with public.door_idle():
        assert [(kind, reason) for kind, reason, _ in public.shelf()] == [("door", "mail_too_big")]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def test_r16_bombs_cost_the_door_process_neither_seconds_nor_memory_and_every_one_is_a_report(
    tmp_path: Path,
) -> None:
    """Findings 5 and 6: a door of its own process takes them; a hub beside it reads them in the sandbox."""
    settings = Settings(data_dir=tmp_path / "data", smtp_port=free_port())
    birth.prepare(settings, Mode.DEMO, datetime.now(UTC))
    environment = {
        **os.environ,
        "TOCSIN_DATA_DIR": str(settings.data_dir),
        "TOCSIN_SMTP_PORT": str(settings.smtp_port),
    }
    door = subprocess.Popen([sys.executable, "-m", "tocsin", "smtp"], env=environment,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    hub = build(settings)
    try:
        wait_for(settings.smtp_port)
        here = MailHub.beside(hub)
        codes, peaks = {}, [("", 0, peak_mb(door.pid))]
        for name, raw in BOMBS.items():
            phone = Line((settings.smtp_host, settings.smtp_port))
            phone.say("EHLO bomber.example.org")
            started = time.monotonic()
            reply = post(phone, raw, sender="bomber@example.org")
            assert reply.startswith("250 "), (name, reply)
            assert time.monotonic() - started < 2 + len(raw) / (10 << 20), (
                name
            )  # and the time to carry 10 MB a second
            codes[name] = reply.split()[2]
            peaks.append((name, len(raw) >> 20, peak_mb(door.pid)))
            phone.close()
        assert peak_mb(door.pid) < 256, peaks[-3:]
        here.file()
        for name, code in codes.items():
            report = here.found(code)
            assert report is not None, name
            if "unparsed" in report.content.findings:
                assert report.id in [origin for _, _, origin in here.shelf()], name
        assert door.poll() is None
    finally:
        door.terminate()
        door.wait(15)
        hub.close()


DEADLY: dict[str, tuple[bytes, dict[str, Any]]] = {
    "parser_memory": (GREEDY, {"memory_bytes": 120 << 20}),
    "parser_timeout": (SLOW, {"cpu": timedelta(milliseconds=200)}),  # rounded up to one whole second
}


@pytest.mark.parametrize("reason", DEADLY)
def test_r16_a_mail_that_kills_its_reader_is_filed_unread_and_shelved_and_the_next_one_is_read(
    mails: MailHub, reason: str
) -> None:
    """Limits that the bomb surely meets; the mail after it finds a fresh child."""
    bomb, limits = DEADLY[reason]
    raw = b"Message-ID: <%s@x>\r\n" % reason.encode() + bomb
    small = Pool(**limits)
    hub = dataclasses.replace(mails.hub.filing, pool=small)
    code = mails.send(raw)
    try:
        for one in mails.due():
            assert hub.file(one)
        report = mails.found(code)
        assert report is not None
        assert report.content.findings[:2] == (reason, "unparsed")
        assert "first words" in report.content.text
        assert report.content.first("sender") == "a@b.cn"
        assert ("inbound", reason, report.id) in mails.shelf()
        assert mails.original(code) == mails.sent[code]
        code = mails.send(b"Subject: after\r\nMessage-ID: <%s-2@x>\r\n\r\nread me\r\n" % reason.encode())
        for one in mails.due():
            hub.file(one)
        after = mails.found(code)
        assert after is not None
        assert after.content.text == "read me"
    finally:
        small.close()
