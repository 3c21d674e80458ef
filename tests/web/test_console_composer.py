"""The composer behind its page: previews that store nothing, a form that keeps itself, one draft per form."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from channels.text import segments
from domain.release import State
from store import journal, releases
from store import tables as t
from tests.web.api_world import World, world
from tests.web.console_browser import Browser, add_recipients, enter, rain, words


@pytest.fixture
def hall(sqlite_model: Path, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        add_recipients(made)
        yield made


def one(hall: World) -> Any:
    found = hall.hub.store.read(lambda unit: releases.page(unit, limit=5))
    assert len(found) == 1
    return found[0]


def revision(page: str) -> str:
    found = re.search(r'name="revision" value="([0-9]*)"', page)
    assert found
    return found[1]


def test_a_preview_is_what_would_be_frozen_and_stores_nothing(hall: World) -> None:
    officer = enter(hall, "officer")
    page = officer.post("/console/releases/preview", rain()).text
    assert hall.count(t.release_row) == 0 and "<html" not in page
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    release = one(hall)
    kept = hall.hub.store.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
    sms = next(a for a in kept if a.channel == "sms" and a.language == "zh-CN" and a.purpose == "main")
    assert sms.body.decode() in words(page).replace(" ", "") or words(sms.body.decode()) in words(page)
    counted = segments(sms.body.decode())
    assert f"{counted.units} 个单位，计 {counted.parts} 条（每条 {counted.per_part}）" in words(page)


def test_a_channel_that_is_not_ticked_is_not_previewed(hall: World) -> None:
    officer = enter(hall, "officer")
    page = words(officer.post("/console/releases/preview", rain(channels=["sms"])).text)
    assert "短信 · 中文" in page and "网页公告" not in page and "CAP" not in page


def test_flaws_in_a_preview_lead_to_their_fields_and_break_nothing(hall: World) -> None:
    officer = enter(hall, "officer")
    for wrong, anchor in (
        ({"expires": ""}, "#f-expires"), ({"areas": []}, "#f-areas"), ({"fields.hours": "x"}, "#f-fields-hours"),
        ({"areas": ["998877000000"]}, "#f-areas"), ({"fields.hotline": "1\u202e2"}, "#f-fields-hotline"),
        ({"channels": []}, "#f-channels"), ({"areas": ["'; DROP TABLE area"]}, "#f-areas"),
    ):  # fmt: skip
        answer = officer.post("/console/releases/preview", rain(**wrong))
        assert answer.status_code == 200 and f'href="{anchor}"' in answer.text, wrong
    assert officer.post("/console/releases/preview", {"template": "no such"}).status_code == 404


def test_the_form_keeps_itself_as_one_draft_and_says_under_which_revision(hall: World) -> None:
    officer = enter(hall, "officer")
    first = officer.post("/console/releases/keep", rain(key="abc", draft="", revision=""))
    assert "已自动保存" in words(first.text) and revision(first.text) == "1"
    again = officer.post("/console/releases/keep", rain(key="abc", draft="", revision="1"))
    assert revision(again.text) == "1", "an unchanged form changes nothing"
    changed = officer.post("/console/releases/keep", rain(key="abc", revision="1", **{"fields.hours": "6"}))
    assert revision(changed.text) == "2"
    done = officer.post("/console/releases", rain(key="abc", revision="2", **{"fields.hours": "6"}))
    assert done.headers["location"] == f"/console/releases/{one(hall).id}?done=saved"
    assert one(hall).draft.fields["hours"] == 6
    moved = officer.get("/console/releases/new?template=heavy_rain&key=abc")
    assert moved.headers["location"] == f"/console/releases/{one(hall).id}/edit"


def test_a_key_of_somebody_else_opens_nothing(hall: World) -> None:
    enter(hall, "officer").post("/console/releases/keep", rain(key="abc"))
    other = enter(hall, "officer2")
    assert other.get("/console/releases/new?template=heavy_rain&key=abc").status_code == 200


def test_what_somebody_else_changed_is_not_overwritten_by_itself(hall: World) -> None:
    officer, other = enter(hall, "officer"), enter(hall, "officer2")
    officer.post("/console/releases/keep", rain(key="abc"))
    path = f"/console/releases/{one(hall).id}"
    other.get(f"{path}/edit")
    other.follow(f"{path}/edit", rain(revision="1", issuer="第二位"))
    answer = officer.post("/console/releases/keep", rain(key="abc", revision="1", issuer="第一位"))
    assert answer.status_code == 200 and "没有自动保存" in words(answer.text)
    assert one(hall).draft.issuer == "第二位"


def test_a_tab_left_open_does_not_take_a_submission_back(hall: World) -> None:
    officer = enter(hall, "officer")
    officer.post("/console/releases/keep", rain(key="abc"))
    path = f"/console/releases/{one(hall).id}"
    officer.follow(f"{path}/submit")
    answer = officer.post("/console/releases/keep", rain(key="abc", revision="1", issuer="迟到"))
    assert "没有自动保存" in words(answer.text) and one(hall).state is State.SUBMITTED
    assert "修改不会自动保存" in words(officer.get(f"{path}/edit").text)


def test_saving_and_submitting_twice_is_one_submission(hall: World) -> None:
    officer = enter(hall, "officer")
    both = [officer.post("/console/releases", rain(key="abc", then="submit")) for _ in range(2)]
    assert [a.headers["location"] for a in both] == [f"/console/releases/{one(hall).id}?done=submit"] * 2
    acts = hall.hub.store.read(lambda unit: [e.act for e in journal.entries(unit, "release", one(hall).id)])
    assert acts == ["create", "submit"]


def test_submitting_what_is_not_whole_shows_the_form_with_its_flaws_and_keeps_it(hall: World) -> None:
    officer = enter(hall, "officer")
    answer = officer.post("/console/releases", rain(key="abc", then="submit", **{"fields.hours": "99"}))
    assert answer.status_code == 422 and 'href="#f-fields-hours"' in answer.text
    assert one(hall).state is State.DRAFT and revision(answer.text) == "1"


def test_areas_are_searched_without_regard_to_patterns(hall: World) -> None:
    officer = enter(hall, "officer")

    def found(text: str, **more: Any) -> str:
        return officer.post("/console/releases/areas", {"area_filter": text, **more}).text

    assert "甲二县" in found("甲二") and "Jia" not in found("甲二")
    assert "甲二县" in found("jia'er") and "甲二县" in found("990102")
    assert "没有这样的区划" in found("%") and "没有这样的区划" in found("_")
    kept = found("乙", areas=["990101000000"])
    assert re.search(r'value="990101000000" checked', kept) and "乙市" in kept


def test_an_auditor_composes_nothing(hall: World) -> None:
    auditor = enter(hall, "auditor")
    auditor.get("/console/releases")
    assert auditor.get("/console/releases/new").status_code == 403
    for door in ("preview", "keep"):
        answer = auditor.post(f"/console/releases/{door}", rain(key="abc"))
        assert answer.status_code == 403, door
    assert hall.count(t.release_row) == 0


def test_a_report_of_one_kind_of_event_opens_its_template_and_another_can_be_chosen(hall: World) -> None:
    officer: Browser = enter(hall, "officer")
    assert "选择模板" in words(officer.get("/console/releases/new").text)
    assert officer.get("/console/releases/new?template=none").status_code == 404
    moved = officer.get("/console/releases/new?template=heavy_rain&from=rep_unknown")
    assert moved.status_code == 303 and "from=" not in moved.headers["location"]


def test_r4_sending_once_more_is_the_authors_choice_and_shown_to_the_approver(hall: World) -> None:
    officer = enter(hall, "officer")
    officer.post("/console/releases", rain(repeat_unsure="yes", colour="yellow"))
    path = f"/console/releases/{one(hall).id}"
    assert one(hall).draft.repeat_unsure
    refused = officer.post(f"{path}/submit")  # a yellow one comes once or is shown as unsure
    assert refused.status_code == 422
    assert "结果不明时：仅限红色、橙色：事关生命才可重复发送" in words(refused.text)
    assert one(hall).state is State.DRAFT
    edited = rain(draft=one(hall).id, repeat_unsure="yes", colour="orange", revision=str(one(hall).revision))
    officer.post(f"{path}/edit", edited)
    officer.follow(f"{path}/submit")
    assert one(hall).state is State.SUBMITTED
    assert "再发一次（可能重复）" in enter(hall, "approver").get(path).text


def test_what_only_the_api_can_set_survives_an_edit_in_the_console(hall: World) -> None:
    example = {t["id"]: t for t in hall.get("officer", "/v1/templates").json()["data"]}["heavy_rain"][
        "example"
    ]
    audience = {"areas": ["990101000000"], "groups": [], "languages": ["en"]}
    times = {"effective": "2026-11-23T15:00:00+08:00", "review_by": "2026-11-23T18:00:00+08:00"}
    hall.post("officer", "/v1/releases", example | times | {"areas": ["990100000000"], "audience": audience})
    before = one(hall)
    officer = enter(hall, "officer")
    form = rain(draft=before.id, revision=str(before.revision), issuer="乙市气象台")
    officer.post(f"/console/releases/{before.id}/edit", form)
    after = one(hall)
    assert after.draft.issuer == "乙市气象台"
    kept = ("effective", "review_by", "audience")
    assert [getattr(after.draft, name) for name in kept] == [getattr(before.draft, name) for name in kept]
