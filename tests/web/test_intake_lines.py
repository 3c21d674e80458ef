"""What a line of PROMISES.md section 4 says of intake, through the door that it concerns."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from store import audience, promises
from store import tables as t
from tests.bulletin_kit import xml
from tests.outbox.outbox_kit import Wire, outgoing
from tests.web.api_world import NUMBER, SMS_URL, World, signed, sms_form, world
from tests.web.test_api_endings import PHONES, _release
from tests.web.test_api_endings import _example as _warning
from tests.web.test_api_releases import _example
from tests.web.voice_world import VOICE_URL, posted, voice_form


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model, twilio_voice_url=VOICE_URL) as made:
        yield made


NOT_CALLED = {
    "satellite, Iridium": "+881612345678", "satellite, Inmarsat": "+870773123456", "premium, America": "+19005551234",
    "premium, Britain": "+449012345678", "shared cost of the world": "+979123456789", "short": "110", "a port": "1069001234567",
    "a landline": "+8657187051234", "our own": NUMBER, "400": "+864008008123",
}  # fmt: skip


def _text(hall: World, n: int, **more: str) -> int:
    return int(hall.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(n, **more))).status_code)


def test_h27_whoever_a_caller_says_he_is_no_costly_or_own_number_is_ever_written_to(quick: World) -> None:
    for n, (name, number) in enumerate(NOT_CALLED.items(), 1):
        assert _text(quick, n, sender=number, body=name) == 200, name
        slip = {"text": name, "contact": number}
        key = {"Idempotency-Key": f"{n:032}"}
        assert quick.client.post("/report", data=slip, headers=key).status_code in (200, 303), name
        ring = voice_form(CallSid=f"CA{n:032x}", From=number, Caller=number, CallStatus="ringing")
        assert posted(quick, "", ring).status_code == 200, name
        said = voice_form(CallSid=f"CA{n:032x}", From=number, Caller=number, Digits="990101")
        assert posted(quick, "/place?l=zh-CN&t=0", said).status_code == 200, name
    quick.file_all()
    quick.clock.forward(seconds=2)
    quick.file_all()
    assert quick.count(t.report_row) == 3 * len(NOT_CALLED)
    assert quick.count(t.dispatch) == 0


def test_h27_a_number_is_no_identity_and_is_read_in_whatever_width_it_is_written(quick: World) -> None:
    forged = "+" + "1" * 40
    assert _text(quick, 1, sender=forged) == 400  # kept on the shelf: no provider sends it
    slip = {"text": "水漫路面", "contact": "１３８ ００１３ ８０００"}
    assert quick.client.post("/report", data=slip, headers={"Idempotency-Key": "a" * 32}).status_code in (
        200,
        303,
    )
    quick.file_all()
    (report,) = quick.get("officer", "/v1/reports").json()["data"]
    assert report["trust"] == 0 and report["organisation"] == ""
    sent = list(quick.hub.store.read(lambda unit: promises.of_report(unit, report["id"])))
    assert len(sent) == 1  # to +8613800138000, as a person wrote it
    assert quick.count(t.shelf) == 1


FLOODS = ("9" * 60_000, "1" * 500, "*" * 64, "９９０１０１", "12#34", "-1")


def test_h28_a_flood_of_keys_is_a_word_at_most_and_the_caller_goes_on(quick: World) -> None:
    for n, digits in enumerate(FLOODS, 1):
        sid = f"CA{n:032x}"
        assert posted(quick, "", voice_form(CallSid=sid, CallStatus="ringing")).status_code == 200
        answers = [
            posted(quick, "/place?l=zh-CN&t=0", voice_form(CallSid=sid, Digits=digits)) for _ in range(3)
        ]
        assert {a.status_code for a in answers} <= {200, 400} and all(len(a.text) < 4_096 for a in answers)
    quick.file_all()
    quick.clock.forward(seconds=2)
    quick.file_all()
    found = quick.get("officer", "/v1/reports").json()["data"]
    assert len(found) == len(FLOODS) and {report["area"] for report in found} == {""}
    assert all(len(fact["value"]) <= 500 for report in found for fact in report["facts"].get("place", ()))


WORDS = (
    "YES",
    "Y",
    "OK",
    "1",
    "收到",
    "同意",
    "批准",
    "签发",
    "签收",
    "确认",
    "approve",
    "停止发送",
    "STOP ALL ALERTS",
)


def test_h30_a_reply_to_a_warning_approves_signs_for_and_ends_nothing(quick: World) -> None:
    made = quick.post("officer", "/v1/releases", _example(quick)).json()
    here = made["links"]["self"]
    assert quick.post("officer", f"{here}/submit", {}).status_code == 200
    for n, word in enumerate(WORDS, 1):
        assert _text(quick, n, body=word) == 200
    quick.file_all()
    assert quick.get("officer", here).json()["state"] == "submitted"
    texts = {row["text"] for row in quick.get("officer", "/v1/reports").json()["data"]}
    assert texts == set(WORDS)  # each is a report that somebody reads
    assert quick.hub.store.read(lambda unit: len(unit.rows(t.approval.select()))) == 0


def test_h30_whoever_was_warned_and_answers_changes_nothing_of_what_was_sent(
    quick: World, tmp_path: Path
) -> None:
    quick.hub.store.run(lambda unit: audience.add(unit, PHONES, quick.clock()))
    wire = Wire()
    out = outgoing(quick.hub.store, quick.clock(), tmp_path, wire=wire, clock=quick.hub.clock)
    here = _release(quick, out, _warning(quick))
    before = quick.get("officer", here).json()
    assert before["state"] == "publishing" and len(wire.started) == len(
        PHONES
    )  # its pages have no house here
    for n, word in enumerate((*WORDS, "停", "退订"), 1):
        assert _text(quick, n, body=word, sender=PHONES[0]["address"]) == 200
    quick.file_all()
    assert quick.get("officer", here).json() == before
    assert quick.count(t.approval) == 1
    texts = {row["text"] for row in quick.get("officer", "/v1/reports?limit=100").json()["data"]}
    assert texts >= set(WORDS)


NAMES = {  # of CAP 1.2 §3.2.1: no space, comma, < or &
    "a comma": "a,b", "a space": "a b", "less than": "a&lt;b", "an ampersand": "a&amp;b", "1 MB": "x" * 900_000,
    "nothing": "", "an order to a shell": "$(reboot)", "a path": "../../etc/passwd", "right to left": "a\u202eb",
}  # fmt: skip


LEGAL = ("an order to a shell", "a path", "1 MB", "right to left")  # odd, and CAP forbids none of them


def test_h61_an_identifier_that_is_none_is_kept_with_its_finding_and_names_no_file(quick: World) -> None:
    data = quick.hub.settings.data_dir
    for name, identifier in NAMES.items():
        answer = _pushed(quick, b"identifier", identifier)
        assert answer.status_code == 202, (name, answer.text)
        quick.hub.peers.reader.read(answer.json()["id"])
        told = quick.get("peer", answer.headers["location"]).json()
        assert told["state"] == "read" and all(len(one["identifier"]) <= 300 for one in told["bulletins"])
        whole = quick.get("officer", told["bulletins"][0]["links"]["self"]).json()
        assert name in LEGAL or any(f["level"] == "error" for f in whole["findings"]), name
    files = [path.name for path in [*data.rglob("*"), *data.parent.glob("*")]]
    assert not [name for name in files if "reboot" in name or name.startswith(("a,", "a ", "xxx", "a\u202e"))]


def _pushed(hall: World, name: bytes, value: str) -> Any:
    raw = re.sub(
        b"<%s>[^<]*" % name, b"<%s>%s" % (name, value.encode()), xml(f"x{hall.n}", hall.clock()), count=1
    )
    hall.n += 1
    headers = hall.headers("peer", **{"Content-Type": "application/cap+xml"})
    return hall.client.post("/v1/bulletins", content=raw, headers=headers)


TIMES = ["2099-01-01T00:00:00+08:00", "1900-01-01T00:00:00+08:00", "2026-11-23T06:05:00", "2026-11-23T06:05:00-00:00",
         "2026-11-23T24:00:00+08:00", "2026-06-30T23:59:60+00:00", "2026-02-30T00:00:00+08:00", "now", ""]  # fmt: skip


APART = dict.fromkeys(TIMES, "ahead") | {"1900-01-01T00:00:00+08:00": "late"}


def test_h58_a_time_that_cannot_be_is_kept_and_never_in_force_by_itself(quick: World) -> None:
    for sent in TIMES:
        answer = _pushed(quick, b"sent", sent)
        assert answer.status_code == 202, sent
        quick.hub.peers.reader.read(answer.json()["id"])
        (one,) = quick.get("peer", answer.headers["location"]).json()["bulletins"]
        is_instant = sent == "2026-11-23T06:05:00-00:00"  # CAP has that for UTC
        assert one["is_in_force"] is is_instant, one
        assert (one["state"], one["apart"]) == (
            ("current", None) if is_instant else ("apart", APART[sent])
        ), sent
