"""An officer writes to whoever reported, and the answer lands in the same thread: by SMS alone, by web alone, by API."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.report import Report, State
from hub import hold, metrics
from outbox import sweep
from store import audience, exchanges, reports, triages
from store import tables as t
from tests.outbox.outbox_kit import Wire, jobs_of, outgoing, run_all
from tests.web.api_world import SMS_URL, World, signed, sms_form, world
from tests.web.citizen_kit import FORM, post, token_of
from tests.web.console_browser import Browser, bring, call, enter, words

NUMBER = "+8613800138000"
THIN = "出事了，快来人"


def text_in(hall: World, body: str, n: int, sender: str = NUMBER) -> None:
    """A message through the provider's door, filed and studied."""
    hall.clock.forward(seconds=1)
    assert (
        hall.client.post(
            "/hooks/sms/twilio", **signed(SMS_URL, sms_form(n, body=body, sender=sender))
        ).status_code
        < 300
    )
    hall.file_all()
    studied(hall)


def studied(hall: World) -> None:
    for row in hall.hub.store.read(lambda u: u.rows(t.report_row.select())):
        hall.hub.student.study(row.id)


def all_reports(hall: World) -> list[Report]:
    rows = hall.hub.store.read(lambda u: u.rows(t.report_row.select().order_by(t.report_row.c.id)))
    found = [hall.hub.store.read(lambda u, i=row.id: reports.get(u, i)) for row in rows]
    return [one for one in found if one]


def missing(hall: World, report: str) -> set[str]:
    return {
        q.element
        for q in hall.hub.store.read(lambda u: triages.questions(u, report))
        if q.answered_by is None
    }


def lines(hall: World, report: str) -> list[Any]:
    return hall.hub.store.read(lambda u: exchanges.of_report(u, report))


def form_of(browser: Browser, report: str) -> str:
    """The name that the form gives its line."""
    found = re.search(
        r'/write_back".*?name="line" value="(exc_[0-9A-Z]{26})"',
        browser.get(f"/console/reports/{report}").text,
        re.DOTALL,
    )
    assert found
    return found[1]


def ask(browser: Browser, report: str, **fields: Any) -> Any:
    return browser.post(f"/console/reports/{report}/write_back", {"line": form_of(browser, report), **fields})


@pytest.mark.parametrize("answer", ["2人受伤", "编号{code}：2人受伤"])
def test_a_deaf_reporter_finishes_entirely_by_sms(hall: World, answer: str, tmp_path: Any) -> None:
    text_in(hall, THIN, 1)
    (report,) = all_reports(hall)
    assert {"place", "casualties"} <= missing(hall, report.id)
    browser = enter(hall, "officer")
    asked = ask(browser, report.id, ask=["casualties", "place"], text="请不要靠近河边。")
    assert asked.status_code == 303
    payload = hall.hub.store.read(
        lambda u: u.scalar(
            t.dispatch.select()
            .with_only_columns(t.dispatch.c.notice_payload)
            .where(t.dispatch.c.notice == "answer")
        )
    ).decode()
    assert "请补充：地点；伤亡、被困、失联。" in payload and report.code in payload and "不必来电" in payload
    assert payload.startswith("【演示】") and payload.endswith("【演示】")
    assert hall.hub.store.read(lambda u: triages.questions(u, report.id))[0].opened_by == 1
    hall.clock.forward(minutes=3)
    text_in(hall, answer.format(code=report.code), 2)
    text_in(hall, "在甲一区人民路18号", 3)
    (now,) = all_reports(hall)
    assert now.id == report.id and "2人受伤" in now.content.text and "人民路18号" in now.content.text
    assert not {"place", "casualties"} & missing(hall, report.id)
    said = lines(hall, report.id)
    assert [(one.is_ours, one.channel) for one in said] == [(True, "sms"), (False, "sms"), (False, "sms")]
    page = words(browser.get(f"/console/reports/{report.id}").text)
    assert page.index("请不要靠近河边") < page.index("记入第 2 版") < page.index("记入第 3 版")
    browser.follow(f"/console/reports/{report.id}/claim")
    browser.follow(f"/console/reports/{report.id}/verify")
    browser.follow(f"/console/reports/{report.id}/close", {"reason": "已处置"})
    assert all_reports(hall)[0].state is State.CLOSED


def test_a_deaf_reporter_finishes_entirely_on_the_web_page(quick: World) -> None:
    link = post(quick, {"text": THIN}).headers["location"].replace("/report/r/", "/report/s/")
    quick.file_all()
    studied(quick)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    page = words(browser.get(f"/console/reports/{report.id}").text)
    assert "放在报告人的查询页上" in page
    assert ask(browser, report.id, ask=["place"], text="您在哪里？").status_code == 303
    assert "等待对方查看" in words(browser.get(f"/console/reports/{report.id}").text)
    quick.clock.forward(minutes=1)
    shown = quick.client.get(link)
    assert "您在哪里？" in words(shown.text) and "请补充：地点。" in words(shown.text)
    assert "已被查看" in words(browser.get(f"/console/reports/{report.id}").text)
    place = link.partition("?")[0]
    empty = quick.client.post(
        place, content=urlencode({"once": token_of(shown.text), "text": ""}).encode(), headers=FORM
    )
    assert empty.status_code == 400 and not quick.rings
    body = urlencode({"once": token_of(shown.text), "text": "甲一区人民路18号"}).encode()
    for _ in range(2):  # a lost answer, and the same form again
        taken = quick.client.post(place, content=body, headers=FORM)
        assert taken.status_code == 303 and taken.headers["location"].endswith("done=answer")
    quick.file_all()
    studied(quick)
    (now,) = all_reports(quick)
    assert "人民路18号" in now.content.text and "place" not in missing(quick, report.id)
    assert [one.is_ours for one in lines(quick, report.id)] == [True, False]
    after = words(quick.client.get(taken.headers["location"]).text)
    assert "已安全保存" in after and "人民路" not in after  # who finds the link does not read what was told


def test_an_answer_is_a_row_before_it_leaves_and_the_form_sent_twice_is_one(
    quick: World, tmp_path: Any
) -> None:
    text_in(quick, THIN, 1)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    name = form_of(browser, report.id)
    for _ in range(2):
        assert (
            browser.post(
                f"/console/reports/{report.id}/write_back", {"line": name, "text": "收到"}
            ).status_code
            == 303
        )
    (line,) = lines(quick, report.id)
    assert (line.state, line.by) == ("queued", "per_officer")
    wire = Wire()
    run_all(outgoing(quick.hub.store, quick.clock(), tmp_path, wire=wire))
    assert wire.taken.count(NUMBER) == 2  # the acknowledgement and this
    assert lines(quick, report.id)[0].state == "accepted"


def test_nothing_leaves_while_everything_is_held_nor_to_who_wants_no_more(
    quick: World, tmp_path: Any
) -> None:
    text_in(quick, THIN, 1)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    assert ask(browser, report.id, text="在哪里？").status_code == 303
    hold.put(tmp_path, "drill")
    wire = Wire()
    held = outgoing(quick.hub.store, quick.clock(), tmp_path, wire=wire)
    for job, row in quick.hub.store.read(lambda u: sweep.due(u, quick.clock())):
        getattr(jobs_of(held), job)(row)
    assert wire.started == [] and lines(quick, report.id)[0].state == "queued"
    hold.release(tmp_path)
    quick.hub.store.run(lambda u: audience.opt_out(u, "sms", NUMBER, inbound="", at=quick.clock()))
    quick.clock.forward(minutes=5)
    run_all(outgoing(quick.hub.store, quick.clock(), tmp_path, wire=wire))
    assert lines(quick, report.id)[0].state == "opted_out"
    page = words(browser.get(f"/console/reports/{report.id}").text)
    assert "对方已要求不再接收短信" in page


def test_the_same_fact_is_asked_for_once_and_asking_again_is_counted(quick: World) -> None:
    text_in(quick, "大坪村滑坡，3人被埋", 1)
    (report,) = all_reports(quick)
    assert "casualties" not in missing(quick, report.id)
    browser = enter(quick, "officer")
    refused = ask(browser, report.id, ask=["casualties"])
    assert (
        refused.status_code == 400
        and "其中有已知的要素" in words(refused.text)
        and lines(quick, report.id) == []
    )
    assert ask(browser, report.id, again=["casualties"]).status_code == 303
    assert "本件已知要素被重复询问：1 次" in words(browser.get(f"/console/reports/{report.id}").text)
    assert "tocsin_asked_again 1.0" in metrics.text(quick.hub).decode()
    open_one = sorted(missing(quick, report.id))[0]
    browser.follow(f"/console/reports/{report.id}/settle_element", {"element": open_one})
    assert open_one not in missing(quick, report.id)


def test_another_number_an_old_question_and_two_open_ones_make_reports_of_their_own(quick: World) -> None:
    text_in(quick, THIN, 1)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    ask(browser, report.id, text="在哪里？")
    text_in(quick, "甲一区着火", 2, sender="+8613900139000")
    text_in(
        quick, f"编号{report.code}，我也看见了", 3, sender="+8613900139001"
    )  # a code heard of is nobody's own
    assert len(all_reports(quick)) == 3 and len(lines(quick, report.id)) == 1
    quick.clock.forward(hours=80)
    text_in(quick, "又着火了", 4)
    assert len(all_reports(quick)) == 4
    second, browser = all_reports(quick)[3], enter(quick, "officer")
    for one in (report, second):
        ask(browser, one.id, text="在哪里？")
    text_in(quick, "在桥头", 5)
    assert len(all_reports(quick)) == 5
    text_in(quick, f"{second.code} 在桥头", 6)
    assert len(all_reports(quick)) == 5 and [one.is_ours for one in lines(quick, second.id)] == [True, False]


def test_an_answer_about_something_else_becomes_a_report_of_its_own(quick: World) -> None:
    text_in(quick, THIN, 1)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    ask(browser, report.id, text="在哪里？")
    text_in(quick, "另外，化工厂泄漏", 2)
    (_, said) = lines(quick, report.id)
    browser.follow(f"/console/reports/{report.id}/separate", {"line": said.id})
    first, other = all_reports(quick)
    assert (
        other.content.text == "另外，化工厂泄漏" and other.state is State.FILED and other.code != first.code
    )
    assert "化工厂" in first.content.text  # nothing is taken away
    again = browser.post(f"/console/reports/{report.id}/separate", {"line": said.id})
    assert again.status_code == 409 and len(all_reports(quick)) == 2


def test_a_department_fetches_what_it_is_asked_and_answers_by_follow_up(quick: World) -> None:
    made = quick.post("department", "/v1/reports", {"text": "有险情"}).json()
    quick.file_all()
    studied(quick)
    place = f"/v1/reports/{made['id']}/messages"
    asked = quick.post("officer", place, {"text": "请报伤亡", "ask": ["casualties"]})
    assert asked.status_code == 201 and (asked.json()["channel"], asked.json()["fetched_at"]) == ("api", None)
    assert quick.get("other", place).status_code == 404
    assert quick.post("department", place, {"text": "x"}).status_code == 403
    quick.get("officer", place)
    assert lines(quick, made["id"])[0].fetched_at is None  # the duty room's own look is not theirs
    assert quick.get("department", place).json()["data"][0]["asks"] == ["casualties"]
    assert lines(quick, made["id"])[0].fetched_at == quick.clock()
    quick.clock.forward(seconds=1)
    quick.post("department", f"/v1/reports/{made['id']}/follow-ups", {"text": "死亡2人"})
    quick.file_all()
    studied(quick)
    assert "casualties" not in missing(quick, made["id"])
    assert [one["from"] for one in quick.get("department", place).json()["data"]] == ["duty_room", "reporter"]


def test_a_caller_without_a_number_cannot_be_written_to_and_the_page_says_so(quick: World) -> None:
    report = call(quick, text="冒烟", place="桥头")
    browser = enter(quick, "officer")
    page = browser.get(f"/console/reports/{report}")
    assert "没有可以发送的号码或邮箱" in words(page.text) and "write_back" not in page.text
    refused = browser.post(
        f"/console/reports/{report}/write_back", {"line": "exc_" + "0" * 26, "text": "在吗"}
    )
    assert refused.status_code == 400 and lines(quick, report) == []


@pytest.fixture
def post_office(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    """A hub that can write mails."""
    relay = {"email_relay_host": "127.0.0.1", "email_relay_tls": "never", "email_domain": "hub.example"}
    with world(tmp_path / "data", at, model=sqlite_model, **relay) as made:
        yield made


def test_a_mail_is_answered_by_mail_and_its_reply_lands_in_the_thread(post_office: World) -> None:
    quick = post_office

    def mail(n: int, text: str, *fields: str) -> str:
        quick.clock.forward(seconds=1)
        head = "\r\n".join(["From: li@example.cn", f"Message-ID: <{n}@example.cn>", "Subject: help", *fields])
        raw = f"{head}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
        return bring(quick, "email", raw, "message/rfc822", sender="li@example.cn", key=str(n))

    report = mail(1, THIN)
    browser = enter(quick, "officer")
    assert ask(browser, report, ask=["place"]).status_code == 303
    (line,) = lines(quick, report)
    assert (line.channel, line.state) == ("email", "queued")
    payload = quick.hub.store.read(
        lambda u: u.rows(t.dispatch.select().where(t.dispatch.c.id == line.dispatch))
    )[0]
    subject, _, body = payload.notice_payload.decode().partition("\n\n")
    assert "【演示】" in subject and "请补充：地点。" in body
    mail(2, "完全是另一件事")
    ours = line.dispatch.removeprefix("dsp_").lower()
    mail(3, "人民路18号", f"In-Reply-To: <{ours}-0-0@hub.example>")
    assert len(all_reports(quick)) == 2
    assert [one.text for one in lines(quick, report) if not one.is_ours] == ["人民路18号"]
