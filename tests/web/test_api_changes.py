"""What changed, over /v1: nothing skipped, nothing of other organisations, and no mark but ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from domain.ids import mint
from store import journal
from store import tables as t
from store.stream import Cursor
from tests.web.api_world import World, served
from web import live

PATIENCE = 60  # s: a stream that says nothing for so long has broken, however slow the machine


def _report(hall: World, who: str) -> str:
    made = hall.post(who, "/v1/reports", {"text": "桥面塌陷"}).json()
    hall.file_all()
    return str(made["id"])


@contextmanager
def _stream(
    hall: World, port: int, who: str, **headers: str
) -> Iterator[Iterator[tuple[str, dict[str, Any], str]]]:
    url = f"http://127.0.0.1:{port}/v1/stream"
    with httpx.stream("GET", url, headers=hall.headers(who, **headers), timeout=PATIENCE) as answer:
        assert answer.status_code == 200
        yield _events(answer)


def _events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any], str]]:
    said = mark = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        said, mark = (value if field == "event" else said), (value if field == "id" else mark)
        if field == "data" and said != "beat":
            yield said, json.loads(value), mark


def test_events_are_read_to_the_end_and_from_there_again(hall: World) -> None:
    first = _report(hall, "department")
    answer = hall.get("officer", "/v1/events?limit=1").json()
    seen = list(answer["data"])
    while (more := hall.get("officer", f"/v1/events?limit=1&after={answer['next_cursor']}").json())["data"]:
        seen += more["data"]
        answer = more
    assert [(e["kind"], e["act"]) for e in seen if e["id"] == first] == [("report", "file")]
    assert {e["kind"] for e in seen} <= live.KINDS
    end = more["next_cursor"]
    second = _report(hall, "department")
    later = hall.get("officer", f"/v1/events?after={end}").json()["data"]
    assert [e["id"] for e in later if e["kind"] == "report"] == [second]
    assert hall.get("officer", f"/v1/events?after={later[-1]['cursor']}").json()["data"] == []


def test_a_department_hears_of_its_own_reports_only(hall: World) -> None:
    own, foreign = _report(hall, "department"), _report(hall, "other")
    hall.hub.store.run(lambda unit: journal.append(
        unit, "release", mint("rel", hall.clock()), "create", by="x", at=hall.clock()))  # fmt: skip
    seen = hall.get("department", "/v1/events?limit=500").json()["data"]
    assert {e["id"] for e in seen} == {own}
    begin = live.write(hall.hub.keys.cursor, Cursor())
    with served(hall.hub) as port, _stream(hall, port, "department", **{"Last-Event-ID": begin}) as told:
        assert next(told)[1]["id"] == own
        _report(hall, "other")
        mine = _report(hall, "department")
        assert next(told)[1]["id"] == mine
    assert foreign not in {e["id"] for e in seen}


def test_a_stream_goes_on_where_it_broke_off(hall: World) -> None:
    with served(hall.hub) as port:
        begin = live.write(hall.hub.keys.cursor, Cursor())
        first = _report(hall, "department")
        with _stream(hall, port, "officer", **{"Last-Event-ID": begin}) as told:
            mark = next(mark for _, data, mark in told if data["id"] == first)
        missed = _report(hall, "department")
        with _stream(hall, port, "officer", **{"Last-Event-ID": mark}) as told:
            assert next(data["id"] for said, data, _ in told if said == "report") == missed


@pytest.mark.parametrize("mark", ["forged", "-1", "0", "A" * 43, "9" * 190, "x" * 1_000])
def test_a_mark_that_is_not_ours_is_400(quick: World, mark: str) -> None:
    assert quick.get("officer", "/v1/stream", **{"Last-Event-ID": mark}).json()["code"] == "bad_cursor"
    assert quick.get("officer", f"/v1/events?after={mark}").status_code == 400


def test_a_mark_ahead_of_the_journal_is_400_for_a_list_and_a_reset_for_a_stream(quick: World) -> None:
    ahead = live.write(quick.hub.keys.cursor, Cursor(0, 10**9))
    assert quick.get("officer", f"/v1/events?after={ahead}").json()["code"] == "bad_cursor"
    with served(quick.hub) as port, _stream(quick, port, "officer", **{"Last-Event-ID": ahead}) as told:
        assert next(told)[0] == "reset"


def test_a_key_that_is_revoked_ends_its_stream(quick: World) -> None:
    with served(quick.hub) as port, _stream(quick, port, "officer") as told:
        update = t.api_key.update().where(t.api_key.c.id == "key_officer").values(revoked_at=quick.clock())
        quick.hub.store.run(lambda unit: unit.execute(update))
        assert [(said, data) for said, data, _ in told] == [("bye", {"why": "session"})]


def test_who_may_not_read_hears_so(quick: World) -> None:
    for path in ("/v1/stream", "/v1/events"):
        assert quick.client.get(path).status_code == 401
        assert quick.get("officer", f"{path}?since=1").json()["code"] == "bad_query"
    assert quick.get("officer", "/v1/events?limit=0").status_code == 400
    assert quick.get("officer", "/v1/events?limit=501").status_code == 400
