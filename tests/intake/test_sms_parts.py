"""Messages from phones by SMPP: through the session, on both databases, to the queue and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from channels.codecs import sms_parts
from channels.codecs.smpp_pdu import Status, Tag
from domain.errors import Unavailable
from domain.parcel import DeliveryState
from outbox.deliver import deliver
from outbox.sweep import due
from store import audience
from store import reports as book
from store import tables as t
from tests.chat_kit import reports
from tests.smpp_kit import PHONE, Centre, bound_world, until
from tests.web.api_world import World

LONG = "大坪村三组发生山体滑坡，埋了两户人家，道路中断，请速派人救援。" * 5  # 155 letters, 3 parts


@pytest.fixture
def hub(smsc: Centre, database_url: str, tmp_path: Path, at) -> Iterator[World]:
    smsc.script()
    smsc.smsc.taken.clear()
    with bound_world(tmp_path / "data", at, smsc, database=database_url) as made:
        yield made


def _parts(text: str = LONG, reference: int = 9) -> list[bytes]:
    return sms_parts.cut(text, reference=reference)[1]


def _deliver(smsc: Centre, part: bytes, **fields: object) -> int:
    return smsc.deliver(esm_class=sms_parts.UDHI, data_coding=8, message=part, **fields)


def _findings(to: World, report_id: str) -> tuple[str, ...]:
    return to.hub.store.read(lambda unit: book.get(unit, report_id)).content.findings


def test_a_message_becomes_a_report_and_its_sender_hears_the_code(hub, smsc) -> None:
    assert smsc.say("桥下积水，两车被淹") == [Status.OK]
    hub.file_all()
    (report,) = reports(hub)
    assert (report["channel"], report["text"]) == ("sms", "桥下积水，两车被淹")
    assert report["facts"]["sender"][0]["value"] == PHONE
    for _, row_id in hub.hub.store.read(lambda unit: due(unit, hub.clock())):
        deliver(hub.hub.outgoing, row_id)
    (said,) = smsc.smsc.phones()[PHONE[1:]]
    assert report["code"] in said

    def state() -> str:
        return hub.hub.store.read(lambda unit: unit.scalar(sa.select(t.delivery.c.state)))

    until(lambda: state() == DeliveryState.DELIVERED)  # by the receipt, over the same session


@pytest.mark.parametrize("sender", ["12379", "12345", "95598", "10086", "106900001234"])
def test_a_short_number_is_a_name_in_the_queue_and_is_not_written_to(hub, smsc, sender) -> None:
    assert smsc.say("测试", sender=sender) == [Status.OK]
    hub.file_all()
    (report,) = reports(hub)
    assert report["facts"]["sender"][0]["value"] == sender
    assert hub.count(t.dispatch) == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_h99_the_parts_of_a_long_text_are_one_report_in_any_order(hub, smsc, order) -> None:
    parts = _parts()
    for n in order:
        assert _deliver(smsc, parts[n]) == Status.OK
        hub.file_all()
    (report,) = reports(hub)
    assert report["text"] == LONG and _findings(hub, report["id"]) == ()
    assert hub.count(t.inbound) == 3


def test_h99_sixteen_bits_and_sar_fields_too(hub, smsc) -> None:
    for n, part in enumerate(_parts(), 1):
        assert _deliver(smsc, b"\x06\x08\x04\x12\x34\x03" + bytes([n]) + part[6:]) == Status.OK
        tags = {
            Tag.SAR_MSG_REF_NUM: b"\0\x09",
            Tag.SAR_TOTAL_SEGMENTS: b"\x03",
            Tag.SAR_SEGMENT_SEQNUM: bytes([n]),
        }
        assert smsc.deliver(data_coding=8, message=part[6:], tags=tags, source="8613900139000") == Status.OK
    hub.file_all()
    hub.file_all()
    assert [report["text"] for report in reports(hub)] == [LONG, LONG]


def test_h99_one_reference_from_two_phones_is_two_reports(hub, smsc) -> None:
    one, two = _parts("甲处" * 60), _parts("乙处" * 60)
    for n in range(2):
        _deliver(smsc, one[n])
        _deliver(smsc, two[n], source="8613900139000")
    hub.file_all()
    assert {report["text"] for report in reports(hub)} == {"甲处" * 60, "乙处" * 60}


def test_h99_missing_parts_wait_a_minute_then_it_is_filed_and_marked_and_a_late_part_is_a_version(
    hub, smsc
) -> None:
    parts = _parts()
    _deliver(smsc, parts[2])
    hub.file_all()
    hub.clock.forward(seconds=59)
    hub.file_all()
    assert reports(hub) == []
    hub.clock.forward(seconds=2)
    hub.file_all()
    (report,) = reports(hub)
    assert report["text"].startswith("[...]") and "parts_missing" in _findings(hub, report["id"])
    _deliver(smsc, parts[0])
    hub.file_all()
    assert "parts_missing" in _findings(hub, report["id"])
    _deliver(smsc, parts[1])
    hub.file_all()
    (report,) = reports(hub)
    assert report["text"] == LONG and _findings(hub, report["id"]) == ()
    assert hub.hub.store.read(lambda unit: book.versions(unit, report["id"])) == 3


def test_h99_a_part_count_of_255_fills_no_memory_and_is_filed(hub, smsc) -> None:
    part = b"\x05\x00\x03\x01\xff\x80" + "埋了".encode("utf-16-be")
    assert _deliver(smsc, part) == Status.OK
    hub.file_all()
    hub.clock.forward(seconds=61)
    hub.file_all()
    (report,) = reports(hub)
    assert report["text"] == "[...]埋了[...]"


def test_h99_a_reference_used_again_within_the_hour_is_another_text_and_a_repeat_is_none(hub, smsc) -> None:
    texts = [f"{place}处山体滑坡，埋了两户人家" * 8 for place in "甲乙丙"]
    for text in texts:
        for part in _parts(text):
            _deliver(smsc, part)
        hub.file_all()
        hub.clock.forward(minutes=12)
    for part in _parts(texts[1]):  # twelve minutes on, the door takes it for a message of its own
        _deliver(smsc, part)
    hub.file_all()
    assert sorted(report["text"] for report in reports(hub)) == sorted(texts)
    assert {hub.hub.store.read(lambda u, r=r: book.versions(u, r["id"])) for r in reports(hub)} == {1}


def test_h99_a_text_whose_part_is_lost_takes_none_of_the_next_one_of_its_reference(hub, smsc) -> None:
    lost, whole = _parts("甲处山体滑坡，埋了两户人家" * 12), _parts("乙处山体滑坡，埋了两户人家" * 12)
    for part in (lost[0], *whole):
        _deliver(smsc, part)
        hub.clock.forward(seconds=1)
        hub.file_all()
    (report,) = reports(hub)
    assert report["text"] == "乙处山体滑坡，埋了两户人家" * 12
    hub.clock.forward(seconds=61)
    hub.file_all()
    assert sorted(r["text"].count("甲处") > 0 for r in reports(hub)) == [False, True]


def test_h99_flash_and_binary_are_marked_and_an_hour_later_the_reference_is_another_text(hub, smsc) -> None:
    smsc.deliver(data_coding=0x18, message="快跑".encode("utf-16-be"))
    smsc.deliver(data_coding=0xF5, message=b"\x01\xff\xfe")
    hub.file_all()
    assert [set(_findings(hub, r["id"])) & {"flash_sms", "binary_sms"} for r in reports(hub)] in (
        [{"flash_sms"}, {"binary_sms"}], [{"binary_sms"}, {"flash_sms"}],
    )  # fmt: skip
    for text in ("甲处" * 60, "乙处" * 60):
        for part in _parts(text, reference=1):
            _deliver(smsc, part)
        hub.file_all()
        hub.clock.forward(hours=2)
    assert {"甲处" * 60, "乙处" * 60} <= {report["text"] for report in reports(hub)}


def test_r1_the_answer_comes_after_the_commit_and_without_a_database_after_the_spool(
    hub, smsc, monkeypatch
) -> None:
    async def gone(*_, **__):
        raise Unavailable("gone")

    monkeypatch.setattr(hub.hub.store, "item", gone)  # the database is down
    assert smsc.say("库断了") == [Status.OK]
    assert len(list(hub.hub.spool.read())) == 1 and hub.count(t.inbound) == 0

    def full(*_):
        raise Unavailable("full")

    monkeypatch.setattr(hub.hub.spool, "put", full)  # and so is the disk
    assert smsc.say("盘也满了") == [Status.X_T_APPN]


def test_a_message_that_the_centre_repeats_is_one_report_and_octets_that_nobody_can_read_are_kept(
    hub, smsc
) -> None:
    assert [smsc.say("同一条")[0] for _ in range(5)] == [Status.OK] * 5
    hub.clock.forward(minutes=6)  # the boundary between two names lies within
    smsc.say("同一条")
    assert smsc.do(smsc.smsc.deliver(b"\xff" * 40)) == Status.OK
    hub.file_all()
    assert hub.count(t.inbound) == 2
    assert {report["text"] for report in reports(hub)} == {"同一条", ""}


def test_r1_the_same_words_after_ten_minutes_are_a_report_of_their_own_wherever_the_boundary_lies(
    hub, smsc
) -> None:
    within = 600 - hub.clock().timestamp() % 600
    hub.clock.forward(seconds=within + 1)  # just begun: the next ten minutes end almost twenty from now
    smsc.say("水又涨了")
    hub.clock.forward(seconds=601)
    smsc.say("水又涨了")
    hub.clock.forward(seconds=598)  # within ten minutes of the second, under the same name
    smsc.say("水又涨了")
    hub.clock.forward(seconds=1)  # under the next name, still within
    smsc.say("水又涨了")
    hub.file_all()
    assert hub.count(t.inbound) == 2


def test_h30_stop_ends_subscriptions_and_is_no_report(hub, smsc) -> None:
    smsc.say("STOP")
    hub.file_all()
    assert hub.hub.store.read(lambda u: audience.opted_out(u, "sms", [PHONE])) == {PHONE}
    assert reports(hub) == []


def test_h29_a_receipt_of_nothing_known_changes_nothing(hub, smsc) -> None:
    assert smsc.deliver(esm_class=4, message=b"id:999 stat:DELIVRD err:000") == Status.OK
    assert smsc.deliver(esm_class=4, message=b"id:999 stat:BANANA") == Status.OK
    assert hub.count(t.inbound) == 0 and hub.count(t.delivery) == 0
    (row,) = hub.hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert (row.kind, row.reason) == ("receipt", "unknown_status")
