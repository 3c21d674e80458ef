"""A demo hub as a user starts it, in a process of its own: its addresses, one-time links, and how it is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.walks.houses import ROOT, call, get, post, until

_CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}


@dataclass
class HubProcess:
    """`tocsin up --demo` on a directory; killed and started again it answers on the same port."""

    directory: Path
    port: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return str(self.told["base_url"])

    def start(self) -> None:
        """Returns when its doors answer."""
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        options = ["--data", str(self.directory / "data"), "--port", str(self.port), "--smtp-port", "0"]
        command = [sys.executable, "-m", "tocsin", "up", "--demo", *options, "--ready-file", str(ready)]
        with (self.directory / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=_CLEAN, stdout=log, stderr=log)
        until(lambda: ready.exists() or not self.is_alive, "the ready file", 120)
        assert ready.exists(), (self.directory / "hub.log").read_text()[-2000:]
        self.told = json.loads(ready.read_text())
        self.port = int(self.url.rpartition(":")[2])

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal, and wait until the process is gone."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process = None

    def link(self, login: str) -> str:
        """A fresh one-time link; made beside the running hub, as an administrator makes it."""
        command = [
            sys.executable,
            "-m",
            "tocsin",
            "user",
            "link",
            login,
            "--data",
            str(self.directory / "data"),
        ]
        answer = subprocess.run(command, cwd=ROOT, env=_CLEAN, capture_output=True, text=True, timeout=120)
        assert answer.returncode == 0, answer.stderr
        path = next(word for word in answer.stdout.split() if "/login/" in word).partition("/login/")[2]
        return f"{self.url}/login/{path}"

    def text(self, sender: str, body: str) -> None:
        """An SMS to the hub, through the simulated provider."""
        answer = post(
            f"{self.told['simulators']['twilio']['url']}/sim/inbound", {"from": sender, "body": body}
        )
        assert answer["status"] in (200, 202, 204), answer

    def api(self, method: str, path: str, body: Any = None, *, key: str = "officer", **headers: str) -> Any:
        token = self.told["api_keys"][key]
        return call(method, f"{self.url}{path}", body, {"Authorization": f"Bearer {token}", **headers})

    def reports(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self.api("GET", "/v1/reports?limit=50")["data"]
        return found

    def received(self) -> list[str]:
        """Every text that lies on a phone of the demo."""
        return [m["body"] for phone in get(f"{self.url}/demo/outbox.json") for m in phone["messages"]]


@contextmanager
def hub_process(directory: Path) -> Iterator[HubProcess]:
    """A running hub with its morning's reports filed; gone at the end."""
    made = HubProcess(directory)
    try:
        made.start()
        until(lambda: len(made.reports()) >= 5, "the morning's reports are filed")
        yield made
    finally:
        made.end()
