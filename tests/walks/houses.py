"""Whole hubs for the walks: real processes, real sockets, a provider that keeps its own ledger."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import SecretStr

from domain.handling import Mode
from hub import birth
from hub.settings import Settings
from hub.wiring import build
from simulators.twilio import TwilioSimConfig
from simulators.twilio import app as twilio_app
from tests.servers import free_port, wait_for
from tocsin import demo

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Provider:
    """The simulated Twilio, in this process: it outlives every kill of the hub."""

    url: str
    server: uvicorn.Server
    simulator: Any

    def script(self, *rules: dict[str, Any]) -> None:
        post(f"{self.url}/sim/script", {"seed": 1, "rules": list(rules)})

    def ledger(self) -> list[dict[str, Any]]:
        found = get(f"{self.url}/sim/ledger.json")
        return found["messages"] if isinstance(found, dict) else found

    def text(self, number: str, body: str, **more: Any) -> Any:
        return post(f"{self.url}/sim/inbound", {"from": number, "body": body, **more})


@dataclass
class House:
    """A running hub, what it is made of, and how to hurt it."""

    settings: Settings
    secrets: demo.Secrets
    provider: Provider
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.settings.site

    def start(self, name: str, *command: str) -> None:
        self.commands[name] = [sys.executable, "-m", "tocsin", *command]
        log = (self.settings.data_dir / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            self.commands[name], env=self.environment, cwd=ROOT, stdout=log, stderr=log
        )

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.processes[name].kill()
        self.processes[name].wait(10)

    def start_again(self, name: str) -> None:
        self.start(name, *self.commands[name][3:])

    def step(self, seconds: float) -> None:
        """Move the clock of all its processes; the hub was made with `clock_file`."""
        clock = self.settings.clock_file
        assert clock is not None
        fresh = clock.with_suffix(".new")
        fresh.write_text(str(float(clock.read_text()) + seconds))
        fresh.rename(clock)

    def tocsin(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on its data."""
        command = [sys.executable, "-m", "tocsin", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120
        )

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    def api(self, method: str, path: str, body: Any = None, *, key: str = "officer", **headers: str) -> Any:
        token = getattr(self.secrets, key)
        return call(method, f"{self.url}{path}", body, {"Authorization": f"Bearer {token}", **headers})


def call(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """A JSON request; raises on anything but 2xx, with the answer in the message."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.code} {error.read()[:2000]!r}") from None
    return json.loads(raw) if raw[:1] in (b"{", b"[") else raw


def get(url: str) -> Any:
    return call("GET", url)


def post(url: str, body: Any) -> Any:
    return call("POST", url, body)


def until(claim: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something that another process brings about."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if claim():
                return
        except (OSError, AssertionError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def ready(made: House) -> None:
    """Wait until its doors answer."""
    until(lambda: get(f"{made.url}/readyz") is not None, "the hub answers")


def worker_of(made: House) -> str:
    """The process whose death hurts most."""
    return "all" if "all" in made.processes else "worker1"


def states(made: House, release: str, purpose: str = "main") -> dict[str, str]:
    """Phone -> state of its delivery."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        page = made.api("GET", f"/v1/releases/{release}/deliveries?limit=200{cursor}")
        found |= {row["address"]: row["state"] for row in page["data"] if row["purpose"] == purpose}
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


@contextmanager
def provider(secrets: demo.Secrets, hub_port: int) -> Iterator[Provider]:
    port = free_port()
    config = TwilioSimConfig(
        account_sid=secrets.account_sid,
        auth_token=secrets.auth_token,
        number=demo.NUMBER,
        inbound_url=f"http://127.0.0.1:{hub_port}/hooks/sms/twilio",
        voice_url=f"http://127.0.0.1:{hub_port}/hooks/voice/twilio",
        api_url=f"http://127.0.0.1:{port}",
        now=lambda: datetime.now(UTC),
        sent_after=timedelta(milliseconds=20),
        delivered_after=timedelta(milliseconds=60),
    )
    app = twilio_app(config)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(port)
    yield Provider(url=f"http://127.0.0.1:{port}", server=server, simulator=app.state.simulator)
    server.should_exit = True
    thread.join(5)


@contextmanager
def house(directory: Path, *, database_url: str = "", redis_url: str = "", **more: Any) -> Iterator[House]:
    """A demo hub on this machine, filled, not yet started; embedded, or spread over processes.

    `more` are settings on top, e.g. `clock_file`.
    """
    secrets = demo.load_secrets(directory)
    port = free_port()
    with provider(secrets, port) as twilio:
        places = {"database_url": database_url, "redis_url": redis_url, "port": port}
        made = furnish(directory, secrets, twilio, **places, **more)
        try:
            yield made
        finally:
            made.stop()


def furnish(directory: Path, secrets: demo.Secrets, twilio: Any, **settings: Any) -> House:
    """A filled demo hub whose SMS wire leads to `twilio.url`; `settings` name at least the port."""
    hooks = f"http://127.0.0.1:{settings['port']}/hooks"
    usual = {
        "data_dir": directory,
        "smtp_port": free_port(),
        "twilio_account_sid": secrets.account_sid,
        "twilio_auth_token": SecretStr(secrets.auth_token),
        "twilio_from": demo.NUMBER,
        "twilio_base_url": twilio.url,
        "twilio_webhook_url": f"{hooks}/sms/twilio",
        "twilio_status_url": f"{hooks}/dlr/twilio",
        "twilio_voice_url": f"{hooks}/voice/twilio",
        "sms_calls_per_second": 400,
    }
    chosen = Settings(**usual | settings)
    birth.prepare(chosen, Mode.DEMO, datetime.now(UTC))
    hub = build(chosen)
    demo.seed(hub, secrets, datetime.now(UTC))
    hub.close()
    return House(settings=chosen, secrets=secrets, provider=twilio, environment=_environment(chosen))


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment with every setting that was chosen, and no other one of ours."""
    chosen = {name: getattr(settings, name) for name in settings.model_fields_set}
    plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for k, v in chosen.items()}
    given = {f"TOCSIN_{name.upper()}": value for name, value in plain.items()}
    return {**{k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}, **given}
