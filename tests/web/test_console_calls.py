"""The call slip: its clock, its holding and resuming, and that no call is lost."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.ids import mint, spoken_digits
from domain.person import Role
from store import inbox, journal, reports, slips
from store import tables as t
from store.database import Store
from tests.web.api_world import World
from tests.web.console_browser import Browser, add_person, enter, words

HTMX = {"HX-Request": "true"}


class Down(Store):
    """Reads, and commits nothing."""

    def submit(self, work: Any) -> Any:
        raise Unavailable("the database is down")

    async def item(self, many: Any, item: Any, **how: Any) -> Any:
        raise Unavailable("the database is down")


def _open(browser: Browser) -> str:
    """A new slip; its name."""
    address = browser.get("/console/calls/new").headers["location"]
    page = browser.get(address)
    assert page.status_code == 200
    return str(address.rpartition("/")[2])


def _fields(slip: str, **more: str) -> dict[str, Any]:
    return {"slip": slip, "caller": "0571-88001234", "caller_name": "陈女士", "place": "江滨路88号", "text": "车库进水",
            "told_to": ["110", "119"], "told": "物业", "area": "990101", "asked": ["trend", "casualties"], **more}  # fmt: skip


def test_an_officer_takes_a_call_reads_out_its_code_and_sees_it_filed(hall: World) -> None:
    browser = enter(hall, "officer")
    slip = _open(browser)
    hall.clock.forward(seconds=95)
    running = browser.get(f"/console/calls/{slip}").text
    assert "响铃 14:05:00 · 已通话 1:35" in words(running)
    kept = browser.follow("/console/calls", _fields(slip))
    (row,) = hall.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    said = words(kept.text)
    assert row.code in said
    assert spoken_digits(row.code) in said
    assert "请立即拨打 110、119 或 120" in said
    assert "正在登记" in said
    hall.file_all()
    assert "地点 江滨路88号" in words(browser.get(str(kept.url.path) + "?" + kept.url.query.decode()).text)
    page = words(browser.get(f"/console/reports/{row.report}").text)
    for found in ("江滨路88号", "车库进水", "+8657188001234", "陈女士", "110, 119, 物业", "来电人所述", "甲一区",
                  "通话开始 2026年11月23日 14:05"):  # fmt: skip
        assert found in page
    again = browser.post("/console/calls", _fields(slip))
    assert again.headers["location"].startswith("/console/calls/kept?m=")
    assert hall.count(t.report_row) == 1


def test_a_slip_that_was_saved_elsewhere_and_says_more_here_is_kept_as_well(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.follow("/console/calls", _fields(slip))
    browser.follow("/console/calls", _fields(slip, text="车库进水，有人被困"))  # a page that stood open
    browser.follow("/console/calls", _fields(slip, text="车库进水，有人被困"))
    quick.file_all()
    texts = quick.hub.store.read(
        lambda unit: [reports.get(unit, row.id).content.text for row in unit.rows(t.report_row.select())]
    )
    assert len(texts) == 2
    assert sum("有人被困" in text for text in texts) == 1


def test_a_slip_is_kept_while_one_types_and_taken_up_by_a_colleague(hall: World) -> None:
    one, two = enter(hall, "officer"), enter(hall, "officer2")
    slip = _open(one)
    assert hall.count(t.slip) == 0
    saved = one.post(f"/console/slips/{slip}", _fields(slip), **HTMX)
    assert "已自动保存 14:05:00" in words(saved.text)
    assert "<html" not in saved.text
    held = two.get("/console")
    assert f'href="/console/calls/{slip}"' in held.text
    assert "江滨路88号" in words(held.text)
    page = two.get(f"/console/calls/{slip}").text
    for value in ("0571-88001234", "陈女士", "江滨路88号", "物业"):
        assert f'value="{value}"' in page
    assert re.findall(r'name="asked" value="(\w+)" checked', page) == ["casualties", "trend"]
    assert re.findall(r'name="told_to" value="(\d+)" checked', page) == ["110", "119"]
    two.follow("/console/calls", _fields(slip, text="车库进水，还在涨"))
    hall.file_all()
    two.post("/console/calls", _fields(slip, text="车库进水，还在涨"))  # pressed twice: the same report
    hall.file_all()
    assert hall.count(t.report_row) == 1
    assert one.get(f"/console/calls/{slip}").headers["location"].startswith("/console/reports/rep_")
    assert f"/console/calls/{slip}" not in one.get("/console").text
    late = one.post(f"/console/slips/{slip}", _fields(slip), **HTMX)
    assert "已自动保存" not in words(late.text).replace("未能自动保存", "")
    acts = [e.act for e in hall.hub.store.read(lambda unit: journal.entries(unit, "slip", slip))]
    assert acts == ["hold", "keep"]


def test_several_slips_wait_side_by_side_and_survive_a_new_login(quick: World) -> None:
    browser = enter(quick, "officer")
    first = _open(browser)
    browser.follow(f"/console/slips/{first}", _fields(first, place="第一处"))
    quick.clock.forward(minutes=2)
    second = _open(browser)
    shown = browser.follow(f"/console/slips/{second}", _fields(second, place="第二处"))
    assert "已挂起" in words(shown.text)
    again = enter(quick, "officer")
    held = words(again.get("/console/slips/held").text)
    assert held == "挂起的来电 第一处 2:00 第二处 0:00"
    assert 'value="第一处"' in again.get(f"/console/calls/{first}").text
    assert 'value="第二处"' in again.get(f"/console/calls/{second}").text


def test_what_is_typed_is_sealed_in_the_store_and_gone_when_the_report_has_it(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.post(f"/console/slips/{slip}", _fields(slip))
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.slip.select()))
    assert "江滨路".encode() not in row.content
    browser.post("/console/calls", _fields(slip))
    kept = quick.hub.store.read(lambda unit: slips.get(unit, slip))
    assert kept
    assert (kept.fields, kept.report[:4]) == ({}, "rep_")
    query = t.data_key.select().where(t.data_key.c.owner == slip)
    (key,) = quick.hub.store.read(lambda unit: unit.rows(query))
    assert key.wrapped is None


def test_an_abandoned_call_is_kept_and_an_empty_slip_is_asked_again(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    empty = browser.post("/console/calls", {"caller": "12345678", "slip": slip})
    assert empty.status_code == 400
    assert 'href="#f-place"' in empty.text
    assert 'value="12345678"' in empty.text
    assert f'name="slip" value="{slip}"' in empty.text
    assert quick.count(t.inbound) == 0
    browser.follow("/console/calls", {"caller": "12345678", "slip": slip, "is_abandoned": "1"})
    quick.file_all()
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    assert "通话中断，请尽快回拨" in words(browser.get(f"/console/reports/{row.id}").text)


def test_a_slip_survives_the_database_and_its_code_is_still_read_out(quick: World, tmp_path: Path) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.post(f"/console/slips/{slip}", _fields(slip))
    quick.hub.store.__class__ = Down
    failed = browser.post(f"/console/slips/{slip}", _fields(slip, text="还在涨"), **HTMX)
    kept = browser.follow("/console/calls", _fields(slip, text="还在涨"))
    quick.hub.store.__class__ = Store
    assert failed.status_code == 503
    assert kept.status_code == 200
    assert re.search(r'id="code">[2-9A-Z]{4}-[2-9A-Z]{4}<', kept.text)
    assert any((tmp_path / "data" / "spool").rglob("*"))


@pytest.mark.parametrize("name", ["slp_x", "rep_01J00000000000000000000000", "slp_7ZZZZZZZZZ0000000000000000",
                                  "slp_00000000000000000000000000", "slp_ZZZZZZZZZZ0000000000000000"])  # fmt: skip
def test_a_slip_of_another_name_or_another_day_is_not_found(quick: World, name: str) -> None:
    browser = enter(quick, "officer")
    assert browser.get(f"/console/calls/{name}").status_code == 404
    assert browser.post(f"/console/slips/{name}", _fields(name)).status_code == 404
    assert quick.count(t.slip) == 0


def test_only_who_takes_calls_sees_slips_and_a_mark_is_his_own(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.post(f"/console/slips/{slip}", _fields(slip))
    address = browser.post("/console/calls", _fields(slip)).headers["location"]
    other = enter(quick, "officer2")
    assert other.get(address).status_code == 400
    assert browser.get("/console/calls/kept?m=forged").status_code == 400
    assert browser.get("/console/calls/kept").status_code == 400
    add_person(quick, "admin", Role.ADMIN)
    for login in ("auditor", "admin"):
        who = enter(quick, login)
        fresh = mint("slp", quick.clock())
        assert who.get("/console/calls/new").status_code == 403
        assert who.get(f"/console/calls/{fresh}").status_code == 403
        assert who.post(f"/console/slips/{fresh}", _fields(fresh)).status_code == 403
        assert who.post("/console/calls", _fields(fresh)).status_code == 403
    assert quick.count(t.slip) == 1


def test_a_slip_holds_what_the_api_would_take(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.post("/console/calls", {"place": "桥头", "told_to": "119", "slip": slip})
    (job,) = quick.rings
    arrived = quick.hub.store.read(lambda unit: inbox.load(unit, job[1], quick.hub.blobs.get))
    assert arrived
    said = json.loads(arrived.inbound.raw)
    assert said == {"place": "桥头", "told": ["119"], "started_at": "2026-11-23T06:05:00+00:00"}
    assert quick.post("officer", "/v1/calls", said).status_code == 201


def test_what_is_too_long_is_cut_and_other_fields_are_not_kept(quick: World) -> None:
    browser = enter(quick, "officer")
    slip = _open(browser)
    browser.post(
        f"/console/slips/{slip}", {"place": "地" * 5000, "text": "文" * 30_000, "evil": "x", "slip": slip}
    )
    kept = quick.hub.store.read(lambda unit: slips.get(unit, slip))
    assert kept
    assert {name: len(values[0]) for name, values in kept.fields.items()} == {"place": 300, "text": 20_000}
