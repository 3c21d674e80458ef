"""The kill harness: one warm hub, both walks in rounds, kill -9 by schedule meanwhile, and the oracle's verdict each time."""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.errors import Unavailable
from hub import anchor, birth, keys
from outbox import progress
from store.database import Store
from store.unit import Unit
from tests.conftest import _psql
from tests.faults import oracle, outside, storm, walkers
from tests.faults.forge import Forge, WarmHouse, warm
from tests.faults.oracle import Evidence
from tests.faults.outside import Outside
from tests.faults.plan import Plan
from tests.faults.provider_process import Running, running
from tests.faults.schedule import PATIENCE_SECONDS, Death, Round, Schedule
from tests.faults.settle import look_up_all, settle
from tests.faults.walkers import Answered, Walkers, Warned
from tests.servers import free_port, redis
from tests.walks.houses import furnish, get, until
from tocsin import demo

_LOOK_SECONDS = 0.3


@dataclass(kw_only=True)
class Verdict:
    """How a hub's life went, so far."""

    broken: list[str] = field(default_factory=list)
    kills: int = 0
    by_call: int = 0  # of these, how many died before a call
    cold: int = 0  # and how many were a `tocsin up` from the command line
    looked_up: int = 0  # that were unsure before the proof
    reports: int = 0
    taken: int = 0  # messages of the provider's ledger
    unsure: int = 0
    bound: int = 0  # what may be unsure

    def words(self, seed: int) -> str:
        """All that is broken, a line each, then how to see it again; pytest itself cuts a long list short."""
        return "\n".join([*self.broken, f"TOCSIN_FAULT_SEED={seed} make faults"])


class Sums(threading.Thread):
    """Looks again and again whether the rows of every warning add up to its audience (R13)."""

    def __init__(self, store: Store, warned: list[Warned]) -> None:
        super().__init__(daemon=True)
        self.broken: list[str] = []
        self.looks = 0
        self._store, self._warned, self._leaving = store, warned, threading.Event()

    def run(self) -> None:
        while not self._leaving.wait(_LOOK_SECONDS):
            for one in list(self._warned):
                if not one.is_approved:
                    continue
                with contextlib.suppress(Unavailable):
                    found = self._store.read(lambda unit, name=one.id: progress.summary(unit, name))  # type: ignore[misc]
                    self.looks += 1
                    if not found["adds_up"]:
                        self.broken.append(f"I7 {one.id} does not add up: {found['channels']}")

    def end(self) -> list[str]:
        """What it has seen."""
        self._leaving.set()
        self.join(10)
        return self.broken


class KilledHub:
    """A hub, its provider and its clock, under one schedule."""

    def __init__(
        self, made: WarmHouse, provider: Running, clock: Path, store: Store, schedule: Schedule,
        outside: Outside | None = None,
    ) -> None:  # fmt: skip
        self._made, self._provider, self._clock, self._store = made, provider, clock, store
        self._schedule, self._outside = schedule, outside
        self._answered: dict[str, int] = {}
        self._warned: list[Warned] = []
        self._worker_deaths = 0
        self.slices = 0  # see oracle.Evidence
        self.verdict = Verdict()

    @property
    def doors(self) -> tuple[str, ...]:
        """The names of all that is knocked at."""
        return (*walkers.DOORS, *(self._outside.doors if self._outside else ()))

    def storm(self, times: int) -> None:
        """The same message `times` at each of eight doors, all at once: one report each."""
        assert self._outside is not None
        centre = self._outside.centre.smsc  # its line is dialled by a process that may be the last to start
        until(lambda: centre.is_bound, "the SMS centre has a line")
        heard = storm.storm(self._made, self._outside, times)
        for name, said in heard.items():
            if strange := set(said) - {"taken", *storm.AGAIN}:
                self.verdict.broken.append(f"{name} said {strange}")
            if not said["taken"]:
                self.verdict.broken.append(f"{name} took none of {dict(said)}")
            self._answered[storm.marker(name)] = times
        print(f"\n{ {name: dict(said) for name, said in heard.items()} }")
        self.verdict.broken += self._settle()
        self._judge(Answered())

    @property
    def answered(self) -> dict[str, int]:
        """Marker of every message that was answered -> how often it was sent."""
        return self._answered

    def run(self) -> Verdict:
        """All rounds, and the proof at their end; ends at the first that breaks a promise."""
        self.start()
        for n, one in enumerate(self._schedule.rounds):
            self.round(f"{self._schedule.seed}x{n}", one, one.deaths)
            if self.verdict.broken:
                return self.verdict
        return self.prove()

    def start(self) -> None:
        """Its processes, until the doors answer."""
        self._start(self._schedule.processes)

    def round(
        self, stamp: str, one: Round, deaths: tuple[Death, ...], *, meanwhile: threading.Thread | None = None
    ) -> None:
        """Walk, kill and start again, settle, judge; `meanwhile` does harm of its own and ends."""
        self._provider.obey(one.plan)
        more = {"more": self._outside.doors, "pauses": outside.PAUSES} if self._outside else {}
        senders = Walkers(
            self._made, stamp, area=one.area, ending=one.ending, ends_after=one.ends_after, **more
        )
        self._warned.append(senders.answered.warned)
        sums = Sums(self._store, self._warned[-1:])
        senders.start()
        sums.start()
        if meanwhile is not None:
            meanwhile.start()
            meanwhile.join()
        for death in deaths:
            if death.is_cold:
                self._die_cold(death)
            else:
                self._die(death)
                self._made.start_again(death.victim)
        answered = senders.join()
        stuck = self._settle()
        self.verdict.broken += [*answered.failures, *stuck, *sums.end()]
        self._judge(answered)

    def prove(self) -> Verdict:
        """Nobody dies, the provider is well, and what is unsure is asked about: then both ledgers are equal (I3)."""
        self._provider.obey(Plan(seed=self._schedule.seed))
        self.verdict.looked_up = self.verdict.unsure
        self.verdict.broken += look_up_all(self._made, self._store)
        self._judge(Answered())
        calls = self._provider.calls()
        self.verdict.broken += self._store.read(lambda unit: oracle.equal(unit, calls))
        return self.verdict

    def _die_cold(self, death: Death) -> None:
        """All of it dies; a real `tocsin up` comes up from the command line, and is killed with everything in it."""
        for name in self._schedule.processes:
            self._made.kill(name)
            self._worker_deaths += name not in ("web", "smtp")
        self._made.is_cold = True
        self._start({"up": "up"})
        time.sleep(death.seconds)  # the schedule's own moment, not a wait for something
        self._made.kill("up")
        self._made.is_cold = False
        self.verdict.kills += 1
        self.verdict.cold += 1
        self._worker_deaths += 1
        for name, command in self._schedule.processes.items():
            self._made.start(name, command)

    def _start(self, processes: dict[str, str]) -> None:
        for name, command in processes.items():
            self._made.start(name, command)
        until(lambda: get(f"{self._made.url}/readyz") is not None, "the hub answers")

    def _die(self, death: Death) -> None:
        """Wait for the death, or bring it about."""
        process = self._made.processes[death.victim]
        if death.call:
            crash = self._made.crashpoints[death.victim]
            crash.arm(death.call)
            with contextlib.suppress(AssertionError):  # it had not so much to do: it dies where it is
                until(lambda: process.poll() is not None, "the fatal call", PATIENCE_SECONDS)
            self.verdict.by_call += bool(crash.fatal_call)
            crash.disarm()
        else:
            time.sleep(death.seconds)  # the schedule's own moment, not a wait for something
        self._made.kill(death.victim)
        self.verdict.kills += 1
        self._worker_deaths += death.victim not in ("web", "smtp")

    def _judge(self, answered: Answered) -> None:
        self._answered |= answered.reports
        calls = self._provider.calls()
        evidence = Evidence(
            data_dir=self._made.settings.data_dir, at=self._now(), answered=self._answered,
            anchors=anchor.read(self._made.settings.data_dir),
            found=[*walkers.markers(self._texts()), *self._came(Outside.found)], calls=calls,
            deaths=self._worker_deaths,
            warnings=self._warned, slices=self.slices, threads=self._made.settings.worker_threads,
            later=self._provider.calls,
            spare=self._outside.taken if self._outside else frozenset,
        )  # fmt: skip
        self.verdict.broken += self._store.read(lambda unit: oracle.check(unit, evidence))
        self.verdict.broken += self._came(Outside.broken)
        self.verdict.reports = len(self._answered)
        self.verdict.taken = sum(call.is_taken for call in calls)
        self.verdict.unsure = self._store.read(oracle.progress).get("delivery unsure", 0)
        self.verdict.bound = oracle.bound(evidence)

    def _settle(self) -> list[str]:
        also = {"also": self._outside.is_quiet} if self._outside else {}
        return settle(self._made, self._store, **also)

    def _came(self, look: Callable[[Outside, Unit], list[str]]) -> list[str]:
        """What the rest of the world finds of its messages."""
        there = self._outside
        return self._store.read(lambda unit: look(there, unit)) if there else []

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self._clock.read_text()))

    def _texts(self) -> list[str]:
        until(lambda: get(f"{self._made.url}/readyz") is not None, "the hub answers")
        found: list[str] = []
        cursor = ""
        while True:
            page = self._made.api("GET", f"/v1/reports?limit=200{cursor}")
            found += [row["text"] for row in page["data"]]
            if not page.get("next_cursor"):
                return found
            cursor = f"&cursor={page['next_cursor']}"


@contextmanager
def warm_hub(
    directory: Path,
    forge: Forge,
    *,
    postgres_url: str = "",
    database_url: str = "",
    has_redis: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[tuple[WarmHouse, Running, Path, Store]]:
    """A furnished hub that has not been started, its provider, its clock and its rows; on SQLite without `postgres_url`."""
    directory.mkdir(parents=True, exist_ok=True)
    made_up = demo.load_secrets(directory / "data")
    clock = directory / "clock"
    clock.write_text("0")
    places: dict[str, Any] = {"trusted_proxies": "127.0.0.1", "worker_threads": 2, **(settings or {})}
    with contextlib.ExitStack() as stack:
        if database_url:
            places |= {"database_url": database_url}
        elif postgres_url:
            name = f"k{secrets.token_hex(4)}"
            _psql(postgres_url, f"CREATE DATABASE {name} TEMPLATE model")
            stack.callback(_psql, postgres_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            places |= {"database_url": f"{postgres_url}/{name}"}
        if has_redis:
            (directory / "redis").mkdir()
            places |= {"redis_url": stack.enter_context(redis(directory / "redis"))}
        account = {"account_sid": made_up.account_sid, "auth_token": made_up.auth_token}
        provider = stack.enter_context(running(directory / "ledger.jsonl", clock=clock, **account))
        provider.obey(Plan())
        made = warm(furnish(directory / "data", made_up, provider, port=free_port(), clock_file=clock, **places),
                    forge)  # fmt: skip
        stack.callback(made.stop)
        chosen = made.settings
        store = birth.open_store(chosen, keys.load(chosen.data_dir / "keys", may_make=False))
        stack.callback(store.close)
        yield made, provider, clock, store


@contextmanager
def killed_hub(
    directory: Path, schedule: Schedule, forge: Forge, postgres_url: str = "", *, has_all_doors: bool = False
) -> Iterator[KilledHub]:
    """A hub for one schedule; `has_all_doors`: the rest of the world knocks as well, and no warning leaves."""
    with contextlib.ExitStack() as stack:
        there = None
        if has_all_doors:
            is_polled = schedule.seed // 2 % 2 == 1  # else its chat posts
            there = stack.enter_context(outside.outside(directory, is_polled=is_polled))
        settings = there.settings if there else {}
        usual = {"postgres_url": postgres_url, "has_redis": schedule.has_redis, "settings": settings}
        found = stack.enter_context(warm_hub(directory, forge, **usual))
        if there:
            there.meet(found[-1])
        yield KilledHub(*found, schedule, there)
