"""The chat is asked for what came in, and told only afterwards that it was kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.errors import Unavailable
from hub.health import Trouble
from hub.wiring_chat import DEAF, hearing
from intake.poll import AGAIN, OTHERS_TURN, REFUSED
from store import tables as t
from tests.chat_kit import Chats, chat_world, chats, reports, work
from tests.web.api_world import World

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def telegram() -> Iterator[Chats]:
    with chats() as made:
        yield made


@pytest.fixture
def there(telegram: Chats) -> Chats:
    telegram.script()
    telegram.telegram.updates.clear()
    telegram.telegram.answered.clear()
    return telegram


@pytest.fixture
def hub(there: Chats, database_url: str, tmp_path: Path, at) -> Iterator[World]:
    with chat_world(tmp_path / "data", at, there.url, database=database_url) as made:
        yield made


def _hearing(to: World) -> set[str]:
    heard = hearing(to.hub.outgoing.all_wires(), to.hub.settings, to.hub.store, to.clock)
    return {name for name, is_well in (("deaf", heard.is_good()), ("loss", heard.is_whole())) if not is_well}


def test_r1_the_offset_moves_only_after_the_commit(hub, there, monkeypatch) -> None:
    sent = [there.say(f"报告{n}")["update_id"] for n in range(3)]
    down = [True]
    submit, put = hub.hub.store.item, hub.hub.spool.put

    async def item(*given, **how):
        if down[0]:
            raise Unavailable("gone")
        return await submit(*given, **how)

    def refuse(*given, **how):
        if down[0]:
            raise Unavailable("full")
        return put(*given)

    monkeypatch.setattr(hub.hub.store, "item", item)  # neither database nor disk takes anything for one turn
    monkeypatch.setattr(hub.hub.poller.spool, "put", refuse)
    assert hub.hub.poller.turn() == AGAIN
    assert hub.count(t.inbound) == 0
    down[0] = False
    hub.hub.poller.turn()
    there.say("报告3")
    hub.hub.poller.turn()
    offsets = [one["offset"] for one in there.telegram.answered]
    assert offsets == [0, 0, sent[-1] + 1]
    work(hub)
    assert [report["text"] for report in reports(hub)] == ["报告0", "报告1", "报告2", "报告3"] or len(
        reports(hub)
    ) == 4


def test_r1_without_a_database_the_spool_keeps_it_and_the_offset_moves(hub, there, monkeypatch) -> None:
    number = there.say("库断了")["update_id"]
    item = hub.hub.store.item

    async def gone(*_, **__):
        raise Unavailable("gone")

    monkeypatch.setattr(hub.hub.store, "item", gone)  # the database goes between the question and the answer
    hub.hub.poller.turn()
    assert hub.count(t.inbound) == 0 and len(list(hub.hub.spool.read())) == 1
    monkeypatch.setattr(hub.hub.store, "item", item)
    there.say("又一条")
    hub.hub.poller.turn()
    assert there.telegram.answered[-1]["offset"] == number + 1


@pytest.mark.faults  # half a minute of waiting
def test_a_repeat_of_an_update_is_one_report_and_numbers_that_begin_anew_are_heard(hub, there) -> None:
    there.say("先来的", update_id=900)
    hub.hub.poller.turn()
    there.say("重复", update_id=900)
    hub.hub.poller.turn()  # offset 901 drops it, and an empty answer makes the next question begin anew
    assert hub.hub.poller._offset in (0, 901)
    hub.hub.poller._offset = 0
    there.say("一周后", update_id=12)
    hub.hub.poller.turn()
    work(hub)
    assert {report["text"] for report in reports(hub)} == {"先来的", "一周后"}


def test_r1_an_update_that_nothing_can_take_lies_on_the_shelf_and_those_behind_it_are_heard(
    hub, there, monkeypatch
) -> None:
    there.say("先来的")
    poison = there.say("坏的")["update_id"]
    last = there.say("后来的")["update_id"]
    read, run = hub.hub.poller.read, hub.hub.store.run

    def broken(update, at):
        if update["update_id"] == poison:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return read(update, at)

    hub.hub.poller.read = broken
    down = [False]

    def gone(work):
        if down[0] and "_set_aside" in getattr(work, "__qualname__", ""):
            raise Unavailable("gone")
        return run(work)

    monkeypatch.setattr(hub.hub.store, "run", gone)
    down[0] = True
    hub.hub.poller.turn()
    assert hub.hub.poller._offset == poison  # it lies nowhere yet: asked for again
    down[0] = False
    hub.hub.poller.turn()
    there.say("又来的")  # or the next question is held open until somebody writes
    hub.hub.poller.turn()
    assert there.telegram.answered[-1]["offset"] == last + 1
    (row,) = hub.hub.store.read(lambda unit: unit.rows(sa.select(t.shelf)))
    assert row.reason == "update_refused" and json.loads(row.raw)["update_id"] == poison
    work(hub)
    assert {report["text"] for report in reports(hub)} == {"先来的", "后来的", "又来的"}


def test_half_a_letter_in_a_type_or_a_language_is_kept_as_a_mark(hub, there) -> None:
    said = {"update_id": 77, "message": {"message_id": 1, "date": 1_795_413_900, "chat": {"id": 5, "type": "private"},
            "from": {"id": 5, "is_bot": False, "first_name": "x", "language_code": "\ud800"},
            "document": {"file_id": "A", "file_unique_id": "B", "mime_type": "\udfff/x"}, "caption": "见图"}}  # fmt: skip
    made = hub.hub.poller.read(said, hub.clock())
    assert (made.meta["language"], made.meta["media_types"]) == ("?", ["?/x"])


def test_f27_a_refused_token_or_another_poller_is_an_alarm_and_not_a_loop(hub, there) -> None:
    assert hub.hub.poller.turn.__self__ is hub.hub.poller
    there.say("在")
    hub.hub.poller.turn()
    assert _hearing(hub) == set()
    for act, code in (("conflict", "other_poller"), ("unauthorized", "config")):
        there.script({"to": "getUpdates", "act": act})
        assert hub.hub.poller.turn() == REFUSED
        row = hub.hub.store.read(lambda unit: unit.row(sa.select(t.poll)))
        assert (row.code, _hearing(hub)) == (code, {"deaf"})
    assert Trouble.DOOR_DEAF in hub.hub.health.look().troubles
    there.script()
    there.say("又在")
    hub.hub.poller.turn()
    assert _hearing(hub) == set()


def test_a_silence_is_red_in_minutes_and_after_a_day_the_loss_is_written_down(hub, there) -> None:
    there.say("在")
    hub.hub.poller.turn()
    hub.clock.forward(seconds=DEAF.total_seconds() + 1)
    assert _hearing(hub) == {"deaf"}
    hub.clock.forward(hours=24)
    assert _hearing(hub) == {"deaf", "loss"}
    there.say("回来")
    hub.hub.poller.turn()
    assert _hearing(hub) == set()
    (row,) = hub.hub.store.read(lambda unit: unit.rows(sa.select(t.shelf)))
    assert (row.reason, row.origin) == ("poll_gap", "telegram:700000001/24h")


def test_of_two_processes_one_asks_and_the_other_takes_over_from_a_dead_one(hub, there, monkeypatch) -> None:
    there.say("在")
    hub.hub.poller.turn()
    other = hub.hub.poller.__class__(**{
        name: getattr(hub.hub.poller, name) for name in
        ("source", "ask", "read", "number", "store", "blobs", "spool", "clock", "bell", "admit")})  # fmt: skip
    assert other.turn() == OTHERS_TURN
    hub.clock.forward(seconds=61)
    there.say("还在")
    other.turn()
    assert hub.hub.poller.turn() == OTHERS_TURN
    assert hub.count(t.inbound) == 2


_ASKER = """
import os, sys
from datetime import UTC, datetime
from hub.settings import Settings
from hub.wiring import build
from tests.web.api_world import settings_of
from pathlib import Path

directory, url, token, database, moment = sys.argv[1:6]
hub = build(settings_of(Path(directory), database, telegram_token=token, telegram_api_url=url))
keep = type(hub.poller)._keep

async def killed(self, found):
    if moment == "before":
        os.kill(os.getpid(), 9)
    answer = await keep(self, found)
    if moment == "after":
        os.kill(os.getpid(), 9)
    return answer

type(hub.poller)._keep = killed
while True:
    hub.poller.turn()
"""


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["before", "after"])
def test_r1_killed_between_the_question_and_the_commit_or_after_it_nothing_is_lost_or_doubled(
    hub, there, database_url, tmp_path, moment
) -> None:
    for n in range(20):
        there.say(f"报告{n}")
    asker = subprocess.run(
        [sys.executable, "-c", _ASKER, str(tmp_path / "data"), there.url, hub.hub.settings.telegram_token.get_secret_value(),
         database_url, moment],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False, capture_output=True,
    )  # fmt: skip
    assert asker.returncode == -signal.SIGKILL, asker.stderr[-2000:]
    kept = hub.count(t.inbound)
    assert kept == (0 if moment == "before" else 20)
    hub.clock.forward(days=400)  # the dead one's lease is over, by whatever clock it had
    hub.hub.poller.turn()
    work(hub)
    assert hub.count(t.inbound) == 20
    assert sorted(report["text"] for report in reports(hub)) == sorted(f"报告{n}" for n in range(20))


def test_a_question_that_waits_does_not_hold_up_the_end_of_the_process(hub, there) -> None:
    ended = threading.Event()

    def ask() -> None:
        hub.hub.poller.turn()
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    until = time.monotonic() + 10
    while there.telegram.poller is None and time.monotonic() < until:
        time.sleep(0.01)
    hub.hub.outgoing.courier.close()
    assert ended.wait(5)
    assert json.dumps(there.telegram.answered)
