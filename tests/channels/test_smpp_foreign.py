"""Both ends of SMPP against a library that we did not write: smpp34, in Rust, as the centre and as a client of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import smpp34
from smpp34 import Tlv

from channels.codecs import smpp_deliver, sms_parts
from domain.parcel import DeliveryState
from simulators.smsc import Smsc, SmscConfig
from tests.channels.test_smpp import House
from tests.servers import free_port
from tests.smpp_kit import LOGIN, PHONE

WORDS = "青石县大坪村三组山体滑坡，埋了两户㙍𠮷。"
LONG = "大坪村三组发生山体滑坡，埋了两户人家，道路中断，请速派人救援。" * 5


class Foreign:
    """The centre: who has bound, and what was submitted to it."""

    def __init__(self, server: smpp34.Server) -> None:
        self.server, self.submitted = server, []
        self.bound: asyncio.Queue[smpp34.Esme] = asyncio.Queue()

    async def run(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.bound.put_nowait(event)
            elif isinstance(event, smpp34.SubmitSmEvent):
                self.submitted.append(event)
                event.accept(message_id=f"{0xABC0 + len(self.submitted):X}")


@asynccontextmanager
async def bound(**more: object) -> AsyncIterator[tuple[Foreign, smpp34.Esme, House]]:
    """A wire of ours that is bound to it."""
    port = free_port()
    foreign = Foreign(smpp34.Server(host="127.0.0.1", port=port, system_id="FOREIGN"))
    await foreign.server.start()
    running = asyncio.create_task(foreign.run())
    house = House(SimpleNamespace(port=port), **more)
    try:
        await house.wire.open()
        yield foreign, await asyncio.wait_for(foreign.bound.get(), 10), house
    finally:
        await house.wire.aclose()
        running.cancel()
        await foreign.server.stop()


async def said(esme: smpp34.Esme, octets: bytes, **more: object) -> None:
    usual = {"source_addr": PHONE[1:], "source_addr_ton": 1, "source_addr_npi": 1}
    answer = await esme.deliver_sm("12379", octets, **usual | more)
    assert answer.is_success


MESSAGES = [  # octets, data_coding, optional fields, text
    (WORDS.encode("utf-16-be"), 8, [], WORDS),
    (b"bridge down \x1b\x65 \x00 \x10", 0, [], "bridge down € @ Δ"),
    ("café".encode("latin-1"), 3, [], "café"),
    ("大坪村".encode("gbk"), 4, [], "大坪村"),
    ("大坪村".encode("gbk"), 15, [], "大坪村"),
    (b"", 8, [Tlv(smpp34.TLV_MESSAGE_PAYLOAD, LONG.encode("utf-16-be"))], LONG),
    ("参数".encode("utf-16-be"), 8, [Tlv(0x1401, b"abc"), Tlv(0x1402, b"")], "参数"),
]


def test_messages_of_every_alphabet_come_in_as_they_were_written() -> None:
    async def work() -> list[tuple[str, str]]:
        async with bound() as (_, esme, house):
            for octets, coding, tags, _text in MESSAGES:
                await said(esme, octets, data_coding=coding, tlvs=tags)
            return [(one.sender, smpp_deliver.read(one.raw, {})[0]["text"]) for one in house.inbounds]

    assert asyncio.run(work()) == [(PHONE, text) for *_, text in MESSAGES]


def _by_header(octets: bytes, n: int, total: int) -> tuple[bytes, dict[str, object]]:
    return bytes((5, 0, 3, 77, total, n)) + octets, {"esm_class": 0x40}


def _by_wide_header(octets: bytes, n: int, total: int) -> tuple[bytes, dict[str, object]]:
    return bytes((6, 8, 4, 1, 44, total, n)) + octets, {"esm_class": 0x40}


def _by_tags(octets: bytes, n: int, total: int) -> tuple[bytes, dict[str, object]]:
    tags = [Tlv(smpp34.TLV_SAR_MSG_REF_NUM, b"\1\2"), Tlv(smpp34.TLV_SAR_TOTAL_SEGMENTS, bytes((total,))),
            Tlv(smpp34.TLV_SAR_SEGMENT_SEQNUM, bytes((n,)))]  # fmt: skip
    return octets, {"tlvs": tags}


@pytest.mark.parametrize("form", [_by_header, _by_wide_header, _by_tags])
def test_parts_in_any_order_are_one_text(
    form: Callable[[bytes, int, int], tuple[bytes, dict[str, object]]],
) -> None:
    octets = LONG.encode("utf-16-be")
    parts = [octets[i : i + 131] for i in range(0, len(octets), 131)]  # a letter is cut in two

    async def work() -> list[dict[str, object]]:
        async with bound() as (_, esme, house):
            for n in reversed(range(1, len(parts) + 1)):
                body, more = form(parts[n - 1], n, len(parts))
                await said(esme, body, data_coding=8, **more)
            return [smpp_deliver.read(one.raw, {})[0]["piece"] for one in house.inbounds]

    pieces = asyncio.run(work())
    assert len({piece["thread"] for piece in pieces}) == 1
    assert sms_parts.join([(p["n"], p["total"], p["body"]) for p in pieces]) == (LONG, True)


def test_a_text_of_ours_is_taken_and_its_receipts_of_both_forms_find_it() -> None:
    async def work() -> None:
        async with bound() as (foreign, esme, house):
            first, second = await house.call(LONG), await house.call("short", delivery="dlv_2")
            assert (first.state, second.state) == (DeliveryState.ACCEPTED, DeliveryState.ACCEPTED)
            found = [sms_parts.header(bytes(one.short_message)) for one in foreign.submitted[:-1]]
            shares = sorted(
                ((share.n, rest) for share, rest, _ in found if share)
            )  # its threads tell of them in any order
            assert b"".join(rest for _, rest in shares).decode("utf-16-be") == LONG
            last = next(n for n, (share, _, _) in enumerate(found, 1) if share and share.n == len(shares))
            assert {(one.source_addr, one.destination_addr) for one in foreign.submitted} == {
                ("12379", PHONE[1:])
            }
            names = [f"{0xABC0 + n:X}" for n in (last, len(foreign.submitted))]
            assert [first.provider_id, second.provider_id] == [f"smpp:{name.lower()}" for name in names]
            text = f"id:{names[0]} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 text:"
            await said(esme, text.encode(), esm_class=4)
            tags = [Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, names[1].encode() + b"\0"),
                    Tlv(smpp34.TLV_MESSAGE_STATE, b"\5"), Tlv(smpp34.TLV_NETWORK_ERROR_CODE, b"\3\0\x0b")]  # fmt: skip
            await said(esme, b"", tlvs=tags)
            told = [(one.provider_id, one.state) for one in house.receipts]
            assert told == [
                (first.provider_id, DeliveryState.DELIVERED),
                (second.provider_id, DeliveryState.FAILED),
            ]
            assert (house.inbounds, house.shelf) == ([], [])

    asyncio.run(work())


def test_a_quiet_link_lives_and_one_that_the_centre_ends_is_bound_again() -> None:
    async def work() -> None:
        async with bound(asks_every=timedelta(milliseconds=50)) as (foreign, esme, house):
            await asyncio.sleep(0.3)  # real time is what is tried: six times asked whether it lives
            assert house.wire.is_bound
            await esme.unbind()
            again = await asyncio.wait_for(foreign.bound.get(), 10)
            await said(again, b"after")
            assert len(house.inbounds) == 1

    asyncio.run(work())


def test_a_client_of_another_maker_binds_to_our_simulated_centre_and_gets_its_receipt() -> None:
    async def with_centre(work: Callable[[Smsc], Awaitable[None]]) -> None:
        smsc = Smsc(SmscConfig(**LOGIN, now=lambda: datetime.now(UTC)))
        await smsc.start()
        try:
            await work(smsc)
        finally:
            await smsc.aclose()

    async def work(smsc: Smsc) -> None:
        client = smpp34.Client("127.0.0.1", smsc.port, LOGIN["system_id"], LOGIN["password"], bind_type="TRX")
        session = await client.connect()
        answer = await session.submit_sm(
            destination_addr=PHONE[1:], source_addr="12379", short_message="险".encode("utf-16-be"), data_coding=8,
            registered_delivery=1,
        )  # fmt: skip
        assert answer.is_success
        event = await asyncio.wait_for(session.next(), 10)
        assert f"id:{answer.message_id}".encode() in event.short_message
        assert smsc.phones() == {PHONE[1:]: ["险"]}
        await session.unbind()

    asyncio.run(with_centre(work))
