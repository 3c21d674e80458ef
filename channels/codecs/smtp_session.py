"""One SMTP conversation with a stranger, up to the moment a whole mail is in memory.

aiosmtpd parses the commands. What it leaves open is closed here: its DATA reader keeps every piece of an
endless line, its errors are answered with the text of the exception, and it sets no limit on recipients,
connections or time. Sources: RFC 5321 (§4.5.2 transparency, §4.5.3 sizes and times), RFC 3207, RFC 1870.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.codecs.smtp_incoming import Incoming

END = b"\r\n.\r\n"  # the only end of a mail; \n.\n and its kin are content (CVE-2023-51764, CVE-2024-27305)
SLACK = 64 * 1024  # bytes after the size limit, or of commands without an answer, before the line is cut
LINGER, DISCARD = 0.5, 4 * 1024 * 1024  # seconds and bytes read and thrown away, so that a last reply arrives
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(
    rf"<({_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)>[ ]*([!-~][ -~]*|)"
)  # <a@b.c> SIZE=1
# An address that no grammar has, and what stands behind it: how it is written is no reason to refuse a report.
_AS_WRITTEN = re.compile(r"(?:[^<>]*<+(?P<inside>[^<>]*)|(?P<bare>[^<>\s]+))>*(?P<rest>.*)", re.DOTALL)
_PARAMETERS = re.compile(r"(?: +[A-Za-z0-9][A-Za-z0-9-]*(?:=[!-<>-~]*)?)* *")  # RFC 5321 §4.1.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one stranger may use."""

    size: int = 25 * 1024 * 1024  # what large providers take; attachments in base64 shrink to 18 MB
    line: int = (
        1024 * 1024
    )  # in memory: RFC 5321 says 1,000, and some put a whole attachment on one; the rest is in a file
    recipients: int = 100  # RFC 5321 §4.5.3.1.8: at least 100
    per_network: int = 20  # connections of one /24 or /48; the machine itself is exempt
    connections: int = 200
    held: int = 256 * 1024 * 1024  # bytes of all mails that are being received
    junk: int = 20  # commands that are refused, or that do nothing
    mails: int = 1000  # of one session
    session: timedelta = timedelta(minutes=10)
    silence: timedelta = timedelta(minutes=5)  # RFC 5321 §4.5.3.2: 5 minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail as it came, and what the conversation knew beside it."""

    raw: bytes  # dot-unstuffed; line ends untouched
    sender: str  # of the envelope, '' for <>
    recipients: tuple[str, ...]
    peer: str
    helo: str
    is_encrypted: bool


class House(Protocol):
    """What a conversation asks of the door it came through."""

    hostname: str
    elsewhere: str
    tls: Any
    limits: Limits
    held: int

    @property
    def is_open(self) -> Callable[[], bool]: ...

    @property
    def is_full(self) -> Callable[[], bool]: ...

    def log(self, event: str, /, **ids: Any) -> None: ...

    def too_big(self, peer: str, helo: str) -> None: ...

    def enter(self, session: "Conversation", peer: str) -> str: ...

    def leave(self, session: "Conversation", peer: str) -> None: ...

    async def keep(self, mail: Mail) -> str: ...


class Conversation(SMTP):
    """One connection."""

    line_length_limit = SLACK  # of the reader's buffer; the library checks how long a command may be

    def __init__(self, door: House, loop: asyncio.AbstractEventLoop) -> None:
        limits = door.limits
        idle = dict.fromkeys(("NOOP", "HELP", "VRFY", "EXPN", "EHLO", "HELO", "AUTH"), limits.junk)
        super().__init__(
            _Replies(door),
            data_size_limit=limits.size,
            enable_SMTPUTF8=True,
            hostname=door.hostname,
            ident="ESMTP",
            tls_context=door.tls,
            timeout=limits.silence.total_seconds(),
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit={**idle, "RCPT": limits.mails * limits.recipients, "*": limits.mails},
            loop=loop,
        )
        self.door, self.limits = door, limits
        self.is_taking = False
        self._peer, self._is_refused, self._is_over = "", False, False
        self._junk, self._unanswered, self._is_reading_mail = 0, 0, False
        self._deadline: asyncio.TimerHandle | None = None
        self._smtp_methods = _Commands(self._smtp_methods)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._deadline is None:  # not the second call, which STARTTLS makes
            self._peer = str((transport.get_extra_info("peername") or ("",))[0])
            refusal = self.door.enter(self, self._peer)
            if refusal:
                self._is_refused = True
                cast(asyncio.Transport, transport).write(refusal.encode() + b"\r\n")
                transport.close()
                return
            wait = self.limits.session.total_seconds()
            self._deadline = self.loop.call_later(wait, self.hang_up, "421 4.4.2 this took too long")
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_refused:
            return
        if self._deadline:
            self._deadline.cancel()
        self.door.leave(self, self._peer)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return None if self._is_refused else super().eof_received()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unanswered += len(data)
        if self._is_over:
            if self._unanswered > DISCARD:
                self.shut()
        elif not self._is_reading_mail and self._unanswered > 2 * SLACK:
            self.hang_up("421 4.7.0 that is no command")
        else:
            super().data_received(data)

    @property
    def _ahead(self) -> bytearray:
        """What was sent and not yet read. asyncio's reader has no public word for it, and smuggling needs one."""
        buffer: bytearray = vars(self._reader)["_buffer"]
        return buffer

    def hang_up(self, reply: str) -> None:
        """Say `reply`, hear nothing more, close shortly after: closing over unread bytes would lose it."""
        transport = cast(asyncio.Transport | None, self.transport)
        if self._is_over or transport is None or transport.is_closing():
            return
        self._is_over, self._unanswered = True, 0
        self._ahead.clear()  # commands sent ahead are not carried out
        transport.write(reply.encode() + b"\r\n")
        self.loop.call_later(LINGER, self.shut)

    def shut(self) -> None:
        """Close; the second time without waiting for a peer that does not close its side of TLS."""
        transport = cast(asyncio.Transport | None, self.transport)
        if transport is None:
            return
        if transport.is_closing():
            cast(asyncio.Transport, self._original_transport or transport).abort()
        else:
            transport.close()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """As the library, which sets a timer for every command: a time is noted, and one timer looks at it."""
        self._heard_at = self.loop.time()
        if self._timeout_handle is None:
            self._timeout_handle = self.loop.call_later(self._timeout_duration, self._timeout_cb)

    def _timeout_cb(self) -> None:
        left = self._heard_at + self._timeout_duration - self.loop.time()
        if left > 0:
            self._timeout_handle = self.loop.call_later(left, self._timeout_cb)
        else:
            self.hang_up("421 4.4.2 nothing was said")

    def _tell_too_big(self) -> None:
        helo = self.session.host_name if self.session else ""
        self.door.too_big(self._peer, _clean(helo or ""))

    async def push(self, status: Any) -> None:
        """Answer, unless we have hung up. Every refusal counts, whoever wrote it."""
        if self._is_over:
            return
        self._unanswered = 0
        text = status.decode() if isinstance(status, bytes) else str(status)
        if text.startswith("552"):
            self._tell_too_big()
            text = f"552 5.3.4 mails are kept up to {self.limits.size} bytes {self.door.elsewhere}".rstrip()
        if text.startswith("5"):
            self._junk += 1
            if self._junk > self.limits.junk:
                self.hang_up("421 4.7.0 too many errors")
                return
        self._writer.write(text.encode("ascii", "replace") + b"\r\n")
        if self._writer.transport.get_write_buffer_size():
            await self._writer.drain()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """As the library, which reads every address by the whole grammar of RFC 5322: a tenth of all that a mail costs."""
        if plain := _PLAIN.fullmatch(arg):
            return plain[1], plain[2]
        try:
            address, rest = super()._getaddr(arg)
        except (
            ValueError,
            LookupError,
            AttributeError,
            TypeError,
            NameError,
        ):  # its parser knows no bare quote
            address, rest = None, None
        if address and _PARAMETERS.fullmatch(rest or ""):
            return address, rest
        return _as_written(arg)

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool]:
        """Of the parameters those that change what we do; others ask for what was not offered, and get nothing."""
        size = next((one[5:] for one in params if re.fullmatch(r"SIZE=[0-9]{1,20}", one)), "")
        return ({"SIZE": size} if size else {}) | ({"SMTPUTF8": True} if "SMTPUTF8" in params else {})

    async def smtp_UNKNOWN(self, arg: str | None) -> None:
        """Answer for every command that is none."""
        await self.push("500 5.5.1 no such command")

    async def smtp_AUTH(self, arg: str | None) -> None:
        await self.push("502 5.5.1 nobody logs in here")

    async def smtp_VRFY(self, arg: str | None) -> None:
        await self.push("252 2.1.5 send it and see")

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Refuse bytes sent before the handshake: they would count as said inside it (CVE-2024-34083)."""
        if self._tls_protocol is not None:
            await self.push("503 5.5.1 encrypted already")
        elif self._ahead:
            self.hang_up("554 5.5.1 nothing may follow STARTTLS")
        else:
            await super().smtp_STARTTLS(cast(str, arg))

    async def smtp_DATA(self, arg: str | None) -> None:
        """Read one mail and have it kept; the 250 is said after that, and only then."""
        if await self.check_helo_needed():
            return
        envelope, session = cast(Envelope, self.envelope), cast(Session, self.session)
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        await self.push("354 end with <CR><LF>.<CR><LF>")
        mail = Incoming(self.door)
        try:
            if await self._read(mail):
                self._reset_timeout()
                await self._have_kept(mail, envelope, session)
        finally:
            mail.release()
            self._is_reading_mail = False
            self._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd has no types

    async def _have_kept(self, mail: Incoming, envelope: Envelope, session: Session) -> None:
        # RFC 5321 §4.5.2: a line that begins with a dot loses it, the last one too; the first CRLF is ours.
        # No more than two copies of 25 MB at a time.
        unstuffed = mail.whole().replace(b"\r\n.", b"\r\n")
        mail.release()
        raw = bytes(memoryview(unstuffed)[2:-2])
        del unstuffed
        found = Mail(
            raw=raw,
            sender=_clean(envelope.mail_from or "").removeprefix("<").removesuffix(">"),
            recipients=tuple(_clean(address) for address in envelope.rcpt_tos),
            peer=self._peer,
            helo=_clean(session.host_name or ""),
            is_encrypted=session.ssl is not None,
        )
        self.is_taking = True
        try:
            reply = await self.door.keep(found)
        finally:
            self.is_taking = False
        await self.push(reply)

    async def _read(self, mail: Incoming) -> bool:
        """Fill `mail` up to and with END; False when it was too big or we have hung up.

        The first line has no CRLF in front of it; with one put there END is found in an empty mail too.
        """
        self._ahead[:0] = b"\r\n"
        self._is_reading_mail = True
        size, line, is_last = 0, 0, False
        while not is_last:
            try:
                piece = await self._reader.readuntil(END)
                is_last = True
            except asyncio.LimitOverrunError as more:
                piece = await self._reader.readexactly(more.consumed)
            size += len(piece)
            end = piece.rfind(b"\n")
            line = len(piece) - end - 1 if end >= 0 else line + len(piece)
            if size <= self.limits.size + 2 + len(END):
                try:
                    mail.add(piece, is_beside=line > self.limits.line)
                except OSError:  # what else it says is the rest of this mail, and no command
                    self.hang_up("452 4.3.1 no room at the moment, try again later")
            else:
                mail.release()
            self._cut(size, line)
            if self._is_over:
                return False
        if not mail.size:
            await self.push("552")
        return bool(mail.size)

    def _cut(self, size: int, line: int) -> None:
        """Hang up on what would never end, and when all mails together are too much."""
        if size > self.limits.size + SLACK and line > SLACK:
            self._tell_too_big()
            self.hang_up(f"421 4.7.0 a line without end {self.door.elsewhere}".rstrip())
        elif size > self.limits.size + SLACK:
            self._tell_too_big()
            self.hang_up(
                f"552 5.3.4 mails are kept up to {self.limits.size} bytes {self.door.elsewhere}".rstrip()
            )
        elif self.door.held > self.limits.held:
            self.hang_up("452 4.3.1 too many mails at once, try again later")


class _Replies:
    """The library's hooks: what it would answer too kindly."""

    def __init__(self, door: House) -> None:
        self.door = door

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self.door.is_open():
            return "452 4.3.1 no room at the moment, try again later"
        if self.door.is_full():  # said before the mail comes: RFC 5321 §4.2.5 asks for no reason
            return "451 4.3.2 too busy, try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self.door.limits.recipients:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_exception(self, error: Exception) -> str:
        self.door.log("smtp.error", error=type(error).__name__)
        return "451 4.3.0 not taken, try again later"


class _Commands(dict[str, Any]):
    """The library's table, with an answer for every unknown command: it would hang up after five of them."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, self["UNKNOWN"])


def _as_written(arg: str) -> tuple[str | None, str | None]:
    """(what stands between the brackets, or the first word; the rest), None where there is no word at all."""
    found = _AS_WRITTEN.fullmatch(arg)
    if found is None:
        return None, None
    inside = found["inside"]
    return (found["bare"] if inside is None else inside.strip() or "<>"), found["rest"]


def _clean(text: str) -> str:
    """Text that can be stored: no lone surrogates of undecodable bytes, no control characters."""
    return _CONTROL.sub("\ufffd", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
