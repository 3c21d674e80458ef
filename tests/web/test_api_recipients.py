"""Lists of recipients over /v1: all or nothing, every wrong row named, hostile files answered."""

import time
from typing import Any

import pytest
import sqlalchemy as sa

from store import audience, staging
from store import tables as t
from tests.web.api_world import World

HEAD = "渠道,号码,区划,语言,组,姓名"
GOOD = f"""{HEAD}
短信,138 0013 8001,990101,中文,责任人,张三
邮件,Li.Si@Example.COM,甲二县,en,grassroots,李四
sms,+8613800138003,990100000000,,,
"""


def send(hall: World, body: bytes | str, **more: str) -> Any:
    """POST a list; the first answer."""
    hall.n += 1
    headers = {"Content-Type": "text/csv", "Idempotency-Key": f"list-{hall.n}", **more}
    raw = body.encode() if isinstance(body, str) else body
    return hall.client.post("/v1/recipients:import", content=raw, headers=hall.headers("officer", **headers))


def outcome(hall: World, answer: Any) -> dict[str, Any]:
    """The operation once it has ended."""
    assert answer.status_code == 202, answer.text
    for _ in range(3000):
        found: dict[str, Any] = hall.get("officer", answer.headers["location"]).json()
        if found["state"] != "running":
            return found
        time.sleep(0.01)  # another thread works; the condition is waited for, not a time
    raise AssertionError(found)


def on_list(hall: World) -> list[tuple[str, ...]]:
    r = t.recipient.c
    query = sa.select(r.channel, r.address, r.area, r.language, r.group, r.name).order_by(r.address)

    def work(unit: Any) -> list[tuple[str, ...]]:
        return [tuple(row) for row in unit.rows(query.where(r.since <= audience.version(unit)))]

    return hall.hub.store.read(work)


def test_a_list_is_read_normalised_and_in_force_at_once(hall: World) -> None:
    found = outcome(hall, send(hall, GOOD))
    assert found["state"] == "done" and found["result"]["phase"] == "in_force"
    assert {n: found["result"][n] for n in ("rows", "fresh", "known", "wrong")} == {
        "rows": 3, "fresh": 3, "known": 0, "wrong": 0
    }  # fmt: skip
    assert on_list(hall) == [
        ("sms", "+8613800138001", "990101000000", "zh-CN", "responsible", "张三"),
        ("sms", "+8613800138003", "990100000000", "zh-CN", "subscriber", ""),
        ("email", "Li.Si@example.com", "990102000000", "en", "grassroots", "李四"),
    ]
    groups = hall.get("officer", "/v1/groups").json()
    assert [g["group"] for g in groups["data"]] == ["grassroots", "responsible", "subscriber"]


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ";"), ("utf-8-sig", "\t"), ("gb18030", ","), ("gbk", ";")],
)
def test_spreadsheets_of_every_office_are_read(quick: World, encoding: str, delimiter: str) -> None:
    found = outcome(quick, send(quick, GOOD.replace(",", delimiter).replace("\n", "\r\n").encode(encoding)))
    assert found["state"] == "done" and found["result"]["fresh"] == 3


def test_english_names_of_columns_in_any_order_will_do(quick: World) -> None:
    found = outcome(quick, send(quick, "Area,Phone\n990101,13800138001\n"))
    assert found["state"] == "done"
    assert on_list(quick) == [("sms", "+8613800138001", "990101000000", "zh-CN", "subscriber", "")]


def test_one_wrong_row_keeps_the_whole_list_out_and_each_error_has_line_column_and_reason(
    hall: World,
) -> None:
    text = GOOD + (
        "短信,12345,990101,,,\n"
        "短信,057188001234,990101,,,\n"
        "传真,13800138009,990101,,,\n"
        "邮件,a@b.example\tBcc: x@y.example,990101,,,\n"
        '短信,13800138010,甲三区,,,"王\n'
        "短信\n"
        f"短信,13800138011,990101,,,{'长' * 600}\n"
        "短信,13800138012,990101,法语,,\n"
        "邮件,two@@b.example,990101,,,\n"
        "邮件,a@b.example%0d%0aBcc:x,990101,,,\n"
        "短信,13800138013,998877,,,\n"
        "短信,13800138014,990101,,,零\u200b宽\n"
    )
    found = outcome(hall, send(hall, text))
    assert (found["state"], found["result"]["reason"]) == ("failed", "rows_wrong")
    named = [(e["line"], e["column"], e["reason"]) for e in found["result"]["errors"]]
    assert named == [
        (5, "address", "no_phone"), (6, "address", "landline"), (7, "channel", "unknown"),
        (8, "address", "hidden_character"), (9, "", "bad_quotes"), (10, "", "too_few_cells"),
        (11, "name", "too_long"), (12, "language", "unknown"), (13, "address", "no_email"),
        (14, "address", "no_email"), (15, "area", "unknown"), (16, "name", "hidden_character"),
    ]  # fmt: skip
    assert found["result"]["wrong"] == 12 and found["result"]["rows"] == 15
    assert hall.count(t.recipient) == 0


def test_errors_beyond_those_listed_are_counted(quick: World) -> None:
    text = HEAD + "\n" + "短信,1,990101,,,\n" * 700
    found = outcome(quick, send(quick, text))
    assert len(found["result"]["errors"]) == 200 and found["result"]["error_count"] == 700


def test_rows_that_stand_twice_or_are_known_are_counted_and_not_added(hall: World) -> None:
    outcome(hall, send(hall, GOOD))
    again = GOOD + "短信,13800138001,990101,,责任人,换了名字\nsms,13800138077,990101,,,\n"
    found = outcome(hall, send(hall, again))
    assert {n: found["result"][n] for n in ("rows", "fresh", "known", "repeated")} == {
        "rows": 5, "fresh": 1, "known": 3, "repeated": 1
    }  # fmt: skip
    assert len(on_list(hall)) == 4


def test_formulas_are_data(quick: World) -> None:
    found = outcome(quick, send(quick, HEAD + "\n短信,13800138001,990101,,,=cmd|' /C calc'!A0\n"))
    assert found["state"] == "done"
    assert on_list(quick)[0][5] == "=cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (HEAD.encode() + b"\n\xe7\x9f\xad\xff\xff,1", "not_text", "byte 42"),
        (GOOD.encode("utf-16"), "not_csv", ""),
        (b"PK\x03\x04" + b"\x00" * 50, "not_csv", ""),
        (b"", "no_header", None),
        (b"\x00" * 1000, "no_header", None),
        ("姓名,组\n张三,责任人\n".encode(), "no_header", None),
        (HEAD.encode() + b"\n\n\n", "no_rows", ""),
        (b"address,area\n" + b"\n" * 500_001, "too_many_rows", "500000"),
    ],
)  # fmt: skip
def test_what_is_no_list_ends_with_the_reason(
    quick: World, raw: bytes, reason: str, detail: str | None
) -> None:
    found = outcome(quick, send(quick, raw))
    assert (found["state"], found["result"]["reason"]) == ("failed", reason)
    if detail is not None:
        assert found["result"]["detail"] == detail
    assert quick.count(t.recipient) == 0


def test_a_cell_of_a_megabyte_and_nul_bytes_are_errors_of_their_rows(quick: World) -> None:
    text = f"{HEAD}\n短信,13800138001,990101,,,{'x' * 1_000_000}\n短信,1380013\x008002,990101,,,\n"
    found = outcome(quick, send(quick, text))
    named = [(e["line"], e["column"], e["reason"]) for e in found["result"]["errors"]]
    assert named == [(2, "name", "too_long"), (3, "address", "hidden_character")]


def test_the_same_key_and_list_again_is_one_import(hall: World) -> None:
    first = send(hall, GOOD, **{"Idempotency-Key": "one"})
    outcome(hall, first)
    second = send(hall, GOOD, **{"Idempotency-Key": "one"})
    assert second.headers["idempotent-replayed"] == "true" and second.json()["id"] == first.json()["id"]
    assert hall.count(t.operation) == 1
    other = send(hall, GOOD + "\n", **{"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_form_with_one_file_is_a_list_too(quick: World) -> None:
    headers = quick.headers("officer", **{"Idempotency-Key": "form"})
    answer = quick.client.post(
        "/v1/recipients:import", files={"file": ("名单.csv", GOOD.encode())}, headers=headers
    )
    assert outcome(quick, answer)["result"]["fresh"] == 3


def test_who_may_not_import_is_told_so_and_nothing_begins(quick: World) -> None:
    for who, code in (
        ("department", "scope_missing"),
        ("auditor", "scope_missing"),
        ("approver", "role_missing"),
    ):
        headers = quick.headers(who, **{"Idempotency-Key": "k", "Content-Type": "text/csv"})
        answer = quick.client.post("/v1/recipients:import", content=GOOD.encode(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert send(quick, GOOD, **{"Content-Type": "application/json"}).status_code == 415
    assert quick.count(t.operation) == 0


def test_an_operation_is_nobody_elses_business(quick: World) -> None:
    answer = send(quick, GOOD)
    outcome(quick, answer)
    assert quick.get("auditor", answer.headers["location"]).status_code == 200
    assert quick.get("department", answer.headers["location"]).status_code == 404
    assert quick.get("officer", "/v1/operations/op_unknown").status_code == 404


def test_rows_that_wait_are_nobodys_audience(quick: World) -> None:
    def work(unit: Any) -> int:
        row = {"channel": "sms", "address": "+8613800138001", "area": "990101000000", "language": "zh-CN",
               "group": "subscriber", "name": ""}  # fmt: skip
        staging.stage(unit, [row], staging.reserve(unit), quick.clock())
        return audience.count(unit, channel="sms", areas=["990101"])[1]

    assert quick.hub.store.run(work) == 0
