"""The API under hostile positions, fields, keys and cursors, over real sockets."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest

from channels.codecs import cap_check
from domain.errors import BadInput
from sandbox.pool import Pool
from store import tables as t
from tests.corpus.hostile.api_kit import REPORT, pointers, port_of, post_raw
from tests.corpus.hostile.street import answers, head, say
from tests.web.api_world import World, token

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
    answer = post_raw(shared, "/v1/reports", f'{{"text": "x", "lat": {lat}, "lon": {lon}}}'.encode())
    assert answer.status_code == 400, answer.text
    assert pointers(answer) == [pointer] if pointer else answer.json()["code"] == "bad_json"
    assert shared.count(t.inbound) == 0


@pytest.mark.parametrize("lat", ["nan", "inf", "1_0", "３０", "30°15′", "1e1", "0x1e", " 30", "30,2", "--30"])
def test_h44_a_form_is_as_strict_as_json(shared: World, lat: str) -> None:
    parts: list[Any] = [("text", (None, "x")), ("lat", (None, lat)), ("lon", (None, "113"))]
    answer = shared.client.post(
        "/v1/reports", files=parts, headers=shared.headers("officer", **{"Idempotency-Key": "f"})
    )
    assert (answer.status_code, pointers(answer)) == (400, ["/lat"])


@pytest.mark.parametrize(
    ("lat", "lon"), [("30°15′", "113"), ("999", "1"), ("nan", "inf"), ("0", "0"), ("113.1", "30.2")]
)
def test_h44_what_a_citizens_form_calls_a_position_is_kept_as_words(hub: World, lat: str, lon: str) -> None:
    asked = {"text": "桥下积水", "lat": lat, "lon": lon}
    answer = hub.client.post("/v1/citizen/reports", json=asked, headers={"Idempotency-Key": "c1"})
    if answer.status_code == 400:
        assert set(pointers(answer)) <= {"/lat", "/lon"} and hub.count(t.inbound) == 0
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
        assert (answer.status_code, pointers(answer)) == (400, [f"/{name}"])
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
                assert f"/{name}" in pointers(answer), (path, name, answer.text)
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
    said = say(port_of(shared), raw)
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
