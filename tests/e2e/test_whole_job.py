"""The whole job by keyboard, in both languages: two people, one warning, its update, its end, and what the public sees."""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.hub_process import HubProcess
from tests.e2e.keyboard import PATIENCE, Seat, seat
from tests.e2e.releases_made import released
from tests.walks.houses import ROOT, get, until

QINGSHI = "990103000000"
RAIN = {"zh-CN": "暴雨", "en": "Rainstorm"}
PUBLIC_WORDS = tomllib.loads((ROOT / "templates/public/words.toml").read_text())
COUNTY = {"zh-CN": "青石县", "en": "Qingshi County"}


@dataclass(frozen=True)
class Pair:
    """An officer and an approver, each in a browser of their own."""

    officer: Seat
    approver: Seat


@pytest.fixture(scope="module", params=["zh-CN", "en"])
def pair(request: pytest.FixtureRequest, browser: Browser, hub: HubProcess) -> Iterator[Pair]:
    language = request.param
    with (
        seat(browser, hub.link("officer"), language) as officer,
        seat(browser, hub.link("approver"), language) as approver,
    ):
        yield Pair(officer, approver)


def test_a_text_becomes_a_warning_its_update_and_its_end(pair: Pair, hub: HubProcess) -> None:
    officer, approver = pair.officer, pair.approver
    report = _claimed(officer, hub, f"石门水库泄洪，河水漫上公路 {officer.language}")
    _classify(officer, report)
    release = _draft_and_submit(officer)
    hashes = _approve(approver, release)
    _has_reached(hub, hashes)
    _is_public(officer, hub, release, "published")
    update = _update(officer, release)
    _approve(approver, update)
    _is_public(officer, hub, release, "superseded")
    _end(officer, update, "lift")
    _is_public(officer, hub, update, "cancelled")
    assert hub.api("GET", f"/v1/releases/{update}")["state"] == "cancelled"


def test_a_false_alarm_is_corrected_by_one_person(pair: Pair, hub: HubProcess) -> None:
    release = released(hub, f"false-alarm-{pair.officer.language}")
    _end(pair.officer, release, "correct")
    assert hub.api("GET", f"/v1/releases/{release}")["state"] == "corrected"
    _is_public(pair.officer, hub, release, "corrected")


def test_the_leader_takes_over_and_sign_off_lists_what_is_held(pair: Pair, hub: HubProcess) -> None:
    officer, leader = pair.officer, pair.approver
    text = f"北山区铁路涵洞积水 {officer.language}"
    report = _claimed(officer, hub, text)
    kept = f"大树倒在公交站 {officer.language}"
    _claimed(officer, hub, kept)
    leader.page.goto(f"/console/reports/{report}")
    reason = leader.page.locator("section", has=leader.page.locator("#h-take_over")).locator("textarea")
    leader.write(reason, "officer is on another case")
    leader.enter(leader.button(leader.say("接手")))
    expect(leader.page.locator("#r-acts")).to_contain_text(leader.say("由您受理"))
    officer.page.goto("/console/shift")
    on, off = officer.page.locator("#do-sign_on"), officer.page.locator("#do-sign_off")
    expect(on.or_(off)).to_be_visible()
    if on.is_visible():
        officer.enter(on)
    mine = officer.page.locator("section", has=officer.page.locator("#h-mine"))
    expect(mine).to_contain_text(kept)
    expect(mine).not_to_contain_text(text)
    officer.enter(off)
    expect(officer.page.locator("#problem")).to_contain_text(officer.word("error", "note_missing"))
    expect(mine).to_contain_text(kept)
    officer.write(officer.page.locator("#f-note"), "to the next shift")
    officer.enter(off)
    expect(officer.page.locator("main")).to_contain_text(officer.say("已签退。"))
    officer.enter(on)
    expect(officer.page.locator("main")).to_contain_text(officer.say("已签到，开始当班。"))


def test_two_slips_wait_while_one_is_saved_and_its_code_is_read_out(pair: Pair, hub: HubProcess) -> None:
    officer, page = pair.officer, pair.officer.page
    page.goto("/console")
    held = page.locator("#held a")
    before = held.count()
    for n, place in enumerate((f"江滨路88号 {officer.language}", f"老街3号 {officer.language}"), start=1):
        officer.press("n")
        expect(page.locator("#f-caller")).to_be_focused()
        page.keyboard.type(f"0571-8800123{n}")
        officer.write(page.locator("#f-place"), place)
        officer.enter(officer.button(officer.say("挂起")))
        expect(page.locator("main")).to_contain_text(officer.say("已挂起，可在页首随时接着填写。"))
        expect(page.locator("#f-caller")).not_to_be_focused()
        expect(held).to_have_count(before + n)
    officer.enter(held.filter(has_text=f"江滨路88号 {officer.language}"))
    expect(page.locator("#f-place")).to_have_value(f"江滨路88号 {officer.language}")
    officer.write(page.locator("#f-text"), "地下车库进水")
    officer.enter(officer.button(officer.say("保存")))
    code = page.locator("#code")
    expect(code).to_have_text(re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}"))
    expect(page.locator("#digits")).to_have_text(re.compile(r"\d{4}-\d{4}-\d{4}"))
    expect(held).to_have_count(before + 1)
    until(lambda: code.inner_text() in [r["code"] for r in hub.reports()], "the slip is a report")


def _claimed(officer: Seat, hub: HubProcess, text: str) -> str:
    """A text comes in while the officer looks at the queue; j, Enter, a. The report's address."""
    page = officer.page
    page.goto("/console")
    expect(page.locator("#link")).to_have_text(officer.say("● 实时"))
    hub.text("+8613900000001", text)
    expect(page.locator("#rows tr").first).to_contain_text(text)
    officer.press("j", "j", "k")
    expect(page.locator("#rows tr").first.locator("a.open")).to_be_focused()
    officer.press("Enter")
    expect(page.locator("h1")).to_contain_text(text)
    officer.press("a")
    expect(page.locator("#r-acts")).to_contain_text(officer.say("由您受理"))
    return page.url.rpartition("/")[2].partition("?")[0]


def _classify(officer: Seat, report: str) -> None:
    """c leads to the kind of event; both lists are found by typing."""
    page = officer.page
    officer.press("c")
    expect(page.locator("#f-event_code")).to_be_focused()
    officer.press("Shift+Tab")
    page.keyboard.type(RAIN[officer.language])
    officer.go_to(page.locator("#f-grade"))
    officer.press("ArrowDown", "ArrowDown")
    officer.press("Tab")
    page.keyboard.type(COUNTY[officer.language])
    expect(page.locator("#f-area")).to_have_value(QINGSHI)
    officer.enter(officer.button(officer.say("保存分类")))
    expect(page.locator("#r-head")).to_contain_text(officer.word("grade", "2"))
    found = page.locator("section", has=page.locator("#h-facts"))
    expect(found).to_contain_text(QINGSHI)


def _draft_and_submit(officer: Seat) -> str:
    """r, the facts, submit. The release's id."""
    page = officer.page
    officer.press("r")
    expect(page.locator(f"[name='areas'][value='{QINGSHI}']")).to_be_checked()
    officer.go_to(page.locator("[name='colour']").first)
    officer.press("ArrowDown")
    expect(page.locator("[name='colour'][value='orange']")).to_be_checked()
    for name, value in (("hours", "3"), ("rainfall_mm", "50"), ("hotline", "12345")):
        officer.write(page.locator(f"#f-fields-{name}"), value)
    expect(page.locator("#previews")).to_contain_text("降雨50毫米以上")
    officer.enter(officer.button(officer.say("保存并提交审批")))
    expect(page.locator("#h-ask")).to_have_text(officer.say("等待审批"))
    expect(page.locator("main .go")).to_be_disabled()
    return page.url.rpartition("/")[2].partition("?")[0]


def _approve(approver: Seat, release: str) -> set[str]:
    """g p, the one that waits, its bytes, a wrong number, the right one. The SHA-256 of every text shown."""
    page = approver.page
    page.goto("/console")
    approver.press("g", "p")
    approver.enter(page.locator(f"main a[href='/console/releases/{release}']").first)
    expect(page.locator("#h-ask")).to_have_text(approver.say("待您决定"))
    text = page.locator("article", has_text=approver.word("channel", "sms")).first
    approver.enter(text.locator("summary"))
    expect(text.locator("pre")).to_be_visible()
    found = set(re.findall(r"SHA-256 ([0-9a-f]{64})", page.locator("main").text_content() or ""))
    assert found
    reach = re.search(r"\d+", page.locator("label[for=f-reach]").inner_text())
    assert reach
    approver.write(page.locator("#f-reach"), str(int(reach[0]) - 1))
    approver.press("Enter")
    expect(page.locator("#problem")).to_contain_text(approver.say("输入的人数不对，没有发出任何信息。"))
    approver.enter(page.locator("#problem a"))
    expect(page.locator("#f-reach")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(reach[0])
    approver.press("Enter")
    expect(page.locator("#h-far")).to_be_visible()
    page.evaluate("document.title = 'not loaded again'")
    expect(page.locator("#numbers .sums").first).to_contain_text(
        f"20{approver.word('delivery', 'delivered')}"
    )
    assert page.title() == "not loaded again"
    return found


def _has_reached(hub: HubProcess, hashes: set[str]) -> None:
    """Twenty phones hold exactly what was approved."""
    until(lambda: len(_known(hub, hashes)) >= 20, "twenty phones have it")


def _known(hub: HubProcess, hashes: set[str]) -> list[str]:
    return [text for text in hub.received() if hashlib.sha256(text.encode()).hexdigest() in hashes]


def _is_public(who: Seat, hub: HubProcess, release: str, state: str) -> None:
    """The page in the reader's language and the feed say so."""
    tree, said = ("" if who.language == "zh-CN" else "/en"), PUBLIC_WORDS[who.language]["states"][state]
    page = f"{hub.url}{tree}/alerts/{release}/"
    until(lambda: f"<strong>{said}</strong>" in _text(page), f"{page} says {said}")
    until(lambda: release in _text(f"{hub.url}/public/alerts.atom"), "the feed has it")


def _text(url: str) -> str:
    return bytes(get(url)).decode()


def _update(officer: Seat, release: str) -> str:
    """The next message of the chain, in another colour, submitted. Its id."""
    page = officer.page
    page.goto(f"/console/releases/{release}")
    officer.enter(officer.link(officer.say("发布更新…")))
    officer.enter(officer.button(officer.say("起草更新")))
    officer.go_to(page.locator("[name='colour']:checked"))
    officer.press("ArrowUp")
    expect(page.locator("[name='colour'][value='red']")).to_be_checked()
    officer.write(page.locator("#f-fields-rainfall_mm"), "100")
    officer.enter(officer.button(officer.say("保存并提交审批")))
    expect(page.locator("#h-diff")).to_be_visible()
    return page.url.rpartition("/")[2].partition("?")[0]


def _end(officer: Seat, release: str, act: str) -> None:
    """A wrong confirm word ends nothing; the right one does."""
    page = officer.page
    page.goto(f"/console/releases/{release}")
    officer.enter(page.locator(f"main a[href$='/{act}']"))
    officer.write(page.locator("#f-reason"), "the danger is over")
    officer.write(page.locator("#f-word"), "yes")
    officer.press("Enter")
    expect(page.locator("#problem")).to_contain_text(officer.say("确认词不对，没有执行任何操作。"))
    assert officer.page.locator("main .tag.good").count() == 1
    said = page.locator("label[for=f-word]").inner_text()
    word = re.search(r"[“\"](.+?)[”\"]", said)
    assert word, said
    officer.write(page.locator("#f-word"), word[1])
    officer.press("Enter")
    purpose = "lift" if act == "lift" else "correction"
    expect(page.locator(f"#h-{purpose}")).to_be_visible()
    expect(page.locator(f"section[aria-labelledby='h-{purpose}'] .sums").first).to_contain_text(
        officer.word("delivery", "delivered"), timeout=PATIENCE
    )
