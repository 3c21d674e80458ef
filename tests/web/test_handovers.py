"""Reports go to the body that is responsible: proposed by the longest match, confirmed, signed for, passed on, escalated."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from domain.report import State
from domain.routing import Handover, HandoverState, Rule, matching
from domain.secrecy import Compartment
from duty import handovers as duty
from store import compartments, people, routing
from store import tables as t
from store.unit import Unit
from tests.web.api_world import World, world
from tests.web.citizen_kit import FORM
from tests.web.console_browser import Browser, bring, enter, words
from tests.web.test_two_way import all_reports, studied, text_in

FLOOD = "甲一区暴雨，桥下积水，两车被淹"


@pytest.fixture
def town(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    """A hub that can write mails, with two bodies and three rules."""
    relay = {"email_relay_host": "127.0.0.1", "email_relay_tls": "never", "email_domain": "hub.example"}
    with world(tmp_path / "data", at, url=database_url, **relay) as made:
        leader = enter(made, "leader")
        for name, address in (("甲市应急局", "yj@jia.example.cn"), ("甲一区水利局", "sl@jiayi.example.cn")):
            leader.follow(
                "/console/handovers/add_body",
                {"name": name, "channel": "email", "address": address, "minutes": "20"},
            )
        city, water = bodies(made)["甲市应急局"], bodies(made)["甲一区水利局"]
        for area, category, body in (("990100", "", city), ("990101", "11", water), ("", "11", city)):
            leader.follow("/console/handovers/add_route", {"area": area, "category": category, "body": body})
        yield made


def bodies(hall: World) -> dict[str, str]:
    return {b.name: b.id for b in hall.hub.store.read(routing.bodies).values()}


def now(hall: World, report: str) -> Handover:
    found = hall.hub.store.read(lambda u: routing.live(u, report))
    assert found
    return found


def flooded(hall: World) -> tuple[str, Browser]:
    text_in(hall, FLOOD, 1)
    (report,) = all_reports(hall)
    return report.id, enter(hall, "officer")


def mail_of(hall: World, handover: Handover) -> str:
    rows = hall.hub.store.read(
        lambda u: u.rows(t.dispatch.select().where(t.dispatch.c.id == handover.dispatch))
    )
    return str(rows[0].notice_payload.decode())


def link_of(hall: World, handover: Handover) -> str:
    found = re.search(r"(/handover/\S+)", mail_of(hall, handover))
    assert found
    return found[1]


def test_the_longest_match_of_the_area_wins_then_that_of_the_category() -> None:
    rules = [Rule(id=str(n), area=a, category=c, body="b") for n, (a, c) in enumerate(
        [("", ""), ("99", "11B03"), ("9901", ""), ("990101", "11"), ("990101", "12"), ("990101", "11B")])]  # fmt: skip
    assert [r.id for r in matching(rules, "990101000000", "11B03")] == ["5", "3", "2", "1", "0"]
    assert [r.id for r in matching(rules, "980101000000", "12000")] == ["0"]
    assert matching(rules[1:], "", "") == []


def test_the_rule_proposes_the_officer_confirms_and_the_link_signs(town: World) -> None:
    report, browser = flooded(town)
    assert now(town, report).state is HandoverState.PROPOSED
    page = words(browser.get(f"/console/reports/{report}").text)
    assert (
        "甲一区水利局" in page
        and "按规则（区划 × 类别，最长匹配）：990101 × 11" in page
        and "符合的规则 3 条" in page
    )
    water = bodies(town)["甲一区水利局"]
    browser.follow(f"/console/reports/{report}/hand_over", {"body": water})
    sent = now(town, report)
    assert (sent.state, sent.delivery) == (HandoverState.SENT, "queued") and all_reports(town)[
        0
    ].state is State.TRANSFERRED
    text = mail_of(town, sent)
    assert (
        "【演示】" in text and FLOOD not in text and "甲一区" in text
    )  # what is reported stands on the page alone
    place = link_of(town, sent)
    shown = town.client.get(place)
    assert FLOOD in words(shown.text) and shown.headers["x-robots-tag"].startswith("noindex")
    assert town.client.get(place[:-2] + "xx").status_code == 404
    empty = town.client.post(place, content=urlencode({"act": "sign", "who": " "}).encode(), headers=FORM)
    assert empty.status_code == 400 and "请填写姓名" in words(empty.text)
    for who in ("王五", "别人"):
        town.client.post(place, content=urlencode({"act": "sign", "who": who}).encode(), headers=FORM)
    signed = now(town, report)
    assert (signed.state, signed.signed_by, signed.signed_way) == (HandoverState.SIGNED, "王五", "link")
    assert all_reports(town)[0].state is State.SIGNED_FOR
    page = words(browser.get(f"/console/reports/{report}").text)
    assert "签收人：王五" in page.replace(" ", "") or "王五" in page
    browser.follow(f"/console/reports/{report}/close", {"reason": "已处置"})
    assert all_reports(town)[0].state is State.CLOSED


def test_a_reply_to_the_mail_signs_from_the_bodys_address_alone_and_more_words_are_a_report_too(
    town: World,
) -> None:
    def reply(n: int, text: str, sender: str) -> None:
        town.clock.forward(seconds=1)
        ours = now(town, report).dispatch.removeprefix("dsp_").lower()
        head = [
            f"From: {sender}",
            f"Message-ID: <r{n}@x>",
            "Subject: Re",
            f"In-Reply-To: <{ours}-0-0@hub.example>",
        ]
        raw = ("\r\n".join(head) + f"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}").encode()
        bring(town, "email", raw, "message/rfc822", sender=sender, key=str(n))

    report, browser = flooded(town)
    browser.follow(f"/console/reports/{report}/hand_over", {"body": bodies(town)["甲一区水利局"]})
    reply(1, "签收 李四", "evil@elsewhere.example")
    reply(2, "不归我们管", "sl@jiayi.example.cn")
    assert now(town, report).state is HandoverState.SENT and len(all_reports(town)) == 3
    reply(3, "签收：赵六\r\n\r\n> 移送报告", "sl@jiayi.example.cn")
    signed = now(town, report)
    assert (signed.signed_by, signed.signed_way) == ("赵六", "email") and len(all_reports(town)) == 3


def test_a_signature_with_an_emergency_below_it_or_with_a_scan_signs_and_is_a_report_too(town: World) -> None:
    report, browser = flooded(town)
    text_in(town, "甲一区暴雨，河堤渗水，村民已撤离", 2)
    other = next(one.id for one in all_reports(town) if one.id != report)
    mails = {
        report: ("text/plain; charset=utf-8", "签收。三号楼起火，请立即支援"),
        other: (
            "multipart/mixed; boundary=b",
            "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n签收\r\n--b\r\nContent-Type: application/pdf\r\n"
            "Content-Disposition: attachment; filename=scan.pdf\r\n\r\n%PDF-1.4 scan\r\n--b--\r\n",
        ),
    }
    for n, (handed, (kind, body)) in enumerate(mails.items()):
        browser.follow(
            f"/console/reports/{handed}/hand_over", {"body": bodies(town)["甲一区水利局"], "reason": "归水利"}
        )
        ours = now(town, handed).dispatch.removeprefix("dsp_").lower()
        raw = (
            f"From: sl@jiayi.example.cn\r\nMessage-ID: <s{n}@x>\r\nSubject: Re\r\nMIME-Version: 1.0\r\n"
            f"In-Reply-To: <{ours}-0-0@hub.example>\r\nContent-Type: {kind}\r\n\r\n{body}"
        )
        bring(town, "email", raw.encode(), "message/rfc822", sender="sl@jiayi.example.cn", key=f"s{n}")
        signed = now(town, handed)
        assert (signed.state, signed.signed_by) == (HandoverState.SIGNED, "甲一区水利局")
        assert len(all_reports(town)) == 3 + n
    found = [one.content for one in all_reports(town)]
    assert any("三号楼起火" in one.text for one in found) and any(one.attachments for one in found)


def test_nobody_signs_in_time_it_is_escalated_once_and_passed_on(town: World) -> None:
    report, browser = flooded(town)
    city, water = bodies(town)["甲市应急局"], bodies(town)["甲一区水利局"]
    browser.follow(f"/console/reports/{report}/hand_over", {"body": water})
    first = now(town, report)
    town.clock.forward(minutes=19)
    duty.tick(town.hub.store, town.clock())
    assert now(town, report).escalated_at is None
    town.clock.forward(minutes=2)
    for _ in range(2):
        duty.tick(town.hub.store, town.clock())
    assert now(town, report).escalated_at == town.clock()
    assert "逾期未签收" in words(browser.get("/console/handovers").text)
    timeline = words(browser.get(f"/console/reports/{report}").text)
    assert timeline.count("逾期未签收") == 2  # in the card and once in the journal
    town.client.post(
        link_of(town, first),
        content=urlencode({"act": "decline", "who": "李四", "reason": "归市局"}).encode(),
        headers=FORM,
    )
    assert "归市局" in words(browser.get(f"/console/reports/{report}").text)
    refused = browser.post(f"/console/reports/{report}/hand_over", {"body": city, "why": " "})
    assert refused.status_code == 400
    browser.follow(f"/console/reports/{report}/hand_over", {"body": city, "why": "对方称归市局"})
    assert [h.state for h in town.hub.store.read(lambda u: routing.of_report(u, report))] == [
        HandoverState.PASSED_ON,
        HandoverState.SENT,
    ]
    late = town.client.post(
        link_of(town, first), content=urlencode({"act": "sign", "who": "晚了"}).encode(), headers=FORM
    )
    assert late.status_code == 409 and FLOOD not in words(town.client.get(link_of(town, first)).text)
    browser.follow(
        f"/console/reports/{report}/sign_handover", {"handover": now(town, report).id, "who": "市局张三"}
    )
    assert all_reports(town)[0].state is State.SIGNED_FOR
    browser.follow(f"/console/reports/{report}/take_back", {"why": "自办"})
    assert all_reports(town)[0].state is State.CLAIMED and all_reports(town)[0].claimed_by == "per_officer"
    studied(town)
    assert (
        town.hub.store.read(lambda u: routing.live(u, report)) is None
    )  # what was taken back is not proposed again


def declined(town: World, place: str, who: str, reason: str) -> int:
    form = urlencode({"act": "decline", "who": who, "reason": reason}).encode()
    return int(town.client.post(place, content=form, headers=FORM, follow_redirects=False).status_code)


@pytest.mark.parametrize("before", ["signed", "escalated"])
def test_a_body_that_says_it_is_not_theirs_is_heard_on_every_page_of_the_desk_and_says_it_once(
    town: World, before: str
) -> None:
    report, browser = flooded(town)
    city, water = bodies(town)["甲市应急局"], bodies(town)["甲一区水利局"]
    browser.follow(f"/console/reports/{report}/hand_over", {"body": water})
    place = link_of(town, now(town, report))
    if before == "signed":
        town.client.post(place, content=urlencode({"act": "sign", "who": "王五"}).encode(), headers=FORM)
    town.clock.forward(minutes=21)
    duty.tick(town.hub.store, town.clock())
    assert "不属其职责" not in words(browser.get("/console/clocks").text)
    assert declined(town, place, "李四", " ") == 400
    for who, why in (("李四", "归市局管"), ("赵六", "再说一次")):
        assert declined(town, place, who, why) == 303
        town.clock.forward(minutes=1)
    one = now(town, report)
    assert (one.declined_by, one.declined_why) == ("李四", "归市局管") and one.is_turned_down
    acts = [
        e.act
        for e in town.hub.store.read(lambda u: u.rows(t.journal.select()))
        if e.entity == report and e.act == "decline_handover"
    ]
    assert acts == ["decline_handover"]
    for page in ("/console/clocks", "/console/handovers/turned_down"):  # whatever he looks at
        shown = words(browser.get(page).text).replace(" ", "")
        assert "对方称不属其职责：甲一区水利局" in shown
    shown = words(browser.get(f"/console/reports/{report}").text)
    assert "归市局管" in shown and "李四" in shown and "再说一次" not in shown
    link = words(town.client.get(place).text)
    assert (
        "已告知值班室：不属本单位职责" in link
        and "李四" in link
        and FLOOD not in link
        and "签收人姓名" not in link
    )
    late = town.client.post(place, content=urlencode({"act": "sign", "who": "晚了"}).encode(), headers=FORM)
    assert late.status_code == (303 if before == "signed" else 409)  # who signed first stays
    assert town.hub.store.read(routing.counts)["turned_down"] == 1
    browser.follow(f"/console/reports/{report}/hand_over", {"body": city, "why": "对方称归市局"})
    assert "不属其职责" not in words(browser.get("/console/clocks").text)
    assert "归市局管" in words(browser.get(f"/console/reports/{report}").text)  # among what went before


def test_who_declined_in_time_is_not_also_overdue_and_a_signature_afterwards_ends_the_alert(
    town: World,
) -> None:
    report, browser = flooded(town)
    browser.follow(f"/console/reports/{report}/hand_over", {"body": bodies(town)["甲一区水利局"]})
    assert declined(town, link_of(town, now(town, report)), "李四", "归市局管") == 303
    town.clock.forward(minutes=30)
    duty.tick(town.hub.store, town.clock())
    assert now(town, report).escalated_at is None and now(town, report).is_turned_down
    one = now(town, report)
    browser.follow(f"/console/reports/{report}/sign_handover", {"handover": one.id, "who": "王五，电话"})
    assert not now(town, report).is_turned_down
    assert town.hub.store.read(routing.turned_down) == []


def test_the_board_lists_what_a_body_has_first_what_nobody_signed_for_and_not_what_is_closed(
    town: World,
) -> None:
    names, browser, water = [], enter(town, "officer"), bodies(town)["甲一区水利局"]
    for n in (1, 2, 3):
        text_in(town, f"{FLOOD}，第{n}处", n, sender=f"+861380013800{n}")
        names.append(all_reports(town)[-1].id)
        browser.follow(f"/console/reports/{names[-1]}/hand_over", {"body": water})
    for name in names[:2]:
        one = now(town, name).id
        browser.follow(f"/console/reports/{name}/sign_handover", {"handover": one, "who": "王五"})
    browser.follow(f"/console/reports/{names[0]}/close", {"reason": "已处置"})
    assert [h.report for h in town.hub.store.read(routing.going)] == [names[2], names[1]]
    assert [h.report for h in town.hub.store.read(lambda u: routing.going(u, 1))] == [names[2]]


def test_who_may_not_see_a_report_is_not_told_that_a_body_declined_it(town: World) -> None:
    report, browser = flooded(town)
    browser.follow(f"/console/reports/{report}/hand_over", {"body": bodies(town)["甲一区水利局"]})
    place = link_of(town, now(town, report))
    seal(town, report, Compartment.SENSITIVE)
    assert declined(town, place, "李四", "归市局管") == 303
    assert town.hub.store.read(routing.turned_down)
    assert "不属其职责" not in words(browser.get("/console/handovers/turned_down").text)


def seal(town: World, report: str, more: Compartment) -> None:
    at = town.clock()
    town.hub.store.run(lambda u: compartments.seal(u, report, more, by="x", at=at, why="t"))


@pytest.mark.parametrize("apart", [Compartment.SOCIAL, Compartment.SENSITIVE])
def test_the_link_and_the_mail_tell_nothing_of_a_report_that_lies_in_a_compartment(
    town: World, apart: Compartment
) -> None:
    report, browser = flooded(town)
    browser.follow(f"/console/reports/{report}/classify", {"event_code": "11B03", "area": "990101000000"})
    water, post = bodies(town)["甲一区水利局"], town.hub.post
    browser.follow(f"/console/reports/{report}/hand_over", {"body": water, "why": "x"})
    place = link_of(town, now(town, report))
    assert FLOOD in words(town.client.get(place).text)
    seal(town, report, apart)
    shown = words(town.client.get(place).text)
    assert "桥下" not in shown and "内容不在此页显示" in shown and "签收人姓名" in shown
    who, at = town.hub.store.read(lambda u: people.get(u, "per_leader")), town.clock()
    for told in (post, replace(post, link=lambda _: "")):  # with a page of ours, and without one

        def again(unit: Unit, told: duty.Post = told) -> None:
            duty.take_back(unit, report, by=who, at=at, reason="x")
            duty.hand_over(unit, report, by=who, at=at, post=told, body=water, reason="x")

        town.hub.store.run(again)
        text = mail_of(town, now(town, report))
        assert "内容另行告知" in text and "地点另行告知" in text
        assert not any(word in text for word in ("桥下", "甲一区\n", "暴雨", "洪"))
    town.client.post(
        link_of_id(town, now(town, report)),
        content=urlencode({"act": "sign", "who": "王五"}).encode(),
        headers=FORM,
    )
    assert now(town, report).state is HandoverState.SIGNED  # without having read it


def link_of_id(town: World, one: Handover) -> str:
    return urlsplit(town.hub.post.link(one.id)).path


def test_a_mark_of_secrecy_leaves_on_no_channel(town: World) -> None:
    text_in(town, f"{FLOOD} 秘密★", 1)
    (report,) = all_reports(town)
    browser = enter(town, "officer")
    refused = browser.post(
        f"/console/reports/{report.id}/hand_over", {"body": bodies(town)["甲一区水利局"], "why": "x"}
    )
    assert refused.status_code in (400, 404, 409)
    assert (
        town.hub.store.read(lambda u: u.rows(t.dispatch.select().where(t.dispatch.c.notice == "handover")))
        == []
    )


def test_another_classification_proposes_another_and_a_choice_stays(town: World) -> None:
    report, browser = flooded(town)
    browser.follow(f"/console/reports/{report}/classify", {"event_code": "12A00", "area": "990101000000"})
    studied(town)
    assert now(town, report).body == bodies(town)["甲市应急局"]
    browser.follow(f"/console/reports/{report}/drop_handover", {"why": "自办"})
    studied(town)
    assert town.hub.store.read(lambda u: routing.live(u, report)) is None


def test_a_place_that_was_wrong_for_a_while_does_not_cost_the_first_proposal(town: World) -> None:
    report, browser = flooded(town)
    water, city = bodies(town)["甲一区水利局"], bodies(town)["甲市应急局"]
    assert now(town, report).body == water
    for code, body in (("12A00", city), ("11B01", water), ("12A00", city), ("11B01", water)):
        browser.follow(f"/console/reports/{report}/classify", {"event_code": code, "area": "990101000000"})
        studied(town)
        assert now(town, report).body == body
    browser.follow(f"/console/reports/{report}/drop_handover", {"why": "自办"})
    studied(town)
    assert town.hub.store.read(lambda u: routing.live(u, report)) is None  # what an officer refused stays so


def test_bodies_and_rules_are_kept_by_leaders_and_end(town: World) -> None:
    officer, leader = enter(town, "officer"), enter(town, "leader")
    body = {"name": "x", "channel": "sms", "address": "110", "minutes": "5"}
    assert officer.post("/console/handovers/add_body", body).status_code == 403
    bad = leader.post("/console/handovers/add_body", body)
    assert bad.status_code == 400 and "应为手机号或邮箱" in words(bad.text)
    bad = leader.post("/console/handovers/add_route", {"area": "abc", "category": "!", "body": "bod_none"})
    assert bad.status_code == 400
    leader.follow("/console/handovers/end_body", {"id": bodies(town)["甲一区水利局"]})
    assert "甲一区水利局" not in bodies(town) and len(town.hub.store.read(routing.rules)) == 2
