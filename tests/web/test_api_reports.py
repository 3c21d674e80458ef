"""POST and GET of /v1/reports and /v1/calls: kept once, answered the same way, seen by whom it concerns."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from store import tables as t
from tests.web.api_world import World, served, token

REPORT = {"text": "东河水位 28.4 m，超警戒 0.6 m", "place": "甲一区东河站", "subject": "水情快报",
          "occurred_at": "2026-11-23T13:50:00+08:00", "contact": "010-62345678", "grade": 3, "area": "990101",
          "event_code": "11B03"}  # fmt: skip
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + b"\x08" * 64 + b"\xff\xd9"


def _form(
    hall: World, fields: dict[str, str], files: list[tuple[str, bytes]], *, key: str, who: str = "department"
) -> Any:
    parts: list[Any] = [(name, (None, value)) for name, value in fields.items()]
    parts += [("files", (name, data, "image/jpeg")) for name, data in files]
    return hall.client.post("/v1/reports", files=parts,
                            headers=hall.headers(who, **{"Idempotency-Key": key}))  # fmt: skip


def test_a_report_is_received_then_filed_with_everything_it_said(hall: World) -> None:
    answer = hall.post("department", "/v1/reports", REPORT)
    assert answer.status_code == 201
    receipt = answer.json()
    assert receipt["state"] == "received" and len(receipt["code"]) == 9
    assert answer.headers["location"] == receipt["links"]["self"]
    place = receipt["links"]["self"]
    waiting = hall.get("department", place).json()
    assert (waiting["state"], waiting["code"]) == ("received", receipt["code"])
    hall.file_all()
    report = hall.get("department", place).json()
    assert (report["state"], report["text"], report["organisation"]) == (
        "filed",
        REPORT["text"],
        "示例省气象局",
    )
    assert (report["grade"], report["area"], report["event_code"]) == (3, "990101000000", "11B03")
    assert report["facts"]["place"][0] == {"value": "甲一区东河站", "origin": "department", "note": ""}
    assert report["facts"]["sender"][0]["value"] == "+861062345678"
    assert hall.get("department", place).headers["etag"] == '"1"'


def test_a_form_with_a_photo_keeps_its_bytes_and_gives_them_back(hall: World) -> None:
    answer = _form(hall, {"text": "桥面塌陷", "grade": "2"}, [("现场 1.jpg", JPEG)], key="f1")
    assert answer.status_code == 201
    hall.file_all()
    place = answer.json()["links"]["self"]
    report = hall.get("officer", place).json()
    (photo,) = report["attachments"]
    assert (photo["name"], photo["media_type"], report["grade"]) == ("现场 1.jpg", "image/jpeg", 2)
    back = hall.get("department", photo["href"])
    assert back.content == JPEG and back.headers["x-sha256"] == hashlib.sha256(JPEG).hexdigest()
    assert back.headers["content-disposition"].startswith("attachment;")
    assert back.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in back.headers["content-security-policy"]
    original = hall.get("officer", f"{place}/original")
    assert JPEG in original.content
    assert original.headers["x-sha256"] == report["original"]["sha256"]
    assert hall.get("department", f"{place}/original").status_code == 403


def test_the_same_post_again_gives_the_same_answer_and_one_report(hall: World) -> None:
    first = hall.post("department", "/v1/reports", REPORT, key="same")
    shuffled = dict(reversed(list(REPORT.items())))
    again = hall.post("department", "/v1/reports", shuffled, key="same")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    assert hall.count(t.inbound) == 1 and len(hall.rings) == 1


def test_the_same_form_again_is_the_same_whatever_its_boundary(quick: World) -> None:
    first = _form(quick, {"text": "x"}, [("a.jpg", JPEG)], key="form")
    again = _form(quick, {"text": "x"}, [("a.jpg", JPEG)], key="form")
    assert again.json() == first.json() and again.headers["idempotent-replayed"] == "true"
    other = _form(quick, {"text": "x"}, [("a.jpg", JPEG + b"1")], key="form")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_key_with_another_body_is_refused_and_of_another_client_is_its_own(quick: World) -> None:
    first = quick.post("department", "/v1/reports", REPORT, key="k")
    changed = quick.post("department", "/v1/reports", {**REPORT, "text": "other"}, key="k")
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    other = quick.post("other", "/v1/reports", REPORT, key="k")
    assert other.status_code == 201 and other.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", [None, "k" * 256, "k k", "ключ".encode()])
def test_without_a_usable_key_nothing_is_kept(quick: World, key: Any) -> None:
    headers = quick.headers("department", **{"Content-Type": "application/json"})
    if key is not None:
        headers["Idempotency-Key"] = key
    answer = quick.client.post("/v1/reports", content=json.dumps(REPORT), headers=headers)
    assert answer.status_code == 400 and answer.json()["code"].startswith("idempotency_key")
    assert quick.count(t.inbound) == 0


def test_fifty_at_once_under_one_key_are_one_report(hall: World) -> None:
    headers = hall.headers("department", **{"Idempotency-Key": "burst", "Content-Type": "application/json"})
    body = json.dumps(REPORT).encode()
    with (
        served(hall.hub) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
        ThreadPoolExecutor(16) as many,
    ):
        answers = list(
            many.map(lambda _: client.post("/v1/reports", content=body, headers=headers), range(50))
        )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1 and hall.count(t.inbound) == 1
    assert sum("idempotent-replayed" not in a.headers for a in answers) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**REPORT, "state": "verified"}, "/state"),
        ({**REPORT, "exercise": False, "author": "per_x"}, "/author"),
        ({**REPORT, "organisation": "示例省水利厅"}, "/organisation"),
        ({**REPORT, "grade": True}, "/grade"),
        ({**REPORT, "grade": "3"}, "/grade"),
        ({**REPORT, "grade": 5}, "/grade"),
        ({**REPORT, "occurred_at": "yesterday"}, "/occurred_at"),
        ({**REPORT, "occurred_at": "2026-11-23T13:50:00"}, "/occurred_at"),
        ({**REPORT, "event_code": "99Z99"}, "/event_code"),
        ({**REPORT, "area": "abc"}, "/area"),
        ({**REPORT, "text": ["x"]}, "/text"),
        ({**REPORT, "handling": "secret"}, "/handling"),
        ({"subject": "nothing else"}, "/text"),
        ({**REPORT, "lat": 91.0}, "/lat"),
    ],
)
def test_a_field_that_does_not_fit_is_named(quick: World, body: dict[str, Any], pointer: str) -> None:
    answer = quick.post("department", "/v1/reports", body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert pointer in [e["pointer"] for e in answer.json()["errors"]]
    assert answer.json()["instance"] == answer.headers["x-request-id"]
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize(
    ("fields", "files", "what"),
    [
        ({"text": "x", "state": "closed"}, 0, "/state"),
        ({"text": "x"}, 6, "/files"),
        ({"text": "x", "grade": "9"}, 0, "/grade"),
        ({"text": "x\0"}, 0, "/text"),
        ({"subject": "x"}, 0, "/text"),
    ],
)
def test_a_form_that_does_not_fit_is_refused_by_name(
    quick: World, fields: dict[str, str], files: int, what: str
) -> None:
    answer = _form(quick, fields, [(f"{n}.jpg", JPEG) for n in range(files)], key="f")
    assert answer.status_code == 400
    assert what in [e["pointer"] for e in answer.json()["errors"]]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"--b\r\n", b"--b--\r\n", b"no form",
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nx',  # cut off
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n'
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\ny\r\n--b--\r\n',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="text"; filename="a"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="text"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--\r\n',
        b"--b\r\n" + b"X: y\r\n" * 50 + b'Content-Disposition: form-data; name="text"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n' * 60 + b"--b--\r\n",
    ],
)  # fmt: skip
def test_a_doubtful_form_is_refused(quick: World, raw: bytes) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b", "Idempotency-Key": "x"}
    answer = quick.client.post("/v1/reports", content=raw, headers=quick.headers("department", **kind))
    assert answer.status_code == 400 and answer.json()["code"] in ("bad_form", "bad_fields")
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_other_media_types_are_415(quick: World, kind: str) -> None:
    headers = quick.headers("department", **{"Content-Type": kind, "Idempotency-Key": "x"})
    assert quick.client.post("/v1/reports", content=b"{}", headers=headers).status_code == 415


def test_a_call_slip_with_a_place_is_a_report_of_the_phone(hall: World) -> None:
    slip = {"caller": "62345678转801", "place": "甲一区人民路口", "started_at": "2026-11-23T14:00:00+08:00",
            "told": ["110", "120"]}  # fmt: skip
    answer = hall.post("officer", "/v1/calls", slip)
    assert answer.status_code == 201
    hall.file_all()
    report = hall.get("officer", answer.json()["links"]["self"]).json()
    assert report["channel"] == "phone" and report["facts"]["told"][0]["value"] == "110, 120"
    assert "no_readable_text" in report["findings"]


def test_an_abandoned_call_is_kept_and_an_empty_one_is_not(quick: World) -> None:
    kept = quick.post("officer", "/v1/calls", {"caller": "+8613800138000", "is_abandoned": True})
    assert kept.status_code == 201
    quick.file_all()
    assert "abandoned_call" in quick.get("officer", kept.json()["links"]["self"]).json()["findings"]
    assert quick.post("officer", "/v1/calls", {"caller": "+8613800138000"}).status_code == 400


def test_another_departments_report_does_not_exist(quick: World) -> None:
    place = quick.post("department", "/v1/reports", REPORT).json()["links"]["self"]
    assert quick.get("other", place).status_code == 404
    quick.file_all()
    for path in (place, f"{place}/attachments/{'0' * 64}", f"/v1/journal/report/{place.rpartition('/')[2]}"):
        assert quick.get("other", path).status_code == 404
    assert quick.get("other", "/v1/reports").json()["data"] == []
    assert len(quick.get("department", "/v1/reports").json()["data"]) == 1
    assert len(quick.get("auditor", "/v1/reports").json()["data"]) == 1
    assert quick.get("department", f"/v1/journal/report/{place.rpartition('/')[2]}").status_code == 200


def test_without_the_database_and_a_spool_the_department_is_told_to_try_again(quick: World) -> None:
    quick.hub.store.close()
    quick.hub.spool.limit_bytes = 0
    answer = quick.post("department", "/v1/reports", REPORT)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert answer.json()["code"] == "spool_full" and "detail" not in answer.json()
    assert quick.hub.spool.waiting() == []


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "key_missing"),
        ("Basic dXNlcjpwYXNz", "key_missing"),
        ("Bearer ", "key_missing"),
        ("Bearer nonsense", "key_unknown"),
        (f"Bearer {token('nobody')}", "key_unknown"),
        (f"Bearer {token('department', kind='live')}", "key_of_other_mode"),
    ],
)
def test_without_a_key_of_this_hub_nobody_gets_in(quick: World, authorization: str, code: str) -> None:
    for method, path in (
        ("GET", "/v1/reports"),
        ("POST", "/v1/reports"),
        ("GET", "/v1/me"),
        ("POST", "/v1/calls"),
    ):
        answer = quick.client.request(method, path, headers={"Authorization": authorization})
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_session_cookie_is_no_key_and_a_scope_is_needed(quick: World) -> None:
    quick.client.cookies.set("session", token("officer"))
    assert quick.client.get("/v1/reports").status_code == 401
    quick.client.cookies.clear()
    answer = quick.post("reader", "/v1/reports", REPORT)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
