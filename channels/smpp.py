"""SMS by SMPP 3.4, both ways, over one transceiver session of the process.

Source: "Short Message Peer to Peer Protocol Specification v3.4", Issue 1.2; §5.1.3 for what a status means.
"""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels.codecs import smpp_deliver, smpp_pdu, sms_parts
from channels.codecs.smpp_pdu import BadPdu, Command, Pdu, Short, Status, Tag
from channels.codecs.smpp_session import Session, Where
from domain.errors import BadInput, Never, NotNow, Unavailable, Unsure
from domain.parcel import Answer, DeliveryState, Item, Part, Receipt
from domain.report import Inbound

PAUSE = timedelta(
    seconds=1
)  # after ESME_RTHROTTLED: "exceeded allowed message limits", counted by the second
_WAIT = {Status.THROTTLED, Status.MSGQFUL, Status.INVBNDSTS}
_ADDRESS = {Status.INVDSTADR, Status.INVDSTTON, Status.INVDSTNPI, Status.SUBMITFAIL}
_NEVER = {
    Status.INVSRCADR: "config", Status.INVMSGLEN: "payload", Status.INVESMCLASS: "payload",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What becomes of what comes in. Each returns once it is durable, and raises Unavailable when it is not."""

    take: Callable[[Inbound], Awaitable[object]]
    receipt: Callable[[Receipt], Awaitable[object]]
    shelve: Callable[[bytes, str], Awaitable[object]]  # a receipt that says nothing, and why
    kept_at: Callable[[str], Awaitable[datetime | None]]  # when a message of that name came in
    now: Callable[[], datetime]


class SmppSms:
    """See `channels.contract.Wire`. A text is as many submit_sm as `channels.text.segments` counts."""

    channel, items_per_call = "sms", 1

    def __init__(
        self, where: Where, desk: Desk, *, sender: str, reaches_the_world: bool, name: str = "smpp_sms",
        window: int = 16, long: str = "udh", ids: str = "same", alphabet: str = "gsm7",
        answers_within: timedelta = timedelta(seconds=8), asks_every: timedelta = timedelta(seconds=30),
    ) -> None:  # fmt: skip
        """`long`: "udh" cuts a long text, "payload" leaves that to the message centre. `ids`, `alphabet`: as it has
        them (see `smpp_deliver.provider_id`, `sms_parts.decode`)."""
        self.name, self.window, self.reaches_the_world = name, window, reaches_the_world
        self._where, self._desk, self._sender = where, desk, sender
        self._long, self._ids, self._alphabet = long, ids, alphabet
        self._answers_within, self._asks_every = answers_within, asks_every
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Bind, and go on binding: messages and receipts come whether or not anything is sent."""
        self._bound()

    async def call(self, part: Part) -> Sequence[Answer]:
        """Submit one text; its parts one after the other, without waiting for each answer.

        Raises NotNow, Never(code="config" | "payload") or Unsure. A text of which some parts were refused for now
        is repeated whole: under the same reference, so that the phone puts the same parts together.
        """
        (item,) = part.items
        try:
            shorts = self._cut(part.payload.decode(), item)
            bodies = [smpp_pdu.short(one) for one in shorts]
        except (UnicodeDecodeError, BadPdu):
            raise Never("no text, or no address, that fits", code="payload") from None
        session = self._bound()
        return [self._judged(item, await session.submit(bodies))]

    def weight(self, payload: bytes) -> int:
        """See `channels.contract.Weighs`: the message centre counts every submit_sm."""
        if self._long == "payload":
            return 1
        return len(sms_parts.cut(payload.decode("utf-8", "replace"), reference=0)[1])

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()

    @property
    def is_bound(self) -> bool:
        """Whether the session stands."""
        return self._session is not None and self._session.is_bound

    def _bound(self) -> Session:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._loop = loop
            self._session = Session(
                self._where, self.hear, window=self.window, answers_within=self._answers_within,
                asks_every=self._asks_every,
            )  # fmt: skip
        return self._session

    def _cut(self, text: str, item: Item) -> list[Short]:
        dest, dest_ton, dest_npi = _addressed(item.address)
        source, ton, npi = _addressed(self._sender)
        whole = Short(
            source=source, source_ton=ton, source_npi=npi, dest=dest, dest_ton=dest_ton, dest_npi=dest_npi
        )
        coding, octets = sms_parts.whole(text)
        # the same for each try of one delivery; of two to one phone at once it differs, all but once in 256
        reference = zlib.crc32(item.delivery_id.encode()) & 0xFF
        if self._long == "payload" and len(sms_parts.cut(text, reference=reference)[1]) > 1:
            tags: dict[int, bytes] = {Tag.MESSAGE_PAYLOAD: octets}
            return [replace(whole, data_coding=coding, tags=tags, registered_delivery=1)]
        coding, parts = sms_parts.cut(text, reference=reference)
        esm_class = sms_parts.UDHI if len(parts) > 1 else 0
        return [
            replace(
                whole, esm_class=esm_class, data_coding=coding, message=message,
                registered_delivery=int(n == len(parts)),  # the receipt of the last part stands for the text
            )
            for n, message in enumerate(parts, 1)
        ]  # fmt: skip

    def _judged(self, item: Item, said: Sequence[Pdu | BaseException]) -> Answer:
        """What the answers to all parts mean for the text. Raises NotNow, Never or Unsure."""
        errors = [one for one in said if isinstance(one, BaseException)]
        if unsure := next((e for e in errors if not isinstance(e, NotNow)), None):
            raise unsure
        answers = [one for one in said if isinstance(one, Pdu)]
        statuses = [one.status for one in answers]
        bad = next((s for s in statuses if s != Status.OK and s not in _WAIT), None)
        if bad in _NEVER:
            raise Never("refused for every address", code=_NEVER[Status(bad)])
        if bad in _ADDRESS:
            return Answer(delivery_id=item.delivery_id, state=DeliveryState.FAILED, code=f"smpp_{bad:02x}")
        if bad is not None:
            raise Unsure("a status that proves nothing", code=f"smpp_{bad:02x}")
        if errors:
            raise errors[0]
        if any(s in _WAIT for s in statuses):
            raise NotNow("throttled, or its queue is full", code="throttled", retry_after=PAUSE)
        try:
            number = smpp_pdu.read_name(answers[-1].body)
        except BadPdu:
            number = ""
        if not number:
            raise Unsure("taken, but no name was given", code="garbage")
        name = smpp_deliver.provider_id(number, self._ids, is_receipt=False)
        return Answer(delivery_id=item.delivery_id, state=DeliveryState.ACCEPTED, provider_id=name)

    async def hear(self, pdu: Pdu) -> int:
        """Keep what came, then say so. Unavailable: the message centre keeps it and tries again."""
        at, body, is_data = self._desk.now(), pdu.body, pdu.command == Command.DATA_SM
        try:
            message: Short | None = smpp_pdu.read_data(body) if is_data else smpp_pdu.read_short(body)
        except BadPdu:  # kept all the same: an officer with the octets beats none
            message = None
        try:
            if message is not None and smpp_deliver.is_receipt(message):
                await self._reported(message, body, at)
            else:
                kind = smpp_deliver.DATA_TYPE if is_data else smpp_deliver.MEDIA_TYPE
                await self._kept(message, body, kind, at)
        except Unavailable:
            return Status.X_T_APPN
        return Status.OK

    async def _kept(self, message: Short | None, body: bytes, kind: str, at: datetime) -> None:
        system = self._where.system_id
        inbound = smpp_deliver.inbound(
            body, message, system=system, alphabet=self._alphabet, at=at, media_type=kind
        )
        before = smpp_deliver.named(body, system=system, at=at - smpp_deliver.REPEATED)
        kept = await self._desk.kept_at(before)  # under the name of the ten minutes before these
        if kept is not None and at - kept < smpp_deliver.REPEATED:
            return
        await self._desk.take(inbound)

    async def _reported(self, message: Short, body: bytes, at: datetime) -> None:
        try:
            receipt = smpp_deliver.receipt(message, body, ids=self._ids, at=at)
        except BadInput as error:
            await self._desk.shelve(body, error.code)
            return
        await self._desk.receipt(receipt)


def _addressed(address: str) -> tuple[str, int, int]:
    """(address, type of number, numbering plan), §5.2.5 and §5.2.6: international, a name, or as the network has it."""
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", address):
        return address[1:], 1, 1
    return (address, 0, 1) if address.isascii() and address.isdigit() else (address, 5, 0)
