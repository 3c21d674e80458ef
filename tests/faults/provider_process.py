"""Starts the provider that misbehaves to order, and what a test asks of it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults import ledger as books
from tests.faults.ledger import Call
from tests.faults.plan import Plan
from tests.servers import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A provider process, as a test sees it."""

    url: str
    ledger: Path

    def obey(self, plan: Plan) -> None:
        """Replace the plan."""
        body = json.dumps(plan.to_json()).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/plan", body), timeout=10).read()

    def listed(self) -> int:
        """How often it was asked what it holds."""
        return int(urllib.request.urlopen(f"{self.url}/listed", timeout=10).read())

    def calls(self) -> list[Call]:
        """Every call it has seen."""
        return books.read(self.ledger)


@contextmanager
def running(
    ledger: Path, *, account_sid: str, auth_token: str, clock: Path | None = None
) -> Iterator[Running]:
    """A provider in its own process; `clock`: the file that steps the hub's clock, since both live in one time."""
    port = free_port()
    command = [sys.executable, "-m", "tests.faults.provider", str(port), str(ledger), account_sid, auth_token,
               *([str(clock)] if clock else [])]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_for(port, 60)
            yield Running(url=f"http://127.0.0.1:{port}", ledger=ledger)
        finally:
            process.kill()
