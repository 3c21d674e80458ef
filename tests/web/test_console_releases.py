"""A release at the desk: drafted, seen as it leaves, decided on by another person, watched, stopped."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.person import Role
from domain.release import State
from hub import metrics
from hub.health import Trouble
from store import audience, journal, promises, providers, releases
from store import tables as t
from store.providers import Provider
from tests.web.api_world import World, world
from tests.web.console_browser import Browser, add_person, add_recipients, call, enter, rain, words
from web.console import bytes_shown


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url) as made:
        add_recipients(made)
        yield made


@pytest.fixture
def quick(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        add_recipients(made)
        yield made


def _drafted(browser: Browser, **more: Any) -> str:
    answer = browser.post("/console/releases", rain(**more))
    assert answer.status_code == 303, words(answer.text)
    return answer.headers["location"].partition("?")[0]


def _submitted(browser: Browser, **more: Any) -> str:
    path = _drafted(browser, **more)
    browser.follow(f"{path}/submit")
    return path


def _approved(browser: Browser, path: str) -> Any:
    """Approve as the page asks: its digest, its revision, the number typed."""
    seen = browser.get(path).text
    return browser.follow(f"{path}/approve", _vote(seen))


def _vote(page: str, reach: str = "7") -> dict[str, str]:
    return {"digest": _hidden(page, "digest"), "revision": _hidden(page, "revision"), "reach": reach}


def _opened(browser: Browser, path: str) -> Any:
    """A page with the address that it takes for itself."""
    answer = browser.get(path)
    return browser.get(answer.headers["location"]) if answer.status_code == 303 else answer


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return found[1]


def _state(hall: World, path: str) -> State:
    release = hall.hub.store.read(lambda unit: releases.get(unit, path.rpartition("/")[2]))
    assert release
    return release.state


def test_a_warning_is_drafted_from_a_report_and_approved_by_another_person(hall: World) -> None:
    report = call(hall, place="石门水库下游", text="水库泄洪，河滩有人", area="990101")
    officer, approver = enter(hall, "officer"), enter(hall, "approver")
    page = _opened(officer, f"/console/releases/new?template=heavy_rain&from={report}").text
    assert 'value="石门水库下游"' in page
    assert re.search(r'value="990101000000" checked', page)
    path = _drafted(officer, from_report=report)
    preview = words(officer.get(path).text)
    assert "将申请向 甲一区 的 7 人发布" in preview
    assert "UCS-2" in preview
    assert "&lt;alert" in officer.get(path).text
    assert "等待另一位签发人批准" in words(officer.follow(f"{path}/submit").text)

    seen = approver.get(path).text
    assert "人officer 申请向 甲一区 的 7 人发布" in words(seen)
    done = approver.follow(f"{path}/approve", _vote(seen))
    assert "已批准，正在发送" in words(done.text)
    assert 'http-equiv="refresh" content="5"' in done.text
    assert _state(hall, path) is State.APPROVED
    dispatches = hall.hub.store.read(lambda unit: promises.of_release(unit, path.rpartition("/")[2]))
    assert sorted(("relay", d.id) for d in dispatches) == sorted(r for r in hall.rings if r[0] == "relay")
    assert f"/alerts/{path.rpartition('/')[2]}/" in done.text


def test_who_drafted_sees_no_button_and_cannot_approve(hall: World) -> None:
    add_person(hall, "both", Role.OFFICER, Role.APPROVER)
    browser = enter(hall, "both")
    path = _submitted(browser)
    page = browser.get(path).text
    assert f'action="{path}/approve"' not in page
    assert "disabled" in page and "等待审批" in words(page)
    assert "不能批准自己起草或修改过的内容" in words(page)
    digest = re.search(r'<dd class="mono">([0-9a-f]{64})</dd>', page)
    assert digest
    answer = browser.post(f"{path}/approve", {"digest": digest[1]})
    assert answer.status_code == 403
    assert "不能批准自己起草或修改过的内容" in words(answer.text)
    assert _state(hall, path) is State.SUBMITTED
    entries = hall.hub.store.read(lambda unit: journal.entries(unit, "release", path.rpartition("/")[2]))
    assert [(e.act, e.detail["code"]) for e in entries if e.act == "refused"] == [("refused", "own_work")]


def test_h86_approving_what_was_changed_meanwhile_sends_nothing(hall: World) -> None:
    officer, approver = enter(hall, "officer"), enter(hall, "approver")
    path = _submitted(officer)
    seen = approver.get(path).text
    revision = _hidden(officer.get(f"{path}/edit").text, "revision")
    officer.follow(f"{path}/edit", rain(**{"fields.rainfall_mm": "80", "revision": revision}))
    officer.follow(f"{path}/submit")
    answer = approver.post(f"{path}/approve", {**_vote(seen), "revision": ""})
    assert answer.status_code == 409
    assert "没有发出任何信息" in words(answer.text)
    assert _state(hall, path) is State.SUBMITTED


def test_two_editors_do_not_overwrite_each_other(quick: World) -> None:
    one, two = enter(quick, "officer"), enter(quick, "officer2")
    path = _drafted(one)
    revision = _hidden(one.get(f"{path}/edit").text, "revision")
    one.follow(f"{path}/edit", rain(revision=revision, issuer="第一位"))
    answer = two.post(f"{path}/edit", rain(revision=revision, issuer="第二位"))
    assert answer.status_code == 409
    assert "没有发出任何信息" in words(answer.text)
    assert 'value="第二位"' in answer.text  # nothing typed is lost


@pytest.mark.parametrize(("act", "state"), [("return", State.RETURNED), ("reject", State.REJECTED)])
def test_an_approver_says_no_with_a_reason(quick: World, act: str, state: State) -> None:
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = _submitted(officer)
    empty = approver.post(f"{path}/{act}", {"reason": " "})
    assert empty.status_code == 400
    assert 'href="#f-reason"' in empty.text
    approver.follow(f"{path}/{act}", {"reason": "雨量核实后再报"})
    assert _state(quick, path) is state
    assert "雨量核实后再报" in words(officer.get(path).text)


def test_flaws_of_a_draft_are_listed_and_lead_to_their_fields(quick: World) -> None:
    officer = enter(quick, "officer")
    answer = officer.post("/console/releases", rain(expires="", **{"fields.hours": "x"}))
    assert answer.status_code == 400
    assert 'href="#f-expires"' in answer.text
    assert "有效期至：必填" in words(answer.text)
    path = _drafted(officer, areas=[], **{"fields.hours": "99"})
    page = officer.get(path).text
    assert f'href="{path}/edit#f-fields-hours"' in page
    assert "持续时段（小时）：应为 1 到 24 之间的整数" in words(page)
    assert f'action="{path}/submit"' not in page
    refused = officer.post(f"{path}/submit")
    assert refused.status_code == 422
    assert _state(quick, path) is State.DRAFT


def test_times_are_read_in_the_zone_of_the_deployment(quick: World) -> None:
    officer = enter(quick, "officer")
    path = _drafted(officer, expires="2026-11-23T20:00", onset="2026-11-23T15:30")
    release = quick.hub.store.read(lambda unit: releases.get(unit, path.rpartition("/")[2]))
    assert release
    assert release.draft.expires.isoformat() == "2026-11-23T12:00:00+00:00"
    form = officer.get(f"{path}/edit").text
    assert 'value="2026-11-23T20:00"' in form
    assert 'value="2026-11-23T15:30"' in form
    assert "2026年11月23日 20:00</time> · 北京时间 · 还有 5 小时 55 分" in form


def test_the_exact_bytes_are_downloaded_never_shown(quick: World) -> None:
    officer = enter(quick, "officer")
    path = _submitted(officer)
    links = re.findall(rf'href="({path}/artefacts/[^"]+)"', officer.get(path).text)
    release = quick.hub.store.read(lambda unit: releases.get(unit, path.rpartition("/")[2]))
    assert release
    kept = quick.hub.store.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
    got = {officer.get(link).content for link in links}
    assert got == {a.body for a in kept}
    answer = officer.get(links[0])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    other = _submitted(officer)
    assert officer.get(f"{other}/artefacts/{links[0].rpartition('/')[2]}").status_code == 404


def test_an_utility_notice_has_its_own_fields_and_no_colour(quick: World) -> None:
    officer = enter(quick, "officer")
    page = _opened(officer, "/console/releases/new?template=utility_outage").text
    assert 'name="colour"' not in page
    assert 'name="fields.starts" value="" type="datetime-local"' in page
    fields = rain(template="utility_outage", colour="", **{
        "fields.utility": "water", "fields.cause": "repair", "fields.starts": "2026-11-23T16:00",
        "fields.restores": "2026-11-23T19:00", "fields.scope_zh": "解放路以东"})  # fmt: skip
    for name in ("hours", "rainfall_mm", "basis", "hazards"):
        del fields[f"fields.{name}"]
    path = officer.post("/console/releases", fields).headers["location"].partition("?")[0]
    assert "等待另一位签发人批准" in words(officer.follow(f"{path}/submit").text)


def test_the_list_of_releases_is_narrowed_by_state(quick: World) -> None:
    officer = enter(quick, "officer")
    path = _submitted(officer)
    assert path in officer.get("/console/releases?view=submitted").text
    assert path not in officer.get("/console/releases?view=draft").text
    assert "还没有发布" in words(officer.get("/console/releases?view=over").text)


@pytest.mark.parametrize("typed", ["", "8", "七", "07"])
def test_approving_with_another_number_sends_nothing_and_says_so(quick: World, typed: str) -> None:
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = _submitted(officer)
    answer = approver.post(f"{path}/approve", _vote(approver.get(path).text, typed))
    assert answer.status_code == 400
    assert "没有发出任何信息" in words(answer.text) and 'href="#f-reach"' in answer.text.replace(
        f"{path}/edit", ""
    )
    assert _state(quick, path) is State.SUBMITTED
    assert quick.rings == []
    assert approver.post(f"{path}/approve", _vote(approver.get(path).text, " 7")).status_code == 303


def test_the_approver_sees_who_may_approve_and_to_how_many_nothing_leaves(hall: World) -> None:
    hall.hub.store.run(
        lambda unit: audience.opt_out(unit, "sms", "+8619000000003", inbound="inb_1", at=hall.clock())
    )
    officer, approver = enter(hall, "officer"), enter(hall, "approver")
    path = _submitted(officer)
    page = words(approver.get(path).text)
    assert "短信 7 1 6" in page, "on the list, opted out, will receive"
    assert "批准并向 6 人发布" in page
    assert "需要 1 人批准，已有 0 人" in page and "人approver" in page


def test_characters_that_cannot_be_seen_are_written_out() -> None:
    assert bytes_shown.marked("红\u202e色\u200b<b>\n") == (
        '红<mark class="ch">U+202E</mark>色<mark class="ch">U+200B</mark>&lt;b&gt;\n'
    )


def test_what_waits_for_my_approval_stands_first_in_the_list(quick: World) -> None:
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = _submitted(officer)
    assert "等您审批（1）" in words(approver.get("/console/releases").text)
    assert "等您审批" not in words(officer.get("/console/releases").text)
    assert path in approver.get("/console/releases").text


def test_the_monitor_tells_what_providers_answered_and_what_troubles_them(quick: World, at: datetime) -> None:
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = _submitted(officer)
    _approved(approver, path)
    verdicts = ["found", "found", "absent", "silent", ""]

    def fill(unit: Any) -> None:
        sms = next(d for d in promises.of_release(unit, path.rpartition("/")[2]) if d.channel == "sms")
        parcel = {"id": f"{sms.id}-0", "dispatch": sms.id, "release": sms.release, "n": 0, "state": "settled"}
        unit.execute(t.parcel_row.insert(), parcel | {"next_due": at})
        for seq, verdict in enumerate(verdicts):
            key = {"parcel": parcel["id"], "seq": seq}
            row = {"recipient": f"r{seq}", "address": f"+86139000000{seq}", "changed_at": at}
            unit.execute(t.delivery.insert(), key | row | {"state": "accepted" if verdict else "unsure"})
            unit.execute(t.look_up.insert(), key | {"attempt": 1, "verdict": verdict, "changed_at": at})
        silent = Provider(
            channel="sms", standing="open", code="500", is_told_to_wait=False, until=at, since=at
        )
        providers.note(unit, "one", [silent], quick.hub.clock())

    quick.hub.store.run(fill)
    page = words(officer.get(path).text)
    assert "运营商没有应答，已暂停发送" in page
    assert "已向运营商查询：2 条已收下，1 条查无此条" in page
    assert "结果不明的 1 条中，约 1 条可能已到达" in page
    assert "1 条超过 10 分钟没有回执" in page
    told = Provider(channel="sms", standing="closed", code="20429", is_told_to_wait=True, until=at, since=at)
    quick.hub.store.run(lambda unit: providers.note(unit, "one", [told], quick.hub.clock()))
    assert "运营商要求暂停" in words(officer.get(path).text)
    assert Trouble.PROVIDER_FAILING in quick.hub.health.look().troubles
    figures = metrics.text(quick.hub).decode()
    assert 'tocsin_look_ups{channel="sms",verdict="found"} 2.0' in figures
    assert 'tocsin_provider_rest_seconds{channel="sms",spare="",standing="closed"}' in figures
