"""Death just before each durable call of an act, in turn: what was answered holds, and done again it is done once.

ACTS is the table: a row is an act of one process that is repeated until it is answered.
"""

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from hub import anchor
from store import reports
from store import tables as t
from store.database import Store
from tests.faults import oracle, walkers
from tests.faults.forge import WarmHouse
from tests.faults.kill import warm_hub
from tests.faults.oracle import Evidence
from tests.faults.provider_process import Running
from tests.faults.schedule import seeds
from tests.faults.settle import settle
from tests.faults.walkers import DOORS, Warned
from tests.walks.houses import until

FAILURES = walkers.FAILURES
AT_MOST = 2_000  # calls of one act; no act is so long
BUSY_SECONDS = 20.0  # for a worker to die or to end what it was given


@dataclass
class Hall:
    """A running hub of three processes, and what it has answered."""

    made: WarmHouse
    provider: Running
    store: Store
    answered: dict[str, int] = field(default_factory=dict)
    warned: list[Warned] = field(default_factory=list)
    deaths: int = 0
    acts: Iterator[int] = field(default_factory=itertools.count)

    def judge(self, at) -> list[str]:
        """The oracle's verdict once all is at rest."""
        stuck = settle(self.made, self.store, still=0.5)
        found = [row.content.text for row in self.store.read(_reports)]
        evidence = Evidence(
            data_dir=self.made.settings.data_dir, at=at, answered=self.answered, found=walkers.markers(found),
            anchors=anchor.read(self.made.settings.data_dir), calls=self.provider.calls(), deaths=self.deaths,
            warnings=self.warned, threads=self.made.settings.worker_threads,
        )  # fmt: skip
        return stuck + self.store.read(lambda unit: oracle.check(unit, evidence))


def _reports(unit):
    return [reports.get(unit, row.id) for row in unit.rows(t.report_row.select())]


@pytest.fixture
def hall(tmp_path, forge, server) -> Iterator[Hall]:
    """Started, and counted where there is a compiler."""
    if forge.shim is None:
        pytest.skip("crash points need gcc")
    with warm_hub(tmp_path / "hub", forge, postgres_url=server) as (made, provider, _, store):
        for name, command in (("web", "web"), ("smtp", "smtp"), ("worker", "worker")):
            made.start(name, command)
        walkers.insist(lambda: made.api("GET", "/v1/templates"))
        until(lambda: store.read(oracle.is_quiet), "the morning's reports are filed")
        yield Hall(made, provider, store)


def at_door(name: str) -> Callable[[Hall], Callable[[], None]]:
    """Messages of one door."""

    def prepare(hall: Hall) -> Callable[[], None]:
        n = next(hall.acts)
        marker = f"{name} c{name}-{n}"

        def act() -> None:
            DOORS[name](hall.made, marker, n)
            hall.answered[marker] = 1

        return act

    return prepare


def submitted(hall: Hall) -> Warned:
    """A release that waits for its approval."""
    api, warned = hall.made.api, Warned()
    example = next(t for t in api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    key = {"Idempotency-Key": f"crash-{next(hall.acts)}"}
    warned.id = api("POST", "/v1/releases", {**example, "areas": ["990101"]}, **key)["id"]
    api("POST", f"/v1/releases/{warned.id}/submit", {})
    release = api("GET", f"/v1/releases/{warned.id}")
    warned.digest = release["digest"]
    warned.shown = {f"{a['channel']} {a['language']}": a["sha256"] for a in release["artefacts"]
                    if a["purpose"] == "main"}  # fmt: skip
    hall.warned.append(warned)
    return warned


def approval(hall: Hall) -> Callable[[], None]:
    """An approver who looks at the state before he repeats an approval that had no answer."""
    warned, api = submitted(hall), hall.made.api

    def act() -> None:
        if api("GET", f"/v1/releases/{warned.id}")["state"] == "submitted":
            api("POST", f"/v1/releases/{warned.id}/approve", {"digest": warned.digest}, key="approver")
        warned.is_approved = True

    return act


def ending(kind: str) -> Callable[[Hall], Callable[[], None]]:
    """An officer who ends a release that is out."""

    def prepare(hall: Hall) -> Callable[[], None]:
        approval(hall)()
        warned, api = hall.warned[-1], hall.made.api
        until(lambda: api("GET", f"/v1/releases/{warned.id}")["state"] == "published", "published")

        def act() -> None:
            if api("GET", f"/v1/releases/{warned.id}")["state"] == "published":
                api("POST", f"/v1/releases/{warned.id}/{kind}", {"reason": "wrong"})
            warned.ending, warned.ended_at = kind, time.clock_gettime(time.CLOCK_BOOTTIME)

        return act

    return prepare


def filing(hall: Hall) -> Callable[[], None]:
    """A worker that files what a door has taken: one report, one acknowledgement."""
    at_door("sms")(hall)()

    return lambda: _until_settled(hall)


def sending(hall: Hall) -> Callable[[], None]:
    """A worker that expands an approved release, calls the provider and publishes."""
    approval(hall)()
    return lambda: _until_settled(hall)


def _until_settled(hall: Hall) -> None:
    until(lambda: hall.store.read(oracle.is_quiet) or _is_dead(hall, "worker"), "sent", BUSY_SECONDS)
    if _is_dead(hall, "worker"):
        raise ConnectionError("the worker is dead")


def _is_dead(hall: Hall, name: str) -> bool:
    return hall.made.processes[name].poll() is not None


ACTS = [
    *(
        pytest.param("web", at_door(name), 1, id=f"{name}-r1_r2_f1")
        for name in ("sms", "api", "slip", "form")
    ),
    pytest.param("smtp", at_door("mail"), 1, id="mail-r1_r2_f2"),
    pytest.param("web", approval, 1, id="approve-r8"),
    pytest.param("web", ending("correct"), 1, id="correct-r8_r9"),
    pytest.param("worker", filing, 2, id="file-f3"),
    pytest.param("worker", sending, 12, id="send-f4_f5"),
]


def enumerate_deaths(
    hall: Hall, victim: str, prepare: Callable[[Hall], Callable[[], None]], calls: range
) -> int:
    """The victim dies before the n-th call of the act, for each n of `calls` that the act reaches; how many did."""
    crash = hall.made.crashpoints[victim]
    for n in calls:
        act = prepare(hall)
        crash.arm(n)
        with contextlib.suppress(*FAILURES):
            act()
        crash.disarm()
        if not crash.fatal_call:
            return n
        hall.made.processes[victim].wait(10)
        hall.deaths += victim == "worker"
        half = hall.store.read(lambda unit: list(oracle.approvals(unit)))
        assert half == [], f"half an approval after death before {crash.fatal_call} {n}"
        hall.made.start_again(victim)
        walkers.insist(act)
        settle(hall.made, hall.store, still=0.5)
    return calls.stop


@pytest.mark.faults
@pytest.mark.parametrize(("victim", "prepare", "stride"), ACTS)
def test_r1_r2_r8_f1_f2_f3_f4_f5_death_before_each_durable_call_of_an_act(
    hall, at, victim, prepare, stride
) -> None:
    """Of a door and of an approval every call; of a worker each second or twelfth, from one that the seed chooses."""
    (seed,) = seeds(range(1, 2))
    begin = random.Random(seed).randint(1, stride)
    reached = enumerate_deaths(hall, victim, prepare, range(begin, AT_MOST, stride))
    print(
        f"\nseed {seed}, {victim}: {(reached - begin) // stride} deaths, the act ends before call {reached}"
    )
    assert reached > 1
    assert hall.judge(at) == []


@pytest.mark.parametrize(("victim", "prepare"), [("web", approval), ("smtp", at_door("mail"))])
@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_death_before_some_durable_calls_of_an_act(hall, at, victim, prepare) -> None:
    """The short form."""
    assert enumerate_deaths(hall, victim, prepare, range(1, 6, 2)) > 1
    assert hall.judge(at) == []
