"""What the study found, on the report's page and in /v1: candidates, words, a title, questions; confirmed and corrected."""

import json
import re

import pytest

from store import journal, places, reports, study
from tests.web.api_world import World
from tests.web.console_browser import Browser, call, enter, words


@pytest.fixture
def officer(quick: World) -> Browser:
    return enter(quick, "officer")


def told(hall: World, text: str, **more: str) -> str:
    report = call(hall, text=text, **more)
    hall.hub.student.study(report)
    return report


def held(hall: World, report: str):
    return hall.hub.store.read(lambda u: (reports.get(u, report), places.of_report(u, report)))


def form_of(page: str, act: str, n: int = 0) -> dict[str, str]:
    """The fields of the n-th form of the page that goes to `act`."""
    forms = re.findall(rf'<form method="post" action="[^"]*/{act}">(.*?)</form>', page, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', forms[n]))


def test_the_page_shows_places_kind_title_and_questions_with_their_words(quick, officer) -> None:
    report = told(quick, "甲市甲一区大坪村三组滑坡，2人死亡(原报1人死亡)，正在搜救")
    page = words(officer.get(f"/console/reports/{report}").text)
    for said in (
        "示例省甲市甲一区 大坪村三组",
        "约 33 km",
        "滑坡事件 11D01",
        "示例省甲市甲一区大坪村三组发生滑坡事件，致2人死亡，正在搜救",
        "Landslide in Jiayi District, Jia City: 2 dead; search under way",
        "未采用",
        "何时发生",
    ):
        assert said in page, said
    officer.get("/console?lang=en")
    page = words(officer.get(f"/console/reports/{report}").text)
    for said in ("Likely places", "about 33 km", "By number of dead: 2", "Still missing"):
        assert said in page, said


def test_an_officer_confirms_a_candidate_and_an_empty_area_becomes_it(quick, officer) -> None:
    report = told(quick, "甲一区着火")
    page = officer.get(f"/console/reports/{report}").text
    assert "地点已确认。" in words(
        officer.follow(f"/console/reports/{report}/place", form_of(page, "place")).text
    )
    row, placed = held(quick, report)
    assert (row.area, row.found_area, placed[0].n, placed[0].chosen_by) == (
        "990101000000",
        "990101000000",
        0,
        "per_officer",
    )
    entry = quick.hub.store.read(lambda u: journal.entries(u, "report", report))[-1]
    assert (entry.act, entry.detail["candidate"], entry.detail["was"]) == ("choose_place", 1, {"area": ""})
    assert not quick.hub.store.read(lambda u: study.is_studied(u, report))  # it is asked anew


def test_an_officer_corrects_the_place_and_his_own_area_is_never_written_over(quick, officer) -> None:
    report = told(quick, "甲一区着火")
    officer.follow(f"/console/reports/{report}/classify", {"area": "990102000000", "event_code": "12G00"})
    officer.get(f"/console/reports/{report}")
    officer.follow(f"/console/reports/{report}/place", {"place_area": "990200000000"})
    quick.hub.student.study(report)
    row, placed = held(quick, report)
    assert (row.area, row.found_area, placed[0].place.origin) == ("990102000000", "990200000000", "officer")


def test_a_candidate_that_has_changed_since_it_was_shown_is_not_confirmed(quick, officer) -> None:
    report = told(quick, "甲一区着火")
    answer = officer.post(f"/console/reports/{report}/place", {"candidate": "1", "seen": "990102000000"})
    assert answer.status_code == 409
    answer = officer.post(f"/console/reports/{report}/place", {"place_area": "123456"})
    assert (
        answer.status_code,
        "本机构没有这个区划" in words(answer.text) or "区划" in words(answer.text),
    ) == (
        422,
        True,
    )
    assert held(quick, report)[0].area == ""


def test_a_suggestion_becomes_the_classification_only_when_it_is_taken(quick, officer) -> None:
    report = told(quick, "甲一区化工厂爆炸，3人死亡")
    row, _ = held(quick, report)
    assert (row.event_code, row.grade) == ("", None)
    page = officer.get(f"/console/reports/{report}").text
    officer.follow(f"/console/reports/{report}/classify", form_of(page, "classify"))
    row, _ = held(quick, report)
    assert (row.event_code, row.grade) == ("12D01", 3)
    assert "do-suggested" not in officer.get(f"/console/reports/{report}").text


def test_a_code_that_no_table_has_survives_and_is_shown_under_its_class(quick, officer) -> None:
    report = told(quick, "怪事", event_code="11B97")
    page = officer.get(f"/console/reports/{report}").text
    assert "气象灾害 (11B97)" in words(page)
    officer.follow(f"/console/reports/{report}/classify", {"event_code": "11B97", "grade": "4"})
    row, _ = held(quick, report)
    assert (row.event_code, row.grade) == ("11B97", 4)


def test_what_strangers_wrote_is_shown_as_text(quick, officer) -> None:
    bad = "<script>alert(1)</script>甲一区<b>着火</b>，<img src=x>3人死亡"
    page = officer.get(f"/console/reports/{told(quick, bad, place=bad)}").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_v1_shows_what_was_found_and_takes_a_confirmation(quick) -> None:
    report = told(quick, "甲一区着火，2人受伤", lat="30.2", lon="113.1")
    at = f"/v1/reports/{report}"
    found = quick.get("officer", at).json()["found"]
    assert {p["kind"] for p in found["places"]} == {"area", "position"}
    assert found["triage"]["scheme"] == "cn.eips"
    assert found["triage"]["people"] == {"injured": {"low": 2, "high": 2}}
    assert found["triage"]["hits"][0]["words"]
    assert {q["element"] for q in found["questions"]} >= {"time", "trend"}
    best = next(p for p in found["places"] if p["kind"] == "area")
    body = {"candidate": best["candidate"], "seen": best["code"]}
    assert quick.post("officer", f"{at}/place", body).status_code == 200
    again = quick.get("officer", at).json()
    assert (again["area"], again["found"]["places"][0]["chosen_by"]) == (best["code"], "per_officer")
    assert quick.post("auditor", f"{at}/place", body).status_code in (401, 403)


def test_degrees_of_a_chinese_map_are_named_by_the_sender_and_shown_in_wgs84(quick) -> None:
    given = {
        "text": "路面塌陷",
        "lat": 31.17530398364597,
        "lon": 121.531541859215,
        "datum": "GCJ-02",
        "accuracy": 30,
    }
    answer = quick.post("department", "/v1/reports", given)
    assert answer.status_code == 201
    quick.file_all()
    at = answer.json()["links"]["self"]
    quick.hub.student.study(at.rpartition("/")[2])
    (place,) = quick.get("department", at).json()["found"]["places"]
    assert (place["detail"], place["accuracy"], place["code"][:2]) == ("GCJ-02", 30, "31")
    assert place["position"]["lat"] == pytest.approx(31.1774276, abs=1e-6)
    assert quick.post("department", "/v1/reports", {**given, "datum": "Mars"}, key="two").status_code == 400


def test_a_report_that_was_not_studied_says_so(quick, officer) -> None:
    report = call(quick, text="甲一区着火")
    assert "尚未分析，稍后自动显示。" in words(officer.get(f"/console/reports/{report}").text)
    assert json.loads(quick.get("officer", f"/v1/reports/{report}").text)["found"]["triage"] is None
