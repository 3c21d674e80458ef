"""An MMS through the real door: the report is filed first, then its media are fetched, kept or refused."""

import base64
import hashlib
import io
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image

from domain.errors import Never
from domain.report import MediaState
from intake.media import WAITS
from simulators.twilio import TwilioSimConfig, app
from store import inbox, media
from store import tables as t
from tests.corpus.hostile.media_house import ACCOUNT, API, CDN, MediaHouse, Network, media_house, moved, reply
from tests.servers import free_port, wait_for
from tests.web.api_world import AUTH, NUMBER, SID, SMS_URL, World, served, signed, sms_form, world

PATH = "/hooks/sms/twilio"


def _shown(n: int) -> str:
    return f"/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{1:032x}/Media/ME{n:032x}"


def _mms(*types: str, **more: str) -> dict[str, str]:
    sid = f"MM{1:032x}"
    form = sms_form(MessageSid=sid, SmsSid=sid, SmsMessageSid=sid, NumMedia=str(len(types)), **more)
    for n, media_type in enumerate(types):
        form |= {f"MediaUrl{n}": f"https://{API}{_shown(n)}", f"MediaContentType{n}": media_type}
    return form


def _picture(kind: str = "JPEG", exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, kind, **({"exif": exif} if exif is not None else {}))
    return file.getvalue()


def _png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims that many pixels."""
    head = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x01\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + zlib.crc32(head).to_bytes(4, "big")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[MediaHouse, Network]]:
    with media_house(tmp_path) as made:
        yield made


def _fetching(made: World, net: Network, **bounds: float) -> World:
    """The hub with the provider's egress over the network of the test."""
    assert SID == ACCOUNT
    object.__setattr__(made.hub, "media", replace(made.hub.media, get=net.egress(**bounds).get))
    return made


def _file(made: World, form: dict[str, str]) -> str:
    answer = made.client.post(PATH, **signed(SMS_URL, form))
    assert answer.status_code == 200
    made.file_all()
    (report,) = made.get("officer", "/v1/reports").json()["data"]
    return str(report["id"])


def _fetch_all(made: World) -> list[MediaState | None]:
    due = made.hub.store.read(lambda unit: media.due(unit, made.clock()))
    return [made.hub.media.fetch(row_id) for row_id in due]


def _report(made: World, report_id: str) -> dict:
    return made.get("officer", f"/v1/reports/{report_id}").json()


def test_h24_an_mms_is_filed_at_once_and_its_originals_are_attached_afterwards(hall: World, host) -> None:
    house, net = host
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (30.0, 15.0, 0.0), "E", (113.0, 0.0, 0.0)
    photo, sound = _picture(exif=exif), b"#!AMR\n" + bytes(100)
    house.says[API, _shown(0)] = moved(f"https://{CDN}/a")
    house.says[CDN, "/a"] = reply(photo)
    house.says[API, _shown(1)] = reply(sound)
    made = _fetching(hall, net)
    report_id = _file(made, _mms("image/jpeg", "audio/amr"))
    before = _report(made, report_id)
    assert (before["attachments"], before["findings"]) == ([], ["media_pending"])
    assert net.looks == []
    assert _fetch_all(made) == [MediaState.KEPT] * 2
    after = _report(made, report_id)
    assert [(a["name"], a["media_type"], a["sha256"]) for a in after["attachments"]] == [
        ("picture-1", "image/jpeg", hashlib.sha256(photo).hexdigest()),
        ("sound-2", "audio/amr", hashlib.sha256(sound).hexdigest()),
    ]
    assert (
        after["findings"] == [] and after["state"] == "filed" and after["revision"] == before["revision"] + 2
    )
    assert after["facts"]["position"] == [{"value": "30.25,113.0", "origin": "exif", "note": "picture-1"}]
    assert made.get("officer", after["attachments"][0]["href"]).content == photo
    acts = [e["act"] for e in made.get("officer", f"/v1/journal/report/{report_id}").json()["data"]]
    assert acts == ["file", "attach", "attach"]
    assert _fetch_all(made) == []


def test_h24_an_mms_that_names_this_machine_is_a_report_and_nothing_is_asked(quick: World, host) -> None:
    _, net = host
    made = _fetching(quick, net)
    inner = ["http://127.0.0.1/", "http://[::1]:22/", "https://2130706433/", "https://0x7f.1/", "file:///etc/passwd",
             "https://[::ffff:169.254.169.254]/latest", "https://[64:ff9b::7f00:1]/", "gopher://127.0.0.1/"]  # fmt: skip
    form = _mms(*["image/png"] * len(inner)) | {f"MediaUrl{n}": url for n, url in enumerate(inner)}
    report_id = _file(made, form)
    assert _fetch_all(made) == [MediaState.REFUSED] * len(inner)
    report = _report(made, report_id)
    assert (report["text"], report["attachments"]) == ("桥下积水，两车被淹", [])
    assert report["findings"] == ["media_refused"]
    rows = made.hub.store.read(lambda unit: media.of_report(unit, report_id))
    assert {row.reason for row in rows} <= {"bad_address", "bad_host"} and net.looks == net.dialled == []
    assert made.hub.store.read(lambda unit: media.due(unit, made.clock())) == []


def test_h25_a_name_that_turns_inward_is_refused_and_the_report_stays(quick: World, host) -> None:
    _, net = host
    made = _fetching(quick, net)
    net.names[API] = [["169.254.169.254"]]
    report_id = _file(made, _mms("image/png"))
    assert _fetch_all(made) == [MediaState.REFUSED]
    assert net.dialled == []
    (row,) = made.hub.store.read(lambda unit: media.of_report(unit, report_id))
    assert row.reason == "bad_network" and _report(made, report_id)["state"] == "filed"


@pytest.mark.parametrize(
    ("data", "media_type", "findings"),
    [
        (b"<!doctype html><html><script>alert(1)</script></html>", "text/html", []),
        (_png_of(30_000, 30_000), "image/png", ["image_too_large"]),
        (_png_of(64, 48), "image/png", []),
        (b"MZ" + bytes(100), "application/vnd.microsoft.portable-executable", []),
        (b"", "application/octet-stream", []),
    ],
    ids=["HTML", "a billion pixels", "small", "program", "nothing"],
)
def test_h26_a_file_is_what_its_bytes_are_and_a_huge_picture_is_marked(
    quick: World, host, data: bytes, media_type: str, findings: list[str]
) -> None:
    house, net = host
    house.says[API, _shown(0)] = reply(data, content_type="image/jpeg")
    made = _fetching(quick, net)
    report_id = _file(made, _mms("image/jpeg"))
    assert _fetch_all(made) == [MediaState.KEPT]
    report = _report(made, report_id)
    (kept,) = report["attachments"]
    assert (kept["media_type"], kept["declared_type"], kept["size"]) == (media_type, "image/jpeg", len(data))
    assert report["findings"] == findings
    answer = made.get("officer", kept["href"])
    assert answer.content == data and answer.headers["content-disposition"].startswith("attachment")


def test_h26_what_is_too_large_or_too_slow_never_delays_the_report(quick: World, host) -> None:
    house, net = host
    house.says[API, _shown(0)] = reply(bytes(2 << 20))
    house.says[API, _shown(1)] = lambda wire: (
        wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n") or house.is_leaving.wait(30)
    )
    made = _fetching(quick, net, largest=1 << 20, lasts=0.3)
    report_id = _file(made, _mms("image/png", "image/png"))
    assert _report(made, report_id)["state"] == "filed"
    assert _fetch_all(made) == [MediaState.REFUSED, MediaState.PENDING]
    assert _report(made, report_id)["findings"] == ["media_pending", "media_refused"]
    house.says[API, _shown(1)] = reply(_picture("PNG"))
    made.clock.forward(seconds=WAITS[0].total_seconds())
    assert _fetch_all(made) == [MediaState.KEPT]
    assert _report(made, report_id)["findings"] == ["media_refused"]


def test_h26_a_host_that_is_away_is_tried_for_a_day_and_then_given_up(quick: World, host) -> None:
    _, net = host
    net.names[API] = [[]]
    made = _fetching(quick, net)
    report_id = _file(made, _mms("image/png"))
    tries = 0
    while made.hub.store.read(lambda unit: media.due(unit, made.clock())):
        (state,) = _fetch_all(made)
        assert _fetch_all(made) == []  # its next time is a row, and has not come
        tries += 1
        made.clock.forward(hours=4)
    assert (state, tries) == (MediaState.REFUSED, len(WAITS) + 1)
    (row,) = made.hub.store.read(lambda unit: media.of_report(unit, report_id))
    assert row.reason == "gave_up:no_name"
    assert _report(made, report_id)["findings"] == ["media_refused"]


def test_h26_two_workers_fetch_one_picture_once_and_a_dead_ones_try_is_taken_up(hall: World, host) -> None:
    house, net = host
    house.says[API, _shown(0)] = reply(_picture())
    made = _fetching(hall, net)
    report_id = _file(made, _mms("image/jpeg"))
    (row_id,) = made.hub.store.read(lambda unit: media.due(unit, made.clock()))
    found: list[MediaState | None] = []
    both = [threading.Thread(target=lambda: found.append(made.hub.media.fetch(row_id))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(map(str, found)) == ["None", "kept"] and len(house.heard) == 1
    assert made.hub.media.fetch(row_id) is None and made.hub.media.fetch("med_unknown") is None

    def died(_url: str) -> None:
        raise KeyboardInterrupt

    form = _mms("image/jpeg") | {name: f"MM{2:032x}" for name in ("MessageSid", "SmsSid", "SmsMessageSid")}
    assert made.client.post(PATH, **signed(SMS_URL, form)).status_code == 200
    made.file_all()
    (row_id,) = made.hub.store.read(lambda unit: media.due(unit, made.clock()))
    with pytest.raises(KeyboardInterrupt):
        replace(made.hub.media, get=died).fetch(row_id)
    assert made.hub.media.fetch(row_id) is None
    made.clock.forward(seconds=90)
    assert made.hub.media.fetch(row_id) is MediaState.KEPT
    assert made.count(t.media) == 2 and len(_report(made, report_id)["attachments"]) == 1


def test_h24_an_mms_from_the_simulated_provider_is_fetched_over_the_socket(
    tmp_path: Path, sqlite_model: Path, at
) -> None:
    port, hub_port, photo = free_port(), free_port(), _picture()
    here, door = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{hub_port}{PATH}"
    places = {"twilio_base_url": here, "twilio_webhook_url": door}
    with (
        world(tmp_path / "data", at, model=sqlite_model, **places) as made,
        served(made.hub, port=hub_port),
    ):
        config = TwilioSimConfig(
            account_sid=SID, auth_token=AUTH, number=NUMBER, now=made.clock, inbound_url=door
        )
        server = uvicorn.Server(uvicorn.Config(app(config), host="127.0.0.1", port=port, log_config=None))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_for(port)
        asked = {"from": "+8613800138000", "body": "看图", "media": [
            {"type": "image/jpeg", "base64": base64.b64encode(photo).decode()}]}  # fmt: skip
        assert httpx.post(f"{here}/sim/inbound", json=asked, timeout=10).json()["status"] == 200
        for row_id in made.hub.store.read(lambda unit: inbox.due(unit, made.clock())):
            made.hub.jobs.file_report(row_id)
        (row_id,) = made.hub.store.read(lambda unit: media.due(unit, made.clock()))
        assert ("fetch_media", row_id) in made.rings
        made.hub.jobs.fetch_media(row_id)
        (report,) = made.get("officer", "/v1/reports").json()["data"]
        assert made.get("officer", report["attachments"][0]["href"]).content == photo
        with pytest.raises(Never):
            made.hub.media.get(f"{here}/2010-04-01/Accounts/{SID}/Messages/MM{1:032x}/Media/ME{1:032x}")
        server.should_exit = True
        thread.join(5)
