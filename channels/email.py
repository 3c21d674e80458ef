"""The SMTP door: a mail is answered 250 once the hub holds it durably.

Source: RFC 5321 §4.2.5 and §6.1: with the 250 the responsibility for the mail is ours.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from channels.codecs.mail_id import external_id
from channels.codecs.smtp_session import Conversation, Limits, Mail
from domain.errors import Unavailable
from domain.report import Inbound

_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


@dataclass(kw_only=True)
class Door:
    """An SMTP server in the running event loop. It keeps nothing itself: `take` does, and answers a code.

    A mail is answered ``250 2.0.0 <code>`` after `take` has returned, 451 when it raises; what was raised is
    logged by its class alone and told to nobody.
    """

    host: str
    port: int  # 0: any free one, see `address`
    take: Callable[[Inbound], Awaitable[str]]
    log: Callable[..., None]  # log(event, **ids)
    now: Callable[[], datetime]
    hostname: str = "tocsin"
    elsewhere: str = ""  # said to whom a mail is refused for its size: the address of the form
    tls: ssl.SSLContext | None = None
    bound: socket.socket | None = None  # kept open by somebody else; `host` and `port` do not matter then
    limits: Limits = field(default_factory=Limits)
    held: int = 0
    _sessions: "set[Conversation]" = field(default_factory=set)
    _networks: Counter[str] = field(default_factory=Counter)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the port is taken."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)  # the library logs addresses and texts
        loop = asyncio.get_running_loop()

        def factory() -> Conversation:
            return Conversation(self, loop)

        if self.bound is not None:
            self._server = await loop.create_server(factory, sock=self.bound)
        else:
            self._server = await loop.create_server(factory, self.host, self.port)

    @property
    def address(self) -> tuple[str, int]:
        """Where the door listens."""
        if self._server is None:
            raise RuntimeError("the door is not open")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def stop(self, *, grace: timedelta = timedelta(seconds=2)) -> None:
        """Close: 421 to the idle, `grace` for mails that `take` holds. Safe to call twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace.total_seconds()
        while self._sessions and loop.time() < deadline:
            for session in [one for one in self._sessions if not one.is_taking]:
                session.hang_up("421 4.3.2 closing for maintenance, try again later")
                session.shut()
            await asyncio.sleep(0.02)
        for session in list(self._sessions):
            session.shut()

    def enter(self, session: "Conversation", peer: str) -> str:
        """'' or the refusal of one more connection from `peer`."""
        network = _network(peer)
        if len(self._sessions) >= self.limits.connections:
            return "421 4.3.2 too many connections, try again later"
        if network and self._networks[network] >= self.limits.per_network:
            return "421 4.7.0 too many connections from your network, try again later"
        self._sessions.add(session)
        self._networks[network] += 1
        return ""

    def leave(self, session: "Conversation", peer: str) -> None:
        """Forget a connection that enter() has let in."""
        if session in self._sessions:
            self._sessions.discard(session)
            self._networks[_network(peer)] -= 1

    async def keep(self, mail: Mail) -> str:
        """Hand `mail` to `take`; the reply to say."""
        try:
            code = await self.take(_inbound(mail, at=self.now()))
        except Unavailable as error:
            self.log("smtp.unavailable", code=error.code)
            return "451 4.3.2 not taken, try again later"
        except Exception as error:  # a stranger is told nothing, and a mail is never lost by a wrong 5xx
            self.log("smtp.error", error=type(error).__name__)
            return "451 4.3.0 not taken, try again later"
        return f"250 2.0.0 {code}"


def tls_context(*, certificate: Path, key: Path) -> ssl.SSLContext:
    """For `Door.tls`. Raises OSError or ssl.SSLError when the files do not serve."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _inbound(mail: Mail, *, at: datetime) -> Inbound:
    return Inbound(
        channel="email",
        external_id=external_id(mail.raw),
        raw=mail.raw,
        media_type="message/rfc822",
        received_at=at,
        sender=mail.sender,
        meta={
            "peer": mail.peer,
            "helo": mail.helo,
            "rcpt_to": list(mail.recipients),
            "tls": mail.is_encrypted,
            "bare_newline": _BARE_NEWLINE.search(mail.raw) is not None,
        },
    )


def _network(peer: str) -> str:
    """The /24 or /48 of an address, '' for this machine."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
