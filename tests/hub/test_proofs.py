"""Proof of life: a synthetic report goes through every real door and is seen nowhere but where it was looked for."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain import proof
from domain.ids import mint
from domain.proof import found, mark
from domain.report import Content, Inbound
from hub import metrics
from hub import proofs as prober_of
from hub.banners import changes
from hub.health import Trouble
from hub.proofs import Prober
from hub.wiring import Hub, smtp_door
from intake import proofs as proof_room
from intake.reading import Reading
from store import arrivals, peers, proofs, shelf
from store import tables as t
from store.tables_peers import bulletin
from tests.servers import free_port
from tests.web.api_world import NUMBER, SID, SMS_URL, World, served, signed, sms_form, world
from tests.web.console_browser import enter, words
from tocsin import serve

PROVED = {"email", "web", "api", "sms", "voice", "peer"}


@contextmanager
def _mail_door(hub: Hub) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    door = smtp_door(hub)
    asyncio.run_coroutine_threadsafe(door.start(), loop).result(20)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(door.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@contextmanager
def _open(directory: Path, at: datetime, **more: Any) -> Iterator[World]:
    web, smtp = free_port(), free_port()
    with (
        world(
            directory, at, port=web, smtp_port=smtp, proof_minutes=5, base_url="https://hub.example", **more
        ) as made,
        served(made.hub, port=web),
        _mail_door(made.hub),
    ):
        yield made


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with _open(tmp_path / "data", at, url=database_url) as made:
        yield made


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model, proof_minutes=5) as made:
        yield made


def _read_all(made: World) -> None:
    """What the workers do, bulletins too."""
    made.file_all()
    for arrival_id in made.hub.store.read(lambda unit: arrivals.due(unit, made.clock())):
        made.hub.peers.reader.read(arrival_id)


def _heard(made: World) -> dict[str, proofs.Heard]:
    return {one.channel: one for one in made.hub.store.read(lambda unit: proofs.all_of(unit, PROVED))}


def test_every_channel_is_proved_through_its_door_and_nothing_of_it_is_seen_anywhere(hall: World) -> None:
    officer = enter(hall, "officer")
    before = hall.get("officer", "/v1/events?limit=500").json()["data"]
    assert hall.hub.prober.send() == dict.fromkeys(PROVED, "ok")
    assert hall.count(t.inbound) == len(PROVED) - 1
    _read_all(hall)
    assert {one.channel for one in _heard(hall).values() if one.proved_at == hall.clock()} == PROVED
    assert (
        hall.count(t.report_row) == hall.count(t.media) == hall.count(t.dispatch) == hall.count(t.shelf) == 0
    )
    assert {row.state for row in hall.hub.store.read(lambda unit: unit.rows(t.inbound.select()))} == {"filed"}
    assert hall.get("officer", "/v1/events?limit=500").json()["data"] == before
    assert hall.get("officer", "/v1/reports").json()["data"] == []
    page = officer.get("/console").text
    assert "tocsin-proof" not in page and "待处理 0" in words(page)
    assert "tocsin-proof" not in officer.get("/console/find?q=tocsin-proof").text.replace(
        'value="tocsin-proof"', ""
    )
    shown = words(officer.get("/console/degraded").text)
    assert shown.count("正常") >= len(PROVED) and "静默" not in shown


def test_a_proof_is_sent_once_by_whoever_is_first_and_again_when_it_is_due(hall: World) -> None:
    other = replace(hall.hub.prober, _running=threading.Lock())
    assert hall.hub.prober.send() and not other.send()
    hall.clock.forward(minutes=4)
    assert not other.send()
    hall.clock.forward(minutes=1)
    assert set(other.send()) == PROVED


def test_r22_a_channel_that_goes_silent_is_a_named_trouble_until_it_is_heard_again(hall: World) -> None:
    hub = hall.hub
    ways = dict(hub.prober.ways)

    def closed(_mark: str, _name: str) -> str:
        raise ConnectionRefusedError

    broken: Prober = replace(hub.prober, ways={**ways, "email": closed}, _running=threading.Lock())
    assert broken.send() == {**dict.fromkeys(PROVED, "ok"), "email": "ConnectionRefusedError"}
    hall.file_all()
    assert Trouble.CHANNEL_SILENT not in hub.health.look().troubles  # a minute's grace
    hall.clock.forward(seconds=61)
    quiet = hub.health.look()
    assert Trouble.CHANNEL_SILENT in quiet.troubles
    assert [
        c.has_begun for c in changes((), quiet.troubles, hall.clock()) if c.trouble is Trouble.CHANNEL_SILENT
    ] == [True]
    officer = enter(hall, "officer")
    shown = officer.get("/console/degraded").text
    assert 'data-channel="email" data-state="silent"' in shown and "ConnectionRefusedError" in shown
    assert "有接报渠道没有送达自检信息" in words(officer.get("/console").text)
    shown = metrics.text(hub).decode()
    assert 'tocsin_trouble{trouble="channel_silent"} 1.0' in shown
    assert 'tocsin_channel_heard_age_seconds{channel="sms",kind="proof"} 61.0' in shown
    hall.clock.forward(minutes=4)
    assert hub.prober.send()["email"] == "ok"
    hall.file_all()
    assert Trouble.CHANNEL_SILENT not in hub.health.look().troubles
    hall.clock.forward(minutes=6, seconds=1)  # nobody proves any more
    assert Trouble.CHANNEL_SILENT in hub.health.look().troubles


def _mark(made: World, channel: str = "sms", key: bytes = b"") -> str:
    return mark(key or made.hub.keys.proof, channel, mint("prf", made.clock()))


TEXTS = {
    "a word more": lambda made: f"{_mark(made)} 河东村着火了",
    "another hub's": lambda made: _mark(made, key=b"another hub"),
    "another channel's": lambda made: _mark(made, "email"),
    "a digit more": lambda made: f"{_mark(made)}0",
    "cut": lambda made: _mark(made)[:-1],
    "the beginning of one": lambda _made: "tocsin-proof-sms-",
}


@pytest.mark.parametrize("name", TEXTS)
def test_r1_whatever_only_looks_like_a_proof_is_a_report(name: str, quick: World) -> None:
    text = TEXTS[name](quick)
    assert quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(body=text))).status_code == 200
    quick.file_all()
    (report,) = quick.get("officer", "/v1/reports").json()["data"]
    assert report["text"] == text
    told = quick.get("officer", "/v1/events?limit=500").json()["data"]
    assert ("report", "file") in {(entry["kind"], entry["act"]) for entry in told}


def test_a_proof_that_somebody_repeats_is_no_report_and_swallows_none(quick: World) -> None:
    text = _mark(quick)
    for n in range(3):
        quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(n, body=text)))
    quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(9, body=f"{text}\n有人被困")))
    quick.file_all()
    (report,) = quick.get("officer", "/v1/reports").json()["data"]
    assert "有人被困" in report["text"]
    assert quick.hub.store.read(shelf.count) == 0


MORE: dict[str, dict[str, Any]] = {  # of a department, beside the mark
    "a kind": {"event_code": "11A01"}, "a grade": {"grade": 2}, "an area": {"area": "990101"},
    "a place": {"place": "河东村"}, "a position": {"lat": 30.1, "lon": 120.1},
    "a time": {"occurred_at": "2026-11-23T14:05:00+08:00"},
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_r1_a_copied_mark_with_anything_beside_it_is_a_report(name: str, quick: World) -> None:
    said = {"text": _mark(quick, "api")} | MORE[name]
    assert quick.post("department", "/v1/reports", said).status_code == 201
    quick.file_all()
    assert len(quick.get("officer", "/v1/reports").json()["data"]) == 1


def test_r1_a_copied_mark_with_a_picture_or_a_contact_is_a_report(quick: World) -> None:
    picture = {"NumMedia": "1", "MediaContentType0": "image/jpeg",
               "MediaUrl0": f"https://api.twilio.com/2010-04-01/Accounts/{SID}/Messages/MM{1:032x}/Media/ME{1:032x}"}  # fmt: skip
    form = sms_form(body=_mark(quick), **picture)
    assert quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, form)).status_code == 200
    slip = {"text": _mark(quick, "web"), "contact": "13800138000"}
    assert quick.client.post("/report", data=slip, headers={"Idempotency-Key": "a" * 32}).status_code in (
        200,
        303,
    )
    quick.file_all()
    found = quick.get("officer", "/v1/reports").json()["data"]
    assert {report["channel"] for report in found} == {"sms", "web"}


def test_an_old_mark_proves_nothing_newer(quick: World) -> None:
    first, second = (mint("prf", quick.clock()) for _ in range(2))
    for name in (first, second):
        at = quick.clock()
        quick.hub.store.run(lambda u, name=name, at=at: proofs.claim(u, "sms", name, at=at, due_at=at))
        quick.clock.forward(minutes=5)
    for n, name in enumerate((first, second)):
        text = mark(quick.hub.keys.proof, "sms", name)
        quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(n, body=text)))
        quick.file_all()
        assert (_heard(quick)["sms"].proved_at is not None) is (name == second)


def test_without_the_setting_nothing_is_sent_and_nothing_is_missed(
    tmp_path: Path, sqlite_model: Path, at: datetime
) -> None:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        assert made.hub.prober.ways == {} and made.hub.prober.send() == {}
        assert prober_of.channels(made.hub.settings) == ()
        made.clock.forward(days=1)
        assert Trouble.CHANNEL_SILENT not in made.hub.health.look().troubles
        assert "没有自检" in words(enter(made, "officer").get("/console/degraded").text)


def test_the_key_of_synthetic_reports_opens_nothing_else(quick: World) -> None:
    hub = quick.hub
    token = prober_of.api_token(hub.keys, is_live=False)
    hub.store.run(lambda unit: prober_of.keep_key(unit, token, "x", quick.clock()))
    hub.store.run(lambda unit: prober_of.keep_key(unit, token, "x", quick.clock()))
    for path in ("/v1/reports", "/v1/releases", "/v1/events", "/v1/shelf"):
        assert quick.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 403


CHANNEL = {
    "telegram_token": "4242:" + "a" * 35,
    "telegram_webhook_secret": "s3cret-of-the-tests-of-32-letters",
    "telegram_api_url": "http://127.0.0.1:9",
}


def test_a_bot_a_fax_folder_and_peers_are_proved_through_their_doors(
    sqlite_model: Path, tmp_path: Path, at: datetime
) -> None:
    folder = tmp_path / "fax"
    folder.mkdir()
    port, more = (
        free_port(),
        {"model": sqlite_model, "proof_minutes": 5, "smtp_port": free_port(), "fax_dir": folder},
    )
    with world(tmp_path / "data", at, port=port, **more, **CHANNEL) as made, served(made.hub, port=port):
        said = made.hub.prober.send()
        wanted = {"telegram", "fax", "peer"}
        assert {name: said[name] for name in wanted} == dict.fromkeys(wanted, "ok")
        taking = serve.fax_folder(made.hub)
        taking.look()
        made.clock.forward(seconds=5)
        assert taking.look() == 1
        _read_all(made)
        assert {c for c in wanted if _proved_at(made, c)} == wanted
        assert (
            made.count(t.report_row)
            == made.count(bulletin)
            == made.count(t.shelf)
            == made.count(t.piece)
            == 0
        )
        assert made.count(t.year_number) == 0  # no fax number is used up
        assert not [row for row in made.hub.store.read(peers.listed) if row.id != prober_of.PEER_KEY]
        assert "proof of life" not in enter(made, "officer").get("/console/peers").text
        made.clock.forward(minutes=5)
        made.hub.prober.send()
        assert list((folder / "done").iterdir()) == []  # the earlier page is taken away


def _proved_at(made: World, channel: str) -> datetime | None:
    (one,) = made.hub.store.read(lambda unit: proofs.all_of(unit, [channel]))
    return one.proved_at


def test_a_message_centre_is_proved_by_its_own_reader_and_only_without_another_provider(
    hub_of_smpp: World,
) -> None:
    made = hub_of_smpp
    assert made.hub.prober.send()["sms"] == "ok"
    made.file_all()
    assert _proved_at(made, "sms") == made.clock()
    assert made.count(t.report_row) == made.count(t.shelf) == made.count(t.dispatch) == 0


@pytest.fixture
def hub_of_smpp(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    none = {"twilio_account_sid": "", "twilio_auth_token": "", "smpp_host": "127.0.0.1", "smpp_port": free_port(),
            "smpp_system_id": "t", "smpp_password": "pw345678", "smpp_from": "12379"}  # fmt: skip
    with world(tmp_path / "data", at, model=sqlite_model, proof_minutes=5, **none) as made:
        yield made


@pytest.mark.parametrize("added", [b" ", b"<!-- help -->", b"\n<alert/>"])
def test_r1_a_bulletin_or_a_fax_with_anything_beside_a_copied_mark_is_no_proof(
    quick: World, added: bytes
) -> None:
    for channel, made in (("peer", proof.bulletin), ("fax", proof.page)):
        text = _mark(quick, channel)
        found = proof_room.is_bulletin(quick.hub.keys.proof, made(text)) if channel == "peer" else None
        assert (found is not None) is (channel == "peer")
        assert proof_room.is_bulletin(quick.hub.keys.proof, made(text) + added) is None
        inbound = Inbound(channel="fax", external_id="x", raw=proof.page(text) + added, media_type="application/pdf",
                          received_at=quick.clock())  # fmt: skip
        if mark_found := proof.found(quick.hub.keys.proof, "fax", inbound.raw):
            reading, content = Reading(text="", facts={}), Content(text="", language="und", facts={})
            assert not proof_room.says_nothing_else(mark_found, inbound, reading, content)


def test_a_mark_is_found_in_every_form_that_a_door_keeps() -> None:
    key, at = b"k", datetime.fromisoformat("2026-11-23T06:05:00+00:00")
    for channel in PROVED:
        text = mark(key, channel, mint("prf", at + timedelta(hours=1)))
        assert len(text) <= 76  # one line of a mail, one name of a caller
        for raw in (
            text,
            f'{{"text": "{text}"}}',
            f"Body={text}&From=%2B1",
            f"Subject: {text}\r\n\r\n{text}\r\n",
        ):
            assert found(key, channel, raw.encode()).text == text
        assert found(key, "phone", text.encode()) is None
        assert proof.looks_like_one(text.encode()) and not proof.looks_like_one(NUMBER.encode())
