"""The SMS door: what is signed and well formed is kept before it is answered, nothing else gets in."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from domain.errors import Unavailable
from store import audience
from store import tables as t
from tests.web.api_world import SMS_URL, World, signed, sms_form

PATH = "/hooks/sms/twilio"


def _knock(hall: World, form: dict[str, str]):
    return hall.client.post(PATH, **signed(SMS_URL, form))


def test_a_signed_message_becomes_a_report_and_is_answered_with_empty_twiml(hall: World) -> None:
    answer = _knock(hall, sms_form())
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/xml")
    assert answer.text.endswith("<Response/>")
    assert [job for job, _ in hall.rings] == ["file_report"]
    hall.file_all()
    (report,) = hall.get("officer", "/v1/reports").json()["data"]
    assert (report["text"], report["channel"]) == ("桥下积水，两车被淹", "sms")
    assert report["facts"]["sender"][0]["value"] == "+8613800138000"


@pytest.mark.parametrize("sender", ["12379", "12345", "95598", "1069001234567890", "+86106901234567", "CMCC"])
def test_a_sender_that_is_a_name_stands_in_the_queue_as_it_came_and_is_not_written_to(
    quick: World, sender: str
) -> None:
    assert _knock(quick, sms_form(sender=sender)).status_code == 200
    quick.file_all()
    (report,) = quick.get("officer", "/v1/reports").json()["data"]
    assert report["facts"]["sender"][0]["value"] == sender
    assert quick.count(t.dispatch) == 0


def test_the_same_message_600_times_is_one_report(quick: World) -> None:
    form = sms_form()
    assert {_knock(quick, form).status_code for _ in range(600)} == {200}
    assert len(quick.rings) == 1
    quick.file_all()
    assert quick.count(t.report_row) == 1 and quick.count(t.inbound) == 1
    quick.clock.forward(days=365)
    assert _knock(quick, form).status_code == 200
    assert quick.count(t.inbound) == 1


@pytest.mark.parametrize("given", [None, "", "x", "A" * 27 + "=", "é" * 28, "签名"])
def test_without_the_right_signature_nothing_is_kept(quick: World, given: str | None) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if given is not None:
        headers["X-Twilio-Signature"] = given.encode()
    answer = quick.client.post(PATH, content=urlencode(sms_form()).encode(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature")
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 0


def test_an_address_that_keeps_trying_hears_429_and_the_provider_is_not_held_up(quick: World) -> None:
    tries = [quick.client.post(PATH, content=b"Body=x").status_code for _ in range(22)]
    assert tries == [403] * 20 + [429] * 2
    assert _knock(quick, sms_form()).status_code == 200
    quick.clock.forward(seconds=61)
    assert quick.client.post(PATH, content=b"Body=x").status_code == 403


def test_a_signature_over_the_address_that_headers_claim_is_refused(quick: World) -> None:
    forged = "https://evil.example/hooks/sms/twilio"
    call = signed(forged, sms_form())
    call["headers"] |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert quick.client.post(PATH, **call).status_code == 403
    call["headers"]["Host"] = "evil.example"
    answer = quick.client.post(PATH, **call)
    assert (answer.status_code, answer.json()["code"]) == (421, "bad_host")


@pytest.mark.parametrize(
    "change",
    [
        {"AccountSid": "AC" + "0b" * 16},
        {"To": ""},
        {"MessageSid": "SMshort", "SmsSid": "SMshort", "SmsMessageSid": "SMshort"},
        {"Body[]": "x"},
    ],
)
def test_a_signed_form_of_another_shape_is_shelved_with_its_reason(
    quick: World, change: dict[str, str]
) -> None:
    answer = _knock(quick, sms_form(**change))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_shape")
    assert "errors" not in answer.json()
    (row,) = quick.get("officer", "/v1/shelf").json()["data"]
    assert (row["kind"], row["reason"]) == ("sms", "bad_shape") and row["size"] > 0
    assert quick.count(t.inbound) == 0


def test_one_signature_cut_into_other_parameters_is_shelved_not_believed(quick: World) -> None:
    form = sms_form()
    call = signed(SMS_URL, form)
    cut = {**form, "Fro": "m" + form["From"]}
    del cut["From"]
    call["content"] = urlencode(cut).encode()
    assert quick.client.post(PATH, **call).status_code == 400
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 1


def test_a_name_that_comes_twice_is_not_believed(quick: World) -> None:
    call = signed(SMS_URL, sms_form())
    call["content"] += b"&Body=other"
    assert quick.client.post(PATH, **call).status_code in (400, 403)
    assert quick.count(t.inbound) == 0


def test_the_door_takes_posts_of_forms_only(quick: World) -> None:
    assert quick.client.get(f"{PATH}?Body=x").status_code == 405
    call = signed(SMS_URL, sms_form())
    call["headers"]["Content-Type"] = "application/json"
    assert quick.client.post(PATH, **call).status_code == 415
    call["headers"] |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert quick.client.post(PATH, **call).status_code == 415


def test_a_body_over_64_kb_is_refused_before_it_is_read(quick: World) -> None:
    call = signed(SMS_URL, sms_form(body="x" * 70_000))
    answer = quick.client.post(PATH, **call)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    many = "&".join(f"a{n}=" for n in range(10_000)).encode()
    assert quick.client.post(PATH, content=many).status_code in (403, 413)
    assert quick.count(t.inbound) == 0 and quick.count(t.shelf) == 0


@pytest.mark.parametrize("word", ["STOP", " td ", "退订", "ＳＴＯＰ"])
def test_an_exact_stop_ends_subscriptions_and_is_no_report(quick: World, word: str) -> None:
    form = sms_form(body=word)
    assert _knock(quick, form).status_code == 200
    assert _knock(quick, form).status_code == 200
    assert quick.rings == []
    out = quick.hub.store.read(lambda unit: audience.opted_out(unit, "sms", ["+8613800138000"]))
    assert out == {"+8613800138000"}
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    assert row.state == "filed" and quick.count(t.report_row) == 0
    acts = [e["act"] for e in quick.get("officer", f"/v1/journal/inbound/{row.id}").json()["data"]]
    assert acts == ["receive", "opt_out"]
    assert quick.get("officer", f"/v1/reports/{row.report}").json()["state"] == "handled"


@pytest.mark.parametrize("text", ["STOP the water", "停电了", "stop."])
def test_any_longer_text_is_a_report_and_ends_nothing(quick: World, text: str) -> None:
    assert _knock(quick, sms_form(body=text)).status_code == 200
    quick.file_all()
    assert quick.count(t.report_row) == 1 and quick.count(t.opt_out) == 0


def test_a_stop_of_a_responsible_person_is_shown_to_the_duty_room_and_changes_nothing(quick: World) -> None:
    person = {"channel": "sms", "address": "+8613800138000", "area": "990101", "group": "responsible"}
    quick.hub.store.run(lambda unit: audience.add(unit, [person], quick.clock()))
    assert _knock(quick, sms_form(body="TD")).status_code == 200
    quick.file_all()
    (report,) = quick.get("officer", "/v1/reports").json()["data"]
    assert report["text"] == "TD"
    assert not quick.hub.store.read(lambda unit: audience.opted_out(unit, "sms", ["+8613800138000"]))


def test_without_a_database_the_spool_keeps_and_without_both_the_provider_tries_again(
    quick: World, tmp_path: Path
) -> None:
    quick.hub.store.close()
    assert _knock(quick, sms_form(1)).status_code == 200
    assert _knock(quick, sms_form(2, body="STOP")).status_code == 200
    assert len(quick.hub.spool.waiting()) == 2
    for frame in quick.hub.spool.waiting():
        frame.unlink()
    (tmp_path / "data" / "spool").rmdir()
    (tmp_path / "data" / "spool").write_text("a file where a directory should be")
    answer = _knock(quick, sms_form(3))
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert "spool" not in answer.text.replace("spool_failed", "")
    with pytest.raises(Unavailable):
        quick.hub.store.run(lambda unit: None)
