"""Storm, outage and reset on a running demo."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import NotFound, Refused
from domain.handling import Mode
from hub import birth, keys
from hub.settings import Settings
from hub.wiring import now
from tests.walks.houses import call, get, until
from tocsin import demo, demo_storm
from tocsin.alone import alone

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}


def _tocsin(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tocsin", *arguments], cwd=ROOT, env=CLEAN, capture_output=True,
                          text=True, timeout=120)  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict]]:
    data = tmp_path_factory.mktemp("demo") / "data"
    ready = data.parent / "ready.json"
    command = [sys.executable, "-m", "tocsin", "up", "--demo", "--data", str(data), "--port", "0", "--smtp-port", "0",
               "--ready-file", str(ready)]  # fmt: skip
    with (data.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=CLEAN, stdout=log, stderr=log)
    until(ready.exists, "ready")
    yield data, json.loads(ready.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_storm_comes_in_by_several_doors_and_every_report_that_was_taken_is_in_the_queue(running) -> None:
    data, ready = running
    before = _reports(ready)
    done = _tocsin("demo", "storm", "--reports", "40", "--seconds", "2", "--json", "--data", str(data))
    found = Counter(json.loads(done.stdout))
    assert sum(found.values()) == 40
    taken = sum(n for what, n in found.items() if what.endswith(": taken"))
    assert {what.split(":")[0] for what in found} >= {"sms", "mail", "api"}
    assert taken > 30, found
    until(lambda: _reports(ready) >= before + taken, "all are in the queue")


def test_an_outage_makes_the_provider_fail_and_heals_it(running) -> None:
    data, ready = running
    url = ready["simulators"]["twilio"]["url"] + "/sim/script"
    out: list[subprocess.CompletedProcess[str]] = []
    asked = threading.Thread(
        target=lambda: out.append(
            _tocsin("demo", "outage", "--kind", "429", "--seconds", "3", "--data", str(data))
        )
    )
    asked.start()
    until(lambda: [r["act"] for r in get(url)["rules"]] == ["throttle"], "it fails")
    asked.join(60)
    assert out[0].returncode == 0
    assert get(url)["rules"] == []
    assert _tocsin("demo", "outage", "--kind", "explode", "--data", str(data)).returncode == 2


def test_a_running_demo_is_not_reset(running) -> None:
    data, _ = running
    refused = _tocsin("demo", "reset", "--data", str(data))
    assert refused.returncode == 1
    assert "already_up" in refused.stderr


def test_nothing_runs_nothing_storms(tmp_path) -> None:
    with pytest.raises(NotFound):
        demo_storm.target(tmp_path)


def test_the_same_seed_is_the_same_storm_with_repeats_and_typos() -> None:
    first, again = list(demo_storm.calls(200, seed=3)), list(demo_storm.calls(200, seed=3))
    assert first == again
    said = Counter((one.place, one.text) for one in first)
    assert max(said.values()) > 2
    assert any(wrong in one.text for one in first for wrong in ("河提", "漏谁", "起伙"))


def _hub(tmp_path: Path, mode: Mode) -> Settings:
    settings = Settings(data_dir=tmp_path / "data")
    birth.prepare(settings, mode, now())
    return settings


def test_reset_forgets_everything_but_keys_and_secrets(tmp_path) -> None:
    settings = _hub(tmp_path, Mode.DEMO)
    made, key = (
        demo.load_secrets(settings.data_dir),
        keys.load(settings.data_dir / "keys", may_make=False).field,
    )
    (settings.data_dir / "STOP").touch()
    demo.reset(settings)
    assert sorted(p.name for p in settings.data_dir.iterdir()) == ["demo.json", "keys", "up.lock"]
    birth.prepare(settings, Mode.DEMO, now())
    assert demo.load_secrets(settings.data_dir) == made
    assert keys.load(settings.data_dir / "keys", may_make=False).field == key


@pytest.mark.parametrize("mode", [Mode.LIVE, Mode.EXERCISE])
def test_nothing_of_a_hub_that_is_no_demo_is_ever_thrown_away(tmp_path, mode: Mode) -> None:
    settings = _hub(tmp_path, mode)
    with pytest.raises(NotFound):
        demo.reset(settings)
    demo.load_secrets(settings.data_dir)  # even when somebody copied a demo's file here
    with pytest.raises(Refused) as refused:
        demo.reset(settings)
    assert refused.value.code == "not_demo"
    assert (settings.data_dir / "tocsin.db").exists()


def test_a_demo_on_its_own_server_and_one_that_is_open_are_refused(tmp_path) -> None:
    settings = _hub(tmp_path, Mode.DEMO)
    demo.load_secrets(settings.data_dir)
    with pytest.raises(Refused, match="dropdb"):
        demo.reset(settings.model_copy(update={"database_url": "postgresql://127.0.0.1/x"}))
    with alone(settings.data_dir / "up.lock"), pytest.raises(Refused, match="another"):
        demo.reset(settings)


def _reports(ready: dict) -> int:
    count, cursor = 0, ""
    while True:
        page = call("GET", f"{ready['base_url']}/v1/reports?limit=200{cursor}", None,
                    {"Authorization": f"Bearer {ready['api_keys']['officer']}"})  # fmt: skip
        count += len(page["data"])
        if not page.get("next_cursor"):
            return count
        cursor = f"&cursor={page['next_cursor']}"
