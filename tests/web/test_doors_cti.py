"""The desk's telephone system: a call that rings stands on the desk with its number, and in the report with its times."""

import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from channels.codecs import cti_event
from domain.report import Report
from store import journal, reports
from store import tables as t
from tests.web.api_world import World, world
from tests.web.console_browser import Browser, enter, words

TOKEN = "t0ken-of-the-telephone-system"
CALLER = "13800138000"
RECORDING = "https://pbx.example/recordings/2026/11/23/one.mp3"


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url, cti_token=TOKEN) as made:
        yield made


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model, cti_token=TOKEN) as made:
        yield made


def tell(made: World, event: str, call: str = "c1", **more: str) -> int:
    said = {"event": event, "from": CALLER, "to": "12350", "direction": "in", "callId": call, **more}
    return int(made.client.post(f"/hooks/cti/{TOKEN}", json=said).status_code)


def _rung(browser: Browser) -> str:
    """The slip that `n` opens."""
    return str(browser.get("/console/calls/new").headers["location"].rpartition("/")[2])


def _report(made: World) -> Report:
    made.file_all()
    (row,) = made.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    found = made.hub.store.read(lambda unit: reports.get(unit, row.id))
    assert found is not None
    return found


def _said(report: Report) -> dict[str, list[str]]:
    return {
        name: [fact.value for fact in facts if fact.origin == "switchboard"]
        for name, facts in report.content.facts.items()
        if any(fact.origin == "switchboard" for fact in facts)
    }


def test_a_call_rings_on_the_desk_and_its_slip_holds_number_times_and_recording(
    hall: World, at: datetime
) -> None:
    officer = enter(hall, "officer")
    assert tell(hall, "newCall") == 200
    hall.clock.forward(seconds=7)
    page = words(officer.get("/console").text)
    assert f"正在响铃 {CALLER} 0:07" in page
    assert tell(hall, "answer", answeringNumber="officer") == 200
    assert tell(hall, "newCall", "c2", **{"from": "057112345678"}) == 200
    slip = _rung(officer)
    shown = officer.get(f"/console/calls/{slip}").text
    assert f'value="{CALLER}"' in shown and "响铃 14:05:00 · 已通话 0:07 接听 14:05:07" in words(shown)
    hall.clock.forward(seconds=30)
    assert tell(hall, "hangup", cause="normalClearing", recording=RECORDING) == 200
    line = words(officer.get(f"/console/calls/{slip}/line").text)
    assert "挂断 14:05:37 · 正常挂断" in line and "录音" in line
    officer.follow("/console/calls", {"slip": slip, "caller": CALLER, "place": "江滨路", "text": "进水"})
    said = _said(_report(hall))
    assert said == {
        "sender": [CALLER], "call_rang": [at.isoformat()], "call_answered": [at.replace(second=7).isoformat()],
        "call_ended": [at.replace(second=37).isoformat()], "recording_link": [RECORDING],
    }  # fmt: skip
    assert (
        f'href="{RECORDING}" rel="noopener noreferrer"'
        in officer.get(f"/console/reports/{_report(hall).id}").text
    )
    after = words(officer.get("/console").text)
    assert CALLER not in after.partition("接报台")[2].partition("现在")[2][:60] and "057112345678" in after


@pytest.mark.parametrize("moment", ["before the slip is saved", "before it is filed", "after it is filed"])
def test_a_hang_up_reaches_the_report_whenever_it_comes(hall: World, moment: str) -> None:
    officer = enter(hall, "officer")
    tell(hall, "newCall")
    tell(hall, "answer", user="人officer")
    slip = _rung(officer)

    def end() -> None:
        hall.clock.forward(seconds=5)
        assert tell(hall, "hangup", cause="normalClearing", recording=RECORDING) == 200

    if moment.startswith("before the slip"):
        end()
    officer.follow("/console/calls", {"slip": slip, "place": "江滨路", "text": "进水"})
    if moment == "before it is filed":
        end()
    _report(hall)
    if moment.startswith("after"):
        end()
    said = _said(_report(hall))
    assert said["recording_link"] == [RECORDING] and len(said["call_ended"]) == 1
    assert tell(hall, "hangup", cause="busy") == 200
    assert _said(_report(hall)) == said


@pytest.mark.parametrize("seed", range(3))
def test_r2_words_of_one_call_in_any_order_and_repeated_are_one_call_with_one_slip(
    seed: int, quick: World
) -> None:
    chance = random.Random(seed)
    events = [
        ("newCall", {}),
        ("answer", {"answeringNumber": "officer"}),
        ("hangup", {"cause": "normalClearing"}),
    ]
    told = events * chance.randint(1, 3)
    chance.shuffle(told)
    for event, more in told:
        assert tell(quick, event, **more) == 200
        quick.clock.forward(seconds=1)
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))
    assert (
        row.answered_at and row.ended_at and (row.answered_by, row.cause) == ("per_officer", "normalClearing")
    )
    acts = [entry["act"] for entry in quick.get("auditor", f"/v1/journal/slip/{row.slip}").json()["data"]]
    assert len(acts) == len(set(acts)) <= 3


def test_a_missed_call_stays_on_the_desk_until_somebody_writes_it_down_or_says_that_it_needs_no_slip(
    quick: World,
) -> None:
    officer = enter(quick, "officer")
    for n in (1, 2):
        tell(quick, "newCall", f"c{n}", **{"from": f"1380013800{n}"})
        tell(quick, "hangup", f"c{n}", cause="cancel")
    page = officer.get("/console").text
    assert words(page).count("未接来电") == 2
    slips = [row.slip for row in quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))]
    assert _rung(officer) not in slips  # a call that is over is not the one that rings now
    officer.follow(f"/console/slips/{slips[0]}/dismiss")
    officer.get(f"/console/calls/{slips[1]}")
    officer.follow("/console/calls", {"slip": slips[1], "caller": "13800138002", "is_abandoned": "1"})
    assert "未接来电" not in words(officer.get("/console").text)
    assert _report(quick).content.first("sender") == "+8613800138002"
    acts = quick.hub.store.read(lambda unit: journal.last(unit, "slip", slips[0]))
    assert acts is not None and acts.act == "dismiss"


def test_two_officers_who_answer_two_calls_get_each_his_own(quick: World) -> None:
    one, two = enter(quick, "officer"), enter(quick, "officer2")
    tell(quick, "newCall", "c1")
    tell(quick, "newCall", "c2")
    tell(quick, "answer", "c2", answeringNumber="officer")
    tell(quick, "answer", "c1", answeringNumber="officer2")
    slips = {row.call_id: row.slip for row in quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))}
    assert (_rung(one), _rung(two)) == (slips["c2"], slips["c1"])


def test_forms_of_every_kind_and_an_outgoing_call(quick: World) -> None:
    said = {"event": "newCall", "from": CALLER, "to": "12350", "direction": "in", "callId": "f1"}
    form = urlencode([*said.items(), ("user[]", "Emma"), ("user[]", "人officer")])
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert quick.client.post(f"/hooks/cti/{TOKEN}", content=form, headers=kind).json() == {}
    files = [(name, (None, value)) for name, value in (said | {"callId": "f2"}).items()]
    assert (
        quick.client.post("/hooks/cti", files=files, headers={"Authorization": f"Bearer {TOKEN}"}).status_code
        == 200
    )
    assert tell(quick, "newCall", "f3", direction="out") == 200
    rows = quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))
    assert {row.call_id for row in rows} == {"f1", "f2"}


AS_SENT = {  # what systems send: body, Content-Type
    "nulls": (b'{"event":"newCall","callId":"s1","from":"13800138000","user":null,"cause":null}', "application/json"),
    "no type": (b'{"event":"newCall","callId":"s1","from":"13800138000"}', ""),
    "another name of JSON": (b'{"event":"newCall","callId":"s1","from":"13800138000"}', "text/json; charset=utf-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"event":"newCall","callId":"s1","from":"13800138000"}', "application/json"),
    "GBK in JSON": ('{"event":"newCall","callId":"s1","from":"13800138000","user":"李四"}'.encode("gbk"), "application/json"),
    "GBK in a form": (b"event=newCall&callId=s1&from=13800138000&user=%C0%EE%CB%C4", "application/x-www-form-urlencoded"),
    "raw GBK in a form": (b"event=newCall&callId=s1&from=13800138000&user=" + "李四".encode("gbk"),
                          "application/x-www-form-urlencoded"),
    "a form without a type": (b"event=newCall&callId=s1&from=13800138000", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_SENT)
def test_however_a_system_writes_its_words_the_call_rings(quick: World, name: str) -> None:
    body, media_type = AS_SENT[name]
    headers = {"Content-Type": media_type} if media_type else {}
    assert quick.client.post(f"/hooks/cti/{TOKEN}", content=body, headers=headers).status_code == 200
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))
    assert row.call_id == "s1"
    assert quick.count(t.shelf) == 0
    if "GBK" in name:
        assert "李四" in cti_event.read(body, media_type).agents


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", "é" * 29, "%00"])
def test_h19_a_wrong_token_is_refused_counted_and_keeps_nothing(quick: World, token: str) -> None:
    said = json.dumps({"event": "newCall", "callId": "c"})
    answers = [
        quick.client.post(f"/hooks/cti/{token}" if token else "/hooks/cti", content=said) for _ in range(22)
    ]
    codes = [answer.status_code for answer in answers]
    assert codes in ([403] * 20 + [429] * 2, [404] * 22)
    assert quick.count(t.ring) == 0 and quick.count(t.shelf) == 0
    assert tell(quick, "newCall") == 200


def test_without_a_token_in_the_settings_there_is_no_such_door(
    tmp_path: Path, sqlite_model: Path, at: datetime
) -> None:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        assert made.client.post("/hooks/cti/", json={}).status_code == 404
        assert made.client.post("/hooks/cti", json={}).status_code == 404


BAD: dict[str, Any] = {
    "no object": [], "no event": {"callId": "1"}, "another event": {"event": "pickup", "callId": "1"},
    "no call": {"event": "newCall"}, "a long call": {"event": "newCall", "callId": "x" * 251},
    "a line end": {"event": "newCall", "callId": "1", "from": "1\r\n2"}, "a list": {"event": "newCall", "callId": ["1"]},
    "half a letter": {"event": "newCall", "callId": "1", "from": "\ud800"},
    "half a letter of a name": {"event": "answer", "callId": "1", "user": ["\udfff"]},
    "nowhere": {"event": "newCall", "callId": "1", "direction": "up"},
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_h22_what_is_no_event_lies_on_the_shelf(quick: World, name: str) -> None:
    content = json.dumps(BAD[name])
    answer = quick.client.post(
        f"/hooks/cti/{TOKEN}", content=content, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_shape")
    assert quick.count(t.ring) == 0 and quick.count(t.shelf) == 1


def test_r1_one_bad_event_hides_no_other_on_the_shelf_and_a_broken_form_lies_there_too(quick: World) -> None:
    for n in range(7):
        assert tell(quick, "pickup", f"c{n}") == 400
        assert tell(quick, "pickup", "c0") == 400
    form = {"Content-Type": "multipart/form-data"}  # no boundary
    assert quick.client.post(f"/hooks/cti/{TOKEN}", content=b"--x", headers=form).status_code == 400
    rows = quick.hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert {f'"c{n}"'.encode() in b"".join(row.raw for row in rows) for n in range(7)} == {True}
    assert sum(row.raw == b"--x" for row in rows) == 1 and len(rows) == 3 + 6 + 1


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a.example/<script>", "file:///etc/passwd", "//x"]
)
def test_h64_a_recording_link_that_is_no_web_address_is_dropped(quick: World, link: str) -> None:
    tell(quick, "newCall", recording=link, **{"from": "<script>alert(1)</script>"})
    page = enter(quick, "officer").get("/console").text
    assert "<script>alert" not in page
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.ring.select()))
    assert link not in enter(quick, "officer").get(f"/console/calls/{row.slip}/line").text
