"""What balancers and monitors hear, and what strangers do not."""

import io
import json
import re
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from hub import metrics
from hub.health import Trouble
from hub.log import configure
from store import processes
from templates import pages
from tests.web.api_world import SITE, World
from tests.web.console_browser import link_for, stranger
from web.access import AccessLog
from web.app import create_app

ROOT = Path(__file__).resolve().parents[2]


def _here(world: World, **settings) -> TestClient:
    """A client on this machine."""
    hub = world.hub
    if settings:
        object.__setattr__(hub, "settings", hub.settings.model_copy(update=settings))
    return TestClient(create_app(hub), base_url=SITE, client=("127.0.0.1", 50000))


def _worker(world: World) -> None:
    me = processes.Process(id="prc_1", kind="worker", host="h", pid=1, version="1", started_at=world.clock(),
                           seen_at=world.clock())  # fmt: skip
    world.hub.store.run(lambda u: processes.seen(u, me, world.clock()))


def test_ready_says_what_is_missing_and_stays_up_while_something_keeps_messages(quick) -> None:
    client = _here(quick)
    assert client.get("/healthz").json() == {"status": "alive"}
    body = client.get("/readyz").json()
    assert body["status"] == "degraded"
    assert body["worker"] is False
    _worker(quick)
    (quick.hub.settings.data_dir / "public" / "index.html").write_text("x")
    assert client.get("/readyz").json()["status"] == "ready"
    (quick.hub.settings.data_dir / "STOP").touch()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["troubles"]) == (200, ["held"])


def test_metrics_are_text_that_a_prometheus_reads_and_every_name_is_listed(hall) -> None:
    _worker(hall)
    answer = _here(hall).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert names == set(metrics.NAMES)
    assert all(
        re.fullmatch(r"[a-z_]+(\{[^}]*\})? [0-9.e+]+", line) for line in lines if not line.startswith("#")
    )
    assert 'tocsin_trouble{trouble="database_down"} 0.0' in lines
    assert 'kind="worker"' in answer.text


def test_the_metrics_document_lists_every_metric_and_every_trouble() -> None:
    text = (ROOT / "docs/operation.md").read_text()
    assert set(re.findall(r"^\| `(tocsin_[a-z_]+)`", text, re.MULTILINE)) == set(metrics.NAMES)
    section = text.split("## What still works")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| .+? \| (.+) \|$", section, re.MULTILINE))
    assert set(rows) == {trouble.value for trouble in Trouble}
    for code, said in rows.items():
        assert said == pages.word("still_works", code, "en"), code


def test_every_trouble_has_its_sentences_in_both_languages() -> None:
    for trouble in Trouble:
        for section in ("trouble", "still_works"):
            zh, en = (pages.word(section, trouble.value, language) for language in ("zh-CN", "en"))
            assert zh != trouble.value
            assert en != zh


@pytest.mark.parametrize("headers, peer", [
    ({"X-Forwarded-For": "10.0.0.1"}, "127.0.0.1"),
    ({"Forwarded": "for=10.0.0.1"}, "127.0.0.1"),
    ({"Via": "1.1 proxy"}, "127.0.0.1"),
    ({}, "10.0.0.1"),
])  # fmt: skip
def test_metrics_do_not_exist_for_who_comes_from_elsewhere(quick, headers, peer) -> None:
    client = TestClient(create_app(quick.hub), base_url=SITE, client=(peer, 50000))
    hidden, missing = client.get("/metrics", headers=headers), client.get("/nothing-here", headers=headers)
    assert hidden.status_code == missing.status_code == 404
    reference = re.compile(r"req_[0-9A-Z]+")
    assert reference.sub("", hidden.text) == reference.sub("", missing.text)
    different = {"x-request-id", "date"}
    assert {k: v for k, v in hidden.headers.items() if k not in different} == {
        k: v for k, v in missing.headers.items() if k not in different
    }


def test_with_a_token_only_its_bearer_reads_metrics_wherever_he_is(quick) -> None:
    client = _here(quick, metrics_token=SecretStr("a-token-of-the-monitor"))
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    given = {"Authorization": "Bearer a-token-of-the-monitor", "X-Forwarded-For": "10.0.0.1"}
    assert client.get("/metrics", headers=given).status_code == 200


def test_metrics_go_on_without_a_database(quick) -> None:
    client = _here(quick)
    quick.hub.store.close()
    (quick.hub.settings.data_dir / "tocsin.db").rename(quick.hub.settings.data_dir / "moved.db")
    (quick.hub.settings.data_dir / "tocsin.db").mkdir()
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "tocsin_database_up 0.0" in answer.text
    assert 'tocsin_trouble{trouble="database_down"} 1.0' in answer.text
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["database"], ready["spool"]) == ("degraded", False, True)


def test_the_desk_shows_what_does_not_work_and_what_still_does_to_who_is_logged_in(quick) -> None:
    (quick.hub.settings.data_dir / "STOP").touch()
    quick.hub.health.look()
    someone = stranger(quick)
    assert "data-trouble" not in someone.get("/login").text
    someone.get(link_for(quick, "officer"))
    someone.post(link_for(quick, "officer"))
    shown = someone.get("/console").text
    if "data-trouble" not in shown:
        pytest.fail(shown[:500])
    assert pages.word("still_works", "held", "zh-CN") in shown
    english = someone.get("/console?lang=en")
    assert english.status_code in (200, 303)
    assert pages.word("still_works", "held", "en") in someone.get("/console").text


def test_a_request_is_one_line_with_the_template_of_its_address(quick) -> None:
    written = io.StringIO()
    with redirect_stderr(written):
        configure()
        client = _here(quick)
        client.get("/login/a-secret-token")
        client.get("/no/such/secret-path")
        client.get("/v1/reports/rep_secret", headers=quick.headers("officer"))
        client.get("/v1/secret-path")
        client.get("/alerts/rel_secret/?q=secret")
        client.request("SECRET", "/healthz")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    asked = [line for line in lines if line["event"] == "web.request"]
    assert [(a["method"], a["route"], a["status"]) for a in asked] == [
        ("GET", "/login/{token}", 200), ("GET", "-", 404), ("GET", "/v1/reports/{report_id}", 404),
        ("GET", "-", 404), ("GET", "/alerts/{rest}", 404), ("-", "/healthz", 405),
    ]  # fmt: skip
    assert all(a["request"].startswith("req_") for a in asked)
    assert "secret" not in written.getvalue().lower()


def test_every_route_of_the_hub_has_a_name_in_the_log(quick) -> None:
    app = create_app(quick.hub)
    assert isinstance(app, AccessLog)
    assert {
        "/healthz",
        "/console",
        "/v1/reports",
        "/v1/releases/{release_id}",
        "/hooks/sms/twilio",
    } <= app._templates
