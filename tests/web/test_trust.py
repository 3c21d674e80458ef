"""Who reports: known reporters, what came of a sender's others, quarantine and block lists; nothing is ever lost."""

from typing import Any

from domain.report import State
from store import journal, reports
from store import tables as t
from tests.web.api_world import World
from tests.web.console_browser import Browser, enter, words
from tests.web.test_two_way import NUMBER, all_reports, text_in

OTHER = "+8613900139000"


def listed(browser: Browser, view: str) -> str:
    return words(browser.get(f"/console?view={view}").text)


def block(hall: World, report: str, **fields: Any) -> Any:
    browser = enter(hall, "leader")
    return browser.post(f"/console/reports/{report}/block_sender", {"days": "7", "reason": "骚扰", **fields})


def test_abuse_goes_to_quarantine_is_never_dropped_and_comes_back(quick: World) -> None:
    text_in(quick, "哈哈哈骗你的", 1)
    (report,) = all_reports(quick)
    browser = enter(quick, "officer")
    refused = browser.post(f"/console/reports/{report.id}/give_verdict", {"kind": "abuse", "reason": " "})
    assert refused.status_code == 400
    browser.follow(f"/console/reports/{report.id}/give_verdict", {"kind": "abuse", "reason": "恶作剧"})
    assert "哈哈哈" not in listed(browser, "open") and "哈哈哈" not in listed(browser, "all")
    assert (
        "哈哈哈" in listed(browser, "aside")
        and "隔离区 1" in listed(browser, "open")
        and "待受理 0" in listed(browser, "open")
    )
    assert quick.get("officer", "/v1/reports").json()["data"] == []
    assert len(quick.get("officer", "/v1/reports?aside=true").json()["data"]) == 1
    assert "哈哈哈" in words(browser.get("/console/find?q=哈哈哈").text)
    assert all_reports(quick)[0].state is State.FILED
    browser.follow(f"/console/reports/{report.id}/withdraw_verdict", {"kind": "abuse", "reason": "误判"})
    assert "哈哈哈" in listed(browser, "open") and "哈哈哈" not in listed(browser, "aside")
    page = words(browser.get(f"/console/reports/{report.id}").text)
    assert "误判" in page and "撤销判定" in page
    browser.follow(f"/console/reports/{report.id}/give_verdict", {"kind": "abuse", "reason": "又来"})
    assert all_reports(quick)[0].is_aside
    acts = [e.act for e in quick.hub.store.read(lambda u: journal.entries(u, "report", report.id))]
    assert acts[-3:] == ["give_verdict", "withdraw_verdict", "give_verdict"]


def test_the_history_of_a_sender_stands_on_his_next_report(quick: World) -> None:
    for n, body in enumerate(("桥下积水", "骗你的", "无聊", "又积水了"), 1):
        text_in(quick, body, n)
    first, second, third, last = all_reports(quick)
    browser = enter(quick, "officer")
    browser.follow(f"/console/reports/{first.id}/claim")
    browser.follow(f"/console/reports/{first.id}/verify")
    browser.follow(f"/console/reports/{second.id}/give_verdict", {"kind": "false", "reason": "查无此事"})
    browser.follow(f"/console/reports/{third.id}/give_verdict", {"kind": "abuse", "reason": "骚扰"})
    text_in(quick, "别处的事", 9, sender=OTHER)
    page = words(browser.get(f"/console/reports/{last.id}").text)
    assert "此前来件 3 件：核实 1，不实 1，恶意 1" in page
    other = all_reports(quick)[-1]
    assert "此前没有同一来源的报告" in words(browser.get(f"/console/reports/{other.id}").text)


def test_a_blocked_sender_is_kept_in_quarantine_until_the_day_and_unanswered(quick: World) -> None:
    text_in(quick, "骚扰短信", 1)
    (report,) = all_reports(quick)
    assert block(quick, report.id, days="0").status_code == 400
    assert block(quick, report.id, days="91").status_code == 400
    assert (
        enter(quick, "officer")
        .post(f"/console/reports/{report.id}/block_sender", {"days": "7", "reason": "x"})
        .status_code
        == 403
    )
    assert block(quick, report.id).status_code == 303
    text_in(quick, "在吗在吗", 2)
    kept = all_reports(quick)[1]
    assert kept.is_aside and kept.content.text == "在吗在吗"
    told = [
        e for e in quick.hub.store.read(lambda u: journal.entries(u, "report", kept.id)) if e.act == "file"
    ]
    assert told[0].detail["acknowledged"] == "blocked"
    text_in(quick, "另一个人", 3, sender=OTHER)
    assert not all_reports(quick)[2].is_aside
    quick.clock.forward(days=7, seconds=1)
    text_in(quick, "在吗在吗", 4)
    assert not all_reports(quick)[3].is_aside and all_reports(quick)[1].is_aside
    browser = enter(quick, "officer")
    browser.follow(f"/console/reports/{kept.id}/withdraw_verdict", {"kind": "blocked", "reason": "看过了"})
    assert not all_reports(quick)[1].is_aside


def test_words_of_danger_of_a_blocked_sender_come_to_the_queue_with_a_mark(hall: World) -> None:
    text_in(hall, "骚扰短信", 1)
    (report,) = all_reports(hall)
    assert block(hall, report.id).status_code == 303
    text_in(hall, "甲一区化工厂爆炸，3人被困", 2)
    urgent = all_reports(hall)[1]
    assert not urgent.is_aside
    browser = enter(hall, "officer")
    row = listed(browser, "open")
    assert "化工厂爆炸" in row and "来自屏蔽名单，含险情" in row
    assert "含险情用语，已进入接报台" in words(browser.get(f"/console/reports/{urgent.id}").text)


def test_a_block_is_lifted_and_lists_show_whom_they_hold(quick: World) -> None:
    leader = enter(quick, "leader")
    leader.follow(
        "/console/senders/block_sender",
        {"channel": "sms", "address": "138 0013 8000", "days": "30", "reason": "骚扰"},
    )
    page = words(leader.get("/console/senders").text)
    assert NUMBER in page and "骚扰" in page
    text_in(quick, "在吗", 1)
    assert all_reports(quick)[0].is_aside
    (row,) = quick.hub.store.read(lambda u: u.rows(t.sender_block.select()))
    assert NUMBER.encode() not in row.address and NUMBER not in row.address_index
    leader.follow("/console/senders/lift_block", {"id": row.id})
    text_in(quick, "在吗", 2)
    assert not all_reports(quick)[1].is_aside


def test_a_known_reporter_is_named_on_his_reports_until_his_day_and_cannot_be_blocked(quick: World) -> None:
    leader = enter(quick, "leader")
    bad = leader.post(
        "/console/senders/add_known",
        {"kind": "informant", "name": "", "body": "x", "until": "2020-01-01", "addresses": "pigeon 1"},
    )
    assert (
        bad.status_code == 400
        and "每行先写渠道" in words(bad.text)
        and "应为三年以内的日期" in words(bad.text)
    )
    entry = {"kind": "informant", "name": "赵六", "body": "大坪村村委会", "area": "990101", "until": "2026-12-31",
             "addresses": "sms 13800138000\nemail zhao@example.cn"}  # fmt: skip
    leader.follow("/console/senders/add_known", entry)
    text_in(quick, "甲一区积水", 1)
    (report,) = all_reports(quick)
    page = words(enter(quick, "officer").get(f"/console/reports/{report.id}").text)
    assert "信息报告员 赵六 · 大坪村村委会" in page and "号码可以被冒用" in page
    refused = block(quick, report.id)
    assert refused.status_code == 409 and "这是登记的报告人" in words(refused.text)
    quick.clock.forward(days=60)
    text_in(quick, "甲一区又积水", 2)
    later = all_reports(quick)[1]
    assert "赵六" not in words(enter(quick, "officer").get(f"/console/reports/{later.id}").text)
    (row,) = quick.hub.store.read(lambda u: u.rows(t.known_reporter.select()))
    assert "赵六".encode() not in row.name
    assert quick.hub.store.read(reports.count_aside) == 0
    act = f"/v1/reports/{later.id}/give-verdict"
    assert quick.post("department", act, {"kind": "abuse", "reason": "x"}).status_code == 403
    assert quick.post("officer", act, {"kind": "abuse", "reason": "x"}).json()["is_aside"] is True
    back = quick.post("officer", act.replace("give", "withdraw"), {"kind": "abuse", "reason": "x"})
    assert back.json()["is_aside"] is False
