"""What becomes of messages of a chat: through the door, on both databases."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.report import State
from outbox.deliver import deliver
from outbox.sweep import due
from store import audience, inbox
from store import reports as book
from store import tables as t
from tests.chat_kit import CHAT, SECRET, Chats, chat_world, chats, knock, reports, update, work
from tests.waiting import held
from tests.web.api_world import World

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@pytest.fixture(scope="module")
def telegram() -> Iterator[Chats]:
    with chats() as made:
        yield made


@pytest.fixture
def hub(telegram: Chats, database_url: str, tmp_path: Path, at) -> Iterator[World]:
    telegram.script()
    telegram.telegram.chats.clear()
    with chat_world(
        tmp_path / "data", at, telegram.url, database=database_url, telegram_webhook_secret=SECRET
    ) as made:
        yield made


def _size(file_id: str, **more: int) -> dict[str, object]:
    return {"file_id": file_id, "file_unique_id": "u", "width": 800, "height": 600, **more}


def _send(to: World) -> None:
    """Deliver all that is promised."""
    for job, row_id in to.hub.store.read(lambda unit: due(unit, to.clock())):
        if job.startswith("deliver"):
            deliver(to.hub.outgoing, row_id)


def _versions(to: World, report_id: str) -> list[str]:
    def work(unit) -> list[str]:
        v = t.report_version.c
        key = unit.vault.key(unit.connection, report_id)
        rows = unit.rows(sa.select(v.content).where(v.report == report_id).order_by(v.n))
        return [json.loads(key.open("report_version.content", row.content))["text"] for row in rows]

    return to.hub.store.read(work)


def test_a_message_becomes_a_report_and_its_writer_hears_the_code_in_his_language(hub, telegram) -> None:
    assert knock(hub, update(1)).status_code == 200
    english = {"id": 77, "is_bot": False, "first_name": "Ann", "language_code": "en-GB"}
    knock(hub, update(2, text="Bridge under water", chat=77, **{"from": english}))
    work(hub)
    _send(hub)
    one, two = reports(hub)
    assert (one["channel"], one["text"], two["text"]) == ("telegram", "大坪村山塌了", "Bridge under water")
    assert one["code"] in telegram.said()[0] and "已收到" in telegram.said()[0]
    assert two["code"] in telegram.said(77)[0] and "has arrived" in telegram.said(77)[0]


def test_h33_an_edit_is_a_new_version_and_the_old_text_is_kept(hub) -> None:
    knock(hub, update(1, text="塌了", message=9))
    work(hub)
    knock(hub, update(2, text="塌了，埋了2家", message=9, kind="edited_message"))
    knock(hub, update(3, text="塌了，埋了3家", message=9, kind="edited_message"))
    work(hub)
    (report,) = reports(hub)
    assert report["text"] == "塌了，埋了3家"
    assert _versions(hub, report["id"]) == ["塌了", "塌了，埋了2家", "塌了，埋了3家"]


def test_a_message_and_its_edits_that_are_filed_together_are_one_report(hub) -> None:
    for n, kind in ((1, "message"), (2, "edited_message"), (3, "edited_message")):
        knock(hub, update(n, text=f"埋了{n}家", message=9, kind=kind))
    knock(hub, update(4, text="别处", chat=88, message=3))
    names = hub.hub.store.read(
        lambda unit: unit.rows(sa.select(t.inbound.c.id).order_by(t.inbound.c.received_at))
    )
    with held(hub.hub.store):
        hub.hub.filing.file_all([row.id for row in names])
    assert sorted(report["text"] for report in reports(hub)) == ["别处", "埋了3家"]
    assert hub.count(t.report_version) == 4


def test_an_edit_that_is_filed_before_its_message_does_not_give_way_to_it(hub) -> None:
    knock(hub, update(2, text="埋了2家", message=9, kind="edited_message"))
    work(hub)
    knock(hub, update(1, text="塌了", message=9))
    work(hub)
    (report,) = reports(hub)
    assert report["text"] == "埋了2家"
    assert hub.count(t.inbound) == 2


@pytest.mark.parametrize(
    ("order", "count"), [pytest.param("as sent", 100, marks=pytest.mark.faults), ("reversed", 9)]
)
def test_h34_a_hundred_photos_of_one_album_are_one_report_and_what_is_missing_is_said(
    hub, telegram, order, count
) -> None:
    there = telegram.telegram.keep(GIF)
    sizes = [_size("small", width=90, height=60), _size(there)]
    gone = [_size("AgAC404")]
    album = [
        update(n, text="", message=n, media_group_id="13", photo=gone if n == 5 else sizes,
               **({"caption": "断桥"} if n == 1 else {}))
        for n in range(1, count + 1)
    ]  # fmt: skip
    album[6]["message"]["photo"] = [_size("AgAChuge", file_size=50_000_000)]
    for one in album if order == "as sent" else reversed(album):
        assert knock(hub, one).status_code == 200
    work(hub)
    (report,) = reports(hub)
    assert (report["text"], hub.count(t.media)) == ("断桥", count - 1)
    findings = hub.hub.store.read(lambda unit: book.get(unit, report["id"])).content.findings
    assert "media_refused" in findings and "media_too_large" in findings and "media_pending" not in findings
    assert len(report["attachments"]) == 1  # the same bytes again and again


def test_a_file_of_more_than_20_mb_is_said_to_whoever_sent_it(hub, telegram) -> None:
    knock(hub, update(1, text="", caption="视频", video=_size("v1", duration=9, file_size=50_000_000)))
    work(hub)
    _send(hub)
    assert "20 MB" in telegram.said()[0]
    assert hub.count(t.media) == 0


def test_an_answer_to_what_we_wrote_belongs_to_the_report(hub, telegram) -> None:
    knock(hub, update(1))
    work(hub)
    _send(hub)
    ours = next(one for one in telegram.telegram.chats[CHAT].said if one["who"] == "bot")
    knock(hub, update(2, text="又塌了一处", reply_to_message={
        "message_id": ours["message_id"], "date": 1, "chat": {"id": CHAT, "type": "private"}}))  # fmt: skip
    work(hub)
    (report,) = reports(hub)
    assert report["text"].splitlines() == ["大坪村山塌了", "又塌了一处"]


def test_an_answer_in_another_chat_with_the_same_number_is_a_report_of_its_own(hub, telegram) -> None:
    knock(hub, update(1))
    work(hub)
    _send(hub)
    ours = next(one for one in telegram.telegram.chats[CHAT].said if one["who"] == "bot")
    knock(hub, update(2, chat=78, reply_to_message={
        "message_id": ours["message_id"], "date": 1, "chat": {"id": 78, "type": "private"}}))  # fmt: skip
    work(hub)
    assert len(reports(hub)) == 2


def test_an_answer_to_a_settled_report_is_a_new_one_that_names_it(hub) -> None:
    knock(hub, update(1))
    work(hub)
    (first,) = reports(hub)

    def close(unit) -> None:
        for action in ("claim", "close"):
            report = book.get(unit, first["id"], lock=True)
            after = {"claim": State.CLAIMED, "close": State.CLOSED}[action]
            unit.execute(
                t.report_row.update()
                .where(t.report_row.c.id == report.id)
                .values(state=after.value, revision=report.revision + 1)
            )

    hub.hub.store.run(close)
    knock(hub, update(2, text="还有一处", reply_to_message={
        "message_id": 1, "date": 1, "chat": {"id": CHAT, "type": "private"}}))  # fmt: skip
    work(hub)
    second = next(one for one in reports(hub) if one["id"] != first["id"])
    assert second["text"] == "还有一处"
    assert second["facts"]["follows"][0]["value"] == first["code"]


def test_place_contact_venue_and_voice_become_facts_and_files(hub, telegram) -> None:
    spot = {"latitude": 30.25, "longitude": 120.15, "horizontal_accuracy": 12.0}
    knock(hub, update(1, text="", location=spot))
    knock(hub, update(2, text="", venue={"location": spot, "title": "示例桥", "address": "沿江路"}))
    knock(hub, update(3, text="", contact={"phone_number": "+8613800138000", "first_name": "王五"}))
    knock(hub, update(4, text="", voice={"file_id": telegram.telegram.keep(b"OggS"), "duration": 3,
                                         "file_unique_id": "u", "mime_type": "audio/ogg"}))  # fmt: skip
    work(hub)
    one, two, three, four = reports(hub)
    assert one["facts"]["position"][0]["value"] == "30.25,120.15"
    assert two["facts"]["place"][0]["value"] == "示例桥 沿江路"
    assert "+8613800138000" in [f["value"] for f in three["facts"]["sender"]]
    assert len(four["attachments"]) == 1
    assert [hub.count(t.media), hub.count(t.shelf)] == [1, 0]


@pytest.mark.parametrize(("language", "words"), [("zh-hans", "报告险情"), ("en", "To report danger")])
def test_start_and_help_are_answered_in_the_users_language_and_are_no_report(
    hub, telegram, language, words
) -> None:
    who = {"id": CHAT, "is_bot": False, "first_name": "A", "language_code": language}
    knock(hub, update(1, text="/start deeplink-of-somebody-else", **{"from": who}))
    knock(hub, update(2, text="/help@tocsin_demo_bot", **{"from": who}))
    work(hub)
    _send(hub)
    assert [words in text for text in telegram.said()] == [True, True]
    assert reports(hub) == []


def test_subscribe_puts_the_chat_on_the_list_of_an_area_and_stop_ends_it(hub, telegram) -> None:
    def listed() -> int:
        return hub.hub.store.read(lambda u: audience.count(u, channel="telegram", areas=["990102"]))[1]

    knock(hub, update(1, text="/subscribe 甲二县"))
    knock(hub, update(2, text="/subscribe 甲"))
    knock(hub, update(3, text="/subscribe 火星"))
    work(hub)
    _send(hub)
    assert listed() == 1
    said = "".join(telegram.said())  # each is a parcel of its own: they come in any order
    assert "已订阅：甲二县" in said and "990100000000 甲市" in said and "没有找到" in said
    knock(hub, update(4, text="/stop"))
    work(hub)
    out = hub.hub.store.read(lambda u: audience.opted_out(u, "telegram", [str(CHAT)]))
    assert out == {str(CHAT)}
    knock(hub, update(5, text="/subscribe 990102"))
    work(hub)
    assert hub.hub.store.read(lambda u: audience.opted_out(u, "telegram", [str(CHAT)])) == frozenset()
    assert listed() == 1


@pytest.mark.parametrize("text", ["/approve rel_01", "/recall", "/release x", "/stopall"])
def test_h35_no_command_of_a_chat_releases_anything(hub, text) -> None:
    knock(hub, update(1, text=text))
    work(hub)
    (report,) = reports(hub)
    assert report["text"] == text
    promised = hub.hub.store.read(lambda unit: unit.rows(sa.select(t.dispatch.c.notice)))
    assert [row.notice for row in promised] == ["acknowledgement"] and hub.count(t.tombstone) == 0


def test_who_blocks_the_bot_gets_no_more_warnings_and_a_moved_group_keeps_its_own(hub) -> None:
    rows = [{"channel": "telegram", "address": a, "area": "990102"} for a in (str(CHAT), "-500")]
    hub.hub.store.run(lambda u: audience.add(u, rows, hub.clock()))
    who = {"id": CHAT, "is_bot": False, "first_name": "A"}
    bot = {"id": 700000001, "is_bot": True, "first_name": "T"}
    member = {"chat": {"id": CHAT, "type": "private"}, "from": who, "date": 1,
              "old_chat_member": {"status": "member", "user": bot},
              "new_chat_member": {"status": "kicked", "user": bot, "until_date": 0}}  # fmt: skip
    knock(hub, {"update_id": 1, "my_chat_member": member})
    knock(hub, update(2, text="", chat=-500, migrate_to_chat_id=-1001))
    work(hub)
    assert hub.hub.store.read(lambda u: audience.opted_out(u, "telegram", [str(CHAT)])) == {str(CHAT)}
    assert hub.hub.store.read(lambda u: audience.areas_of(u, "telegram", "-1001")) == {"990102000000"}
    assert reports(hub) == []


def test_two_workers_that_file_one_album_at_once_make_one_report(hub) -> None:
    for n in range(1, 5):
        knock(hub, update(n, text=f"图{n}", message=n, media_group_id="7"))
    ids = hub.hub.store.read(lambda unit: inbox.due(unit, hub.clock()))
    threads = [threading.Thread(target=hub.hub.filing.file, args=(i,)) for i in ids]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    hub.clock.forward(**{"seconds": timedelta(minutes=1).total_seconds()})
    work(hub)
    (report,) = reports(hub)
    assert report["text"].splitlines() == ["图1", "图2", "图3", "图4"]


def test_a_reply_to_an_officers_question_lands_in_its_thread(hub, telegram) -> None:
    knock(hub, telegram.say("山塌了"))
    work(hub)
    (report,) = reports(hub)
    asked = hub.post("officer", f"/v1/reports/{report['id']}/messages", {"text": "有人受伤吗？"})
    assert asked.status_code == 201 and asked.json()["channel"] == "telegram"
    _send(hub)
    assert any("有人受伤吗？" in said for said in telegram.said())
    written = [one for one in telegram.telegram.chats[CHAT].said if "有人受伤吗？" in one["text"]]
    answered = update(8, text=written[0]["text"], message=written[0]["message_id"])["message"]
    knock(hub, update(9, text="两人轻伤", message=991, reply_to_message=answered))
    work(hub)
    knock(hub, update(10, text="路也断了", message=992))  # no reply, but one open question in this chat
    work(hub)
    assert len(reports(hub)) == 1
    found = hub.get("officer", f"/v1/reports/{report['id']}/messages").json()["data"]
    assert [(one["from"], one["text"].split("\n")[0]) for one in found] == [
        ("duty_room", "有人受伤吗？"), ("reporter", "两人轻伤"), ("reporter", "路也断了"),
    ]  # fmt: skip
    assert found[0]["state"] in ("accepted", "sent")
