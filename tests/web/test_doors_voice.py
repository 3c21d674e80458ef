"""Calls: whatever step the caller leaves at, one report holds what was said so far."""

import hashlib
import json
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domain.call import Step
from domain.errors import Unavailable
from domain.ids import spoken_digits
from intake import calls, desk
from simulators.twiml import Do, hear
from simulators.voice import Call, tone
from store import promises
from store import tables as t
from store.database import Store
from tests.web.api_world import World, signed, world
from tests.web.voice_world import CALL, CALLER, VOICE_URL, Exchange, exchange, posted, voice_form

PATH = "/hooks/voice/twilio"


@pytest.fixture
def line(database_url: str, tmp_path: Path, at: datetime) -> Iterator[Exchange]:
    with exchange(tmp_path / "data", at, url=database_url) as made:
        yield made


@pytest.fixture
def quick_line(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[Exchange]:
    with exchange(tmp_path / "data", at, model=sqlite_model) as made:
        yield made


@pytest.fixture
def quick(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model, twilio_voice_url=VOICE_URL) as made:
        yield made


@pytest.fixture
def hall_voice(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url, twilio_voice_url=VOICE_URL) as made:
        yield made


def _reports(made: World) -> list[dict[str, Any]]:
    for _ in range(4):
        made.file_all()
        made.clock.forward(seconds=2)
    found: list[dict[str, Any]] = made.get("officer", "/v1/reports").json()["data"]
    return found


# --- whole calls over real sockets


def test_r1_a_caller_keys_in_the_place_speaks_and_hears_his_code_and_the_recording_is_kept(
    line: Exchange,
) -> None:
    async def whole(call: Call) -> None:
        await call.press("1")
        await call.press("990101#")
        await call.speak("河东村三组山体滑坡\n有两户被埋", seconds=40)

    call = line.call(whole)
    assert {post["status"] for post in call.posts} == {200, 204} and call.is_over
    line.settle()
    report = line.report()
    assert (report.channel, report.area, report.trust) == ("voice", "990101000000", 0)
    assert (report.content.text, report.content.language) == ("河东村三组山体滑坡\n有两户被埋", "zh")
    place = report.content.facts["place"][0]
    assert (place.value, place.origin, place.note) == ("甲一区", "keypad", "990101")
    (sound,) = report.content.attachments
    assert (sound.media_type, sound.sha256) == ("audio/wav", hashlib.sha256(tone(40)).hexdigest())
    assert line.world.hub.blobs.get(sound.sha256) == tone(40)
    assert report.content.findings == ("machine_transcript",)
    said = "".join(call.story)
    assert "地点是甲一区" in said and "不用等回电" in said
    assert spoken_digits(report.code).replace("-", "") in said.replace(" ", "").replace("，", "")
    sent = line.world.hub.store.read(lambda unit: promises.of_report(unit, report.id))
    assert [row.channel for row in sent] == ["sms"]  # his code as a text too: who cannot hear needs no call


def test_a_caller_in_english_says_the_place_and_the_text_of_his_recording_comes_later(
    quick_line: Exchange,
) -> None:
    async def whole(call: Call) -> None:
        await call.press("2")
        await call.press("1")
        await call.say("the old bridge at Hedong")
        await call.speak("The bridge is gone, two cars are in the river.", seconds=9)

    call = quick_line.call(whole)
    assert "After the tone" in "".join(call.story)
    quick_line.settle()
    report = quick_line.report()
    place = report.content.facts["place"][0]
    assert (place.value, place.origin, place.note) == ("the old bridge at Hedong", "speech", "0.91")
    said = "The bridge is gone, two cars are in the river."
    assert (report.content.text, report.content.language) == (said, "en")


HANG_UPS = {  # what is done before the caller has gone -> (place, seconds recorded, finding)
    "while it rings": ([], "", "", "abandoned_call"),
    "after the menu": (["1"], "", "", "abandoned_call"),
    "after the place": (["1", "990102#"], "甲二县", "", "abandoned_call"),
    "while speaking": (["1", "990102#", "speak"], "甲二县", "0:25", ""),
}


@pytest.mark.parametrize("step", HANG_UPS)
def test_r1_a_caller_who_hangs_up_leaves_one_report_with_what_he_has_said(step: str, line: Exchange) -> None:
    acts, place, seconds, finding = HANG_UPS[step]

    async def leave(call: Call) -> None:
        for act in acts:
            await (call.speak("水来了", seconds=25, hangs_up=True) if act == "speak" else call.press(act))
        await call.hang_up()

    line.call(leave)
    line.settle()
    content = line.report().content
    assert (content.first("sender"), content.first("place")) == (CALLER, place)
    assert content.first("recording") == seconds and content.first("call_ended")
    assert ("abandoned_call" in content.findings) == bool(finding) and "call_open" not in content.findings
    assert bool(content.attachments) == bool(seconds)


def test_nobody_who_presses_nothing_or_anything_is_sent_away(quick_line: Exchange) -> None:
    async def silent(call: Call) -> None:
        await call.wait()
        await call.wait()
        await call.wait()
        await call.speak(seconds=2)

    async def lost(call: Call) -> None:
        await call.press("7")
        await call.press("*")
        await call.press("123456#")  # no area of ours
        await call.press("1#")
        await call.speak(seconds=2)

    assert "没有听清" in "".join(quick_line.call(silent).story)
    assert "没有这个代码" in "".join(quick_line.call(lost, "+8613900139000").story)
    quick_line.settle()
    spoken = [report.content for report in quick_line.reports()]
    assert [content.first("recording") for content in spoken] == ["0:02", "0:02"]
    assert {fact.note for content in spoken for fact in content.facts.get("place", ())} == {"123456", "1"}


def test_a_recording_of_an_hour_ends_after_ten_minutes_and_is_fetched(quick_line: Exchange) -> None:
    async def long(call: Call) -> None:
        await call.press("1")
        await call.wait()
        await call.speak(seconds=3600)

    quick_line.call(long)
    quick_line.settle()
    report = quick_line.report()
    assert report.content.first("recording") == "10:00"
    assert report.content.attachments[0].size == len(tone(600)) < 16 << 20


# --- pieces: repeated, reordered, lost


def _pieces() -> list[tuple[str, dict[str, str]]]:
    """Every post of one whole call, as the provider makes them."""
    sid = f"RE{7:032x}"
    about = {"RecordingSid": sid, "RecordingUrl": f"http://127.0.0.1:9/2010-04-01/Accounts/{{}}/Recordings/{sid}",
             "RecordingDuration": "31"}  # fmt: skip
    data = [json.dumps({"transcript": words}, ensure_ascii=False) for words in ("滑坡", "埋了两户")]
    state = "?l=zh-CN&t=0"
    return [
        ("", voice_form()),
        (f"/menu{state}", voice_form(Digits="1")),
        (f"/place{state}", voice_form(Digits="990101")),
        (f"/said{state}", voice_form(Digits="#", **about)),
        (f"/recording{state}", voice_form(bare=True, RecordingStatus="completed", **about)),
        *((f"/transcript{state}", voice_form(bare=True, TranscriptionSid=f"GT{1:032x}", TranscriptionData=one,
           TranscriptionEvent="transcription-content", SequenceId=str(n + 2))) for n, one in enumerate(data)),
        ("/status", voice_form(CallStatus="completed", CallDuration="63")),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_r2_h21_one_call_is_one_report_whatever_is_repeated_reordered_or_lost(
    seed: int, tmp_path: Path, sqlite_model: Path, at: datetime
) -> None:
    chance = random.Random(seed)
    kept = [piece for piece in _pieces() if chance.random() < 0.75] or _pieces()[-1:]
    contents = []
    for n in range(2):
        arriving = kept * (n + 1)
        chance.shuffle(arriving)
        with world(tmp_path / f"d{n}", at, model=sqlite_model, twilio_voice_url=VOICE_URL) as made:
            for path, form in arriving:
                assert posted(made, path, form).status_code in (200, 204)
                if chance.random() < 0.4:
                    made.file_all()
            (found,) = _reports(made)
            assert made.count(t.report_row) == 1
            paths = {path.partition("?")[0] for path, _ in kept}
            assert made.count(t.media) == int(bool(paths & {"/said", "/recording"}))
            contents.append({name: found[name] for name in ("text", "findings", "area")}
                            | {name: sorted(str(fact) for fact in facts) for name, facts in found["facts"].items()
                               if name not in ("call_started", "call_ended")})  # fmt: skip
    assert contents[0] == contents[1]


def test_r2_a_piece_that_comes_before_its_call_begins_it(quick: World) -> None:
    (_, status) = _pieces()[-1]
    assert posted(quick, "/status", status).status_code == 204
    (report,) = _reports(quick)
    assert report["facts"]["sender"][0]["value"] == CALLER
    assert "abandoned_call" in report["findings"]


def test_r16_pieces_wait_for_their_call_however_often_they_are_tried(quick: World) -> None:
    for path, form in _pieces():
        posted(quick, path, form)
    i = t.inbound.c
    rows = quick.hub.store.read(lambda unit: unit.rows(sa.select(i.id).where(i.external_id != CALL)))
    for _ in range(80):
        quick.clock.forward(minutes=1)
        for piece in rows:
            quick.hub.filing.file(piece.id)
    assert quick.count(t.shelf) == 0
    rows = quick.hub.store.read(lambda unit: unit.rows(sa.select(i.tries, i.next_due)))
    # Nothing has failed: a fault that comes later has all of its tries.
    assert {row.tries for row in rows} == {0}
    assert max(row.next_due for row in rows) - quick.clock() == calls.LONGEST_WAIT
    quick.file_all()
    quick.clock.forward(minutes=1)
    (report,) = _reports(quick)
    assert (report["text"], report["area"]) == ("滑坡\n埋了两户", "990101000000")


def test_h21_the_same_signed_call_600_times_and_a_year_later_is_one_report(quick: World) -> None:
    path, form = _pieces()[3]
    assert {posted(quick, path, form).status_code for _ in range(600)} == {200}
    quick.clock.forward(days=365)
    assert posted(quick, path, form).status_code == 200
    assert len(_reports(quick)) == 1
    assert quick.count(t.inbound) == 2  # the call, and what was said


# --- without a database


class Down(Store):
    """Answers nothing."""

    def submit(self, work: Any) -> Any:
        raise Unavailable("the database is down")

    async def item(self, many: Any, item: Any, **how: Any) -> Any:
        raise Unavailable("the database is down")

    def read(self, work: Any) -> Any:
        raise Unavailable("the database is down")


def test_r1_with_the_database_down_the_caller_hears_what_to_do_and_the_spool_becomes_one_report(
    hall_voice: World,
) -> None:
    made = hall_voice
    made.hub.store.__class__ = Down
    try:
        answers = [posted(made, path, form) for path, form in _pieces() * 2]
    finally:
        made.hub.store.__class__ = Store
    assert [answer.status_code for answer in answers[:8]] == [200] * 4 + [204] * 4
    assert hear(answers[2].text).do == "record" and "编号是" in answers[3].text
    assert made.count(t.inbound) == 0 and len(made.hub.spool.waiting()) == 8
    desk.drain(made.hub.spool, store=made.hub.store, blobs=made.hub.blobs, clock=made.clock)
    (report,) = _reports(made)
    assert (report["text"], report["area"]) == ("滑坡\n埋了两户", "990101000000")
    assert report["code"].replace("-", "") and spoken_digits(report["code"]).replace("-", "") in answers[
        3
    ].text.replace(" ", "").replace("，", "")


def test_when_nothing_can_be_kept_the_caller_is_told_whom_to_call_and_nothing_is_called_taken(
    quick: World,
) -> None:
    quick.hub.store.__class__ = Down
    spool = quick.hub.settings.data_dir / "spool"
    spool.rmdir()
    spool.write_text("no directory")
    try:
        heard = posted(quick, "", voice_form())
        told = posted(quick, "/status", voice_form(CallStatus="completed"))
    finally:
        quick.hub.store.__class__ = Store
    assert heard.status_code == 200 and hear(heard.text).do == "hang_up"
    assert "110" in heard.text and "1 1 0" in heard.text and "编号" not in heard.text
    assert told.status_code == 503
    assert quick.hub.refused["call_lost"] == 1


# --- hostile forms


@pytest.mark.parametrize("given", [None, "", "x", "A" * 27 + "=", "é" * 28])
def test_h19_a_call_without_the_right_signature_is_refused_and_keeps_nothing(
    quick: World, given: str | None
) -> None:
    call = signed(VOICE_URL, voice_form())
    del call["headers"]["X-Twilio-Signature"]
    if given is not None:
        call["headers"]["X-Twilio-Signature"] = given.encode()
    answer = quick.client.post(PATH, **call)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature")
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 0


def test_h19_the_signature_of_one_step_opens_no_other_and_a_forged_state_is_refused(quick: World) -> None:
    call = signed(f"{VOICE_URL}/menu?l=zh-CN&t=0", voice_form(Digits="1"))
    assert quick.client.post(f"{PATH}/menu?l=zh-CN&t=0", **call).status_code == 200
    assert quick.client.post(f"{PATH}/place?l=zh-CN&t=0", **call).status_code == 403
    assert quick.client.post(f"{PATH}/menu?l=en&t=0", **call).status_code == 403
    for query in ("?l=xx&t=0", "?l=en&t=9", "?l=en", "?l=en&t=0&t=1", "?%ff"):
        assert _goes_on(posted(quick, f"/menu{query}", voice_form(Digits="1")))
    assert quick.count(t.inbound) == 2 and quick.count(t.shelf) == 5
    assert quick.client.post(f"{PATH}/begin", **signed(f"{VOICE_URL}/begin", voice_form())).status_code == 404


def _goes_on(answer: Any) -> bool:
    """Whether the caller may speak."""
    return answer.status_code == 200 and hear(answer.text).do is Do.RECORD


def test_r1_new_parameters_of_any_name_are_let_in_and_a_form_that_nobody_knows_loses_no_caller(
    quick: World,
) -> None:
    more = {
        "SipHeader_X-Twilio-CallSid": "x",
        "SipHeader_X-Feature-2": "on",
        "StirVerstat2": "A",
        "Call_Token": "t",
    }
    assert hear(posted(quick, "", voice_form(**more)).text).do is Do.GATHER
    assert quick.count(t.inbound) == 1 and quick.count(t.shelf) == 0
    answer = posted(quick, "", voice_form(CallStatus="?!"))
    assert _goes_on(answer) and "嘀声" in "".join(hear(answer.text).says)
    assert _goes_on(posted(quick, "/place?l=en&t=0", voice_form(Digits="banana")))
    assert quick.count(t.shelf) == 2


def test_r1_keys_come_with_the_word_that_the_provider_puts_behind_them(quick: World) -> None:
    """As captured of live calls: `msg=Gather End` ends the form of each <Gather> that took keys."""
    keyed = voice_form(Digits="1", FinishedOnKey="", msg="Gather End")
    assert hear(posted(quick, "/menu?l=zh-CN&t=0", keyed).text).do is Do.GATHER  # the place is asked for
    assert quick.count(t.shelf) == 0
    grown = voice_form(Digits="1", msg="Gather EndDigits2")
    assert _goes_on(posted(quick, "/menu?l=zh-CN&t=0", grown))
    assert quick.count(t.shelf) == 1


@pytest.mark.parametrize(
    "name", ["Digits1", "Digits1To", "CallDuration12", "AddOnsDigits1", "RecordingSidRE1"]
)
def test_h20_a_name_that_has_swallowed_a_value_is_not_believed(quick: World, name: str) -> None:
    assert _goes_on(posted(quick, "/menu?l=zh-CN&t=0", voice_form(**{name: ""})))
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 1


def test_h20_one_signature_cut_into_other_parameters_is_shelved_not_believed(quick: World) -> None:
    form = voice_form(Digits="1")
    call = signed(f"{VOICE_URL}/menu?l=zh-CN&t=0", form)
    cut = {**form, "CallSi": "d" + form["CallSid"], "Digits": form["Digits"]}
    del cut["CallSid"]
    call["content"] = signed("x", cut)["content"]
    assert _goes_on(quick.client.post(f"{PATH}/menu?l=zh-CN&t=0", **call))
    merged = {**form, "CallStatus": form["CallStatus"] + "Called" + form["Called"]}
    del merged["Called"]
    call["content"] = signed("x", merged)["content"]
    answer = quick.client.post(f"{PATH}/menu?l=zh-CN&t=0", **call)
    assert answer.status_code == 403 or _goes_on(answer)
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) >= 1


HOSTILE = {
    "another account": ("", {"AccountSid": "AC" + "0b" * 16}),
    "no call": ("", {"CallSid": "SM" + "0" * 32}),
    "keys that are none": ("/menu?l=zh-CN&t=0", {"Digits": "banana"}),
    "a flood of keys": ("/menu?l=zh-CN&t=0", {"Digits": "1" * 65}),
    "keys that inject": ("/place?l=zh-CN&t=0", {"Digits": "1'; DROP TABLE report; --"}),
    "a line end in a number": ("", {"From": "+8613800138000\r\nX: y"}),
    "a recording elsewhere": ("/said?l=zh-CN&t=0", {"RecordingSid": "RE" + "1" * 32, "RecordingDuration": "5",
                              "RecordingUrl": "http://169.254.169.254/latest/meta-data"}),
    "a recording of another account": ("/said?l=zh-CN&t=0", {"RecordingDuration": "5", "RecordingUrl":
        f"https://api.twilio.com/2010-04-01/Accounts/AC{'0b' * 16}/Recordings/RE{'1' * 32}"}),
    "another recording than named": ("/said?l=zh-CN&t=0", {"RecordingSid": "RE" + "1" * 32, "RecordingDuration": "5",
        "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{{}}/Recordings/RE{'2' * 32}"}),
    "a transcript that is none": ("/transcript?l=zh-CN&t=0", {"TranscriptionEvent": "transcription-content",
                                  "TranscriptionSid": "GT" + "1" * 32, "TranscriptionData": "[" * 5000}),
    "a length that is none": ("/status", {"CallDuration": "-1"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_h22_a_signed_form_that_no_provider_sends_is_shelved_with_its_reason(quick: World, name: str) -> None:
    path, change = HOSTILE[name]
    answer = posted(quick, path, voice_form(**change))
    if path.startswith("/said"):
        assert answer.status_code == 200 and hear(answer.text).do is Do.HANG_UP
    else:
        assert _goes_on(answer) or (
            answer.status_code == 400 and not Step(path[1:].partition("?")[0]).is_heard
        )
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 1


def test_h22_h23_a_get_a_name_twice_and_a_large_body_are_refused(quick: World) -> None:
    assert quick.client.get(f"{PATH}?CallSid=x").status_code == 405
    call = signed(VOICE_URL, voice_form())
    call["content"] += b"&CallSid=CA" + b"0" * 32
    answer = quick.client.post(PATH, **call)
    assert answer.status_code == 403 or _goes_on(answer)
    assert posted(quick, "", voice_form(CallerName="x" * 70_000)).status_code == 413
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize("host", ["127.0.0.1:9999", "[::1]", "evil.example", "api.twilio.com.evil.example"])
def test_h24_a_recording_at_a_host_that_is_not_the_providers_is_never_fetched(
    quick: World, host: str
) -> None:
    sid = "RE" + "3" * 32
    url = f"https://{host}/2010-04-01/Accounts/{{}}/Recordings/{sid}"
    form = voice_form(Digits="#", RecordingSid=sid, RecordingUrl=url, RecordingDuration="5")
    assert posted(quick, "/said?l=zh-CN&t=0", form).status_code == 200
    _reports(quick)
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.media.select()))
    quick.hub.media.fetch(row.id)
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.media.select()))
    assert (row.state, row.reason) == ("refused", "bad_host")
    assert "media_refused" in _reports(quick)[0]["findings"]


def test_h26_a_recording_of_25_mb_is_refused_and_the_report_stands(quick_line: Exchange) -> None:
    async def huge(call: Call) -> None:
        await call.press("1")
        await call.wait()
        await call.speak(seconds=4)
        for sid in call.recordings:
            call.recordings[sid] = bytes(25 << 20)

    quick_line.call(huge)
    quick_line.settle()
    report = quick_line.report()
    assert report.content.attachments == () and "media_refused" in report.content.findings
    assert report.content.first("recording") == "0:04"


def test_a_recording_that_is_not_there_yet_is_asked_for_again(quick_line: Exchange) -> None:
    async def whole(call: Call) -> None:
        await call.press("1")
        await call.wait()
        await call.speak(seconds=4)

    late: dict[str, bytes] = {}
    call = quick_line.call(whole)
    late.update(call.recordings)
    call.recordings.clear()
    quick_line.settle()
    assert quick_line.report().content.attachments == ()
    call.recordings.update(late)
    quick_line.world.clock.forward(minutes=2)
    quick_line.settle()
    assert len(quick_line.report().content.attachments) == 1


@pytest.mark.parametrize(
    "sender", ["anonymous", "Restricted", "+266696687", "sip:x@evil.example", "+", "client:joe", ""]
)
def test_h27_a_hidden_number_is_said_so_and_nobody_is_written_to(quick: World, sender: str) -> None:
    for path, form in _pieces()[:4]:
        assert posted(quick, path, form | {"From": sender, "Caller": sender}).status_code == 200
    (report,) = _reports(quick)
    assert "hidden_number" in report["findings"]
    sent = quick.hub.store.read(lambda unit: promises.of_report(unit, report["id"]))
    assert list(sent) == []


def test_h28_what_a_caller_says_never_becomes_an_order_to_the_provider(quick: World) -> None:
    evil = "</Say><Dial>+19005550000</Dial><Say>&{organisation}{0}"
    form = voice_form(SpeechResult=evil, Confidence="0.5")
    answer = posted(quick, "/place?l=zh-CN&t=0", form)
    assert answer.status_code == 200 and "Dial" not in answer.text and "900555" not in answer.text
    (report,) = _reports(quick)
    assert report["facts"]["place"][0]["value"] == evil
