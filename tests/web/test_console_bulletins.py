"""Bulletins and peers at the desk: seen, decided, made into reports and drafts; never what is set apart."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from channels.codecs import bulletin_seal
from domain.person import Role
from store import bulletin_pairs, bulletins, journal, peers, releases, reports
from store.bulletins import Filter
from tests.bulletin_kit import refer, xml
from tests.web.api_world import World, served
from tests.web.console_browser import add_person, enter, words
from tests.web.screens import chromium, must_be_accessible, person_at
from tests.web.test_api_bulletins import push, read_all
from tests.web.test_api_releases import _example

SHOTS = os.environ.get("TOCSIN_SHOTS", "")


def by_name(hall: World) -> dict[str, str]:
    """identifier -> id."""
    found = hall.hub.store.read(lambda u: bulletins.page(u, Filter(), hall.clock()))
    return {b.identifier: b.id for b in found}


def acts(hall: World, bulletin_id: str) -> list[str]:
    return [e.act for e in hall.hub.store.read(lambda u: journal.entries(u, "bulletin", bulletin_id))]


def test_a_report_is_made_of_a_bulletin_once_and_reads_like_it(hall: World, at) -> None:
    push(hall, xml("a", at))
    read_all(hall.hub)
    one = by_name(hall)["a"]
    browser = enter(hall, "officer")
    assert "示例省气象台发布暴雨橙色预警 a" in words(browser.get("/console/bulletins").text)
    page = browser.get(f"/console/bulletins/{one}").text
    assert "据此建立报告" in page
    first = browser.post(f"/console/bulletins/{one}/report", {})
    again = browser.post(f"/console/bulletins/{one}/report", {})
    assert first.headers["location"] == again.headers["location"]
    hall.file_all()
    report = hall.hub.store.read(lambda u: reports.get(u, first.headers["location"].rpartition("/")[2]))
    assert report is not None
    assert (report.channel, report.event_code, report.area) == ("peer", "11B03", "990101000000")
    assert "预计未来6小时有大暴雨" in report.content.text
    assert report.content.first("sender") == "w-nws.example"
    assert acts(hall, one) == ["enter", "make_report"]
    assert browser.get(first.headers["location"]).status_code == 200


def test_a_release_drafted_from_a_bulletin_is_filled_in_and_remembers_it(quick: World, at) -> None:
    push(quick, xml("a", at))
    read_all(quick.hub)
    one = by_name(quick)["a"]
    browser = enter(quick, "officer")
    chosen = browser.get(f"/console/releases/new?from={one}").headers["location"]
    assert "template=heavy_rain" in chosen
    form = browser.get(chosen).text
    assert f'name="from_bulletin" value="{one}"' in form
    assert 'value="990101000000" checked' in form
    made = quick.post("officer", "/v1/releases", _example(quick)
                      | {"from_bulletin": one})  # fmt: skip
    assert made.status_code == 201, made.text
    release = quick.hub.store.read(lambda u: releases.get(u, made.json()["id"]))
    assert release is not None
    assert release.draft.from_bulletin == one
    assert acts(quick, one) == ["enter", "draft_release"]
    assert "打开通报" in browser.get(f"/console/releases/{release.id}").text


def test_r11_nothing_is_made_of_what_is_apart(quick: World, at) -> None:
    push(quick, xml("real", at, status="Actual"))  # at a demo hub
    read_all(quick.hub)
    one = by_name(quick)["real"]
    browser = enter(quick, "officer")
    page = browser.get(f"/console/bulletins/{one}").text
    assert "与本环境不符" in page
    assert "据此建立报告" not in page
    assert browser.post(f"/console/bulletins/{one}/report", {}).status_code == 403
    assert browser.post(f"/console/bulletins/{one}/admit", {}).status_code == 403
    assert browser.get(f"/console/releases/new?from={one}").status_code == 403
    body = _example(quick) | {"from_bulletin": one}
    assert quick.post("officer", "/v1/releases", body).json()["errors"][0]["pointer"] == "/from_bulletin"
    assert real_rows(quick) == 0
    assert "real" not in words(browser.get("/console/bulletins").text)
    assert "real" in words(browser.get("/console/bulletins?view=apart").text)


def real_rows(hall: World) -> int:
    return len(hall.hub.store.read(lambda u: reports.page(u, reports.Filter(), limit=9)))


def test_what_comes_from_the_future_is_admitted_by_an_officer_only(quick: World, at) -> None:
    push(quick, xml("a", at + timedelta(hours=1)))
    read_all(quick.hub)
    one = by_name(quick)["a"]
    assert enter(quick, "auditor").post(f"/console/bulletins/{one}/admit", {}).status_code == 403
    officer = enter(quick, "officer")
    assert officer.post(f"/console/bulletins/{one}/admit", {}).status_code == 303
    assert officer.post(f"/console/bulletins/{one}/set_aside", {"reason": "重复"}).status_code == 303
    assert acts(quick, one) == ["enter", "admit", "set_aside"]


def test_two_bulletins_are_joined_by_an_officer_and_parted_again(quick: World, at) -> None:
    push(quick, xml("a", at))
    push(quick, xml("b", at, sender="w-water.example"), who="peer2")
    read_all(quick.hub)
    one = by_name(quick)["a"]
    (pair,) = quick.hub.store.read(lambda u: bulletin_pairs.of(u, one))
    officer = enter(quick, "officer")
    assert "可能是同一件事" in officer.get(f"/console/bulletins/{one}").text
    for act, state in (("join", "joined"), ("undo", "proposed"), ("part", "parted")):
        assert officer.post(f"/console/bulletins/{one}/pairs/{pair.id}/{act}", {}).status_code == 303
        assert quick.hub.store.read(lambda u: bulletin_pairs.of(u, one))[0].state.value == state
    assert officer.post(f"/console/bulletins/{one}/pairs/{pair.id}/join", {}).status_code == 409


def test_h65_an_administrator_enters_pins_revokes_stops_and_quarantines(quick: World, at) -> None:
    add_person(quick, "admin", Role.ADMIN)
    form = {
        "name": "邻省",
        "url": "http://127.0.0.1:9/alerts.atom",
        "period": "60",
        "hosts": "",
        "senders": "w-nws.example",
    }
    assert enter(quick, "officer").post("/console/peers", form).status_code == 403
    admin = enter(quick, "admin")
    for wrong in (
        {"url": "https://169.254.169.254/x"},
        {"url": "http://evil.example/x"},
        {"period": "1"},
        {"name": ""},
    ):
        assert admin.post("/console/peers", form | wrong).status_code in (400, 403), wrong
    assert admin.post("/console/peers", form).status_code == 303
    assert admin.post("/console/peers", form).status_code == 409
    (peer,) = quick.hub.store.read(peers.listed)
    text = bulletin_seal.public_text(Ed25519PrivateKey.generate())
    assert admin.post(f"/console/peers/{peer.id}/pin", {"key": "no key"}).status_code == 400
    assert admin.post(f"/console/peers/{peer.id}/pin", {"key": text}).status_code == 303
    (key,) = quick.hub.store.read(lambda u: peers.keys_of(u, peer.id))
    assert admin.post(f"/console/peers/{peer.id}/revoke", {"key_id": key.id}).status_code == 303
    assert quick.hub.store.read(lambda u: peers.keys_of(u, peer.id)) == []
    assert admin.post(f"/console/peers/{peer.id}/pin", {"key": text}).status_code == 409
    for act, more in (
        ("stop", {}),
        ("start", {}),
        ("senders", {"senders": "a b"}),
        ("quarantine", {"since": "2026-11-23T00:00"}),
    ):
        assert admin.post(f"/console/peers/{peer.id}/{act}", more).status_code == 303
    known = [e.act for e in quick.hub.store.read(lambda u: journal.entries(u, "peer", peer.id))]
    assert known == ["add", "pin", "revoke", "stop", "start", "set_senders", "stop", "quarantine"]


def test_bytes_on_the_shelf_can_be_read_again(quick: World, at) -> None:
    push(quick, b"<note/>", kind="text/xml")
    read_all(quick.hub)
    officer = enter(quick, "officer")
    page = officer.get("/console/shelf").text
    address = page.partition('action="/console/shelf/')[2].partition("/reread")[0]
    assert officer.post(f"/console/shelf/{address}/reread", {}).status_code == 303
    assert quick.rings[-1][0] == "read_bulletin"


def test_h64_the_words_of_a_peer_are_text_and_its_links_no_links(quick: World, at) -> None:
    body = xml("a", at).replace("预计未来".encode(), b"&lt;script&gt;alert(1)&lt;/script&gt;")
    push(quick, body.replace(b"</senderName>", b"</senderName>").replace(
        b"<instruction>", b"<instruction>"))  # fmt: skip
    read_all(quick.hub)
    page = enter(quick, "officer").get(f"/console/bulletins/{by_name(quick)['a']}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_screens_of_bulletins_are_whole_and_accessible(quick: World, at, language: str) -> None:
    add_person(quick, "admin", Role.ADMIN)
    push(quick, xml("a", at - timedelta(minutes=9)))
    push(quick, xml("a 2", at, msg_type="Update", references=(refer("a", at - timedelta(minutes=9)),)))
    push(quick, xml("b", at, sender="w-water.example"), who="peer2")
    push(quick, xml("real", at, status="Actual"))
    read_all(quick.hub)
    form = {
        "name": "邻省",
        "url": "http://127.0.0.1:9/alerts.atom",
        "period": "60",
        "hosts": "",
        "senders": "",
    }
    enter(quick, "admin").post("/console/peers", form)
    found = by_name(quick)
    with served(quick.hub) as port, chromium() as browser:
        with person_at(browser, quick, port, "admin") as page:
            shoot(page, f"/console/peers?lang={language}", f"peers-{language}")
        with person_at(browser, quick, port, "officer") as page:
            shoot(page, f"/console/bulletins?lang={language}", f"list-{language}")
            shoot(page, "/console/bulletins?view=apart", f"apart-{language}")
            shoot(page, f"/console/bulletins/{found['a 2']}", f"one-{language}")
            shoot(page, f"/console/bulletins/{found['real']}", f"real-{language}")


def shoot(page, address: str, name: str) -> None:
    page.goto(address)
    must_be_accessible(page)
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, address
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_the_heartbeat_of_a_hub_of_our_kind_is_entered_as_a_stream_and_its_page_says_how_far_it_is(
    quick: World,
) -> None:
    browser = enter(quick, "leader")
    url = "http://127.0.0.1:9/public/peer/heartbeat.json"
    typed = {"name": "邻省中心", "url": url, "period": "60", "hosts": "", "senders": ""}
    assert "尚未听到签名心跳" in words(browser.follow("/console/peers", typed).text)
    (one,) = quick.hub.store.read(peers.listed)
    assert one.form == "stream"
    quick.hub.store.run(lambda unit: peers.follow(unit, one, "b@hub.example", 12))
    quick.hub.store.run(lambda unit: peers.count_loop(unit, one.id))
    page = words(browser.get("/console/peers").text)
    assert "b@hub.example · 已到第 12 号 · 绕回 1 件，未再收取" in page
