"""An SMS centre on this machine: SMPP 3.4 over real sockets, with receipts, and a script of everything that goes wrong."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from channels.codecs import smpp_pdu, sms_parts
from channels.codecs.smpp_deliver import share_of
from channels.codecs.smpp_pdu import BadPdu, Command, Pdu, Short, Status, Tag
from simulators.script import AnyRule, Script


class SmscAct(StrEnum):
    """What happens to one submit_sm. `..._taken`: the message exists, though the caller is not told so."""

    TAKE = "take"
    REFUSE = "refuse"  # with the rule's `status`
    SILENT = "silent"  # no answer, ever
    SILENT_TAKEN = "silent_taken"
    DROP = "drop"  # the connection, in place of an answer
    DROP_TAKEN = "drop_taken"
    GARBAGE = "garbage"  # bytes that are no PDU

    @property
    def takes(self) -> bool:
        """Whether the message exists afterwards."""
        return self is SmscAct.TAKE or self.endswith("_taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscRule(AnyRule):
    """One rule for submitted messages; `to` is the number without its +."""

    act: SmscAct = SmscAct.TAKE
    status: int = Status.INVDSTADR
    receipt: str = "DELIVRD"  # '' for none
    form: str = "text"  # text | tlv
    is_early: bool = False  # the receipt before the answer


USUAL = SmscRule()


@dataclass(slots=True, kw_only=True)
class Taken:
    """One submit_sm."""

    number: int
    short: Short
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SmscConfig:
    """Who may bind. `ids`: how a message's number is written in the answer and in the text of its receipt."""

    system_id: str
    password: str
    now: Callable[[], datetime]
    answer_ids: str = "{:d}"
    receipt_ids: str = "{:d}"
    most_binds: int = 8


@dataclass(slots=True, eq=False)
class _Link:
    writer: asyncio.StreamWriter
    is_bound: bool = False
    waiting: dict[int, "asyncio.Future[int]"] = field(default_factory=dict)


class Smsc:
    """Listens, takes, reports; used inside one event loop."""

    def __init__(self, config: SmscConfig) -> None:
        self.config = config
        self.script: Script[SmscRule] = Script(USUAL)
        self.taken: list[Taken] = []
        self.asked = 0  # enquire_link that came
        self.port = 0
        self.most_waiting = 0  # submit_sm unanswered at once
        self._server: asyncio.Server | None = None
        self._links: list[_Link] = []
        self._numbers, self._sequences = itertools.count(7_000_001), itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self.delay = 0.0  # seconds before an answer

    async def start(self, port: int = 0) -> None:
        """Open the port; 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Close the port and every link."""
        if self._server:
            self._server.close()
        for link in self._links:
            link.writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        """Cut every link."""
        for link in self._links:
            link.writer.transport.abort()

    @property
    def is_bound(self) -> bool:
        """Whether somebody can be sent to."""
        return any(link.is_bound for link in self._links)

    async def deliver(self, given: Short | bytes, *, is_data: bool = False, seconds: float = 10) -> int:
        """Send a message, or a data_sm, to whoever is bound; the status of the answer. Raises TimeoutError, ConnectionError."""
        link = next((one for one in reversed(self._links) if one.is_bound), None)
        if link is None:
            raise ConnectionError("nobody is bound")
        number = next(self._sequences)
        answer = link.waiting[number] = asyncio.get_running_loop().create_future()
        write, command = (smpp_pdu.data, Command.DATA_SM) if is_data else (smpp_pdu.short, Command.DELIVER_SM)
        body = given if isinstance(given, bytes) else write(given)
        link.writer.write(Pdu(command=command, sequence=number, body=body).pack())
        return await asyncio.wait_for(answer, seconds)

    async def say(self, sender: str, text: str, *, to: str = "12379", reference: int = 1) -> list[int]:
        """A phone writes; as many parts as the text needs. The statuses of the answers."""
        coding, parts = sms_parts.cut(text, reference=reference)
        esm_class = sms_parts.UDHI if len(parts) > 1 else 0
        ton = 1 if sender.startswith("+") else 0
        common = {"source": sender.lstrip("+"), "source_ton": ton, "source_npi": 1, "dest": to}
        shorts = [Short(**common, esm_class=esm_class, data_coding=coding, message=part) for part in parts]  # type: ignore[arg-type]
        return [await self.deliver(short) for short in shorts]

    def phones(self) -> dict[str, list[str]]:
        """number -> the texts that its phone shows, parts put together."""
        found: dict[str, dict[Any, list[tuple[int, int, Mapping[str, Any]]]]] = {}
        for one in self.taken:
            share, octets, _ = share_of(one.short)
            key = (share.reference, share.total) if share else one.number
            body = {"coding": one.short.data_coding, "octets": octets.hex()}
            parts = found.setdefault(one.short.dest, {}).setdefault(key, [])
            parts.append((share.n if share else 1, share.total if share else 1, body))
        return {
            number: [sms_parts.join(parts)[0] for parts in texts.values()] for number, texts in found.items()
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.append(link)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, BadPdu):
            while True:
                head = await reader.readexactly(4)
                pdu = smpp_pdu.unpack(head + await reader.readexactly(smpp_pdu.length(head) - 4))
                self._heard(link, pdu)
        link.is_bound = False
        self._links.remove(link)
        writer.close()

    def _heard(self, link: _Link, pdu: Pdu) -> None:
        if pdu.is_response:
            if (answer := link.waiting.pop(pdu.sequence, None)) and not answer.done():
                answer.set_result(pdu.status)
        elif pdu.command == Command.BIND_TRANSCEIVER:
            self._bind(link, pdu)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.asked += 1
            _say(link, Command.ENQUIRE_LINK_RESP, pdu)
        elif pdu.command == Command.UNBIND:
            _say(link, Command.UNBIND_RESP, pdu)
            link.writer.close()
        elif pdu.command == Command.SUBMIT_SM and link.is_bound:
            self._at_work += 1
            self.most_waiting = max(self.most_waiting, self._at_work)
            task = asyncio.get_running_loop().create_task(self._submitted(link, pdu))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            _say(link, Command.GENERIC_NACK, pdu, Status.INVBNDSTS)

    def _bind(self, link: _Link, pdu: Pdu) -> None:
        given = smpp_pdu.read_bind(pdu.body)
        status = Status.OK
        if given != (self.config.system_id, self.config.password):
            status = Status.INVPASWD
        elif sum(one.is_bound for one in self._links) >= self.config.most_binds:
            status = Status.ALYBND
        link.is_bound = status is Status.OK
        _say(link, Command.BIND_TRANSCEIVER_RESP, pdu, status, smpp_pdu.name("SMSC"))

    async def _submitted(self, link: _Link, pdu: Pdu) -> None:
        short = smpp_pdu.read_short(pdu.body)
        rule = self.script.draw(short.dest)
        if self.delay:
            await asyncio.sleep(self.delay)
        number = next(self._numbers)
        if rule.act.takes:
            self.taken.append(Taken(number=number, short=short, at=self.config.now()))
        self._at_work -= 1
        if rule.act in (SmscAct.DROP, SmscAct.DROP_TAKEN):
            link.writer.transport.abort()
        elif rule.act is SmscAct.GARBAGE:
            link.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif rule.act is SmscAct.REFUSE:
            _say(link, Command.SUBMIT_SM_RESP, pdu, rule.status)
        elif rule.act is SmscAct.TAKE:
            if rule.is_early:
                await self._report(short, number, rule)
            _say(link, Command.SUBMIT_SM_RESP, pdu, body=smpp_pdu.name(self.config.answer_ids.format(number)))
            if not rule.is_early:
                await self._report(short, number, rule)
        elif rule.act.takes:
            await self._report(short, number, rule)

    async def _report(self, short: Short, number: int, rule: SmscRule) -> None:
        if not (rule.receipt and short.registered_delivery & 1):
            return
        stamp = f"{self.config.now():%y%m%d%H%M}"
        name = self.config.receipt_ids.format(number)
        err = "000" if rule.receipt == "DELIVRD" else "069"
        text = f"id:{name} sub:001 dlvrd:001 submit date:{stamp} done date:{stamp} stat:{rule.receipt} err:{err} text:"
        states = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "UNDELIV": 5, "REJECTD": 8}
        is_tlv = rule.form == "tlv"
        tags: dict[int, bytes] = {
            Tag.RECEIPTED_MESSAGE_ID: self.config.answer_ids.format(number).encode() + b"\0",
            Tag.MESSAGE_STATE: bytes([states.get(rule.receipt, 7)]),
        }
        with contextlib.suppress(TimeoutError, ConnectionError, asyncio.CancelledError):
            told = Short(
                source=short.dest, source_ton=1, dest=short.source, esm_class=0x04,
                message=b"" if is_tlv else text.encode(), tags=tags if is_tlv else {},
            )  # fmt: skip
            await self.deliver(told)


def _say(link: _Link, command: int, to: Pdu, status: int = Status.OK, body: bytes = b"") -> None:
    if not link.writer.is_closing():
        link.writer.write(Pdu(command=command, status=status, sequence=to.sequence, body=body).pack())
