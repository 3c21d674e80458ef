"""The API under hostile positions, fields, keys, cursors, JSON, filters and paths, over real sockets."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from channels.codecs import cap_check
from domain.errors import BadInput
from sandbox.pool import Pool
from store import tables as t
from tests.corpus.hostile.street import answers, head, say
from tests.web.api_world import World, served, token, world

REPORT = {"text": "东河水位 28.4 m", "place": "东河站", "area": "990101"}
JSON = {"Content-Type": "application/json"}


def _at(made: World, port: int) -> World:
    made.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)  # type: ignore[assignment]
    return made


@pytest.fixture
def hub(quick: World) -> Iterator[World]:
    """A hub on SQLite, spoken to over its socket."""
    with served(quick.hub) as port:
        yield _at(quick, port)
        quick.client.close()


@pytest.fixture(scope="module")
def shared(sqlite_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hub for all inputs that must leave nothing behind."""
    directory = tmp_path_factory.mktemp("shared") / "data"
    with (
        world(directory, datetime(2026, 11, 23, 6, 5, tzinfo=UTC), model=sqlite_model) as made,
        served(made.hub) as port,
    ):
        yield _at(made, port)
        made.client.close()


@pytest.fixture
def each(hall: World) -> Iterator[World]:
    """A hub on each store, spoken to over its socket."""
    with served(hall.hub) as port:
        yield _at(hall, port)
        hall.client.close()


def _port(made: World) -> int:
    return int(made.client.base_url.port or 0)


def _raw(made: World, path: str, body: bytes, **headers: str) -> httpx.Response:
    made.n += 1
    given = {**JSON, "Idempotency-Key": f"r{made.n}", **headers}
    return made.client.post(path, content=body, headers=made.headers("officer", **given))


def _pointers(answer: httpx.Response) -> list[str]:
    return [e["pointer"] for e in answer.json().get("errors", ())]


# ---- H44


@pytest.mark.parametrize(
    ("lat", "lon", "pointer"),
    [
        ("NaN", "113", ""),
        ("Infinity", "113", ""),
        ("1e999", "113", ""),
        ("999", "113", "/lat"),
        ("113.1", "30.2", "/lat"),
        ('"30°15′"', "113", "/lat"),
        ('"30.2"', "113", "/lat"),
        ("0", "0", "/lat"),
        ("0.0", "-0.0", "/lat"),
        ("true", "113", "/lat"),
        ("[30]", "113", "/lat"),
        ("30", "180.1", "/lon"),
        ("30", "null", "/lon"),
        ("null", "113", "/lat"),
        ("9" * 400, "1", ""),
    ],
)
def test_h44_a_position_that_is_none_is_refused_by_the_name_of_its_field(
    shared: World, lat: str, lon: str, pointer: str
) -> None:
    answer = _raw(shared, "/v1/reports", f'{{"text": "x", "lat": {lat}, "lon": {lon}}}'.encode())
    assert answer.status_code == 400, answer.text
    assert _pointers(answer) == [pointer] if pointer else answer.json()["code"] == "bad_json"
    assert shared.count(t.inbound) == 0


@pytest.mark.parametrize("lat", ["nan", "inf", "1_0", "３０", "30°15′", "1e1", "0x1e", " 30", "30,2", "--30"])
def test_h44_a_form_is_as_strict_as_json(shared: World, lat: str) -> None:
    parts: list[Any] = [("text", (None, "x")), ("lat", (None, lat)), ("lon", (None, "113"))]
    answer = shared.client.post(
        "/v1/reports", files=parts, headers=shared.headers("officer", **{"Idempotency-Key": "f"})
    )
    assert (answer.status_code, _pointers(answer)) == (400, ["/lat"])


@pytest.mark.parametrize(
    ("lat", "lon"), [("30°15′", "113"), ("999", "1"), ("nan", "inf"), ("0", "0"), ("113.1", "30.2")]
)
def test_h44_what_a_citizens_form_calls_a_position_is_kept_as_words(hub: World, lat: str, lon: str) -> None:
    asked = {"text": "桥下积水", "lat": lat, "lon": lon}
    answer = hub.client.post("/v1/citizen/reports", json=asked, headers={"Idempotency-Key": "c1"})
    if answer.status_code == 400:
        assert set(_pointers(answer)) <= {"/lat", "/lon"} and hub.count(t.inbound) == 0
        return
    assert answer.status_code == 201, answer.text
    hub.file_all()
    (report,) = hub.get("officer", "/v1/reports").json()["data"]
    assert report["facts"]["position"] == [
        {"value": f"{lat},{lon}", "origin": "citizen", "note": "not a position"}
    ]


@pytest.mark.parametrize("name", ["polygon", "position", "geometry", "circle"])
def test_h44_a_shape_is_no_field_of_a_report_or_a_release(shared: World, name: str) -> None:
    points = [[30.0 + n / 1e4, 113.0] for n in range(50_000)]
    for who, path, body in (
        ("department", "/v1/reports", REPORT),
        ("officer", "/v1/releases", shared.get("officer", "/v1/templates").json()["data"][0]["example"]),
    ):
        began = time.monotonic()
        answer = shared.post(who, path, {**body, name: points})
        assert (answer.status_code, _pointers(answer)) == (400, [f"/{name}"])
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("points", "rule"),
    [
        ("30,113 30,113.1 30.1,113 30,113", ""),
        ("30,113 30.1,113.1 30.1,113 30,113.1 30,113", "R13"),
        ("30,113 30,113.1 30.1,113", "R11"),
        ("NaN,113 30,113.1 30.1,113 NaN,113", "R11"),
        ("999,113 30,1 31,1 999,113", "R12"),
        ("0,0 " * 1_000_000, ""),
        (" ".join(f"{n % 90},{n % 180}" for n in range(1_000_000)), ""),
    ],
    ids=["good", "crossing", "open", "NaN", "range", "a million", "a million around"],
)
def test_h44_the_polygon_of_an_alert_is_judged_in_a_child_and_a_million_points_cost_nobody_else(
    points: str, rule: str
) -> None:
    page = (
        '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier><sender>b</sender>'
        "<sent>2026-11-23T14:05:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"
        "<info><category>Met</category><event>e</event><urgency>Immediate</urgency><severity>Severe</severity>"
        f"<certainty>Observed</certainty><area><areaDesc>x</areaDesc><polygon>{points}</polygon></area></info></alert>"
    )
    pool = Pool()
    began = time.monotonic()
    try:
        found = pool.run(cap_check.check, page.encode()).value["findings"]
        rules = {f["rule"] for f in found if f["level"] == "error"}
        assert rule in "".join(rules) if rule or len(points) > 1000 else not rules
    except BadInput as error:
        assert len(points) > 1000 and error.code.startswith("parser_")
    assert time.monotonic() - began < 10
    pool.close()


# ---- H46, H47


def test_h46_a_field_that_is_not_named_is_refused_by_its_name_at_every_post(hub: World) -> None:
    place = hub.post("department", "/v1/reports", REPORT).json()["links"]["self"]
    hub.file_all()
    example = hub.get("officer", "/v1/templates").json()["data"][0]["example"] | {"areas": ["990101000000"]}
    release = hub.post("officer", "/v1/releases", example).headers["location"]
    before = hub.get("officer", release).json()
    grabs = {
        "state": "approved",
        "exercise": False,
        "author": "per_approver",
        "organisation": "x",
        "id": "rep_1",
        "digest": "0" * 64,
        "revision": 9,
        "handling": "public",
        "is_exercise": False,
        "mode": "live",
        "approved_at": "2026-01-01T00:00:00Z",
        "__proto__": {},
        "constructor": 1,
        "": 1,
    }
    posts = [
        ("department", "/v1/reports", REPORT, {"handling"}),
        ("officer", "/v1/calls", {"text": "x"}, set()),
        ("officer", "/v1/releases", example, set()),
        ("officer", f"{place}/claim", {}, set()),
        ("officer", f"{place}/close", {"reason": "x"}, set()),
        ("officer", f"{release}/submit", {}, set()),
        ("approver", f"{release}/approve", {"digest": "0" * 64}, {"digest"}),
        ("officer", f"{release}/stop", {"reason": "x"}, set()),
        ("officer", f"{release}/return", {"reason": "x"}, set()),
    ]
    for who, path, body, own in posts:
        for name, value in grabs.items():
            if name in own or name in body:
                continue
            answer = hub.post(who, path, {**body, name: value})
            assert answer.status_code in (400, 403, 409), (path, name, answer.text)
            if answer.status_code == 400:
                assert f"/{name}" in _pointers(answer), (path, name, answer.text)
    after = hub.get("officer", release).json()
    assert after == before and hub.get("officer", place).json()["state"] == "filed"
    assert hub.count(t.inbound) == 1 and hub.count(t.release_row) == 1


def test_h47_a_key_is_bound_to_its_body_and_its_client(each: World) -> None:
    first = each.post("department", "/v1/reports", REPORT, key="k")
    again = each.post("department", "/v1/reports", dict(reversed(REPORT.items())), key="k")
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (
        201,
        first.json(),
        "true",
    )
    other = each.post("department", "/v1/reports", {**REPORT, "text": "other"}, key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    mine = each.post("other", "/v1/reports", REPORT, key="k")
    assert mine.status_code == 201 and mine.json()["id"] != first.json()["id"]
    assert each.count(t.inbound) == 2


def test_h47_a_twin_of_a_running_request_hears_409_and_later_the_answer(each: World) -> None:
    hold, is_held = threading.Event(), threading.Event()

    def work(unit: Any) -> None:
        is_held.set()
        hold.wait(20)

    held = each.hub.store.submit(work)
    assert is_held.wait(10)
    with ThreadPoolExecutor(2) as two:
        both = [two.submit(each.post, "department", "/v1/reports", REPORT, key="busy") for _ in range(2)]
        waited = next(as_completed(both, timeout=15)).result()
        assert (waited.status_code, waited.json()["code"]) == (409, "idempotency_in_flight")
        hold.set()
        held.result(10)
        assert sorted(f.result().status_code for f in both) == [201, 409]
    again = each.post("department", "/v1/reports", REPORT, key="busy")
    assert (
        again.status_code == 201
        and again.headers["idempotent-replayed"] == "true"
        and each.count(t.inbound) == 1
    )


@pytest.mark.parametrize(
    "key", ["", "k" * 256, "k k", "k\tk", "ключ", "k\x7f", "k" * 60_000, "k" * (1 << 20)], ids=range(8)
)
def test_h47_a_key_that_is_none_is_400_and_keeps_nothing(shared: World, key: str) -> None:
    body = json.dumps(REPORT).encode()
    lines = (
        f"Authorization: Bearer {token('department')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    raw = head("/v1/reports", *lines)[:-2] + b"Idempotency-Key: " + key.encode() + b"\r\n\r\n" + body
    said = say(_port(shared), raw)
    assert answers(said)[:1] in ([400], [431]) or (said == b"" and len(key) > 65536)
    assert shared.count(t.inbound) == 0


# ---- H48


def test_h48_a_cursor_that_was_edited_moved_or_has_expired_is_400(hub: World) -> None:
    for n in range(4):
        hub.post("department", "/v1/reports", {**REPORT, "text": f"{n}"})
        hub.clock.forward(seconds=1)
    hub.file_all()
    mark = hub.get("department", "/v1/reports?limit=2").json()["next_cursor"]
    place = "/v1/reports?limit=2&cursor="
    assert [r["text"] for r in hub.get("department", place + mark).json()["data"]] == ["1", "0"]
    edited = [mark[:n] + ("A" if mark[n] != "A" else "B") + mark[n + 1 :] for n in range(0, len(mark), 3)]
    for text in (
        *edited,
        mark[:-1],
        mark + "A",
        mark * 2,
        "-1",
        "0",
        "%00",
        "A" * 400,
        "%F0%9F%8C%80",
        "' OR 1=1",
    ):
        answer = hub.get("department", place + text)
        assert (answer.status_code, answer.json()["code"]) in ((400, "bad_cursor"), (400, "bad_query")), text
    for who, path in (
        ("other", place + mark),
        ("officer", place + mark),
        ("department", f"{place}{mark}&level=1"),
        ("officer", f"/v1/releases?cursor={mark}"),
        ("officer", f"/v1/events?after={mark}"),
    ):
        assert hub.get(who, path).json()["code"] == "bad_cursor", path
    hub.clock.forward(hours=25)
    assert hub.get("department", place + mark).json()["code"] == "bad_cursor"


def test_h48_the_row_a_cursor_names_may_be_gone(hub: World) -> None:
    for n in range(3):
        hub.post("department", "/v1/reports", {**REPORT, "text": f"{n}"})
        hub.clock.forward(seconds=1)
    hub.file_all()
    page = hub.get("department", "/v1/reports?limit=1").json()
    gone = page["data"][0]["id"]
    # Nothing of ours deletes a report; a place in a list must not depend on that.
    hub.hub.store.run(
        lambda unit: unit.execute(
            t.report_row.update().where(t.report_row.c.id == gone).values(received_at=hub.clock.at)
        )
    )
    rest = hub.get("department", f"/v1/reports?limit=1&cursor={page['next_cursor']}")
    assert [r["text"] for r in rest.json()["data"]] == ["1"]


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
        answer = _raw(shared, path, raw)
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
    assert _raw(each, "/v1/reports", body).status_code == 400
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
        _port(shared),
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
        with socket.create_connection(("127.0.0.1", _port(hub)), 10) as s:
            s.sendall(
                head(
                    "/v1/me", f"Authorization: Bearer {token('officer')}", "Connection: close", method=method
                )
            )
            s.settimeout(10)
            assert answers(s.recv(65536))[:1] in ([400], [405], [404], [501]), method
    hub.file_all()
    assert hub.get("officer", place).json()["state"] == "filed"
