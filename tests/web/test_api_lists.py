"""Lists of /v1: cursors that only their owner can use, filters that are a closed list, newest first."""

import base64
from urllib.parse import quote

import pytest

from tests.web.api_world import World


@pytest.fixture
def full(hall: World) -> World:
    _fill(hall)
    return hall


def _fill(made: World) -> None:
    for n in range(5):
        made.post(
            "department", "/v1/reports", {"text": f"第{n}报 50%_x", "area": "990101", "grade": 1 + n % 2}
        )
        made.clock.forward(seconds=1)
    made.post("other", "/v1/reports", {"text": "别家的", "area": "990200"})
    made.file_all()


def _texts(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [r["text"] for r in answer.json()["data"]]


def test_pages_follow_each_other_newest_first_and_end(full: World) -> None:
    seen, path = [], "/v1/reports?limit=2"
    while path:
        answer = full.get("department", path)
        seen += _texts(answer)
        path = answer.headers.get("link", "").partition(">")[0].removeprefix("<")
        assert bool(path) is bool(answer.json()["next_cursor"])
        assert not path or answer.headers["link"].endswith('rel="next"')
    assert seen == [f"第{n}报 50%_x" for n in (4, 3, 2, 1, 0)]


def test_a_cursor_is_bound_to_its_caller_its_list_its_filters_and_a_day(full: World) -> None:
    mark = full.get("department", "/v1/reports?limit=2").json()["next_cursor"]
    place = f"/v1/reports?limit=2&cursor={mark}"
    assert full.get("department", place).status_code == 200
    edited = mark[:-3] + ("AAA" if mark[-3:] != "AAA" else "BBB")
    raw = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4))
    moved = base64.urlsafe_b64encode(raw[:16] + raw[16:].replace(b"2026", b"2036")).decode().rstrip("=")
    for who, path in (
        ("other", place),
        ("officer", place),
        ("department", f"{place}&level=1"),
        ("department", f"/v1/reports?cursor={edited}"),
        ("department", f"/v1/reports?cursor={moved}"),
        ("department", "/v1/reports?cursor=-1"),
        ("department", "/v1/reports?cursor=%F0%9F%8C%80"),
        ("department", f"/v1/reports?cursor={'A' * 399}"),
        ("officer", f"/v1/releases?cursor={mark}"),
    ):
        answer = full.get(who, path)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), path
    full.clock.forward(hours=25)
    assert full.get("department", place).json()["code"] == "bad_cursor"


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("area=990101", 5), ("area=99", 6), ("area=990200000000", 1), ("level=1", 3), ("status=filed", 6),
        ("status=closed,claimed", 0), ("channel=api", 6), ("channel=sms", 0), ("q=别家", 1), ("q=50%25_x", 5),
        ("q=%25", 5), ("q=_y", 0), ("since=2026-11-23T06:05:03Z", 3), ("until=2026-11-23T14:05:01%2B08:00", 1),
        ("since=2026-11-23T14:05:04+08:00", 2),
    ],
)  # fmt: skip
def test_filters_narrow_and_their_letters_are_only_letters(full: World, query: str, n: int) -> None:
    assert len(_texts(full.get("officer", f"/v1/reports?{query}"))) == n


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=1000000000", "limit=201", "limit=x", "limit=1&limit=2", "offset=5",
        "sort=(select 1)", "organisation=示例省水利厅", "handling=sensitive", "status=nonsense", "area=' OR 1=1",
        "level=0", "level=true", "since=yesterday", "since=2026-11-23T06:05:03", "q=%00", "q=" + "x" * 201,
        "Limit=5", "_method=DELETE", "claimed_by=per_officer",
    ],
)  # fmt: skip
def test_what_the_list_does_not_know_is_400_by_name(quick: World, query: str) -> None:
    answer = quick.get("officer", f"/v1/reports?{quote(query, safe='=&%')}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")
    if "errors" in answer.json():
        assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]


def test_a_filter_never_opens_what_a_department_may_not_see(full: World) -> None:
    for query in ("", "area=99", "q=别家", "channel=api", "status=filed"):
        assert "别家的" not in _texts(full.get("department", f"/v1/reports?{query}"))
