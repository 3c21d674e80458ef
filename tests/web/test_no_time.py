"""Times before and behind all days of people: refused by name where they are asked for, and no page ends with them."""

import pytest

from domain.person import Role
from tests.bulletin_kit import xml
from tests.web.api_world import World
from tests.web.console_browser import Browser, add_person, enter
from tests.web.test_api_bulletins import push, read_all, told

EDGES = (
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
)


@pytest.fixture
def officer(quick: World) -> Browser:
    add_person(quick, "officer1", Role.OFFICER)
    return enter(quick, "officer1")


def test_h46_a_time_of_no_people_is_refused_by_its_name_and_stays_in_words(
    quick: World, officer: Browser
) -> None:
    for time in EDGES:
        report = quick.post("department", "/v1/reports", {"text": "滑坡", "occurred_at": time}).json()["id"]
        quick.file_all()
        quick.hub.student.study(report)
        for name in ("occurred_at", "known_at", "ordered_at"):
            answer = quick.post("officer", f"/v1/reports/{report}/clock-times", {name: time}, key=None)
            assert answer.status_code == 400, (time, answer.text)
            at = {name: time.replace("Z", "")[:16]}
            assert officer.post(f"/console/reports/{report}/clock_times", at).status_code == 400
        said = {"whom": "市局", "who": "李四", "said_at": time}
        assert officer.post(f"/console/reports/{report}/clock_call", said).status_code == 400
        assert officer.get(f"/console/reports/{report}").status_code == 200
    for path in ("/console", "/console/clocks", "/console/clocks/late?since=0001-01-01&until=9999-12-31",
                 "/console/clocks/late?since=9999-12-31&until=0001-01-01", f"/console?before={EDGES[2]}~{report}",
                 f"/console?before={EDGES[1].replace('+', '%2B')}~{report}"):  # fmt: skip
        assert officer.get(path).status_code == 200, path


def test_h46_a_draft_with_such_a_time_is_refused_by_its_name(quick: World) -> None:
    found = {x["id"]: x for x in quick.get("officer", "/v1/templates").json()["data"]}["heavy_rain"][
        "example"
    ]
    for time in EDGES:
        answer = quick.post("officer", "/v1/releases", dict(found) | {"onset": time})
        assert answer.status_code == 400 and "/onset" in answer.text


def test_h58_a_bulletin_of_no_time_is_kept_apart_and_its_page_is_shown(
    quick: World, officer: Browser, at
) -> None:
    for n, time in enumerate(EDGES):
        body = xml(f"e{n}", at).replace(
            at.isoformat(timespec="seconds").encode(), time.replace("Z", "+00:00").encode()
        )
        answer = push(quick, body)
        read_all(quick.hub)
        (one,) = told(quick, answer)["bulletins"]
        assert (one["apart"], one["is_in_force"]) == ("ahead", False)
        assert officer.get(one["links"]["self"].replace("/v1", "/console")).status_code == 200
    assert officer.get("/console/bulletins?view=all").status_code == 200
