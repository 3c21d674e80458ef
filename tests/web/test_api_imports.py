"""Many reports in one file: each row once, whatever is sent again, and every wrong one with its reason."""

import json
import time
from typing import Any

import pytest

from store import reports
from store import tables as t
from tests.web.api_world import World

CSV = '编号,内容,地点,级别\n甲1,桥塌了,江滨路,3\n甲2,"两行\n文字，带""引号""",大坪村,\n甲3,=1+2,@SUM(A1),\n'


def send(
    hall: World, raw: bytes | str, kind: str = "text/csv", *, who: str = "department", **more: str
) -> Any:
    body = raw.encode() if isinstance(raw, str) else raw
    return hall.client.post(
        "/v1/reports:import", content=body, headers=hall.headers(who, **{"Content-Type": kind}, **more)
    )


def texts(hall: World) -> set[str]:
    hall.file_all()
    rows = hall.hub.store.read(lambda u: [reports.get(u, row.id) for row in u.rows(t.report_row.select())])
    return {row.content.text for row in rows if row}


@pytest.mark.parametrize(
    "raw", [CSV.encode("utf-8-sig"), CSV.encode("gb18030"), CSV.replace("\n", "\r\n").encode()]
)
def test_r2_a_table_that_is_sent_again_adds_nothing(hall: World, raw: bytes) -> None:
    first, again = send(hall, raw).json(), send(hall, raw).json()
    assert (first["created"], first["refused"]) == (3, 0) and (again["created"], again["repeated"]) == (0, 3)
    assert [row["id"] for row in first["data"]] == [row["id"] for row in again["data"]]
    assert first["data"][0]["line"] == 2 and hall.count(t.inbound) == 3
    assert {"桥塌了", "=1+2"} <= texts(hall)
    one = hall.get("department", f"/v1/reports/{first['data'][0]['id']}").json()
    assert (one["grade"], one["facts"]["place"][0]["value"], one["code"]) == (
        3,
        "江滨路",
        first["data"][0]["code"],
    )


def test_rows_that_do_not_fit_are_named_and_the_others_are_kept(quick: World) -> None:
    raw = "external_id,text,lat,lon,grade\na,好的,,,\nb,,,,\nc,坏,999,1,\nd,坏,,,9\ne,少一格\nf,也好,30.1,120.2,2\n"
    answer = send(quick, raw)
    told = {row["external_id"] or row["line"]: row for row in answer.json()["data"]}
    assert answer.status_code == 200 and answer.json()["created"] == 2
    assert {name for name, row in told.items() if row["status"] == "created"} == {"a", "f"}
    assert told["c"]["errors"][0]["pointer"] == "/lat" and told["d"]["errors"][0]["pointer"] == "/grade"
    assert "cells" in told[6]["errors"][0]["detail"] and told["b"]["line"] == 3
    assert texts(quick) == {"好的", "也好"}


@pytest.mark.parametrize(
    ("cell", "read"),
    [("2026-11-23 14:05", "2026-11-23T14:05:00+08:00"), ("2026/11/3 4:05:10", "2026-11-03T04:05:10+08:00"),
     ("2026年11月23日14时5分", "2026-11-23T14:05:00+08:00"), ("２０２６-11-23　14：05", "2026-11-23T14:05:00+08:00"),
     ("2026-11-23T06:05:00Z", "2026-11-23T06:05:00Z")],
)  # fmt: skip
def test_times_of_a_spreadsheet_are_of_this_hubs_zone(quick: World, cell: str, read: str) -> None:
    (row,) = send(quick, f"text,occurred_at\n桥塌了,{cell}\n").json()["data"]
    quick.file_all()
    assert quick.get("department", f"/v1/reports/{row['id']}").json()["facts"]["time"][0]["value"] == read


@pytest.mark.parametrize("cell", ["2026-11-23", "昨天", "2026-13-40 14:05", "14:05"])
def test_a_time_that_is_none_is_refused_with_how_it_is_written(quick: World, cell: str) -> None:
    (row,) = send(quick, f"text,occurred_at\n桥塌了,{cell}\n").json()["data"]
    assert "RFC 3339" in row["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("cell", "grade"), [("较大", 3), ("特别重大级", 1), ("Ⅱ级", 2), ("４", 4), ("iii", 3)]
)
def test_a_grade_may_be_the_word_for_it(quick: World, cell: str, grade: int) -> None:
    (row,) = send(quick, f"内容,级别\n桥塌了,{cell}\n").json()["data"]
    quick.file_all()
    assert quick.get("department", f"/v1/reports/{row['id']}").json()["grade"] == grade


def test_columns_that_a_spreadsheet_leaves_empty_behind_the_others_are_none(quick: World) -> None:
    told = send(quick, "编号,内容,,\na,桥塌了,,\nb,路断了\nc,水来了,,多\n").json()
    assert [row["status"] for row in told["data"]] == ["created", "created", "refused"]


def test_json_lines_say_which_line_is_wrong(quick: World) -> None:
    lines = ['{"text": "一", "external_id": "1"}', "{not json", '["list"]', '{"text": "四", "state": "closed"}', "",
             '{"text": "六", "text": "七"}',
             '{"text": "一", "external_id": "1"}', '{"text": "八"}', '{"text": "八"}']  # fmt: skip
    answer = send(quick, "\n".join(lines), "application/x-ndjson").json()
    assert [(row["line"], row["status"]) for row in answer["data"]] == [
        (1, "created"), (2, "refused"), (3, "refused"), (4, "refused"), (6, "refused"), (7, "repeated"), (8, "created"),
        (9, "repeated"),
    ]  # fmt: skip
    assert answer["data"][3]["errors"] == [{"pointer": "/state", "detail": "unknown field"}]
    assert texts(quick) == {"一", "八"}


def test_the_same_name_with_other_content_is_refused_and_not_written_over(quick: World) -> None:
    row = {"text": "两人受伤", "external_id": "7"}
    send(quick, json.dumps(row), "application/x-ndjson")
    answer = send(quick, json.dumps(row | {"text": "三人受伤"}), "application/x-ndjson").json()
    assert answer["refused"] == 1 and answer["data"][0]["errors"][0]["pointer"] == "/external_id"
    assert texts(quick) == {"两人受伤"}
    assert send(quick, json.dumps(row), "application/x-ndjson", who="other").json()["created"] == 1


def test_h72_a_formula_is_text_on_the_way_in_and_harmless_on_the_way_out(quick: World) -> None:
    cells = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"]
    raw = "external_id,text\n" + "".join(f'"{cell}","{cell}"\n' for cell in cells)
    answer = send(quick, raw, Accept="text/csv")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert [line.split('","')[2] for line in lines[1:]] == [f"'{cell}" for cell in cells]
    assert texts(quick) == set(cells)


@pytest.mark.parametrize(
    ("raw", "status", "pointer"),
    [(b"text,colour\nx,red\n", 400, "/colour"), (b"text,text\nx,y\n", 400, "/text"), (b'text\n"never closed\n', 400, "/line 2"),
     (b"text\n\x00\n", 400, "/line 1"), (b"PK\x03\x04\xff\xff", 400, "/line 1"), (b"", 400, "/line 1"),
     ("text\nx\n".encode("utf-16"), 400, "/line 1")],
)  # fmt: skip
def test_what_is_no_table_is_refused_whole_with_the_place(
    quick: World, raw: bytes, status: int, pointer: str
) -> None:
    answer = send(quick, raw)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
    assert quick.count(t.inbound) == 0


def test_a_table_needs_a_key_that_may_report_and_its_own_media_type(quick: World) -> None:
    assert send(quick, CSV, who="reader").status_code == 403
    assert send(quick, CSV, "application/json").status_code == 415
    assert send(quick, "text\n" + "x\n" * 10_001).status_code == 413
    assert quick.count(t.inbound) == 0


@pytest.mark.faults
def test_r2_ten_thousand_rows_are_kept_once(hall: World) -> None:
    raw = "external_id,text,place\n" + "".join(f"n{n},第{n}号水位超警,站点{n}\n" for n in range(10_000))
    begun = time.monotonic()
    assert send(hall, raw).json()["created"] == 10_000
    lasted = time.monotonic() - begun
    assert send(hall, raw).json()["repeated"] == 10_000 and hall.count(t.inbound) == 10_000
    print(f"10,000 rows in {lasted:.1f} s")
