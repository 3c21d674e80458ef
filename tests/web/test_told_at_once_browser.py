"""What every open page of the desk is told without being loaded again: a body declines; a grant is withdrawn."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from domain.person import Person, Role
from duty import grants as grant_duty
from tests.web.api_world import World, served, world
from tests.web.citizen_kit import FORM
from tests.web.console_browser import call, enter
from tests.web.screens import chromium, must_be_accessible, person_at
from tests.web.test_handovers import bodies, flooded, link_of, now

pytestmark = pytest.mark.faults  # the server's half of it: test_handovers, test_console_live
BOSS = Person(id="per_leader", name="管理员", organisation="", roles=frozenset({Role.ADMIN}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def town(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    relay = {"email_relay_host": "127.0.0.1", "email_relay_tls": "never", "email_domain": "hub.example"}
    with world(tmp_path / "data", at, model=sqlite_model, **relay) as made:
        leader = enter(made, "leader")
        body = {"name": "甲一区水利局", "channel": "email", "address": "sl@jiayi.example.cn", "minutes": "20"}
        leader.follow("/console/handovers/add_body", body)
        leader.follow(
            "/console/handovers/add_route", {"area": "990101", "body": bodies(made)["甲一区水利局"]}
        )
        yield made


def kept(page: Page, name: str) -> None:
    """A picture, for whoever wants to look: SHOTS=directory."""
    if to := os.environ.get("SHOTS"):
        page.screenshot(path=f"{to}/{name}.png", full_page=True)


def test_what_a_body_declines_stands_in_the_head_of_a_page_that_is_open_and_goes_when_it_is_passed_on(
    town: World, browser: Chromium
) -> None:
    report, officer = flooded(town)
    officer.follow(f"/console/reports/{report}/hand_over", {"body": bodies(town)["甲一区水利局"]})
    place = link_of(town, now(town, report))
    with served(town.hub) as port, person_at(browser, town, port, "officer") as page:
        page.goto("/console/clocks")
        expect(page.locator("#link")).to_have_text("● 实时")
        page.evaluate("window.alarms = 0; document.addEventListener('tocsin:alarm', () => window.alarms++)")
        said = urlencode({"act": "decline", "who": "李四", "reason": "归市局管"}).encode()
        town.client.post(place, content=said, headers=FORM)
        alert = page.locator("#turned-down a")
        expect(alert).to_contain_text("对方称不属其职责：甲一区水利局")
        assert page.evaluate("window.alarms") == 1  # heard, and in a page that was not loaded again
        kept(page, "head")
        must_be_accessible(page)
        alert.click()
        expect(page.locator("#r-hand .box")).to_contain_text("归市局管")
        kept(page, "report")
        must_be_accessible(page)
        page.goto("/console/clocks")
        expect(alert).to_have_count(1)
        officer.follow(f"/console/reports/{report}/take_back", {"why": "自办"})
        expect(alert).to_have_count(0)


def test_a_page_that_shows_what_may_be_seen_no_more_is_read_anew(town: World, browser: Chromium) -> None:
    hidden, at = call(town, text="甲一区政府门前数百人聚集上访"), town.clock()
    town.file_all()
    until = at + timedelta(days=1)
    given = town.hub.store.run(
        lambda u: grant_duty.give(
            u, holder="per_officer", compartment="social", until=until, reason="专班", by=BOSS, at=at
        )
    )
    with served(town.hub) as port, person_at(browser, town, port, "officer") as page:
        page.goto(f"/console/reports/{hidden}")
        expect(page.locator("#link")).to_have_text("● 实时")
        expect(page.locator("main")).to_contain_text("聚集上访")
        town.hub.store.run(lambda u: grant_duty.withdraw(u, given.id, by=BOSS, at=at))
        expect(page.locator("body")).not_to_contain_text("聚集上访")
        kept(page, "gone")
