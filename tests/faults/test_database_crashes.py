"""PostgreSQL crashes, and COMMITs whose answer never comes: doors spool, approvals are whole, nothing is assumed (F11, F12)."""

import random
import threading
import time
from collections.abc import Iterator

import pytest

from store import migrate
from tests.conftest import _psql
from tests.faults.kill import KilledHub, warm_hub
from tests.faults.plan import Plan, Told
from tests.faults.schedule import Round, Schedule, seeds
from tests.servers import Cluster, cluster

QUIET = Plan(seed=1, told={Told.NORMAL: 1.0})


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """A cluster with fsync on, as a hub demands it, and a migrated database `model`."""
    with cluster(is_durable=True) as made:
        _psql(made.url, "CREATE DATABASE model")
        migrate.upgrade(f"{made.url}/model")
        yield made


def schedule(seed: int, *, ending: str) -> Schedule:
    """Three processes and no death of theirs."""
    calm = Round(plan=QUIET, deaths=(), ending=ending, ends_after=1.0, area="990000")
    return Schedule(seed=seed, is_spread=True, has_redis=False, rounds=(calm,), last=None)


class Crashes(threading.Thread):
    """Crashes a cluster again and again, and starts it again at once."""

    def __init__(self, made: Cluster, count: int, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._made, self._count, self._dice = made, count, dice

    def run(self) -> None:
        for _ in range(self._count):
            time.sleep(self._dice.uniform(0.5, 3.0))  # the seed's own moments
            self._made.crash()
            time.sleep(self._dice.uniform(0.0, 2.0))
            self._made.start()


def is_kept(tmp_path, forge, made: Cluster, *, seed: int, crashes: int) -> None:
    """Walks through every door and a warning, with `crashes` meanwhile."""
    dice = random.Random(seed)
    plan = schedule(seed, ending=dice.choice(("none", "correct")))
    with warm_hub(tmp_path / "run", forge, postgres_url=made.url) as found:
        hub = KilledHub(*found, plan)
        hub.start()
        crashing = Crashes(made, crashes, dice)
        hub.round(f"{seed}pg", plan.rounds[0], (), meanwhile=crashing)
        print(f"\nseed {seed}: {crashes} crashes; {hub.verdict.reports} reports, {hub.verdict.taken} taken, "
              f"{hub.verdict.unsure} unsure of at most {hub.verdict.bound}")  # fmt: skip
        assert hub.verdict.broken == [], f"TOCSIN_FAULT_SEED={seed} make faults"
        assert hub.verdict.reports > 10 * crashes


def test_r1_f11_a_database_that_crashes_once_loses_nothing_that_was_answered(
    tmp_path, forge, durable
) -> None:
    is_kept(tmp_path, forge, durable, seed=1, crashes=1)


@pytest.mark.faults
@pytest.mark.parametrize("seed", seeds(range(2, 6)))
def test_r1_r8_f11_a_database_that_crashes_every_few_seconds_under_load(
    tmp_path, forge, durable, seed
) -> None:
    is_kept(tmp_path, forge, durable, seed=seed, crashes=8)
