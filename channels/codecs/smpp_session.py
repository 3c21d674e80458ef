"""One SMPP session as the ESME: it binds, keeps the link alive, and tells each answer to who waits for it.

Source: SMPP 3.4 §2.2 (session states), §2.3 and §4.11 (enquire_link), §2.9 (asynchronous operation, a window of
unanswered requests), §7.2 (timers).
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from channels.codecs import smpp_pdu
from channels.codecs.smpp_pdu import BadPdu, Command, Pdu, Status
from domain.errors import NotNow, Unsure

AT_WORK = 64  # messages of the other side that are being kept at once; then nothing more is read from it
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between two tries to bind

Deliver = Callable[[Pdu], Awaitable[int]]  # a deliver_sm or data_sm -> the status it is answered with


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The message centre, and who we are there."""

    host: str
    port: int
    system_id: str
    password: str
    system_type: str = ""
    tls: ssl.SSLContext | None = None


class Session:
    """Binds as a transceiver and binds again when the link is lost; lives in one event loop."""

    def __init__(
        self, where: Where, deliver: Deliver, *, window: int, answers_within: timedelta = timedelta(seconds=8),
        asks_every: timedelta = timedelta(seconds=30), first_wait: float = FIRST_WAIT,
    ) -> None:  # fmt: skip
        """`asks_every`: of enquire_link on a quiet link; shorter than what gateways drop a session for."""
        self._where, self._deliver = where, deliver
        self._answers_within, self._asks_every = answers_within.total_seconds(), asks_every.total_seconds()
        self._places, self._line = window, asyncio.Lock()
        self._window, self._at_work = asyncio.Semaphore(window), asyncio.Semaphore(AT_WORK)
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._sequence, self._writer = 0, None  # type: int, asyncio.StreamWriter | None
        self._first_wait = first_wait
        self._bound = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard_at = 0.0
        self.refusal = ""  # why the last bind failed; '' while bound
        self._running = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_bound(self) -> bool:
        """Whether a message can be submitted now."""
        return self._bound.is_set()

    async def submit(self, bodies: Sequence[bytes]) -> list[Pdu | BaseException]:
        """Send the submit_sm of one text; for each its answer, of whatever status, or NotNow, or Unsure.

        It has places of the window for all of them before the first one leaves: a text that waits half sent among
        others would be late as a whole. Raises NotNow while none has left.
        """
        try:
            await asyncio.wait_for(self._bound.wait(), self._answers_within / 4)
        except TimeoutError:
            raise NotNow("not bound", code=self.refusal or "not_bound", is_down=True) from None
        places = min(len(bodies), self._places)
        async with self._held(places):
            said: list[Pdu | BaseException] = []
            for start in range(0, len(bodies), places):
                some = (self._ask(Command.SUBMIT_SM, body) for body in bodies[start : start + places])
                said += await asyncio.gather(*some, return_exceptions=True)
        return said

    @contextlib.asynccontextmanager
    async def _held(self, places: int) -> AsyncIterator[None]:
        """So many places of the window. Raises NotNow when they do not become free."""
        taken = 0
        try:
            try:
                async with (
                    asyncio.timeout(self._answers_within / 2),
                    self._line,
                ):  # or two texts hold half each
                    while taken < places:
                        await self._window.acquire()
                        taken += 1
            except TimeoutError:
                raise NotNow("no place in the window", code="window") from None
            yield
        finally:
            for _ in range(taken):
                self._window.release()

    async def aclose(self) -> None:
        """Unbind, as far as the other side still listens; safe to call twice."""
        self._running.cancel()
        if self._bound.is_set():
            with contextlib.suppress(NotNow, Unsure, TimeoutError):
                await asyncio.wait_for(self._ask(Command.UNBIND), 1)
        self._lose()
        await asyncio.gather(self._running, *self._tasks, return_exceptions=True)

    async def _ask(self, command: int, body: bytes = b"") -> Pdu:
        writer = self._writer
        if writer is None or writer.is_closing():
            raise NotNow("no link", code="no_link", is_down=True)
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        number = self._sequence
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        writer.write(Pdu(command=command, sequence=number, body=body).pack())
        try:
            return await asyncio.wait_for(answer, self._answers_within)
        except TimeoutError:
            raise Unsure("no answer within the time of one", code="no_response") from None
        finally:
            self._waiting.pop(number, None)

    async def _run(self) -> None:
        wait = self._first_wait
        while True:
            try:
                reader = await self._link()
                wait = self._first_wait
                async with asyncio.TaskGroup() as tasks:
                    asking = tasks.create_task(self._keep_alive())
                    await self._read(reader)
                    asking.cancel()
            except* (OSError, BadPdu, NotNow, Unsure, TimeoutError, asyncio.IncompleteReadError) as errors:
                self.refusal = self.refusal or type(errors.exceptions[0]).__name__.lower()
            self._lose()
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _link(self) -> asyncio.StreamReader:
        """A bound link. Raises OSError, TimeoutError, BadPdu or NotNow."""
        where = self._where
        async with asyncio.timeout(self._answers_within):
            reader, writer = await asyncio.open_connection(
                where.host, where.port, ssl=where.tls, server_hostname=where.host if where.tls else None
            )
        self._writer = writer
        self._sequence = 1
        body = smpp_pdu.bind(
            system_id=where.system_id, password=where.password, system_type=where.system_type
        )
        writer.write(Pdu(command=Command.BIND_TRANSCEIVER, sequence=1, body=body).pack())
        async with asyncio.timeout(self._answers_within):
            answer = await _next(reader)
        if answer.command != Command.BIND_TRANSCEIVER_RESP or answer.status != Status.OK:
            self.refusal = f"bind_{answer.status:02x}"
            raise NotNow("the bind was refused", code=self.refusal, is_down=True)
        self.refusal = ""
        self._bound.set()
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Until the link ends. Raises BadPdu where no next PDU can be found."""
        loop = asyncio.get_running_loop()
        while True:
            pdu = await _next(reader)
            self._heard_at = loop.time()
            if pdu.is_response:
                answer = self._waiting.get(pdu.sequence)
                if answer is not None and not answer.done():
                    answer.set_result(pdu)
            elif pdu.command in (Command.DELIVER_SM, Command.DATA_SM):
                await self._at_work.acquire()
                task = loop.create_task(self._take(pdu, self._writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif pdu.command == Command.ENQUIRE_LINK:
                self._say(self._writer, Command.ENQUIRE_LINK_RESP, pdu)
            elif pdu.command == Command.UNBIND:
                self._say(self._writer, Command.UNBIND_RESP, pdu)
                return
            else:
                self._say(self._writer, Command.GENERIC_NACK, pdu, status=Status.INVCMDID)

    async def _take(self, pdu: Pdu, writer: asyncio.StreamWriter | None) -> None:
        """Answer a message once it is kept, on the link that it came by; what went wrong is to be sent again."""
        status: int = Status.X_T_APPN
        try:
            with contextlib.suppress(Exception):  # whatever it is, the other side keeps the message
                status = await self._deliver(pdu)
        finally:
            self._at_work.release()
        self._say(
            writer, pdu.command | Command.GENERIC_NACK, pdu, status=status, body=b"\0"
        )  # the bit of answers

    async def _keep_alive(self) -> None:
        """Ask on a quiet link; one that does not answer is lost. Raises Unsure."""
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        while True:
            await asyncio.sleep(max(self._heard_at + self._asks_every - loop.time(), 0.01))
            if loop.time() - self._heard_at >= self._asks_every:
                await self._ask(Command.ENQUIRE_LINK)

    @staticmethod
    def _say(
        writer: asyncio.StreamWriter | None,
        command: int,
        to: Pdu,
        *,
        status: int = Status.OK,
        body: bytes = b"",
    ) -> None:
        if writer is not None and not writer.is_closing():
            writer.write(Pdu(command=command, status=status, sequence=to.sequence, body=body).pack())

    def _lose(self) -> None:
        """The link is gone: what was sent on it and not answered is unsure."""
        self._bound.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unsure("the link was lost after the bytes left", code="link_lost"))


async def _next(reader: asyncio.StreamReader) -> Pdu:
    head = await reader.readexactly(4)
    return smpp_pdu.unpack(head + await reader.readexactly(smpp_pdu.length(head) - 4))
