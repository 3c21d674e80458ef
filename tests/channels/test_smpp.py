"""SMPP: the octets of SMS, then the wire against a centre on a real socket, one table of cases a direction."""

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.codecs import gsm7, smpp_deliver, smpp_pdu, sms_parts
from channels.codecs.smpp_pdu import BadPdu, Command, Pdu, Short, Status, Tag
from channels.codecs.smpp_session import Where
from channels.contract import weight_of
from channels.smpp import Desk, SmppSms
from channels.text import segments
from domain.errors import BadInput, Never, NotNow, Unavailable, Unsure
from domain.parcel import DeliveryState, Item, Part, Receipt
from domain.report import Inbound
from tests.corpora import corpora
from tests.smpp_kit import LOGIN, PHONE, Centre, centre

TEXT = "【演示】预警"
LONG = "预计未来3小时内甲市将出现短时强降水，" * 8


# ---- octets


def test_every_letter_of_the_alphabet_has_the_octets_of_the_corpus() -> None:
    rows = list(csv.DictReader((corpora() / "sms" / "gsm0338.csv").open()))
    assert len(rows) == 137
    for row in rows:
        letter, octets = json.loads(row["char_json"]), bytes.fromhex(row["septets_hex"])
        assert gsm7.encode(letter) == octets
        assert gsm7.decode(octets) == letter


def test_every_text_of_the_corpus_becomes_the_segments_that_are_counted() -> None:
    rows = list(csv.DictReader((corpora() / "sms" / "segments.csv").open()))
    assert len(rows) >= 40
    for row in rows:
        text = json.loads(row["text_json"])
        coding, parts = sms_parts.cut(text, reference=7)
        assert (len(parts), coding == sms_parts.GSM7) == (int(row["segments"]), row["encoding"] == "GSM-7"), (
            row["name"]
        )
        assert all(
            len(part) <= (160 if coding == 0 and len(parts) == 1 else 140 if coding else 159)
            for part in parts
        )
        assert _joined(coding, parts) == text


def _joined(coding: int, parts: list[bytes]) -> str:
    found = []
    for n, part in enumerate(parts, 1):
        share, octets = None, part
        if len(parts) > 1:
            share, octets, _ = sms_parts.header(part)
            assert (share.n, share.total) == (n, len(parts))
        found.append((n, len(parts), {"coding": coding, "octets": octets.hex()}))
    text, is_whole = sms_parts.join(found)
    assert is_whole
    return text


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=400))
def test_what_is_cut_is_put_together_again_and_counts_as_the_preview_says(text) -> None:
    coding, parts = sms_parts.cut(text, reference=255)
    assert len(parts) == segments(text).parts
    assert _joined(coding, parts) == text


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_no_octets_break_a_reader(raw) -> None:
    for read in (smpp_pdu.read_short, smpp_pdu.unpack, smpp_pdu.read_bind):
        try:
            read(raw)
        except BadPdu:
            continue
    sms_parts.header(raw)
    for coding in range(256):
        sms_parts.decode(raw[:20], sms_parts.coding_of(coding))
    gsm7.decode(raw)


@settings(max_examples=80, deadline=None)
@given(
    message=st.binary(max_size=254), coding=st.integers(0, 255), esm=st.integers(0, 255),
    tags=st.dictionaries(st.sampled_from(list(Tag)), st.binary(min_size=1, max_size=40).filter(any)),
)  # fmt: skip
def test_a_short_message_is_read_as_it_was_written(message, coding, esm, tags) -> None:
    given_ = Short(
        source="12379", dest="8613800138000", message=message, data_coding=coding, esm_class=esm, tags=tags
    )
    assert smpp_pdu.read_short(smpp_pdu.short(given_)) == given_
    pdu = Pdu(command=Command.SUBMIT_SM, sequence=7, body=smpp_pdu.short(given_))
    assert smpp_pdu.unpack(pdu.pack()) == pdu


CODINGS = [  # data_coding, octets, text, finding
    (0, gsm7.encode("Water {2m} €"), "Water {2m} €", ""),
    (1, b"plain", "plain", ""),
    (3, b"caf\xe9", "café", ""),
    (8, "大坪村😀".encode("utf-16-be"), "大坪村😀", ""),
    (8, "大坪".encode("utf-16-be") + b"\x67", "大坪", "charset_guessed"),
    (0x10, b"flash", "flash", "flash_sms"),
    (0x18, "闪".encode("utf-16-be"), "闪", "flash_sms"),
    (0xF0, b"flash", "flash", "flash_sms"),
    (0xF5, b"\x01\x02\xff\xfe", "0102fffe", "binary_sms"),
    (4, "大坪村山塌了".encode("gb18030"), "大坪村山塌了", "binary_sms"),
    (2, "大坪村".encode(), "大坪村", "binary_sms"),
    (0xE0, "等".encode("utf-16-be"), "等", ""),
    (0, b"\x1b", " ", ""),
    (15, "大坪村山塌了".encode("gbk"), "大坪村山塌了", ""),
    (0, "大坪村山塌了".encode("gbk"), "大坪村山塌了", "charset_guessed"),
    (0, "大坪村😀".encode(), "大坪村😀", "charset_guessed"),
    (1, "大坪村".encode("gbk"), "大坪村", "charset_guessed"),
    (0, b"a\xe9", "ai", ""),
    (8, b"\xff\xfe" + "大坪".encode("utf-16-le"), "大坪", ""),
    (8, b"\xfe\xff" + "大坪".encode("utf-16-be"), "大坪", ""),
    (0, b"", "", ""),
]


@pytest.mark.parametrize(("coding", "octets", "text", "finding"), CODINGS)
def test_h99_every_coding_is_read(coding, octets, text, finding) -> None:
    found, findings = sms_parts.decode(octets, sms_parts.coding_of(coding))
    assert found == text
    assert finding in findings if finding else findings == []


def test_what_the_centre_means_by_its_default_alphabet_is_a_setting() -> None:
    assert sms_parts.decode(b"a@\xe9", sms_parts.coding_of(0), default="latin1")[0] == "a@é"


HEADERS = [  # octets, share, rest
    (b"\x05\x00\x03\x07\x02\x01x", (7, 2, 1), b"x"),
    (b"\x06\x08\x04\x01\x07\x02\x02x", (0x107, 2, 2), b"x"),
    (b"\x0b\x05\x04\x0b\x84\x00\x00\x00\x03\x07\x02\x01x", (7, 2, 1), b"x"),
    (b"\x05\x00\x03\x07\x00\x00x", None, b"x"),
    (b"\x05\x00\x03\x07\x02\x03x", None, b"x"),
    (b"\x05\x00\x03\x07\x01\x01x", None, b"x"),
    (b"\xff\x00\x03", None, b"\xff\x00\x03"),
    (b"", None, b""),
    (b"\x05\x00\x03\x07\xff\x01x", (7, 255, 1), b"x"),
]


@pytest.mark.parametrize("end", [b"\x02", b"\x14\x01\x00\x09ab", b"\x14\x01\x00"])
def test_h99_optional_fields_that_break_off_take_nothing_from_the_message(end) -> None:
    given_ = Short(source="13800138000", dest="12379", message=b"the dam", tags={Tag.MESSAGE_STATE: b"\x02"})
    assert smpp_pdu.read_short(smpp_pdu.short(given_) + end) == given_


def test_a_receipt_is_known_by_the_name_it_bears_where_esm_class_says_nothing() -> None:
    tags = {Tag.RECEIPTED_MESSAGE_ID: b"7\0", Tag.MESSAGE_STATE: b"\x02"}
    assert smpp_deliver.is_receipt(Short(esm_class=0, tags=tags))
    assert not smpp_deliver.is_receipt(Short(esm_class=0, message=b"id:7 stat:DELIVRD"))


@pytest.mark.parametrize(("octets", "share", "rest"), HEADERS)
def test_h99_every_header_is_read_or_is_text(octets, share, rest) -> None:
    found, left, _ = sms_parts.header(octets)
    assert ((found.reference, found.total, found.n) if found else None, left) == (share, rest)


RECEIPTS = [  # text, tags, ids, state, code, name
    (b"id:7000001 sub:001 dlvrd:001 submit date:2611231405 done date:2611231406 stat:DELIVRD err:000 text:", {}, "same",
     DeliveryState.DELIVERED, "", "smpp:7000001"),
    (b"id:10 stat:UNDELIV err:069", {}, "hex_dec", DeliveryState.FAILED, "69", "smpp:10"),
    (b"id:A stat:EXPIRED err:1", {}, "dec_hex", DeliveryState.FAILED, "1", "smpp:10"),
    (b"ID:abc Stat:REJECTD", {}, "same", DeliveryState.FAILED, "", "smpp:abc"),
    (b"id:1 stat:ACCEPTD", {}, "same", DeliveryState.SENT, "", "smpp:1"),
    (b"id:1 stat:UNKNOWN", {}, "same", DeliveryState.SENT, "", "smpp:1"),
    (b"", {Tag.RECEIPTED_MESSAGE_ID: b"1F\0", Tag.MESSAGE_STATE: b"\x02"}, "hex_dec", DeliveryState.DELIVERED, "",
     "smpp:31"),
    (b"id:99 stat:UNDELIV", {Tag.RECEIPTED_MESSAGE_ID: b"7", Tag.MESSAGE_STATE: b"\x02"}, "same",
     DeliveryState.DELIVERED, "", "smpp:7"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "tags", "ids", "state", "code", "name"), RECEIPTS)
def test_every_receipt_is_read(text, tags, ids, state, code, name, at) -> None:
    found = smpp_deliver.receipt(Short(esm_class=4, message=text, tags=tags), b"", ids=ids, at=at)
    assert (found.state, found.code, found.provider_id) == (state, code, name)


@pytest.mark.parametrize(
    "text", [b"", b"stat:DELIVRD", b"id:1", b"id:1 stat:BANANA", "id:号 stat:DELIVRD".encode()]
)
def test_h29_a_receipt_that_says_nothing_is_bad_input(text, at) -> None:
    with pytest.raises(BadInput):
        smpp_deliver.receipt(Short(esm_class=4, message=text), b"", ids="same", at=at)


@pytest.mark.parametrize(
    "name", ["12379", "12345", "95598", "10086", "106900001234", "1069000012345678", "12322"]
)
def test_short_numbers_and_ports_of_106_are_names_and_never_get_a_plus(name) -> None:
    for ton in (0, 3, 4, 5):
        assert smpp_deliver.address(name, ton) == name
    assert smpp_deliver.address("8613800138000", 1) == PHONE


# ---- the wire


@pytest.fixture(scope="module")
def open_centre() -> Iterator[Centre]:
    with centre() as made:
        yield made


@pytest.fixture
def there(open_centre: Centre) -> Centre:
    open_centre.script()
    open_centre.smsc.taken.clear()
    open_centre.smsc.delay = 0
    return open_centre


def _desk(inbounds: list[Inbound], receipts: list[Receipt], shelf: list[str], *, is_down: list[bool]) -> Desk:
    async def take(inbound: Inbound) -> None:
        if is_down[0]:
            raise Unavailable("gone")
        inbounds.append(inbound)

    async def receipt(one: Receipt) -> None:
        if is_down[0]:
            raise Unavailable("gone")
        receipts.append(one)

    async def shelve(_raw: bytes, reason: str) -> None:
        shelf.append(reason)

    async def kept_at(name: str) -> datetime | None:
        return next((one.received_at for one in inbounds if one.external_id == name), None)

    return Desk(take=take, receipt=receipt, shelve=shelve, kept_at=kept_at, now=lambda: datetime.now(UTC))


class House:
    """A wire in the loop of the test, and what came in by it."""

    def __init__(self, there: Centre, **more) -> None:
        self.inbounds, self.receipts, self.shelf, self.is_down = [], [], [], [False]
        where = Where(host="127.0.0.1", port=more.pop("port", there.port), system_id=LOGIN["system_id"],
                      password=more.pop("password", LOGIN["password"]))  # fmt: skip
        desk = _desk(self.inbounds, self.receipts, self.shelf, is_down=self.is_down)
        usual = {"sender": "12379", "reaches_the_world": False, "answers_within": timedelta(seconds=1)}
        self.wire = SmppSms(where, desk, **usual | more)

    async def call(self, text: str = TEXT, to: str = PHONE, delivery: str = "dlv_1"):
        part = Part(channel="sms", payload=text.encode(), sha256="", language="zh-CN",
                    items=(Item(delivery_id=delivery, address=to),))  # fmt: skip
        return (await self.wire.call(part))[0]


def _run(there: Centre, work, **more):
    async def whole():
        house = House(there, **more)
        try:
            return await work(house)
        finally:
            await house.wire.aclose()

    return asyncio.run(whole())


ANSWERS = [  # rule -> what the wire says, R4: "as SMS without look-up"
    ({"act": "refuse", "status": Status.THROTTLED}, NotNow, "throttled"),
    ({"act": "refuse", "status": Status.MSGQFUL}, NotNow, "throttled"),
    ({"act": "refuse", "status": Status.INVSRCADR}, Never, "config"),
    ({"act": "refuse", "status": Status.INVMSGLEN}, Never, "payload"),
    ({"act": "refuse", "status": Status.SYSERR}, Unsure, "smpp_08"),
    ({"act": "refuse", "status": Status.UNKNOWNERR}, Unsure, "smpp_ff"),
    ({"act": "silent"}, Unsure, "no_response"),
    ({"act": "silent_taken"}, Unsure, "no_response"),
    ({"act": "drop"}, Unsure, "link_lost"),
    ({"act": "drop_taken"}, Unsure, "link_lost"),
    ({"act": "garbage"}, Unsure, "link_lost"),
]


@pytest.mark.parametrize(("rule", "error", "code"), ANSWERS, ids=[f"{a[0]['act']}-{a[2]}" for a in ANSWERS])
def test_r4_every_answer_of_the_centre_means_what_the_table_says(there, rule, error, code) -> None:
    there.script({"to": PHONE[1:], **rule})
    with pytest.raises(error) as raised:
        _run(there, lambda house: house.call())
    assert raised.value.code == code


@pytest.mark.parametrize("status", [Status.INVDSTADR, Status.INVDSTTON, Status.INVDSTNPI, Status.SUBMITFAIL])
def test_a_refused_address_fails_alone(there, status) -> None:
    there.script({"to": PHONE[1:], "act": "refuse", "status": status})
    answer = _run(there, lambda house: house.call())
    assert (answer.state, answer.code) == (DeliveryState.FAILED, f"smpp_{status:02x}")


def test_nobody_there_or_a_refused_password_is_provably_not_taken(there) -> None:
    for more, code in (({"port": 9}, None), ({"password": "wrong"}, "bind_0e")):
        with pytest.raises(NotNow) as raised:
            _run(there, lambda house: house.call(), **more)
        assert raised.value.is_down and raised.value.code == (code or raised.value.code)


@pytest.mark.parametrize("long", ["udh", "payload"])
@pytest.mark.parametrize(
    "text", [TEXT, LONG, "Water rises. " * 30, "a" * 152 + "[" + "b" * 152, "水" * 66 + "😀" + "险" * 66]
)
def test_a_text_reaches_the_phone_as_it_was_approved(there, text, long) -> None:
    async def work(house: House):
        answer = await house.call(text)
        await _until(lambda: house.receipts)
        return answer, house.receipts

    answer, receipts = _run(there, work, long=long)
    assert there.smsc.phones()[PHONE[1:]] == [text]
    assert len(there.smsc.taken) == (segments(text).parts if long == "udh" else 1)
    assert answer.state is DeliveryState.ACCEPTED
    assert [(r.provider_id, r.state) for r in receipts] == [(answer.provider_id, DeliveryState.DELIVERED)]


async def _until(is_so, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("answer_ids", "receipt_ids", "ids"),
    [
        ("{:x}", "{:d}", "hex_dec"),
        ("{:d}", "{:X}", "dec_hex"),
        ("{:08X}", "{:010d}", "hex_dec"),
        ("{:d}", "{:d}", "same"),
    ],
)
@pytest.mark.parametrize("form", ["text", "tlv"])
def test_a_receipt_finds_its_message_however_its_number_is_written(
    answer_ids, receipt_ids, ids, form
) -> None:
    with centre(answer_ids=answer_ids, receipt_ids=receipt_ids) as there:
        there.script({"form": form})

        async def work(house: House):
            answer = await house.call()
            await _until(lambda: house.receipts)
            return answer.provider_id, house.receipts[0].provider_id

        first, second = _run(there, work, ids=ids)
        assert first == second


def test_a_part_that_is_throttled_is_repeated_with_the_others_under_the_same_reference(there) -> None:
    there.script({"to": PHONE[1:], "act": "take", "times": 1}, {"to": PHONE[1:], "act": "refuse",
                                                                "status": Status.THROTTLED, "times": 1})  # fmt: skip

    async def work(house: House):
        with pytest.raises(NotNow):
            await house.call(LONG)
        return await house.call(LONG)

    assert _run(there, work).state is DeliveryState.ACCEPTED
    assert there.smsc.phones()[PHONE[1:]] == [LONG]


def test_a_part_without_an_answer_makes_the_whole_unsure(there) -> None:
    there.script({"to": PHONE[1:], "act": "silent", "times": 1})
    with pytest.raises(Unsure):
        _run(there, lambda house: house.call(LONG))


def test_the_window_bounds_what_is_unanswered_and_fills_itself(there) -> None:
    there.smsc.delay, there.smsc.most_waiting = 0.05, 0

    async def work(house: House):
        return await asyncio.gather(
            *(house.call(delivery=f"d{n}", to=f"+8613800138{n:03d}") for n in range(40))
        )

    assert len(_run(there, work, window=8)) == 40
    assert there.smsc.most_waiting == 8


def test_long_texts_get_their_places_of_the_window_whole_and_none_is_left_half_sent(there) -> None:
    there.smsc.delay, there.smsc.most_waiting = 0.02, 0
    parts = segments(LONG).parts
    assert parts > 1

    async def work(house: House):
        some = (house.call(LONG, delivery=f"d{n}", to=f"+8613800138{n:03d}") for n in range(12))
        return await asyncio.gather(*some)

    assert {answer.state for answer in _run(there, work, window=parts + 1)} == {DeliveryState.ACCEPTED}
    assert there.smsc.most_waiting == parts  # one text at once: the one place left is not enough for another
    assert {tuple(texts) for texts in there.smsc.phones().values()} == {(LONG,)}


def test_a_text_with_more_parts_than_the_window_is_sent_all_the_same(there) -> None:
    there.smsc.delay, there.smsc.most_waiting = 0.02, 0
    answer = _run(there, lambda house: house.call("水" * 600), window=4)
    assert (answer.state, there.smsc.most_waiting) == (DeliveryState.ACCEPTED, 4)
    assert there.smsc.phones()[PHONE[1:]] == ["水" * 600]


def test_a_window_that_stays_full_is_provably_not_taken(there) -> None:
    there.script({"to": PHONE[1:], "act": "silent", "times": 1})

    async def work(house: House):
        first = asyncio.ensure_future(house.call())
        await _until(lambda: there.smsc.taken or there.smsc.most_waiting)
        try:
            await house.call(to="+8613800138001")
        finally:
            with pytest.raises(Unsure):
                await first

    there.smsc.most_waiting = 0
    with pytest.raises(NotNow) as raised:
        _run(there, work, window=1)
    assert (raised.value.code, raised.value.is_down) == ("window", False)
    assert "8613800138001" not in there.smsc.phones()


def test_a_text_weighs_as_many_messages_as_the_centre_counts(there) -> None:
    async def work(house: House):
        return [weight_of(house.wire, text.encode()) for text in (TEXT, LONG, "水" * 600)]

    assert _run(there, work) == [1, segments(LONG).parts, segments("水" * 600).parts]
    assert _run(there, work, long="payload") == [1, 1, 1]


def test_a_quiet_link_is_asked_whether_it_lives_and_a_lost_one_is_bound_again(there) -> None:
    async def work(house: House):
        await house.wire.open()
        await _until(lambda: house.wire.is_bound)
        asked = there.smsc.asked
        await _until(lambda: there.smsc.asked > asked + 1)
        there.loop.call_soon_threadsafe(there.smsc.drop)
        await _until(lambda: not house.wire.is_bound)
        await _until(lambda: house.wire.is_bound)
        return (await house.call()).state

    assert _run(there, work, asks_every=timedelta(seconds=0.1)) is DeliveryState.ACCEPTED


def test_r1_a_message_that_cannot_be_kept_is_left_with_the_centre(there) -> None:
    async def work(house: House):
        await house.wire.open()
        await _until(lambda: there.smsc.is_bound and house.wire.is_bound)
        house.is_down[0] = True
        first = await asyncio.to_thread(there.say, "塌了")
        house.is_down[0] = False
        return first, await asyncio.to_thread(there.say, "塌了"), len(house.inbounds)

    assert _run(there, work) == ([Status.X_T_APPN], [Status.OK], 1)


def test_the_same_octets_within_ten_minutes_are_one_message_and_later_another(at) -> None:
    body = smpp_pdu.short(Short(source="8613800138000", message=b"x"))

    def name(minutes: float) -> str:
        return smpp_deliver.named(body, system="s", at=at + timedelta(minutes=minutes))

    assert name(0) == name(4.9)
    assert name(0) == smpp_deliver.named(
        body, system="s", at=at + timedelta(minutes=10) - smpp_deliver.REPEATED
    )
    assert len({name(0), name(10), name(20)}) == 3
