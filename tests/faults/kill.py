"""The kill harness: both walks on a whole hub, one kill -9 by schedule, a new start, and the oracle's verdict."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub import birth, keys
from store.database import Store
from tests.conftest import _psql
from tests.faults import oracle, walkers
from tests.faults.crashpoint import Crashpoint
from tests.faults.oracle import Evidence
from tests.faults.provider_process import Running, running
from tests.faults.schedule import Schedule
from tests.faults.walkers import Walkers
from tests.servers import free_port, redis
from tests.walks.houses import House, furnish, get, until
from tocsin import demo

LEASE_IS_OVER = 40  # seconds to step: a lease of 30 s and a sweep of 5 s
_STILL_SECONDS = 2.5  # a back-off of a second passes by itself; what stands still for longer is leased
_SETTLE_SECONDS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run ended."""

    broken: list[str]
    how: str  # the call before which the victim died, or "by the clock"
    taken: int  # messages of the provider's ledger
    unsure: int


class KilledHub:
    """A hub, its provider and its clock, under one schedule."""

    def __init__(self, made: House, provider: Running, clock: Path, crash: Crashpoint | None) -> None:
        self._made, self._provider, self._crash, self._clock = made, provider, crash, clock

    def run(self, schedule: Schedule) -> Verdict:
        """Start, walk, kill, start again, settle, judge."""
        self._start_all(schedule)
        self._provider.obey(schedule.plan)
        senders = Walkers(self._made, sms=schedule.sms, mails=schedule.mails, api=schedule.api)
        senders.start()
        how = self._die(schedule)
        self._made.start_again(schedule.death.victim)
        answered = senders.join()
        with self._store() as store:
            stuck = self._settle(store)
            evidence = Evidence(
                data_dir=self._made.settings.data_dir, at=self._now(), answered=answered.reports,
                found=walkers.markers(self._texts()), calls=self._provider.calls(), deaths=1,
                release=answered.release, is_approved=answered.is_approved, shown=answered.shown,
            )  # fmt: skip
            broken = [*answered.failures, *stuck, *store.read(lambda unit: oracle.check(unit, evidence))]
            rows = store.read(oracle.progress)
        return Verdict(broken=broken, how=how, taken=sum(call.is_taken for call in evidence.calls),
                       unsure=rows.get("delivery unsure", 0))  # fmt: skip

    def _start_all(self, schedule: Schedule) -> None:
        commands = (
            {"web": "web", "smtp": "smtp", "worker1": "worker", "worker2": "worker"}
            if schedule.is_spread
            else {"all": "up"}
        )
        plain = dict(self._made.environment)
        for name, command in commands.items():
            if self._crash is not None and name == schedule.death.victim:
                self._made.environment = plain | self._crash.environment
            self._made.start(name, command)
            self._made.environment = plain
        self._await_doors()

    def _await_doors(self) -> None:
        until(lambda: get(f"{self._made.url}/readyz") is not None, "the hub answers")

    def _die(self, schedule: Schedule) -> str:
        """Wait for the death, or bring it about; how the victim died."""
        death = schedule.death
        process = self._made.processes[death.victim]
        if self._crash is None:
            time.sleep(death.seconds)  # the schedule's own moment, not a wait for something
        else:
            self._crash.arm(death.call)
            with contextlib.suppress(AssertionError):  # the walks were over before: it dies at rest
                until(lambda: process.poll() is not None, "the fatal call", 15)
            self._crash.disarm()
        self._made.kill(death.victim)
        if self._crash is None or not self._crash.fatal_call:
            return "by the clock"
        return f"before {self._crash.fatal_call} {death.call}"

    def _settle(self, store: Store) -> list[str]:
        """Wait until nothing is on its way; what only a dead worker holds is over when the clock steps."""
        end = time.monotonic() + _SETTLE_SECONDS
        seen, since = store.read(oracle.progress), time.monotonic()
        while not store.read(oracle.is_quiet):
            if time.monotonic() > end:
                return [f"did not settle: {seen}"]
            time.sleep(0.1)
            now = store.read(oracle.progress)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > _STILL_SECONDS:
                self._made.step(LEASE_IS_OVER)
                since = time.monotonic()
        return []

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self._clock.read_text()))

    def _texts(self) -> list[str]:
        self._await_doors()
        found: list[str] = []
        cursor = ""
        while True:
            page = self._made.api("GET", f"/v1/reports?limit=200{cursor}")
            found += [row["text"] for row in page["data"]]
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"

    @contextmanager
    def _store(self) -> Iterator[Store]:
        settings = self._made.settings
        store = birth.open_store(settings, keys.load(settings.data_dir / "keys", may_make=False))
        try:
            yield store
        finally:
            store.close()


@contextmanager
def killed_hub(directory: Path, schedule: Schedule, postgres_url: str = "") -> Iterator[KilledHub]:
    """A furnished hub for one run; a spread one gets a database of `postgres_url` and a Redis of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    made_up = demo.load_secrets(directory / "data")
    clock = directory / "clock"
    clock.write_text("0")
    with contextlib.ExitStack() as stack:
        places = {}
        if schedule.is_spread:
            name = f"k{secrets.token_hex(4)}"
            _psql(postgres_url, f"CREATE DATABASE {name} TEMPLATE model")
            stack.callback(_psql, postgres_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            (directory / "redis").mkdir()
            places = {"database_url": f"{postgres_url}/{name}",
                      "redis_url": stack.enter_context(redis(directory / "redis"))}  # fmt: skip
        account = {"account_sid": made_up.account_sid, "auth_token": made_up.auth_token}
        provider = stack.enter_context(running(directory / "ledger.jsonl", **account))
        made = furnish(directory / "data", made_up, provider, port=free_port(), clock_file=clock, **places)
        stack.callback(made.stop)
        yield KilledHub(made, provider, clock, Crashpoint(directory) if schedule.death.call else None)
