"""The Telegram wire: each answer of the Bot API, each update, one table of cases a direction."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import telegram
from channels.codecs import telegram_update
from channels.egress import Egress
from channels.telegram import Telegram
from domain.errors import BadInput, Never, NotAllowed, NotNow, Unsure
from domain.parcel import DeliveryState, Item, Part
from intake.reading import Locale, reading
from tests.chat_kit import CHAT, SECRET, TOKEN, Chats, chats, update

BOT = "700000001"
SOON = timedelta(seconds=1)


@pytest.fixture(scope="module")
def telegram_here() -> Iterator[Chats]:
    with chats() as made:
        yield made


@pytest.fixture
def there(telegram_here: Chats) -> Chats:
    telegram_here.script()
    telegram_here.telegram.chats.clear()
    telegram_here.telegram.updates.clear()
    telegram_here.telegram.webhook = {"url": "", "secret": ""}
    return telegram_here


def _call(
    there: Chats, text: str = "【演示】预警", *, address: str = str(CHAT), token: str = TOKEN, url: str = ""
):
    async def work():
        wire = Telegram(token=token, base_url=url or there.url, reaches_the_world=False, timeout=SOON)
        part = Part(channel="telegram", payload=text.encode(), sha256="", language="zh-CN",
                    items=(Item(delivery_id="dlv_1", address=address),))  # fmt: skip
        try:
            return (await wire.call(part))[0]
        finally:
            await wire.aclose()

    return asyncio.run(work())


ANSWERS = [  # act of the provider -> what the wire says, R4
    ({"act": "throttle", "retry_after": 7}, NotNow, "429"),
    ({"act": "unauthorized"}, Never, "config"),
    ({"act": "error"}, Unsure, "NetworkError"),
    ({"act": "error_taken"}, Unsure, "NetworkError"),
    ({"act": "hang"}, Unsure, "TimedOut"),
    ({"act": "hang_taken"}, Unsure, "TimedOut"),
    ({"act": "reset"}, Unsure, "NetworkError"),
    ({"act": "reset_taken"}, Unsure, "NetworkError"),
    ({"act": "garbage"}, Unsure, ""),
    ({"act": "conflict"}, NotNow, "409"),
]


@pytest.mark.parametrize(("rule", "error", "code"), ANSWERS, ids=[a[0]["act"] for a in ANSWERS])
def test_every_answer_of_the_provider_means_what_the_table_says(there, rule, error, code) -> None:
    there.script({"to": str(CHAT), **rule})
    with pytest.raises(error) as raised:
        _call(there)
    assert raised.value.code == code or not code
    if code == "429":
        assert raised.value.retry_after.total_seconds() == 7
    assert TOKEN not in f"{raised.value!r}{raised.value.detail}"


@pytest.mark.parametrize(
    "text", ["河堤漏水 😀 [x](tg://user?id=1) *b* <b>", "م" * 50, "x" * 4096, "😀" * 2048]
)
def test_h33_a_text_arrives_byte_for_byte_without_a_parse_mode(there, text) -> None:
    answer = _call(there, text)
    (said,) = there.telegram.chats[CHAT].said
    assert said["text"] == text
    assert (answer.state, answer.provider_id) == (DeliveryState.SENT, f"{CHAT}:{said['message_id']}")


@pytest.mark.parametrize(
    ("act", "code", "is_gone"),
    [("blocked", "blocked", True), ("refuse", "chat_not_found", False)],
)
def test_f27_a_refusal_of_one_chat_fails_that_chat_alone(there, act, code, is_gone) -> None:
    there.script({"to": str(CHAT), "act": act})
    answer = _call(there)
    assert (answer.state, answer.code, answer.is_gone) == (DeliveryState.FAILED, code, is_gone)


def test_f27_a_migrated_chat_is_told_by_its_new_number_and_one_call_sends_once(there) -> None:
    there.script({"to": "-500", "act": "migrated", "migrate_to": "-1001"})
    answer = _call(there, address="-500")
    assert (answer.state, answer.moved_to) == (DeliveryState.QUEUED, "-1001")
    assert -1001 not in there.telegram.chats  # another send is another attempt


def test_nobody_there_is_provably_not_taken(there) -> None:
    with pytest.raises(NotNow) as raised:
        _call(there, url="http://127.0.0.1:9")
    assert (raised.value.code, raised.value.is_down) == ("no_connection", True)


def test_f27_a_refused_token_and_another_poller_are_named(there) -> None:
    def asked(token: str) -> None:
        async def work() -> None:
            wire = Telegram(token=token, base_url=there.url, reaches_the_world=False, timeout=SOON)
            try:
                await wire.updates(0, wait=SOON)
            finally:
                await wire.aclose()

        asyncio.run(work())

    with pytest.raises(Never) as raised:
        asked("1234567:" + "x" * 35)
    assert raised.value.code == "config"
    there.script({"to": "getUpdates", "act": "conflict"})
    with pytest.raises(Never) as raised:
        asked(TOKEN)
    assert raised.value.code == "other_poller"


def test_h31_only_the_exact_secret_lets_in() -> None:
    telegram.verify([SECRET], SECRET)
    for given_ in (
        [],
        [""],
        ["x"],
        [SECRET + "x"],
        [SECRET[:-1]],
        ["x" * 1_000_000],
        [SECRET, SECRET],
        ["é"],
    ):
        with pytest.raises(NotAllowed):
            telegram.verify(given_, SECRET)
    with pytest.raises(NotAllowed):
        telegram.verify([""], "")


BAD = [
    b"", b"[]", b"null", b"{", b'{"update_id":1', b'{"message":{}}', b'{"update_id":"1"}', b'{"update_id":-1}',
    b'{"update_id":9223372036854775808}', b'{"update_id":true}', b'{"update_id":1e3}', b'{"update_id":NaN}',
    b"[" * 100_000, b'{"update_id":1,"message":' + b"[" * 100_000, "{“update_id”:1}".encode(), b"\xff\xfe{}",
    "大坪村".encode("gb18030"),
]  # fmt: skip


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_h32_what_is_no_update_is_bad_input(raw, at) -> None:
    with pytest.raises(BadInput) as raised:
        telegram.parse(raw, bot=BOT, at=at)
    assert raised.value.code == "bad_shape"


def test_an_update_is_named_by_the_bot_and_its_number_whatever_brought_it(at) -> None:
    given_ = update(7)
    posted = telegram.parse(json.dumps(given_).encode(), bot=BOT, at=at)
    asked = telegram.polled(given_, bot=BOT, at=at)
    assert posted.external_id == asked.external_id == f"{BOT}:5007"
    assert (posted.sender, json.loads(asked.raw)) == (str(CHAT), given_)
    assert telegram.polled({"update_id": -1}, bot=BOT, at=at) is None


TEXTS = ["", "😀" * 2048, "\u202eabc\u2066", "\x00\x1b[31m\x07", "مرحبا", "a\ud800b", "<script>", "=1+1"]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_is_read(text, at) -> None:
    kept = telegram.polled(update(1, text=text), bot=BOT, at=at)
    found, _ = telegram_update.read(kept.raw, {})
    assert found["text"] == text


@pytest.mark.parametrize("broken", [
    {"message": {}}, {"message": {"message_id": 1}}, {"message": []}, {"edited_message": {"chat": {"id": "x"}}},
    {"message": {"message_id": 2**70, "date": 2**70, "chat": {"id": 1, "type": "private"}}},
    {"message": {"message_id": 1, "date": -(2**62), "chat": {"id": 1, "type": "private"}}},
    {"my_chat_member": {"chat": 1}},
])  # fmt: skip
def test_h32_a_message_of_another_shape_is_kept_and_its_reader_says_so(broken, at) -> None:
    raw = json.dumps({"update_id": 1, **broken}).encode()
    assert telegram.parse(raw, bot=BOT, at=at).external_id == f"{BOT}:1"
    with pytest.raises(BadInput):
        telegram_update.read(raw, {})


@pytest.mark.parametrize("more", [
    {"poll": {"question": "?"}}, {"contact": {"phone": 1}}, {"photo": [{"x": 1}]}, {"entities": [{"type": 5}]},
    {"reply_to_message": {"message_id": 3, "date": 0, "chat": {"id": CHAT, "type": "private"}, "video": 1}},
])  # fmt: skip
def test_h32_an_object_of_another_shape_takes_no_words_from_its_message(more, at) -> None:
    raw = json.dumps(update(1, text="山塌了", **more)).encode()
    found, _ = telegram_update.read(raw, {})
    assert (found["text"], found["chat"]) == ("山塌了", CHAT)
    assert found["answers"] == (3 if "reply_to_message" in more else 0)


@pytest.mark.parametrize(("more", "text"), [
    ({"poll": {"id": "5", "question": "哪条路通？", "options": [{"text": "东路"}, {"text": "西路", "voter_count": 2}],
               "total_voter_count": 2, "is_closed": False, "is_anonymous": True, "type": "regular",
               "allows_multiple_answers": False}}, "投票 (poll): 哪条路通？\n东路\n西路"),
    ({"dice": {"emoji": "🎲", "value": 5}}, "骰子 (dice): 🎲\n5"),
    ({"game": {"title": "Snake", "description": "eat", "photo": [{"file_id": "AgAC", "file_unique_id": "u", "width": 1,
               "height": 1}]}}, "游戏 (game): Snake\neat"),
    ({"checklist": {"title": "物资", "tasks": [{"id": 1, "text": "水"}, {"id": 2, "text": "帐篷", "completion_date": 5}]}},
     "清单 (checklist): 物资\n水\n帐篷"),
    ({"paid_media": {"star_count": 3, "paid_media": [{"type": "preview", "width": 1}]}}, "付费媒体 (paid_media): 3"),
    ({"story": {"id": 3, "chat": {"id": 9, "type": "channel", "title": "某频道"}}}, "动态 (story): 某频道"),
    ({"sticker": {"file_id": "CAAC", "file_unique_id": "u", "width": 1, "height": 1, "type": "regular", "is_animated": False,
                  "is_video": False, "set_name": "Rescue"}}, "贴纸 (sticker): Rescue"),
    ({"new_chat_members": [{"id": 7, "is_bot": False, "first_name": "李四"}]}, "新成员 (new_chat_members): 李四"),
    ({"hologram": {"caption": "塌方现场", "frames": [{"file_id": "x", "note": "东侧"}]}, "is_topic_message": True},
     "其他内容 (hologram): 塌方现场\n东侧"),
    ({"silence": True}, "其他内容 (silence)"),
    ({"poll": {"question": "?"}}, "投票 (poll): ?"),
])  # fmt: skip
def test_every_kind_of_message_shows_what_was_sent(more, text, at) -> None:
    message = update(1, text="", **more)
    kept = telegram.parse(json.dumps(message).encode(), bot=BOT, at=at)
    found, _ = telegram_update.read(kept.raw, {})
    told = reading(kept, found, Locale())
    assert told.text == text
    assert "no_readable_text" not in told.findings


def test_what_a_game_shows_and_somebody_sells_is_fetched(at) -> None:
    sold = {"star_count": 1, "paid_media": [{"type": "photo", "photo": [{"file_id": "AgAD", "width": 9, "height": 9}]},
                                            {"type": "video", "video": {"file_id": "BAAC"}}]}  # fmt: skip
    kept = telegram.parse(json.dumps(update(1, text="", paid_media=sold)).encode(), bot=BOT, at=at)
    assert kept.meta["media"] == ["telegram:AgAD", "telegram:BAAC"]


def test_h32_an_unknown_kind_is_named() -> None:
    assert telegram_update.read(b'{"update_id": 1, "poll_answer": {"x": 1}}', {})[0] == {"kind": "unknown"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["message", "chat", "id", "type", "photo", "document", "file_id", "file_size", "text", "from", "date", "message_id",
         "location", "latitude", "longitude", "edit_date", "language_code", "reply_to_message"]) | st.text(max_size=5),
        inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(message=_JSON, kind=st.sampled_from(["message", "edited_message", "my_chat_member", "x"]))
def test_no_update_breaks_the_door_or_its_reader(message, kind) -> None:
    kept = telegram.polled({"update_id": 1, kind: message}, bot=BOT, at=datetime(2026, 1, 1, tzinfo=UTC))
    with suppress(BadInput):
        telegram_update.read(kept.raw, {})


def test_h24_only_files_of_this_bot_are_asked_for(there) -> None:
    egress = Egress(telegram.places(there.url, token=TOKEN, is_simulator=True), largest=telegram.LARGEST)
    name = there.telegram.keep(b"picture")
    got = telegram.fetch(egress, f"telegram:{name}", base_url=there.url, token=TOKEN)
    assert got.data == b"picture"
    for path in (f"/bot{TOKEN}/sendMessage?chat_id=1", f"/bot{TOKEN}/getFile?file_id=a/../b", "/sim/chats.json",
                 f"/file/bot{TOKEN}/../x", f"/file/bot{TOKEN}/a/../../x", "/file/bot1:x/photos/a"):  # fmt: skip
        with pytest.raises(Never) as raised:
            egress.get(there.url + path)
        assert raised.value.code == "bad_host"
    with pytest.raises(Never) as raised:
        telegram.fetch(egress, "telegram:AgAC404", base_url=there.url, token=TOKEN)
    assert raised.value.code == "http_400"
    with pytest.raises(Never):
        telegram.fetch(egress, "telegram:a&b=/../c", base_url=there.url, token=TOKEN)
    huge = there.telegram.keep(b"0" * 25_000_000)
    with pytest.raises(Never):
        telegram.fetch(egress, f"telegram:{huge}", base_url=there.url, token=TOKEN)
