"""Five times what a door can take: nothing taken is lost, the rest is told at once to come again, a release leaves (R21, F39)."""

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import tables as t
from store.database import Store
from tests.faults import walkers
from tests.faults.forge import WarmHouse
from tests.faults.kill import warm_hub
from tests.faults.provider_process import ROOT, Running
from tests.walks.houses import get, until

pytestmark = pytest.mark.faults
SECONDS, CEILING_SECONDS, TIMES = 10.0, 3.0, 5
CONNECTIONS = {"sms": 600, "mail": 190}  # of the flood; the mail door lets 200 in
FEW = {"sms": 32, "mail": 32}  # that measure the ceiling
AT_ONCE = 0.1  # seconds in which somebody who is sent away hears it
ALIVE = 2.0  # seconds in which a release has reached its first call, and another door has answered, p99
OTHERS = {"sms": ("mail", "form", "api", "slip"), "mail": ("sms", "form", "api", "slip")}
RELEASES = 8
MEMORY_MB = 400  # of the process whose door is flooded


@dataclass
class Hall:
    """A hub as in production: each door a process of its own, and a worker."""

    made: WarmHouse
    provider: Running
    store: Store
    directory: Path
    floods: int = 0

    def flood(self, kind: str, **more: Any) -> subprocess.Popen[bytes]:
        """Begin one; `heard` reads what it came to."""
        self.floods += 1
        settings = self.made.settings
        order = {
            "kind": kind, "port": settings.port if kind == "sms" else settings.smtp_port, "url": settings.twilio_webhook_url,
            "sid": settings.twilio_account_sid, "number": settings.twilio_from,
            "token": settings.twilio_auth_token.get_secret_value(), "rate": 0, **more,
            "out": str(self.directory / f"heard{self.floods}"),
        }  # fmt: skip
        path = self.directory / f"order{self.floods}"
        path.write_text(json.dumps(order))
        return subprocess.Popen([sys.executable, "-m", "tests.faults.flood", str(path)], cwd=ROOT)

    def heard(self, flood: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert flood.wait(120) == 0
        return dict(json.loads((self.directory / f"heard{self.floods}").read_text()))

    def submitted(self, n: int) -> Any:
        """A release that waits for its approval."""
        api = self.made.api
        example = next(t for t in api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
        made = api(
            "POST", "/v1/releases", {**example, "areas": ["990101"]}, **{"Idempotency-Key": f"flood-{n}"}
        )
        return api("POST", f"/v1/releases/{made['id']}/submit", {})

    def lost(self, taken: Sequence[str]) -> list[str]:
        """Of what was answered as taken, what the store does not hold."""
        rows = self.store.read(lambda unit: unit.rows(sa.select(t.inbound.c.external_id)))
        return sorted(set(taken) - {row.external_id for row in rows})

    def peak_mb(self, name: str) -> float:
        status = Path(f"/proc/{self.made.processes[name].pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def _hall(tmp_path: Path, forge: Any, server: str) -> Iterator[Hall]:
    settings = {"sms_calls_per_second": 5_000}
    with warm_hub(tmp_path / "hub", forge, postgres_url=server, settings=settings) as (
        made,
        provider,
        _,
        store,
    ):
        made.is_cold = True  # real processes, nothing preloaded into them
        for name, command in (("web", "web"), ("smtp", "smtp"), ("worker", "worker")):
            made.start(name, command)
        walkers.insist(lambda: made.api("GET", "/v1/templates"))
        until(lambda: store.read(lambda unit: not unit.rows(sa.select(t.inbound.c.id).where(t.inbound.c.state == "received"))),
              "the morning is filed")  # fmt: skip
        yield Hall(made, provider, store, tmp_path)


@dataclass
class Lives:
    """What else goes on meanwhile."""

    first_calls: list[float] = field(default_factory=list)  # seconds from approval to the provider
    others: dict[str, list[float]] = field(default_factory=dict)  # seconds that other doors took
    failures: list[str] = field(default_factory=list)


def _release(hall: Hall, waiting: list[Any], lives: Lives, over: threading.Event) -> None:
    for release in waiting:
        if over.wait(0.6):
            return
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        body = {"digest": release["digest"]}
        hall.made.api("POST", f"/v1/releases/{release['id']}/approve", body, key="approver")
        rows = hall.store.read(lambda unit, name=release["id"]: unit.rows(  # type: ignore[misc]
            sa.select(t.dispatch.c.sha256).where(t.dispatch.c.release == name, t.dispatch.c.channel == "sms")))  # fmt: skip
        mine = {row.sha256 for row in rows}

        def first(mine: set[str] = mine) -> float:
            return next((call.begun for call in hall.provider.calls() if call.sha256 in mine), 0.0)

        until(lambda: bool(first()), "the first call of a release", 60)
        lives.first_calls.append(first() - begun)


def _knock(hall: Hall, door: str, lives: Lives, over: threading.Event) -> None:
    n = 0
    while not over.wait(0.5):
        begun = time.monotonic()
        try:
            walkers.DOORS[door](hall.made, f"{door} other-{n}", n)
            lives.others.setdefault(door, []).append(time.monotonic() - begun)
        except walkers.FAILURES as error:
            lives.failures.append(f"{door}: {error!r}")
        n += 1


@pytest.mark.parametrize("kind", ["sms", "mail"])
def test_r21_f39_five_times_its_ceiling_costs_a_door_nothing_that_it_took_and_others_nothing(
    kind, server, forge, tmp_path
) -> None:
    with _hall(tmp_path, forge, server) as hall:
        calm = hall.heard(hall.flood(kind, seconds=CEILING_SECONDS, connections=FEW[kind]))
        ceiling = len(calm["taken"]) / calm["seconds"]
        calm_lives, waiting = Lives(), [hall.submitted(n) for n in range(RELEASES + 2)]
        _release(hall, waiting[:2], calm_lives, threading.Event())
        flood = hall.flood(kind, seconds=SECONDS, connections=CONNECTIONS[kind], rate=TIMES * ceiling)
        lives, over = Lives(), threading.Event()
        threads = [threading.Thread(target=_release, args=(hall, waiting[2:], lives, over))]
        threads += [threading.Thread(target=_knock, args=(hall, door, lives, over)) for door in OTHERS[kind]]
        for thread in threads:
            thread.start()
        heard = hall.heard(flood)
        over.set()
        begun = time.monotonic()
        walkers.insist(lambda: walkers.DOORS[kind](hall.made, f"{kind} after-1", 1))
        again = time.monotonic() - begun
        for thread in threads:
            thread.join()
        get(f"{hall.made.url}/readyz")
        print(f"\nbefore it a release took {max(calm_lives.first_calls):.2f} s")
        _say(kind, server, ceiling, heard, lives, again, hall.peak_mb("web" if kind == "sms" else "smtp"))
        assert hall.lost([*calm["taken"], *heard["taken"]]) == []
        assert set(heard["statuses"]) <= {"200", "250", "503", "451"}
        if kind == "sms":  # a 451 says it by its number (RFC 5321)
            assert heard["without_retry"] == 0
        assert len(heard["refusals"]) > ceiling  # it was a flood
        assert _p(heard["refusals"], 0.99) <= AT_ONCE
        assert lives.failures == []
        assert _p(lives.first_calls, 0.99) <= ALIVE
        assert all(_p(waits, 0.99) <= ALIVE for waits in lives.others.values())
        assert again <= ALIVE
        assert hall.peak_mb("web" if kind == "sms" else "smtp") <= MEMORY_MB


def _p(values: Sequence[float], share: float) -> float:
    found = sorted(values)
    return found[min(math.ceil(share * len(found)) - 1, len(found) - 1)] if found else math.inf


def _say(kind: str, server: str, ceiling: float, heard: Any, lives: Lives, again: float, peak: float) -> None:
    others = {door: f"{_p(waits, 0.99):.2f}" for door, waits in lives.others.items()}
    taken, refused = heard["waits"], heard["refusals"]
    print(
        f"\n{kind}, {'postgres' if server else 'sqlite'}: ceiling {ceiling:.0f}/s; offered "
        f"{heard['sent'] / heard['seconds']:.0f}/s for {heard['seconds']:.0f} s: {dict(heard['statuses'])}; "
        f"taken in p50 {_p(taken, 0.5):.3f} p99 {_p(taken, 0.99):.3f} s, "
        f"refused in p50 {_p(refused, 0.5):.3f} p99 {_p(refused, 0.99):.3f} s; "
        f"first call of {len(lives.first_calls)} releases p99 {_p(lives.first_calls, 0.99):.2f} s; other doors p99 {others}; "
        f"back in {again:.2f} s; peak {peak:.0f} MB"
    )
