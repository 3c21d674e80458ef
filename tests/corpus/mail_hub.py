"""A whole hub with its SMTP door open in this process, and a sender that changes no byte of a mail."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from channels.email import Door
from domain.handling import Mode
from domain.report import Report
from hub import birth
from hub.settings import Settings
from hub.wiring import Hub, build, smtp_door
from store import inbox, journal, reports
from store import tables as t
from tests.channels.smtp_house import Line
from tests.servers import free_port

DOMAIN = "yj.example.org"
DUTY = f"baosong@{DOMAIN}"


@dataclass
class MailHub:
    """Store, sandbox, filing and door as the wiring builds them; the test is its worker."""

    hub: Hub
    door: Door
    loop: asyncio.AbstractEventLoop
    sent: dict[str, bytes] = field(default_factory=dict)  # code -> the bytes as they lie in the hub

    @classmethod
    def beside(cls, hub: Hub) -> "MailHub":
        """The hub of a door that runs in another process."""
        return cls(hub=hub, door=smtp_door(hub), loop=asyncio.new_event_loop())

    def due(self) -> list[str]:
        return self.hub.store.read(lambda u: inbox.due(u, self.hub.clock()))

    @contextmanager
    def door_idle(self) -> Iterator[None]:
        """After what the door has handed to the store is written: the store writes in the order it was asked."""
        self.hub.store.run(lambda _unit: None)
        yield

    def reports_of(self, sender: str) -> int:
        """How many reports name this sender."""
        found = self.hub.store.read(
            lambda u: [reports.get(u, row.id) for row in u.rows(sa.select(t.report_row.c.id))]
        )
        return sum(sender in [f.value for f in one.content.facts.get("sender", ())] for one in found if one)

    def line(self) -> Line:
        phone = Line(self.door.address)
        phone.say("EHLO sender.example.org")
        return phone

    def send(self, raw: bytes, *, sender: str = "a@b.cn", to: str = DUTY, line: Line | None = None) -> str:
        """Hand over one mail and have it filed; the code of its report. Not a byte is changed."""
        phone = line or self.line()
        reply = post(phone, raw, sender=sender, to=to)
        if line is None:
            phone.close()
        assert reply.startswith("250 2.0.0 "), reply
        code = reply.split()[2]
        # A mail can only end with CRLF; a repeat by another path (other header) leaves the first as it is.
        self.sent.setdefault(code, raw if raw.endswith(b"\r\n") else raw + b"\r\n")
        return code

    def file(self) -> None:
        """What workers do until nothing is due."""
        while ids := self.due():
            for one in ids:
                self.hub.jobs.file_report(one)

    def report(self, raw: bytes, **envelope: Any) -> Report:
        """Send, file, and read the report; its original must be there byte for byte."""
        code = self.send(raw, **envelope)
        self.file()
        assert self.original(code) == self.sent[code]
        found = self.found(code)
        assert found is not None, f"no report {code}"
        return found

    def found(self, code: str) -> Report | None:
        id_ = self.hub.store.read(
            lambda u: u.scalar(sa.select(t.report_row.c.id).where(t.report_row.c.code == code))
        )
        return self.hub.store.read(lambda u: reports.get(u, str(id_))) if id_ else None

    def original(self, code: str) -> bytes:
        inbound = sa.select(t.inbound.c.id).where(t.inbound.c.code == code)
        arrived = self.hub.store.read(lambda u: inbox.load(u, str(u.scalar(inbound)), self.hub.blobs.get))
        assert arrived is not None
        return arrived.inbound.raw

    def attachment(self, report: Report, name: str) -> bytes:
        sha = next(a.sha256 for a in report.content.attachments if a.name == name)
        return self.hub.blobs.get(sha)

    def shelf(self) -> list[tuple[str, str, str]]:
        """(kind, reason, origin) of everything on the shelf, oldest first."""
        s = t.shelf.c
        rows = self.hub.store.read(
            lambda u: u.rows(sa.select(s.kind, s.reason, s.origin).order_by(s.at, s.id))
        )
        return [(row.kind, row.reason, row.origin) for row in rows]

    def acknowledged(self, report: Report) -> str:
        """What the journal says about the acknowledgement: the channel, or the reason for none."""
        entries = self.hub.store.read(lambda u: journal.entries(u, "report", report.id))
        (filed,) = [entry for entry in entries if entry.act == "file"]
        detail = filed.detail if isinstance(filed.detail, dict) else json.loads(filed.detail)
        return str(detail["acknowledged"])

    def notices(self) -> int:
        return int(
            self.hub.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.delivery)))
        )


def post(phone: Line, raw: bytes, *, sender: str = "a@b.cn", to: str = DUTY) -> str:
    """One mail over an open connection; the last reply."""
    reply = phone.say(f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA")
    if not reply.startswith("354"):
        return reply
    stuffed = (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]  # RFC 5321 §4.5.2
    phone.socket.settimeout(60)
    phone.send(stuffed + (b"" if raw.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    return phone.read()


@contextmanager
def mail_hub(directory: Path, *, database_url: str = "", **more: Any) -> Iterator[MailHub]:
    """A demo hub, its relay at a port where nobody listens: acknowledgements are promised, none leaves."""
    settings = Settings(
        data_dir=directory, database_url=database_url, smtp_port=free_port(), email_domain=DOMAIN,
        email_relay_host="127.0.0.1", email_relay_port=9, email_relay_tls="never", **more,
    )  # fmt: skip
    birth.prepare(settings, Mode.DEMO, datetime.now(UTC))
    hub = build(settings)
    try:
        with open_door(hub) as made:
            yield made
    finally:
        hub.close()


@contextmanager
def open_door(hub: Hub) -> Iterator[MailHub]:
    """The mail door of a hub in a loop of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    door = smtp_door(hub)
    asyncio.run_coroutine_threadsafe(door.start(), loop).result(20)
    try:
        yield MailHub(hub=hub, door=door, loop=loop)
    finally:
        asyncio.run_coroutine_threadsafe(door.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)


def is_open(hub: MailHub) -> bool:
    """Whether the door still greets."""
    with socket.create_connection(hub.door.address, timeout=5) as one:
        return one.recv(3) == b"220"
