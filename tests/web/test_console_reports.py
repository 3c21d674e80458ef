"""The queue, a report and its acts, the call slip: what officers see and do, and what strangers' bytes cannot."""

import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from domain.ids import mint
from domain.person import Role
from domain.report import State
from store import inbox, reports, shelf
from store import tables as t
from templates import pages, sheet
from tests.web.api_world import World, world
from tests.web.console_browser import Browser, add_person, add_recipients, bring, call, enter, rain, words

CANARIES = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", "{{7*7}}",
    "</title><marquee>", "<!--", "javascript:alert(1)",
)  # fmt: skip


OUR_PICTURE = re.compile(r"/console/reports/rep_[0-9A-Z]{26}/attachments/[0-9a-f]{64}/thumbnail")


class Marks(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: set[str] = set()
        self.comments: list[str] = []
        self.scripts: list[str] = []
        self.pictures: list[str] = []
        self.titles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.titles += tag == "title"
        if tag == "script":
            self.scripts.append(dict(attrs).get("src", "").removeprefix("/console/static/"))
        if tag == "img":
            self.pictures.append(dict(attrs).get("src") or "")
        self.attributes |= {name for name, _ in attrs}
        self.targets |= {
            value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")
        }

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url) as made:
        yield made


@pytest.fixture
def quick(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        yield made


def _report(hall: World, report_id: str) -> reports.Report:
    found = hall.hub.store.read(lambda unit: reports.get(unit, report_id))
    assert found
    return found


def _mail(subject: str, text: str, attachment: bytes = b"", name: str = "x.png") -> bytes:
    head = f"From: a@b.example\r\nTo: c@d.example\r\nMessage-ID: <1@b>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    if not attachment:
        return (head + f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n").encode()
    body = (
        f"--q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--q\r\nContent-Type: image/png\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode()
    return (
        (head + 'Content-Type: multipart/mixed; boundary="q"\r\n\r\n').encode()
        + body
        + attachment
        + b"\r\n--q--\r\n"
    )


def test_claiming_is_a_race_that_one_officer_wins(hall: World) -> None:
    report = call(hall, place="桥头", text="积水")
    one, two = enter(hall, "officer"), enter(hall, "officer2")
    assert "已受理，请尽快核实。" in words(one.follow(f"/console/reports/{report}/claim").text)
    lost = two.post(f"/console/reports/{report}/claim")
    assert lost.status_code == 409
    assert "已由 人officer 受理（14:05:00）。需要接手时请带班领导办理。" in words(lost.text)
    assert _report(hall, report).claimed_by == "per_officer"


def test_only_the_leader_takes_over_and_who_else_tries_is_in_the_journal(hall: World) -> None:
    report = call(hall, place="桥头", text="积水")
    one, two = enter(hall, "officer"), enter(hall, "officer2")
    one.follow(f"/console/reports/{report}/claim")
    assert f"/console/reports/{report}/take_over" not in two.get(f"/console/reports/{report}").text
    assert two.post(f"/console/reports/{report}/take_over", {"reason": "交接班"}).status_code == 403
    assert _report(hall, report).claimed_by == "per_officer"
    leader = enter(hall, "leader")
    assert f"/console/reports/{report}/take_over" in leader.get(f"/console/reports/{report}").text
    assert leader.post(f"/console/reports/{report}/take_over", {"reason": ""}).status_code == 400
    leader.follow(f"/console/reports/{report}/take_over", {"reason": "交接班"})
    assert _report(hall, report).claimed_by == "per_leader"
    line = words(one.get(f"/console/reports/{report}").text)
    assert "交接班" in line
    assert "被拒绝的操作" in line


def test_a_report_is_classified_verified_closed_and_reopened(quick: World) -> None:
    report = call(quick, place="桥头", text="积水")
    browser = enter(quick, "officer")
    path = f"/console/reports/{report}"
    browser.follow(f"{path}/claim")
    page = browser.follow(
        f"{path}/classify", {"event_code": "11B03", "grade": "3", "area": "990101000000"}
    ).text
    assert "暴雨事件 11B03 级别" in words(page)
    assert "级别: 未填 → 较大" in words(page)
    bad = browser.post(f"{path}/classify", {"event_code": "zzz", "grade": "3", "area": "12"})
    assert bad.status_code == 422
    assert 'href="#f-event_code"' in bad.text
    browser.follow(f"{path}/verify")
    empty = browser.post(f"{path}/close", {"reason": ""})
    assert empty.status_code == 400
    assert 'href="#f-reason"' in empty.text
    browser.follow(f"{path}/close", {"reason": "已处置"})
    assert _report(quick, report).state is State.CLOSED
    assert "办结理由 已处置" in words(browser.get(path).text)
    browser.follow(f"{path}/reopen")
    browser.follow(f"{path}/release_claim")
    assert _report(quick, report).state is State.FILED


def test_an_act_on_an_old_view_changes_nothing(quick: World) -> None:
    report = call(quick, place="桥头", text="积水")
    browser = enter(quick, "officer")
    revision = _report(quick, report).revision
    browser.follow(f"/console/reports/{report}/claim", {"revision": str(revision)})
    stale = browser.post(f"/console/reports/{report}/verify", {"revision": str(revision)})
    assert stale.status_code == 409
    assert _report(quick, report).state is State.CLAIMED


def test_the_queue_shows_the_newest_first_with_counts_and_filters(quick: World) -> None:
    first = call(quick, "1", place="桥头", text="第一件")
    quick.clock.forward(minutes=12)
    second = bring(quick, "email", _mail("Second", "power cut"), "message/rfc822", key="2")
    browser = enter(quick, "officer")
    page = browser.get("/console").text
    assert page.index(second) < page.index(first)
    assert "12 分钟" in words(page)
    assert re.search(r"待受理 2 ", words(page))
    assert 'http-equiv="refresh"' in page
    only = browser.get("/console?view=filed&channel=email").text
    assert second in only
    assert first not in only
    browser.post(f"/console/reports/{first}/claim")
    assert first not in browser.get("/console?view=filed").text
    assert "人officer" in words(browser.get("/console?view=claimed").text)
    assert "这里没有报告" in words(browser.get("/console?view=closed").text)


def test_a_long_queue_has_pages_and_none_is_left_out(quick: World) -> None:
    made = []
    for n in range(53):
        quick.clock.forward(seconds=1)
        made.append(call(quick, str(n), place="x", text=str(n)))
    browser = enter(quick, "officer")
    page = browser.get("/console").text
    older = re.search(r'href="(/console\?[^"]*before=[^"]+)"', page)
    assert older
    rest = browser.get(older[1].replace("&amp;", "&")).text
    shown = set(re.findall(r"/console/reports/(rep_\w+)", page)) | set(
        re.findall(r"/console/reports/(rep_\w+)", rest)
    )
    assert shown == set(made)
    assert browser.get("/console?before=nonsense").status_code == 400
    assert browser.get("/console?before=2026-01-01~rep_x").status_code == 400


def test_a_report_is_found_by_its_receipt_code(quick: World) -> None:
    report = call(quick, "1", place="桥头", text="积水")
    call(quick, "2", place="别处", text="另一件")
    code = _report(quick, report).code
    browser = enter(quick, "officer")
    page = browser.get(
        "/console/find",
    ).text
    assert "http-equiv" not in page
    found = browser.get(f"/console/find?q={code.lower()}").text
    assert set(re.findall(r"/console/reports/(rep_\w+)", found)) == {report}
    assert "没有找到" in words(browser.get("/console/find?q=nowhere").text)


@pytest.mark.parametrize("canary", CANARIES)
def test_h36_what_a_stranger_wrote_is_text_on_every_page(quick: World, canary: str) -> None:
    add_recipients(quick)
    slip = call(
        quick,
        "1",
        place=canary,
        text=canary,
        caller=canary,
        caller_name=canary,
        told=[canary],
        subject=canary,
    )
    mail = bring(
        quick, "email", _mail(canary, canary, b"GIF89a" + canary.encode(), "a" + canary), "message/rfc822"
    )
    add_person(quick, "odd", Role.OFFICER, name=canary)
    browser = enter(quick, "odd")
    browser.post(f"/console/reports/{slip}/claim")
    browser.post(f"/console/reports/{slip}/close", {"reason": canary})
    pages_seen = [
        browser.get(p).text
        for p in ("/console?view=all", f"/console/reports/{slip}", f"/console/reports/{mail}")
    ]
    pages_seen.append(
        browser.get(
            "/console/find",
        ).text
    )
    pages_seen.append(browser.client.get("/console/find", params={"q": canary}).text)
    pages_seen.append(
        browser.client.get(f"/console/releases/new?template=heavy_rain&key=k1&from={slip}").text
    )
    form = rain(issuer=canary[:60], **{"fields.places_zh": canary[:40], "fields.hotline": canary[:20]})
    answer = browser.post("/console/releases", form)
    pages_seen.append(
        browser.get(answer.headers["location"]).text if answer.status_code == 303 else answer.text
    )
    pages_seen.append(browser.post("/login", {"login": canary, "password": "x"}).text)
    for page in pages_seen:
        read = Marks()
        read.feed(page)
        assert not {"marquee", "iframe"} & read.tags
        assert all(OUR_PICTURE.fullmatch(source) for source in read.pictures)  # drawn anew by the hub
        assert read.scripts == list(pages.scripts()) * ("script" in read.tags)
        assert "<script>" not in page
        assert not {name for name in read.attributes if name.startswith("on")}
        assert not {value for value in read.targets if ":" in value.partition("/")[0]}
        assert read.titles == 1
        assert read.comments == []
    assert any("{{7*7}}" in page for page in pages_seen) == (canary == "{{7*7}}")


def test_originals_and_attachments_are_downloads_of_unknown_type(quick: World) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    raw = _mail("Picture", "see", svg, "map.png")
    report = bring(quick, "email", raw, "message/rfc822")
    browser = enter(quick, "officer")
    page = browser.get(f"/console/reports/{report}").text
    answer = browser.get(f"/console/reports/{report}/original")
    assert answer.content == raw
    assert answer.headers["content-disposition"].startswith("attachment; ")
    arrived = quick.hub.store.read(lambda unit: inbox.by_report(unit, report))
    assert arrived
    assert arrived.raw_sha256 in page
    (file,) = _report(quick, report).content.attachments
    got = browser.get(f"/console/reports/{report}/attachments/{file.sha256}")
    assert got.content == svg
    for headers in (answer.headers, got.headers):
        assert headers["content-type"] == "application/octet-stream"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "image/svg" in page  # by its content, not by its name
    other = call(quick, "9", place="x", text="y")
    assert browser.get(f"/console/reports/{other}/attachments/{file.sha256}").status_code == 404
    assert browser.get(f"/console/reports/{report}/attachments/..%2f..%2fetc").status_code in (400, 404)


def test_names_of_files_cannot_break_the_answers_header(quick: World) -> None:
    report = bring(quick, "email", _mail("Odd", "see", b"hello", 'a\\"; x=y 中文.txt'), "message/rfc822")
    (file,) = _report(quick, report).content.attachments
    header = enter(quick, "officer").get(f"/console/reports/{report}/attachments/{file.sha256}").headers
    shown = header["content-disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"[A-Za-z0-9._-]+\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+", shown
    )


@pytest.mark.parametrize("login", ["auditor", "admin"])
def test_who_only_looks_sees_no_forms_and_is_refused(quick: World, login: str) -> None:
    if login == "admin":
        add_person(quick, "admin", Role.ADMIN)
    report = call(quick, place="桥头", text="积水")
    officer = enter(quick, "officer")
    release = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.post(f"{release}/submit")
    browser = enter(quick, login)
    for path in ("/console", f"/console/reports/{report}", "/console/releases", release):
        page = browser.get(path)
        assert page.status_code == 200
        assert re.findall(r'<form method="post" action="([^"]+)"', page.text) == ["/logout"]
    acts = [
        f"/console/reports/{report}/{act}" for act in ("claim", "verify", "classify", "close", "take_over")
    ]
    acts += [f"{release}/{act}" for act in ("approve", "return", "reject", "stop", "edit")]
    acts += ["/console/calls", "/console/releases"]
    word = pages.confirm_word("stop", quick.hub.mode.value, "zh-CN")
    for path in acts:
        answer = browser.post(path, rain(reason="x", digest="y", place="桥头", word=word))
        assert answer.status_code == 403, path
    assert browser.get("/console/calls/new").status_code == 403
    assert browser.get("/console/releases/new").status_code == 403
    assert browser.get(f"{release}/stop").status_code == 403
    assert _report(quick, report).state is State.FILED


def test_h76_a_role_taken_away_between_page_and_click_counts(quick: World) -> None:
    report = call(quick, place="桥头", text="积水")
    browser = enter(quick, "officer")
    browser.get(f"/console/reports/{report}")
    update = t.person.update().where(t.person.c.id == "per_officer").values(roles=["auditor"])
    quick.hub.store.run(lambda unit: unit.execute(update))
    assert browser.post(f"/console/reports/{report}/claim").status_code == 403
    assert _report(quick, report).state is State.FILED


def _paths(hall: World, browser: Browser) -> list[str]:
    report = call(hall, place="桥头", text="积水", area="990101")
    release = (
        browser.post("/console/releases", rain(from_report=report)).headers["location"].partition("?")[0]
    )
    other = browser.post("/console/releases", rain()).headers["location"].partition("?")[0]
    browser.post(f"{other}/submit")
    return [
        "/console", "/console?view=all", "/console/find", "/console/find?q=x", "/console/shelf", "/console/shift",
        f"/console/calls/{mint('slp', hall.clock())}",
        f"/console/reports/{report}", "/console/releases", "/console/releases/new",
        "/console/releases/new?template=heavy_rain&key=k1", "/console/releases/new?template=utility_outage&key=k2",
        release, f"{release}/edit", other,
    ]  # fmt: skip


@pytest.mark.parametrize("language", pages.LANGUAGES)
def test_every_page_works_in_every_language(hall: World, language: str) -> None:
    add_recipients(hall)
    hall.hub.store.run(lambda unit: shelf.put(unit, "spool", "torn_frame", at=hall.clock()))
    browser = enter(hall, "officer")
    paths = _paths(hall, browser)
    browser.get(f"/console?lang={language}")
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        page = answer.text
        assert f'<html lang="{language}">' in page
        assert (
            page.count("<h1>") + page.count("<h1 ") - page.count('<div class="paper"') >= 1 or "<h1" in page
        )
        assert ("【演示】" if language == "zh-CN" else "[DEMO]") in page.partition("</title>")[0]
        assert len(re.findall(r'<script src="/console/static/[a-z0-9-]+\.js"></script>', page)) == page.count(
            "<script"
        )
        assert " style=" not in page
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        fields = re.findall(r'<(?:input|select|textarea) id="([^"]+)"', page)
        assert set(fields) <= labelled, path
        if language == "en":
            chrome = re.sub(r"<article.*?</article>|<h1><bdi>.*?</h1>|<bdi>.*?</bdi>", "", page, flags=re.S)
            assert not re.search(
                r"[\u4e00-\u9fff]{2,}(?=</(?:h1|h2|button|th|dt|legend|summary)>)", chrome
            ), path


def test_something_on_the_shelf_is_marked_as_dealt_with(quick: World) -> None:
    made = quick.hub.store.run(lambda unit: shelf.put(unit, "spool", "torn_frame", at=quick.clock()))
    browser = enter(quick, "officer")
    assert f"/console/shelf/{made}/settle" in browser.get("/console/shelf").text
    page = browser.follow(f"/console/shelf/{made}/settle")
    assert made not in page.text
    assert "架上没有东西" in words(page.text)


def test_what_is_not_there_is_not_found(quick: World) -> None:
    browser = enter(quick, "officer")
    for path in ("/console/reports/rep_x", "/console/reports/rep_x/original", "/console/releases/rel_x",
                 "/console/releases/new?template=none"):  # fmt: skip
        answer = browser.get(path)
        assert answer.status_code == 404, path
        assert "没有找到" in words(answer.text)
    assert browser.post("/console/reports/rep_x/explode").status_code == 404
    assert browser.get("/console/style-000000000000.css").status_code == 404


def test_the_style_sheet_may_be_cached_for_ever(quick: World) -> None:
    answer = quick.client.get(f"/console/{sheet.style_name('console')}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
