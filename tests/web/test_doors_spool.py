"""Every door while the database is away: kept in the spool, answered with a number, and there once when it is back."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.secrecy import NOBODY
from hub.wiring import Hub
from intake.spool import Spool
from store import people
from store import tables as t
from store.database import Store
from store.tables_desk import ring
from store.tables_peers import bulletin_arrival
from tests import bulletin_kit
from tests.chat_kit import SECRET, TOKEN, update
from tests.web.api_world import DLR_URL, NUMBER, SID, SMS_URL, World, signed, sms_form, world
from tests.web.test_doors_cti import TOKEN as CTI
from tests.web.test_doors_cti import tell
from tests.web.test_doors_voice import Down
from tests.web.voice_world import posted, voice_form
from tocsin import spool_line
from web.api.caller import Caller, Remembered

VOICE = {"twilio_voice_url": "https://hub.example/hooks/voice/twilio"}
CHAT = {"telegram_token": TOKEN, "telegram_api_url": "http://127.0.0.1:9", "telegram_webhook_secret": SECRET}
REPORT = {"text": "示例县大坪村三组滑坡"}


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url, cti_token=CTI, **VOICE, **CHAT) as made:
        yield made


@contextmanager
def away(hall: World) -> Iterator[None]:
    """The database does not answer until the block ends."""
    hall.hub.store.__class__ = Down
    try:
        yield
    finally:
        hall.hub.store.__class__ = Store


def bring_in(hub: Hub) -> None:
    """What the sweep does."""
    for chore in spool_line.chores(hub):
        chore.run()


def _meet(hall: World) -> None:
    """Keys that are used while the database is there, as departments and peers do all day."""
    for who in ("department", "officer"):
        assert hall.get(who, "/v1/reports").status_code == 200
    assert _bulletin(hall, "before") == 202


def _bulletin(hall: World, name: str) -> int:
    headers = hall.headers("peer", **{"Content-Type": "application/cap+xml"})
    raw = bulletin_kit.xml(name, datetime.fromisoformat("2026-11-23T14:05:00+08:00"))
    return int(hall.client.post("/v1/bulletins", content=raw, headers=headers).status_code)


def _api(hall: World, body: dict[str, Any] = REPORT, *, key: str = "k") -> Any:
    return hall.post("department", "/v1/reports", body, key=key)


def _chat(hall: World) -> int:
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}
    return int(hall.client.post("/hooks/telegram", content=json.dumps(update()), headers=headers).status_code)


def _receipt(hall: World) -> int:
    sid = f"SM{7:032x}"
    form = {"AccountSid": SID, "From": NUMBER, "MessageSid": sid, "MessageStatus": "delivered", "SmsSid": sid,
            "SmsStatus": "delivered", "To": "+8613800138000"}  # fmt: skip
    return int(hall.client.post("/hooks/dlr/twilio", **signed(DLR_URL, form)).status_code)


def _form(hall: World) -> int:
    fields = {"text": "桥塌了", "once": "0" * 32}
    return int(hall.client.post("/report", data=fields).status_code)


def _knock_everywhere(hall: World) -> dict[str, int]:
    """One message at every door: door -> status."""
    call = {"caller": "0571-88001234", "text": "路断了"}
    return {
        "sms": hall.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form())).status_code,
        "voice": posted(hall, "", voice_form()).status_code, "chat": _chat(hall), "form": _form(hall),
        "api": _api(hall).status_code, "slip": hall.post("officer", "/v1/calls", call, key="c").status_code,
        "push": _bulletin(hall, "while"), "receipt": _receipt(hall),
        "cti": max(tell(hall, event) for event in ("newCall", "answer", "hangup")),
    }  # fmt: skip


TAKEN = {"sms": 200, "voice": 200, "chat": 200, "form": 303, "api": 201, "slip": 201, "push": 202, "receipt": 204,
         "cti": 200}  # fmt: skip


def test_f15_every_door_answers_without_a_database_and_all_of_it_is_there_once_when_it_is_back(
    hall: World,
) -> None:
    _meet(hall)
    with away(hall):
        assert _knock_everywhere(hall) == TAKEN
        assert _knock_everywhere(hall) == TAKEN | {"push": 200}  # repeats: nothing waits twice
        first, again = _api(hall), _api(hall)
        assert first.json() == again.json() and again.headers["Idempotent-Replayed"] == "true"
        other = _api(hall, {"text": "别的话"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert hall.post("reader", "/v1/reports", REPORT).status_code == 503  # a key that nobody has seen yet
        assert hall.get("department", "/v1/reports").status_code == 503  # who reads is not believed
    hub = hall.hub
    waiting = [len(spool.waiting()) for spool in (hub.spool, hub.words.spool, hub.peers.spool)]
    assert (waiting, hall.count(t.inbound)) == ([6, 4, 1], 0)
    bring_in(hub)
    bring_in(hub)
    assert [list(spool.waiting()) for spool in (hub.spool, hub.words.spool, hub.peers.spool)] == [[], [], []]
    assert (hall.count(t.inbound), hall.count(t.receipt), hall.count(bulletin_arrival)) == (6, 1, 2)
    (call,) = hub.store.read(lambda unit: unit.rows(ring.select()))
    assert call.answered_at and call.ended_at
    hall.file_all()
    assert hall.get("department", first.json()["links"]["self"]).json()["text"] == REPORT["text"]
    late = _api(hall)
    assert (late.status_code, late.json()) == (201, first.json()) and late.headers[
        "Idempotent-Replayed"
    ] == "true"
    assert _api(hall, {"text": "别的话"}).status_code == 422
    assert _knock_everywhere(hall) == TAKEN | {"push": 200}
    assert hall.count(t.inbound) == 6


def test_f15_a_repeat_before_the_drain_and_one_after_a_kill_hear_the_first_names(quick: World) -> None:
    assert quick.get("department", "/v1/reports").status_code == 200
    with away(quick):
        first = _api(quick)
        assert first.status_code == 201
        fresh = Spool(quick.hub.settings.data_dir / "spool")  # a process that has just been started
        (_, inbound, _) = next(fresh.read())
        assert inbound is not None
        found = fresh.known(inbound)
        assert found is not None and found.report_id == first.json()["id"]
    assert _api(quick).json() == first.json()  # the database is back, and the frame still waits
    assert quick.count(t.inbound) == 0


def test_f15_a_key_is_believed_for_a_shift_and_not_after_it_was_refused(quick: World) -> None:
    assert quick.get("department", "/v1/reports").status_code == 200
    quick.clock.forward(hours=13)
    with away(quick):
        assert _api(quick).status_code == 503
    assert quick.get("department", "/v1/reports").status_code == 200
    _revoke(quick, "key_department")
    assert quick.get("department", "/v1/reports").status_code == 401
    with away(quick):
        assert _api(quick).status_code == 503


def _revoke(hall: World, key: str) -> None:
    taken_back = t.api_key.update().where(t.api_key.c.id == key).values(revoked_at=hall.clock())
    hall.hub.store.run(lambda unit: unit.execute(taken_back))


def test_f15_a_key_that_another_process_took_back_is_not_believed_when_the_database_goes(
    quick: World,
) -> None:
    """Nobody has come with it to this process since."""
    caller = Caller(key_id="x", name="x", organisation="", scopes=frozenset(), person=None, eyes=NOBODY)
    tokens = {
        who: quick.headers(who)["Authorization"].removeprefix("Bearer ")
        for who in ("department", "officer", "peer")
    }

    async def lives() -> Remembered:
        remembered = Remembered(quick.hub, every=timedelta(milliseconds=1))
        for token in tokens.values():
            remembered.note(token, caller, quick.clock())
        with away(quick):
            await remembered.check()
        assert all(remembered.find(token, quick.clock()) for token in tokens.values())
        _revoke(quick, "key_department")
        await remembered.check()
        assert [who for who, token in tokens.items() if remembered.find(token, quick.clock())] == [
            "officer",
            "peer",
        ]
        quick.hub.store.run(lambda unit: people.set_active(unit, "officer", is_active=False))
        _revoke(quick, "key_peer")
        assert remembered._looker is not None
        await asyncio.wait_for(remembered._looker, 20)  # it looks until it remembers nobody
        return remembered

    remembered = asyncio.run(lives())
    assert not any(remembered.find(token, quick.clock()) for token in tokens.values())


def test_f15_the_frames_of_a_killed_process_are_read_beside_the_event_loop(quick: World) -> None:
    looked: list[bool] = []

    class Watched(Spool):
        def known(self, inbound: Any) -> Any:
            try:
                looked.append(asyncio.get_running_loop() is None)
            except RuntimeError:
                looked.append(True)
            return super().known(inbound)

    quick.hub.spool.__class__ = Watched
    with away(quick):
        quick.client.post("/report", data={"text": "桥塌了", "once": "0" * 32})
    assert _api(quick).status_code == 201
    assert looked == [True]  # a frame waits
    bring_in(quick.hub)
    assert _api(quick, key="k2").status_code == 201
    assert quick.hub.spool.is_clear and looked == [True]  # nobody looks where nothing waits


def test_f15_a_full_spool_says_try_again_at_every_door_and_takes_again_when_it_has_room(hall: World) -> None:
    _meet(hall)
    spools = (hall.hub.spool, hall.hub.words.spool, hall.hub.peers.spool)
    with away(hall):
        for spool in spools:
            spool.limit_bytes = 10
        said = _knock_everywhere(hall)
        assert said == dict.fromkeys(TAKEN, 503) | {"voice": 200}  # a caller hears whom to call
        assert "110" in posted(hall, "", voice_form()).text
        for spool in spools:
            spool.limit_bytes = 1 << 20
        assert _knock_everywhere(hall) == TAKEN
    bring_in(hall.hub)
    assert hall.count(t.inbound) == 6


def test_f16_a_torn_word_goes_to_the_shelf_and_holds_up_no_other(quick: World) -> None:
    with away(quick):
        for n in range(3):
            assert tell(quick, "newCall", f"c{n}") == 200
            quick.clock.forward(seconds=1)
    torn = quick.hub.words.spool.waiting()[1]
    torn.write_bytes(torn.read_bytes()[:-5])
    bring_in(quick.hub)
    assert quick.count(ring) == 2
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert (row.kind, row.reason, row.origin) == ("spool", "torn_frame", torn.name)
    assert list((torn.parent / "unreadable").iterdir())


def test_f15_a_spool_that_cannot_be_read_does_not_stop_the_others(quick: World) -> None:
    class Broken(Spool):
        def read(self, closed: list[Path] | None = None) -> Iterator[Any]:
            raise PermissionError("the directory")

    with away(quick):
        assert tell(quick, "newCall", "c1") == 200
    for chore in spool_line.chores(
        replace(quick.hub, spool=Broken(quick.hub.settings.data_dir / "elsewhere"))
    ):
        with suppress(PermissionError):  # as the sweep goes on after each
            chore.run()
    assert quick.count(ring) == 1


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model, cti_token=CTI) as made:
        yield made


def test_f16_other_words_under_a_key_that_the_database_knows_go_to_the_shelf(quick: World) -> None:
    first = _api(quick)
    assert first.status_code == 201
    with away(quick):
        assert _api(quick, {"text": "别的话"}).status_code == 201  # nobody can know yet
    bring_in(quick.hub)
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert (row.kind, row.reason) == ("spool", "frame_refused")
    assert quick.count(t.inbound) == 1
