"""A mail relay on this machine: it takes every mail, delivers none, and fails as its script says."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import aiosmtplib
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from simulators import mail_back
from simulators.mail_script import USUAL, Act, Back, MailRule, Stage
from simulators.mailboxes import Mail, Mailboxes
from simulators.script import Script

_GARBAGE = "HTTP/1.1 400 Bad Request"
_BACK_TRIES, _BACK_WAIT = 20, 0.25  # a bounce waits for a hub that is starting again


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """What a relay is told once. `door` is the hub's SMTP door, where bounces are delivered."""

    door: tuple[str, int]
    now: Callable[[], datetime]
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None  # demanded, and over TLS only
    bound: socket.socket | None = None  # to listen on; else a free port of 127.0.0.1


class Sink:
    """The state of one simulated relay, and its server."""

    def __init__(self, config: SinkConfig) -> None:
        self.config = config
        self.script: Script[MailRule] = Script(USUAL)
        self.boxes = Mailboxes()
        self.connections = 0  # ever made
        self.encrypted = 0  # mails that came over TLS
        self._sessions: set[_Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> tuple[str, int]:
        """Serve; where it listens."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()
        bound = self.config.bound
        where: dict[str, Any] = {"sock": bound} if bound is not None else {"host": "127.0.0.1", "port": 0}
        self._server = await loop.create_server(lambda: _Session(self, loop), **where)
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def stop(self, *, grace: timedelta = timedelta()) -> None:
        """Hang up on everybody at once, whatever `grace` allows, and send nothing back any more; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.forget()
        for session in list(self._sessions):
            session.vanish()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def draw(self, stage: Stage, to: str = "") -> MailRule:
        """What the script says of `to` at this stage."""
        return self.script.draw(to, where=lambda rule: rule.stage is stage)

    def take(self, envelope: Envelope, rule: MailRule) -> None:
        """The mail lies in its mailboxes from here on, and goes back later when the rule says so."""
        raw = cast(bytes, envelope.original_content)
        for to in envelope.rcpt_tos:
            mail = self.boxes.take(sender=envelope.mail_from or "", to=to, raw=raw, at=self.config.now())
            if rule.back is not Back.NOTHING:
                task = asyncio.create_task(self._send_back(mail, rule))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def deliver(self, raw: bytes, *, sender: str, to: str) -> str:
        """Bring a mail to the hub's door; what it answered. Raises SMTPException or OSError."""
        host, port = self.config.door
        client = aiosmtplib.SMTP(
            hostname=host, port=port, start_tls=False, timeout=20, local_hostname=mail_back.HOST
        )
        async with client:
            _, answer = await client.sendmail(sender, [to], raw)
        return str(answer)

    def forget(self) -> None:
        """Drop what was still to go back."""
        for task in self._tasks:
            task.cancel()

    async def _send_back(self, mail: Mail, rule: MailRule) -> None:
        await asyncio.sleep(rule.back_ms / 1000)
        raw = mail_back.about(mail, rule.back, rule.status, self.config.now())
        for _ in range(_BACK_TRIES):
            try:
                answer, is_done = await self.deliver(raw, sender="", to=mail.sender), True
            except (aiosmtplib.SMTPException, OSError) as error:
                answer, is_done = type(error).__name__, False
            mail.back.append({"back": rule.back.value, "at": self.config.now().isoformat(), "answer": answer})
            if is_done:
                return
            await asyncio.sleep(_BACK_WAIT)


class _Session(SMTP):
    """One connection."""

    def __init__(self, sink: Sink, loop: asyncio.AbstractEventLoop) -> None:
        config = sink.config
        super().__init__(
            self,
            hostname="relay.example.net",
            ident="ESMTP",
            tls_context=config.tls,
            auth_required=config.login is not None,
            authenticator=self._knows if config.login else None,
            loop=loop,
        )
        self.sink = sink

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self.sink._sessions:  # not the second call, which STARTTLS makes
            self.sink._sessions.add(self)
            self.sink.connections += 1
            rule = self.sink.draw(Stage.CONNECT)
            if rule.act is not Act.TAKE:
                if rule.act in (Act.REFUSE, Act.GARBAGE):
                    text = rule.reply if rule.act is Act.REFUSE else _GARBAGE
                    cast(asyncio.Transport, transport).write(text.encode() + b"\r\n")
                self.transport = transport
                if rule.act is not Act.HANG:
                    transport.close()
                return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.sink._sessions.discard(self)
        if self.session is not None:
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self.session is not None:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self.session is not None else None

    def vanish(self) -> None:
        """Break the connection."""
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await self._play(self.sink.draw(Stage.MAIL), envelope)
        if not refusal:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await self._play(self.sink.draw(Stage.RCPT, address), envelope)
        if not refusal:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 OK"

    async def smtp_DATA(self, arg: str | None) -> None:
        """The library has no hook before 354."""
        envelope = cast(Envelope, self.envelope)
        if envelope.rcpt_tos:
            refusal = await self._play(self.sink.draw(Stage.DATA, envelope.rcpt_tos[0]), envelope)
            if refusal:
                await self.push(refusal)
                return
        await super().smtp_DATA(cast(str, arg))

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        rule = self.sink.draw(Stage.END, envelope.rcpt_tos[0])
        refusal = await self._play(rule, envelope)
        if not refusal:
            self.sink.take(envelope, rule)
            self.sink.encrypted += session.ssl is not None
        return refusal or "250 2.0.0 queued"

    async def _play(self, rule: MailRule, envelope: Envelope) -> str:
        """'' to go on, or what is answered instead; a rule that answers nothing does not return."""
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.act.endswith("_taken") and envelope.original_content is not None:
            self.sink.take(envelope, rule)
        if rule.act is Act.TAKE:
            return ""
        if rule.act is Act.REFUSE:
            return rule.reply
        if rule.act in (Act.GARBAGE, Act.GARBAGE_TAKEN):
            return _GARBAGE
        if rule.act in (Act.DROP, Act.DROP_TAKEN):
            self.vanish()
        await asyncio.Event().wait()  # the end of the connection cancels this
        raise AssertionError(rule.act)

    def _knows(self, server: SMTP, session: Session, envelope: Envelope, how: str, data: Any) -> AuthResult:
        said = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=said == self.sink.config.login, handled=False)
