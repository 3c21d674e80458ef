"""What a centre sends as data_sm (SMPP 3.4 §4.7): messages, long texts and receipts, as by deliver_sm."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from channels.codecs import sms_parts
from channels.codecs.smpp_pdu import Status, Tag
from domain.parcel import DeliveryState
from outbox.deliver import deliver
from outbox.sweep import due
from store import shelf
from store import tables as t
from tests.chat_kit import reports
from tests.smpp_kit import PHONE, Centre, bound_world, until
from tests.web.api_world import World

LONG = "大坪村三组发生山体滑坡，埋了两户人家，道路中断，请速派人救援。" * 5


@pytest.fixture
def hub(smsc: Centre, database_url: str, tmp_path: Path, at) -> Iterator[World]:
    smsc.script({"to": PHONE[1:], "act": "take", "receipt": ""})
    smsc.smsc.taken.clear()
    with bound_world(tmp_path / "data", at, smsc, database=database_url) as made:
        yield made


def test_a_data_sm_becomes_a_report_and_is_answered_as_what_it_is(hub, smsc) -> None:
    assert smsc.data(data_coding=8, message="桥下积水，两车被淹".encode("utf-16-be")) == Status.OK
    assert smsc.data(data_coding=8, message=LONG.encode("utf-16-be"), source="8613900139000") == Status.OK
    hub.file_all()
    assert {r["text"] for r in reports(hub)} == {"桥下积水，两车被淹", LONG}
    assert {r["facts"]["sender"][0]["value"] for r in reports(hub)} == {PHONE, "+8613900139000"}


def test_parts_by_tags_and_by_header_are_one_text(hub, smsc) -> None:
    parts = sms_parts.cut(LONG, reference=9)[1]
    for n in (2, 0, 1):
        assert smsc.data(esm_class=sms_parts.UDHI, data_coding=8, message=parts[n]) == Status.OK
    for n in (3, 1, 2):
        tags = {
            Tag.SAR_MSG_REF_NUM: b"\0\7",
            Tag.SAR_TOTAL_SEGMENTS: b"\3",
            Tag.SAR_SEGMENT_SEQNUM: bytes((n,)),
        }
        assert (
            smsc.data(data_coding=8, message=parts[n - 1][6:], tags=tags, source="8613900139000") == Status.OK
        )
    hub.file_all()
    assert [r["text"] for r in reports(hub)] == [LONG, LONG]


def test_a_receipt_by_data_sm_finds_its_message(hub, smsc) -> None:
    smsc.say("桥下积水")
    hub.file_all()
    for _, row_id in hub.hub.store.read(lambda unit: due(unit, hub.clock())):
        deliver(hub.hub.outgoing, row_id)
    name = str(smsc.smsc.taken[-1].number)

    def state() -> str:
        return hub.hub.store.read(lambda unit: unit.scalar(sa.select(t.delivery.c.state)))

    assert state() == DeliveryState.ACCEPTED
    tags = {Tag.RECEIPTED_MESSAGE_ID: name.encode() + b"\0", Tag.MESSAGE_STATE: b"\2"}
    assert smsc.data(tags=tags, esm_class=4) == Status.OK
    until(lambda: state() == DeliveryState.DELIVERED)


def test_one_that_nobody_can_read_is_kept_all_the_same(hub, smsc) -> None:
    assert smsc.do(smsc.smsc.deliver(b"\0\1\1no end of this", is_data=True)) == Status.OK
    hub.file_all()
    (report,) = reports(hub)
    assert "unparsed" in report["findings"]
    assert [row.reason for row in hub.hub.store.read(shelf.pending)] == ["bad_shape"]
