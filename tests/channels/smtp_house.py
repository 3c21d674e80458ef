"""The SMTP door in its own event loop, and connections to it."""

import asyncio
import contextlib
import datetime as dt
import smtplib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.email import Door, tls_context
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


def send(at: House, data: bytes, **options: Any) -> tuple[int, bytes]:
    with smtplib.SMTP(*at.address, timeout=10) as client:
        client.ehlo("sender.example.org")
        client.mail("caller@example.org", **options)
        client.rcpt("duty@example.org")
        return client.data(data)


def certificate_and_key() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
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
    return made, key


def certificate(folder: Path) -> ssl.SSLContext:
    made, key = certificate_and_key()
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
