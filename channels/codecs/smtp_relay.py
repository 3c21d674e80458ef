"""One connection to the relay that takes our mail, kept between mails.

aiosmtplib speaks the protocol; DATA is taken apart here, because whether the final dot has left decides
between "not taken" and "unsure".
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from channels.codecs.smtp_answer import Said, Stage, judge
from domain.errors import NotNow, Unsure

_BYE = 1.0  # seconds for QUIT: the mails are taken, nobody waits for politeness


class Tls(StrEnum):
    """How a connection to the relay is protected."""

    NEVER = "never"
    OFFERED = "offered"  # STARTTLS where offered, whoever answers: better than in clear, no proof (RFC 7435)
    STARTTLS = "starttls"  # STARTTLS or no mail, and the certificate must hold
    IMPLICIT = "implicit"  # TLS from the first byte (RFC 8314 §3.3), and the certificate must hold

    @property
    def is_sure(self) -> bool:
        """Whether a password may be said over it."""
        return self in (Tls.STARTTLS, Tls.IMPLICIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mail is handed over, and how."""

    host: str
    port: int
    tls: Tls = Tls.OFFERED
    authority: str = ""  # PEM file of a certificate authority that the system does not know
    user: str = ""
    password: str = ""
    helo: str = "localhost"
    before: timedelta = timedelta(seconds=5)  # connection and commands; a call has 10 s (outbox/window)
    after: timedelta = timedelta(seconds=4)  # for the answer to the final dot; then the delivery is unsure


class Line:
    """One connection. Not safe for two mails at once."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.mails = 0  # that were handed over; a line that has carried none is no stale one
        self._must_reset = False
        start_tls = {Tls.OFFERED: None, Tls.STARTTLS: True}.get(relay.tls, False)
        self._client = SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.user or None,
            password=relay.password if relay.user else None,
            local_hostname=relay.helo,
            timeout=relay.before.total_seconds(),
            use_tls=relay.tls is Tls.IMPLICIT,
            start_tls=start_tls,
            validate_certs=relay.tls.is_sure,
            cert_bundle=relay.authority or None,
        )

    @property
    def is_open(self) -> bool:
        """Whether the other side has not hung up, as far as we have heard."""
        return self._client.is_connected

    async def hand_over(self, *, sender: str, to: str, message: bytes) -> Said:
        """Hand over one mail; the answer that takes it or refuses its recipient.

        Raises NotNow or Never when it was not taken, and Unsure once its final dot may have left.
        """
        try:
            async with asyncio.timeout(self._relay.before.total_seconds()):
                refusal = await self._offer(sender, to)
        except SMTPResponseException as error:
            stage = Stage.LOGIN if isinstance(error, SMTPAuthenticationError) else Stage.GREETING
            judge(Said(stage=stage, code=error.code, text=error.message))
            raise NotNow("an answer out of order", code="garbage") from None
        except (SMTPException, OSError, ValueError) as error:  # TimeoutError and TLS errors are OSErrors
            raise NotNow("lost before the mail was sent", code=type(error).__name__, is_down=True) from None
        if refusal is not None:
            self._must_reset = True
            return refusal
        return await self._send(message)

    async def _offer(self, sender: str, to: str) -> Said | None:
        """Everything before the text; None when the relay wants it, else its refusal of the recipient."""
        client = self._client
        if not client.is_connected:
            await client.connect()
            if client.is_ehlo_or_helo_needed:  # neither STARTTLS nor a login has said it
                await client.ehlo()
        if self._must_reset:
            if (await client.execute_command(b"RSET")).code != 250:
                raise NotNow("RSET was not understood", code="garbage")
            self._must_reset = False
        for stage, command in (
            (Stage.MAIL, (b"MAIL", f"FROM:<{sender}>".encode("ascii"))),
            (Stage.RCPT, (b"RCPT", f"TO:<{to}>".encode("ascii"))),
            (Stage.DATA, (b"DATA",)),
        ):
            response = await client.execute_command(*command)
            said = Said(stage=stage, code=response.code, text=response.message)
            if not judge(said):
                return said
        return None

    async def _send(self, message: bytes) -> Said:
        protocol = self._client.protocol
        dotted = message.replace(b"\r\n.", b"\r\n..")  # RFC 5321 §4.5.2; a header never begins with a dot
        lost = NotNow("lost before the mail was sent", code="SMTPServerDisconnected")
        if protocol is None:
            raise lost
        try:
            protocol.write(dotted + b".\r\n")
        except SMTPServerDisconnected:
            raise lost from None
        try:
            response = await protocol.read_response(timeout=self._relay.after.total_seconds())
            said = Said(stage=Stage.END, code=response.code, text=response.message)
            self._must_reset = not judge(said)
        except (SMTPException, OSError) as error:
            raise Unsure("no answer after the final dot", code=type(error).__name__) from None
        except NotNow as refusal:
            if refusal.code == "garbage":
                raise Unsure("no answer after the final dot", code="garbage") from None
            raise
        self.mails += 1
        return said

    async def leave(self) -> None:
        """QUIT, and close; safe to call twice."""
        if self._client.is_connected:
            with contextlib.suppress(SMTPException, OSError):
                await self._client.quit(timeout=_BYE)
        self.cut()

    def cut(self) -> None:
        """Close at once."""
        self._client.close()
