"""Signed and forged mails through the real SMTP door, and the DNS that a test says."""

import asyncio
import base64
import smtplib
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from domain.report import Report
from domain.sender import SenderCheck
from hub import senders
from hub.wiring import SmtpDoor, smtp_door
from intake.sender_checks import Checker
from sandbox.pool import Pool
from store import inbox, reports, sender_checks
from tests.web.api_world import World, world

DEPARTMENT = "flood.example.cn"
ELSEWHERE = "127.0.0.9"  # an address that is not the department's
SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"reply-to")
PLAIN = (
    b"From: =?utf-8?b?6Ziy5rGb5Yqe?= <duty@flood.example.cn>\r\n"
    b"To: duty@hub.example\r\n"
    b"Subject: level 2 at the north dyke\r\n"
    b"Date: Mon, 23 Nov 2026 14:00:00 +0800\r\n"
    b"Message-ID: <1@flood.example.cn>\r\n"
    b"\r\n"
    b"The river stands at  12.4 m.\r\n\r\n"
)


def key(bits: int = 2048, name: str = "") -> tuple[bytes, str]:
    """(private key in PEM, key record) of that size; `name` tells several apart."""
    return _made_key(bits, name)


@lru_cache
def _made_key(bits: int, name: str) -> tuple[bytes, str]:
    if bits < 1024:  # which today's libraries refuse to make
        pem = _openssl(b"", "genrsa", "-traditional", str(bits))
        public = _openssl(pem, "rsa", "-pubout", "-outform", "DER")
    else:
        made = rsa.generate_private_key(65537, bits)
        pem = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        public = made.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def _openssl(given: bytes, *arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def signed(mail: bytes = PLAIN, *, domain: str = DEPARTMENT, bits: int = 2048, **how: Any) -> bytes:
    """`mail` under a signature of dkimpy's."""
    how = {
        "canonicalize": (b"relaxed", b"relaxed"),
        "include_headers": [name for name in SIGNED if name + b":" in mail.lower()],
        **how,
    }
    return bytes(dkim.sign(mail, b"s1", domain.encode(), key(bits)[0], **how)) + mail


def signed_by_hand(
    mail: bytes = PLAIN, *, tags: str, body: bytes | None = None, algorithm: Any = None
) -> bytes:
    """Under a signature with whatever `tags` say beside a, c, d, s, h, bh and b; simple canonicalisation."""
    head, _, text = mail.partition(b"\r\n\r\n")
    algorithm = algorithm or hashes.SHA256()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(text.rstrip(b"\r\n") + b"\r\n" if body is None else body)
    hashed = base64.b64encode(digest.finalize()).decode()
    lines = {line.partition(b":")[0].lower(): line for line in head.split(b"\r\n")}
    own = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d={DEPARTMENT}; s=s1; {tags}"
        f"h={':'.join(name.decode() for name in lines)}; bh={hashed}; b="
    ).encode()
    private: Any = serialization.load_pem_private_key(key()[0], None)
    signature = private.sign(b"\r\n".join([*lines.values(), own]), padding.PKCS1v15(), algorithm)
    return own + base64.b64encode(signature) + b"\r\n" + mail


def zone(**more: Sequence[str]) -> dict[str, Sequence[str]]:
    """The department's names: its key, its servers, and that others are to be refused."""
    return {
        f"TXT s1._domainkey.{DEPARTMENT}": [key()[1]],
        f"TXT {DEPARTMENT}": ["v=spf1 ip4:127.0.0.1 -all"],
        f"TXT _dmarc.{DEPARTMENT}": ["v=DMARC1; p=reject"],
        **more,
    }


@dataclass
class Table:
    """The resolver's port over a table: "TYPE name" -> records; None never answers."""

    records: Mapping[str, Sequence[str] | None]
    asked: list[str] = field(default_factory=list)

    def ask(self, questions: Sequence[tuple[str, str]], *, within: timedelta) -> dict[str, dict[str, Any]]:
        assert timedelta() < within <= timedelta(seconds=3)
        return {" ".join(question): self._one(" ".join(question)) for question in questions}

    def _one(self, question: str) -> dict[str, Any]:
        self.asked.append(question)
        records = self.records.get(question, ())
        if records is None:
            return {"status": "failed", "records": []}
        return {"status": "found" if records else "none", "records": list(records)}


@dataclass
class Street:
    """A hub with its SMTP door open, and the DNS that it asks."""

    hall: World
    door: SmtpDoor
    loop: asyncio.AbstractEventLoop
    checker: Checker

    def send(
        self, mail: bytes, *, sender: str = f"duty@{DEPARTMENT}", source: str = ELSEWHERE,
        helo: str = "mx.flood.example.cn", to: str = "duty@hub.example",
    ) -> str:  # fmt: skip
        """Through the door, and filed; the report's id. A repeat gives the first one's."""
        with smtplib.SMTP(*self.door.address, timeout=10, source_address=(source, 0)) as client:
            client.ehlo(helo)
            client.mail(sender, options=["SMTPUTF8"] if not sender.isascii() else [])
            client.rcpt(to)
            code = client.data(mail)[1].split()[-1].decode()
        self.hall.file_all()
        found: Report = self.hall.hub.store.read(
            lambda unit: next(r for r in reports.page(unit, reports.Filter(), limit=50) if r.code == code)
        )
        return found.id

    def look(self, report_id: str, names: Mapping[str, Sequence[str] | None]) -> tuple[SenderCheck, Table]:
        """Look at the sender with these names; what came of it, and what was asked."""
        table = Table(names)
        replace(self.checker, resolver=table).check(report_id)
        found = self.report(report_id).sender
        assert found is not None
        return found, table

    def judged(
        self, mail: bytes, names: Mapping[str, Sequence[str] | None] | None = None, **envelope: str
    ) -> SenderCheck:
        """What comes of `mail` sent so."""
        return self.look(self.send(mail, **envelope), zone() if names is None else names)[0]

    def report(self, report_id: str) -> Report:
        found = self.hall.hub.store.read(lambda unit: reports.get(unit, report_id))
        assert found is not None
        return found

    def results(self, report_id: str) -> Mapping[str, Any]:
        return self.hall.hub.store.read(lambda unit: sender_checks.results(unit, report_id))

    def due(self) -> list[str]:
        return self.hall.hub.store.read(lambda unit: sender_checks.due(unit, self.hall.clock()))

    def unfiled(self) -> list[str]:
        return self.hall.hub.store.read(lambda unit: inbox.due(unit, self.hall.clock()))


@contextmanager
def street(directory: Path, *, pool: Pool | None = None, **settings: Any) -> Iterator[Street]:
    """An open hub of today: signatures bear the time at which they are made."""
    settings = {"dns_servers": "127.0.0.1:9", "email_domain": "hub.example", "smtp_port": 0, **settings}
    with world(directory, datetime.now(UTC), **settings) as hall:
        hub = hall.hub
        made = senders.checker(
            hub.settings.model_copy(update={"dns_servers": hub.settings.dns_servers or "127.0.0.1:9"}),
            hub.mode, store=hub.store, blobs=hub.blobs, clock=hub.clock,
        )  # fmt: skip
        assert made is not None
        checker = replace(made, pool=pool or made.pool)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()

        def run(work: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(work, loop).result(20)

        door = smtp_door(hub)
        run(door.start())
        try:
            yield Street(hall=hall, door=door, loop=loop, checker=checker)
        finally:
            run(door.stop())
            loop.call_soon_threadsafe(loop.stop)
            made.pool.close()
