"""Mail both ways: an SMTP door that answers 250 once the hub holds a mail, and a wire to a relay.

Source: RFC 5321 §4.2.5 and §6.1: with the 250 the responsibility for the mail is the server's.
"""

import asyncio
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from channels.codecs.mail_id import external_id
from channels.codecs.mail_wrap import Letterhead, wrap
from channels.codecs.return_path import Box
from channels.codecs.smtp_answer import Said, judge
from channels.codecs.smtp_peers import Noted
from channels.codecs.smtp_peers import network as _network
from channels.codecs.smtp_relay import Line, Relay
from channels.codecs.smtp_session import Conversation, Limits, Mail
from domain.errors import NotNow, Unavailable
from domain.parcel import Answer, DeliveryState, Part
from domain.report import Inbound

# RFC 5321 §4.1.2 without quoted local parts, which no subscriber has; the rest could speak to the relay.
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?)"
)
_REPEAT = timedelta(seconds=60)  # a delivery keeps its Message-ID: clients and relays fold the second one
_IDLE = timedelta(seconds=20)  # a kept connection; relays hang up after 30 s and more


class Email:
    """See `channels.contract.Wire`. One recipient a mail, so that a bounce can name its delivery."""

    name = "email"
    channel = "email"
    items_per_call = 1

    def __init__(
        self,
        *,
        relay: Relay,
        head: Letterhead,
        now: Callable[[], datetime],
        reaches_the_world: bool,
        window: int = 4,
    ) -> None:
        """`window`: connections at once; relays begin to refuse at ten of one client."""
        self.window = window
        self.reaches_the_world = reaches_the_world
        self.repeats_after = _REPEAT
        self._relay, self._head, self._now = relay, head, now
        self._kept: list[tuple[Line, float]] = []  # with the loop's time of its last mail
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(self, part: Part) -> Sequence[Answer]:
        """Hand over one mail around `part.payload`: subject, empty line, text.

        Raises NotNow, Never(code="payload" | the relay's codes) or Unsure. A 250 means ACCEPTED: the relay has
        it; a refused recipient is FAILED with the relay's codes, or ``bad_address`` when we did not ask.
        """
        (item,) = part.items
        to, failed = _ascii(item.address), DeliveryState.FAILED
        if not to:
            return [Answer(delivery_id=item.delivery_id, state=failed, code="bad_address")]
        path = self._head.path
        message = wrap(part.payload, to=to, delivery_id=item.delivery_id, language=part.language,
                       is_notice=part.is_notice, at=self._now(), head=self._head)  # fmt: skip
        said = await self._hand_over(path.address(Box.BOUNCES, item.delivery_id), to, message)
        if not judge(said):
            return [Answer(delivery_id=item.delivery_id, state=failed, code=said.name)]
        name = path.message_id(item.delivery_id)
        return [Answer(delivery_id=item.delivery_id, state=DeliveryState.ACCEPTED, provider_id=name,
                       code=said.name)]  # fmt: skip

    async def aclose(self) -> None:
        kept, self._kept = self._kept, []
        if self._loop is asyncio.get_running_loop():
            await asyncio.gather(*(line.leave() for line, _ in kept))

    async def _hand_over(self, sender: str, to: str, message: bytes) -> Said:
        """On a kept connection, or a new one when the relay has left the kept ones meanwhile."""
        while True:
            line, is_done = self._line(), False
            try:
                said = await line.hand_over(sender=sender, to=to, message=message)
                is_done = True
            except NotNow:
                if line.is_open or not line.mails:
                    raise
            finally:
                if is_done and line.is_open:
                    self._kept.append((line, asyncio.get_running_loop().time()))
                else:
                    line.cut()
            if is_done:
                return said

    def _line(self) -> Line:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._kept = loop, []
        while self._kept:
            line, used_at = self._kept.pop()
            if line.is_open and loop.time() - used_at < _IDLE.total_seconds():
                return line
            line.cut()
        return Line(self._relay)


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
    is_open: Callable[[], bool] = lambda: True  # False: the disk is full, and nothing is taken
    is_full: Callable[[], bool] = lambda: (
        False
    )  # True: too many mails are being kept, the next one waits outside
    elsewhere: str = ""  # said to whom a mail is refused for its size: the address of the form
    note: Callable[[str, str], None] = lambda _reason, _who: (
        None
    )  # keeps that somebody was sent away; must not wait
    tls: ssl.SSLContext | None = None
    bound: socket.socket | None = None  # kept open by somebody else; `host` and `port` do not matter then
    limits: Limits = field(default_factory=Limits)
    held: int = 0
    _sessions: "set[Conversation]" = field(default_factory=set)
    _networks: Counter[str] = field(default_factory=Counter)
    _noted: Noted = field(default_factory=Noted)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the port is taken."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)  # the library logs addresses and texts
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = self.bound or socket.create_server((self.host, self.port), family=family)
        self._server = await loop.create_server(lambda: Conversation(self, loop), sock=bound)

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

    def too_big(self, peer: str, helo: str) -> None:
        """Log and note a mail that was refused for its size, once in ten minutes for each network.

        The bytes are not kept, so the duty room must learn that somebody tried; a flood must not fill the shelf.
        """
        self.log("smtp.too_big", limit=self.limits.size)
        if self._noted.is_due(_network(peer), asyncio.get_running_loop().time()):
            self.note("mail_too_big", f"{peer} {helo}".strip()[:200])

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


def _ascii(address: str) -> str:
    """The address as every relay takes it, its domain in punycode; '' for one that cannot be mailed to."""
    local, at, domain = address.rpartition("@")
    try:
        address = f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return ""
    return address if _ADDRESS.fullmatch(address) and len(address) <= 254 else ""  # RFC 5321 §4.5.3.1.3


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
            "bare_newline": not mail.raw.count(b"\r\n") == mail.raw.count(b"\n") == mail.raw.count(b"\r"),
        },
    )
