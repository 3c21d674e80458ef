"""`tocsin up --demo` as a new user meets it."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.walks.houses import call, get, until

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}


def _tocsin(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tocsin", *arguments]
    return subprocess.run(command, cwd=ROOT, env=CLEAN, capture_output=True, text=True, timeout=120, **more)


def _up(data: Path, ready: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tocsin",
        "up",
        "--demo",
        "--data",
        str(data),
        "--port",
        "0",
        "--smtp-port",
        "0",
        "--ready-file",
        str(ready),
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env=CLEAN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict, subprocess.Popen[str]]]:
    data = tmp_path_factory.mktemp("up") / "data"
    ready = data.parent / "ready.json"
    process = _up(data, ready)
    until(ready.exists, "the ready file", 120)
    yield data, json.loads(ready.read_text()), process
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def test_the_ready_file_is_private_and_names_everything_that_answers(running) -> None:
    data, ready, _ = running
    assert stat.S_IMODE((data.parent / "ready.json").stat().st_mode) == 0o600
    assert set(ready) == {"base_url", "public_url", "smtp", "logins", "api_keys", "simulators"}
    assert set(ready["logins"]) == {"officer", "approver", "admin"}
    assert set(ready["api_keys"]) == {"department", "officer", "approver"}
    assert set(ready["simulators"]["twilio"]) == {"url", "account_sid", "auth_token"}
    assert set(ready["simulators"]["smtp"]) == {"host", "port", "url"}
    assert get(ready["simulators"]["smtp"]["url"] + "/sim/mailbox.json") == []
    for path in (
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/demo/outbox",
        "/demo/outbox.json",
        "/demo/mailbox.json",
    ):
        get(ready["base_url"] + path)
    get(ready["public_url"] + "/")
    for link in ready["logins"].values():
        assert link.startswith(ready["base_url"])
        assert urllib.request.urlopen(link, timeout=10).status == 200


def test_an_address_with_a_line_end_is_answered_by_the_hub_and_not_by_the_framework(running) -> None:
    _, ready, _ = running
    for path, kind in (("/v1/a%0Ab", "application/problem+json"), ("/a%0Ab", "text/html; charset=utf-8")):
        answer = httpx.get(ready["base_url"] + path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, kind)
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_second_up_on_the_same_data_is_refused_with_a_sentence(running, tmp_path) -> None:
    data, _, _ = running
    second = _tocsin("up", "--demo", "--data", str(data), "--port", "0", "--smtp-port", "0")
    assert second.returncode == 1
    assert "already_up" in second.stderr
    assert "Traceback" not in second.stderr


def test_every_template_example_is_taken_submitted_and_approved_as_it_is(running) -> None:
    _, ready, _ = running

    def api(method, path, body=None, who="officer", **headers):
        return call(
            method,
            ready["base_url"] + path,
            body,
            {"Authorization": f"Bearer {ready['api_keys'][who]}", **headers},
        )

    templates = api("GET", "/v1/templates")["data"]
    assert {t["id"] for t in templates} >= {"heavy_rain", "utility_outage"}
    for template in templates:
        assert template["fields"]
        release = api("POST", "/v1/releases", template["example"], **{"Idempotency-Key": template["id"]})[
            "id"
        ]
        digest = api("POST", f"/v1/releases/{release}/submit", {})["digest"]
        api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, who="approver")
        until(lambda r=release: api("GET", f"/v1/releases/{r}")["state"] == "published", "published")
        assert get(f"{ready['public_url']}/public/cap/{release}.xml").startswith(b"<?xml")


def test_the_journal_of_a_running_hub_verifies_and_a_changed_row_is_found(running, tmp_path) -> None:
    data, _, _ = running
    good = _tocsin("journal", "verify", "--data", str(data), "--json")
    assert good.returncode == 0, good.stdout + good.stderr
    assert json.loads(good.stdout)["findings"] == []


def test_it_starts_again_on_its_data_and_leaves_cleanly_on_either_signal(tmp_path) -> None:
    # Seconds are measured at rest, not asserted here: the runner shares its cores with the other tests.
    data, ready = tmp_path / "data", tmp_path / "ready.json"
    for number in (signal.SIGINT, signal.SIGTERM):
        ready.unlink(missing_ok=True)
        process = _up(data, ready)
        until(ready.exists, "ready", 120)
        process.send_signal(number)
        assert process.wait(30) == 0


def test_commands_answer_in_json_and_mistakes_in_one_line(tmp_path) -> None:
    data = str(tmp_path / "data")
    assert json.loads(_tocsin("version", "--json").stdout)["version"]
    lost = _tocsin("user", "list", "--data", data)
    assert lost.returncode == 1
    assert len(lost.stderr.strip().splitlines()) == 1
    assert _tocsin("init", "--mode", "demo", "--data", data).returncode == 0
    other = _tocsin("init", "--mode", "live", "--data", data)
    assert other.returncode == 1
    assert "mode_is_set" in other.stderr
    added = _tocsin(
        "user",
        "add",
        "zhang",
        "--name",
        "张",
        "--role",
        "officer",
        "--data",
        data,
        input="a long enough password\n",
    )
    assert added.returncode == 0, added.stderr
    people = json.loads(_tocsin("user", "list", "--json", "--data", data).stdout)
    assert [(p["login"], p["roles"]) for p in people] == [("zhang", ["officer"])]
    secret = {
        **CLEAN,
        "TOCSIN_TWILIO_AUTH_TOKEN": "very-secret",
        "TOCSIN_DATABASE_URL": "postgresql://u:hidden@h/d",
    }
    shown = subprocess.run(
        [sys.executable, "-m", "tocsin", "config", "show", "--json"],
        cwd=ROOT,
        env=secret,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert "very-secret" not in shown
    assert "hidden" not in shown


@pytest.mark.parametrize("door", ["port", "smtp-port"])
def test_a_port_that_is_taken_is_told_in_one_line_with_its_setting(tmp_path, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ports = {"port": "0", "smtp-port": "0"} | {door: port}
        options = [word for name, value in ports.items() for word in (f"--{name}", value)]
        found = _tocsin("up", "--demo", "--data", str(tmp_path / "data"), *options)
    assert found.returncode == 1
    (line,) = found.stderr.strip().splitlines()
    assert f"port {port} of 127.0.0.1" in line and "[port_taken]" in line
    assert f"TOCSIN_{door.replace('-', '_').upper()}" in line


def test_a_setting_that_does_not_fit_is_named_in_one_line_without_its_value(tmp_path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tocsin", "config", "show", "--data", str(tmp_path)],
        cwd=ROOT,
        env={**CLEAN, "TOCSIN_PORT": "hunter2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 1
    assert shown.stderr.startswith("tocsin: port: ")
    assert len(shown.stderr.splitlines()) == 1
    assert "hunter2" not in shown.stderr


def test_a_demo_hub_refuses_a_wire_that_leaves_the_machine(tmp_path) -> None:
    data = str(tmp_path / "data")
    _tocsin("init", "--mode", "demo", "--data", data)
    outside = {**CLEAN, "TOCSIN_TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TOCSIN_TWILIO_AUTH_TOKEN": "0a" * 16}
    refused = subprocess.run(
        [sys.executable, "-m", "tocsin", "worker", "--data", data],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "mode_forbids_wire" in refused.stderr


def test_cap_validate_of_a_file_that_is_not_there_is_a_wrong_argument(tmp_path) -> None:
    lost = _tocsin("cap", "validate", str(tmp_path / "lost.xml"))
    assert lost.returncode == 2
    assert "Traceback" not in lost.stderr


def test_cap_validate_names_the_rule_and_the_line(tmp_path) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text(
        "<?xml version='1.0'?><alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>a b"
        "</identifier></alert>"
    )
    found = _tocsin("cap", "validate", str(bad))
    assert found.returncode == 1
    assert "CAP-R01" in found.stdout


def test_an_open_page_does_not_keep_the_hub_from_leaving(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = _up(tmp_path / "data", ready)
    until(ready.exists, "the ready file", 120)
    told = json.loads(ready.read_text())
    with httpx.Client(timeout=60) as client:
        client.post(told["logins"]["officer"], headers={"Sec-Fetch-Site": "same-origin"})
        with client.stream("GET", f"{told['base_url']}/console/stream") as answer:
            lines = answer.iter_lines()
            next(line for line in lines if line.startswith("event: beat"))
            process.send_signal(signal.SIGTERM)
            assert not [line for line in lines if line.startswith("event: bye")]  # it ended, and was not cut
    assert process.wait(30) == 0
