"""The API under hostile JSON, filters, letters and paths, over real sockets."""

import socket
import time

import pytest
import sqlalchemy as sa

from store import tables as t
from tests.corpus.hostile.api_kit import REPORT, port_of, post_raw
from tests.corpus.hostile.street import answers, head, say
from tests.web.api_world import World, token

# ---- H49

DOUBTFUL = {
    "depth 100,000": b"[" * 100_000,
    "depth in a field": b'{"text": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "a name twice": b'{"text": "a", "text": "b"}',
    "twice by escape": b'{"text": "a", "\\u0074ext": "b"}',
    "NaN": b'{"text": "a", "lat": NaN, "lon": 1}',
    "Infinity": b'{"lat": Infinity}',
    "1e999": b'{"lat": 1e999}',
    "5,000 digits": b'{"grade": ' + b"1" * 5000 + b"}",
    "2^63": b'{"grade": 9223372036854775808}',
    "true": b'{"text": "a", "grade": true}',
    "float for int": b'{"text": "a", "grade": 1.0}',
    "text for int": b'{"text": "a", "grade": "1"}',
    "BOM": b'\xef\xbb\xbf{"text": "a"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "UTF-32": '{"text": "a"}'.encode("utf-32-le"),
    "trailing": b'{"text": "a"} {}',
    "NUL": b'{"text": "a\\u0000"}',
    "half": b'{"text": "\\ud800"}',
    "Latin-1": b'{"text": "\xe9"}',
    "comment": b'{"text": "a"} // x',
    "comma": b'{"text": "a",}',
    "quotes": b"{'text': 'a'}",
    "nothing": b"",
    "blank": b" ",
    "list": b"[]",
    "null": b"null",
    "text": b'"a"',
    "a million names": b"{" + b",".join(b'"a%d":1' % n for n in range(300_000)) + b"}",
    "long name": b'{"' + b"a" * (1 << 20) + b'": 1}',
    "a million brackets in text": b'{"text": "' + b"[" * (1 << 20) + b'", "x": 1}',
    "backslashes": b'{"text": "' + b"\\\\" * 500_000 + b'"',
    "open string and a backslash": b'{"text": "' + b'\\"' * 500_000 + b"\\",
    "open string": b'{"text": "' + b'\\"' * 500_000,
    "exponent": b'{"lat": 1e-99999999999999999999}',
    "digits after": b'{"lat": 0.' + b"1" * 50_000 + b"}",
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_h49_a_doubtful_body_is_400_at_once_and_says_nothing_back(shared: World, name: str) -> None:
    raw = DOUBTFUL[name]
    for path in ("/v1/reports", "/v1/calls"):
        began = time.monotonic()
        answer = post_raw(shared, path, raw)
        assert (
            answer.status_code == (413 if len(raw) > 2 << 20 else 400)
            and answer.headers["content-type"] == "application/problem+json"
        ), answer.text
        assert time.monotonic() - began < 2 and len(answer.content) < 20_000
        assert "Error" not in answer.text.replace("errors", "") and "Traceback" not in answer.text
    assert shared.count(t.inbound) == 0


# ---- H50, H51, H52


def test_h50_another_departments_report_is_404_by_every_door(each: World) -> None:
    place = each.post("department", "/v1/reports", REPORT).json()["links"]["self"]
    each.file_all()
    name = place.rpartition("/")[2]
    for path in (place, f"{place}/original", f"{place}/attachments/{'0' * 64}", f"/v1/journal/report/{name}"):
        strange, missing = each.get("other", path), each.get("other", path.replace(name, "rep_" + "0" * 26))
        assert (strange.status_code, strange.json()["code"]) == (missing.status_code, missing.json()["code"])
        assert strange.status_code == (403 if path.endswith("original") else 404), (
            path
        )  # a scope, whichever report
    for act in ("claim", "verify", "close", "transfer"):
        assert each.post("other", f"{place}/{act}", {}).status_code in (403, 404)
    assert each.get("other", "/v1/reports").json()["data"] == []
    assert each.get("department", place).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=1000000000",
        "limit=0",
        "limit=201",
        "limit=1e9",
        "limit=0x10",
        "limit=%EF%BC%95",
        "handling=sensitive",
        "organisation=x",
        "claimed_by=per_x",
        "holder=x",
        "limit=5&limit=6",
        "offset=1",
        "fields=raw",
        "include=content",
        "status=filed;drop",
        "area=99%25",
        "level=5",
    ],
)
def test_h50_filters_are_a_closed_list_and_pages_have_a_bound(shared: World, query: str) -> None:
    answer = shared.get("officer", f"/v1/reports?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")


@pytest.mark.parametrize("name", ["q", "area", "status", "channel", "since", "level", "cursor"])
def test_h51_letters_of_sql_are_letters_in_every_filter(hub: World, name: str) -> None:
    hub.post("department", "/v1/reports", {**REPORT, "text": "a plain text"})
    hub.file_all()
    for text in (
        "' OR 1=1 --",
        "%",
        "_",
        "%_%",
        "\\",
        "\x00",
        "'; DROP TABLE report; --",
        "1) UNION SELECT 1",
        "$.a[*]",
        "${jndi:x}",
    ):
        answer = hub.client.get("/v1/reports", params={name: text}, headers=hub.headers("officer"))
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            assert answer.json()["data"] == []
        assert hub.count(t.report_row) == 1 and "sqlite" not in answer.text.lower()


def test_h51_sorting_is_not_for_callers_and_wildcards_find_themselves_only(each: World) -> None:
    for n, text in enumerate(("50% sure", "50_x", "plain")):
        assert (
            each.post("department", "/v1/reports", {**REPORT, "text": text}, key=f"s{n}").status_code == 201
        )
    each.file_all()
    assert each.get("officer", "/v1/reports?sort=(select%201)").status_code == 400
    for q, n in (("%25", 1), ("50_", 1), ("50%25%20s", 1), ("_", 1), ("PLAIN", 1), ("'", 0)):
        assert len(each.get("officer", f"/v1/reports?q={q}").json()["data"]) == n, q
    for path in ("/v1/reports/' OR 1=1", "/v1/reports/%25", "/v1/releases/_", "/v1/journal/report/'--"):
        assert each.get("officer", path).status_code in (400, 404), path


def test_h51_a_nul_never_reaches_the_store(each: World) -> None:
    body = b'{"text": "a\\u0000b"}'
    assert post_raw(each, "/v1/reports", body).status_code == 400
    assert each.client.get("/v1/reports?q=a%00b", headers=each.headers("officer")).status_code == 400
    assert each.client.get("/v1/reports/a%00b", headers=each.headers("officer")).status_code in (400, 404)
    slip = each.client.post("/v1/citizen/reports", json={"text": "ab"}, headers={"Idempotency-Key": "n\x01"})
    assert slip.status_code == 400
    rows = each.hub.store.read(lambda unit: unit.scalar(sa.select(sa.func.count()).select_from(t.inbound)))
    assert rows == 0


@pytest.mark.parametrize(
    "path",
    [
        "//v1//me",
        "/v1//me",
        "/V1/me",
        "/v1/me/",
        "/v1/%6de%2f..",
        "/v1/%2e%2e/v1/me",
        "/v1/..%2fv1/me",
        "/v1/../v1/me",
        "/v1/./me",
        "/v1/me;a=b",
        "/v1;x/me",
        "/v1/me%00",
        "/v1/%252e%252e/me",
        "/API/openapi.json",
        "/v1/me%20",
        "/v1/me.json",
        "/v1\\me",
        "/v1/me%0d%0a",
        "http://evil.example/v1/me",
        "/console/../v1/me",
        "/public/../v1/me",
        "/public/%2e%2e/%2e%2e/demo.json",
        "*",
    ],
)
def test_h52_one_thing_has_one_address(shared: World, path: str) -> None:
    said = say(
        port_of(shared),
        head(path, f"Authorization: Bearer {token('officer')}", "Connection: close", method="GET"),
    )
    assert answers(said)[:1] in ([400], [404], [405], [421]), said[:300]
    assert b"officer" not in said


def test_h52_headers_change_neither_method_nor_path(hub: World) -> None:
    place = hub.post("department", "/v1/reports", REPORT).json()["links"]["self"]
    told = {
        "X-HTTP-Method-Override": "DELETE",
        "X-Method-Override": "PUT",
        "X-HTTP-Method": "POST",
        "X-Original-URL": "/v1/shelf",
        "X-Rewrite-URL": "/v1/shelf",
        "X-Forwarded-Prefix": "/x",
        "X-Forwarded-Path": "/v1/shelf",
    }
    assert hub.client.get("/v1/me", headers=hub.headers("officer", **told)).json()["name"] == "officer"
    assert hub.client.get(f"{place}?_method=DELETE", headers=hub.headers("officer", **told)).status_code in (
        200,
        400,
    )
    for method in ("TRACE", "CONNECT", "DELETE", "PUT", "PROPFIND", "get", "GET\x0b"):
        with socket.create_connection(("127.0.0.1", port_of(hub)), 10) as s:
            s.sendall(
                head(
                    "/v1/me", f"Authorization: Bearer {token('officer')}", "Connection: close", method=method
                )
            )
            s.settimeout(10)
            assert answers(s.recv(65536))[:1] in ([400], [405], [404], [501]), method
    hub.file_all()
    assert hub.get("officer", place).json()["state"] == "filed"
