"""Incidents at the desk and over /v1: proposed with their grounds, joined by a key, merged, split, undone."""

import re

from tests.web.api_world import World
from tests.web.console_browser import Browser, call, enter, words


def study(hall: World, *reports: str) -> None:
    for name in reports:
        hall.hub.student.study(name)


def two(hall: World) -> tuple[str, str]:
    first = call(hall, "1", text="青溪镇老街着火，3间房烧了", caller="13800138000")
    second = call(hall, "2", text="清溪镇老街大火，烧了三间房", caller="13900139000")
    study(hall, first, second)
    return first, second


def test_a_report_page_names_its_candidate_with_the_grounds_and_one_key_joins_them(hall: World) -> None:
    first, second = two(hall)
    browser = enter(hall, "officer")
    page = browser.get(f"/console/reports/{second}").text
    assert "可能是同一件事" in words(page)
    for ground in ("早 0 分钟", "同类事件"):
        assert ground in words(page)
    assert 'data-key="i"' in page
    answer = browser.post(f"/console/reports/{second}/related/join", {"other": first})
    assert answer.status_code == 303, words(answer.text)
    after = browser.get(f"/console/reports/{first}").text
    incident = re.search(r"/console/incidents/(inc_\w+)", after)
    assert incident is not None
    assert "报告 2 件" in words(browser.get(f"/console/incidents/{incident[1]}").text)
    assert "可能是同一件事" not in words(browser.get(f"/console/reports/{second}").text)
    queue = browser.get("/console?view=all").text
    assert queue.count("<tr id=") == 1
    assert "同一事件 2 件" in words(queue)
    assert browser.get("/console?view=all&each=1").text.count("<tr id=") == 2


def test_what_an_officer_says_is_two_is_not_shown_again(hall: World) -> None:
    first, second = two(hall)
    browser = enter(hall, "officer")
    browser.post(f"/console/reports/{second}/related/keep_apart", {"other": first})
    study(hall, second)
    for name in (first, second):
        assert "可能是同一件事" not in words(browser.get(f"/console/reports/{name}").text)


def test_a_split_at_the_desk_is_undone_by_the_button_beside_it(hall: World) -> None:
    first, second = two(hall)
    browser = enter(hall, "officer")
    browser.post(f"/console/reports/{second}/related/join", {"other": first})
    incident = re.search(r"inc_\w+", browser.get(f"/console/reports/{first}").text)
    assert incident is not None
    here = f"/console/incidents/{incident[0]}"
    to = browser.post(f"{here}/split", {"report": second}).headers["location"]
    page = browser.get(to).text
    form = re.search(
        r'action="(/console/incidents/\w+/merge)".*?name="into" value="(\w+)".*?id="undo"', page, re.DOTALL
    )
    assert form is not None
    browser.post(form[1], {"into": form[2]})
    assert "报告 2 件" in words(browser.get(here).text)


def test_incidents_over_v1_are_opened_joined_merged_and_parted(hall: World) -> None:
    first, second = two(hall)

    def post(path, body=None):
        return hall.post("officer", path, body, key=None)

    made = post("/v1/incidents", {"report": first})
    assert made.status_code == 201
    place = made.json()["links"]["self"]
    related = hall.get("officer", f"/v1/reports/{second}/related").json()
    assert related["candidates"][0]["incident"] == made.json()["id"]
    assert post(f"{place}/attach", {"report": second}).status_code == 200
    assert post(f"{place}/detach", {"report": second}).status_code == 200
    other = post("/v1/incidents", {"report": second, "title": "另一处"}).json()
    assert post(f"{other['links']['self']}/merge", {"into": made.json()["id"]}).json()["state"] == "merged"
    body = hall.get("officer", place).json()
    assert {r["report"] for r in body["reports"]} == {first, second}
    assert body["corroboration"] == {"reports": 2, "senders": 2, "unknown": 0, "channels": 1}
    assert post(f"{other['links']['self']}/unmerge").json()["state"] == "open"
    assert post(f"{place}/merge", {"into": place[-30:]}).status_code in (400, 404, 422)
    listed = hall.get("officer", "/v1/incidents?status=open&limit=1").json()
    assert len(listed["data"]) == 1 and listed["next_cursor"]
    assert hall.get("auditor", place).status_code == 200
    assert hall.get("department", place).status_code == 403
    assert hall.post("department", "/v1/incidents", {"report": first}, key=None).status_code == 403
    assert hall.get("officer", "/v1/incidents/inc_none").status_code == 404


def _incident_of(browser: Browser, report: str) -> str:
    found = re.search(r"/console/incidents/(inc_\w+)", browser.get(f"/console/reports/{report}").text)
    assert found
    return found[1]


def test_two_incidents_are_merged_from_the_page_of_a_report_of_one(hall: World) -> None:
    first, second = two(hall)
    browser = enter(hall, "officer")
    browser.get(f"/console/reports/{first}")
    for report in (first, second):
        browser.post(f"/console/reports/{report}/related/open_incident", {"other": ""})
    mine, other = _incident_of(browser, second), _incident_of(browser, first)
    page = browser.get(f"/console/reports/{second}").text
    assert f'/console/reports/{second}/related/merge"' in page and "两个事件合并" in page
    answer = browser.post(f"/console/reports/{second}/related/merge", {"other": other})
    assert answer.headers["location"] == f"/console/incidents/{other}?done=merge&of={mine}"
    page = browser.get(answer.headers["location"]).text
    assert "报告 2 件" in words(page) and f'action="/console/incidents/{mine}/unmerge"' in page
    assert browser.post(f"/console/reports/{second}/related/merge", {"other": other}).status_code == 404


def test_whoever_holds_an_incident_is_told_of_a_further_report_until_he_has_seen_it(hall: World) -> None:
    first, second = two(hall)
    holder, other, third = enter(hall, "officer"), enter(hall, "officer2"), enter(hall, "approver")
    holder.get(f"/console/reports/{first}")
    holder.post(f"/console/reports/{first}/related/open_incident", {"other": ""})
    incident = _incident_of(holder, first)
    assert "新归入报告" not in words(holder.get("/console").text)
    other.get(f"/console/reports/{second}")
    other.post(f"/console/reports/{second}/claim")
    other.post(f"/console/reports/{second}/related/join", {"other": incident})
    for browser, is_told in ((holder, True), (other, False), (third, False)):
        assert ("新归入报告 1 件" in words(browser.get("/console").text)) is is_told
    assert f"/console/incidents/{incident}" in holder.get("/console/news").text
    assert 'id="i-news"' in holder.get(f"/console/incidents/{incident}").text
    holder.follow(f"/console/incidents/{incident}/seen")
    assert "新归入报告" not in words(holder.get("/console").text)
    third.get(f"/console/reports/{first}")
    later = call(hall, "3", text="老街火灾，有人受伤")
    third.post(f"/console/reports/{later}/related/join", {"other": incident})
    for browser in (holder, other):  # who has one of its reports in hand holds it, too
        assert "新归入报告 1 件" in words(browser.get("/console").text)
