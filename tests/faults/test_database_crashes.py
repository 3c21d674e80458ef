"""PostgreSQL crashes, and COMMITs whose answer never comes: doors spool, approvals are whole, nothing is assumed (F11, F12)."""

import random
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from store import migrate, slices
from tests.conftest import _psql
from tests.faults import oracle, walkers
from tests.faults.kill import KilledHub, warm_hub
from tests.faults.plan import Plan, Told
from tests.faults.schedule import Round, Schedule, seeds
from tests.faults.settle import settle
from tests.faults.walkers import DOORS
from tests.faults.wire import Kind, Wire
from tests.servers import Cluster, cluster
from tests.walks.houses import House

STEP = slices._STEP.partition(":")[0].encode()
WRITER = b"INSERT INTO"  # what only the one connection of a process that writes ever says
WALKS_LAST = 120  # seconds at most, where a slow machine hardly asks its database anything
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
    return Schedule(seed=seed, is_spread=True, has_redis=False, rounds=(calm,))


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
        assert hub.verdict.broken == [], hub.verdict.words(seed)
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


@pytest.fixture
def database(durable) -> Iterator[str]:
    """A fresh migrated database of the durable cluster."""
    name = f"d{secrets.token_hex(4)}"
    _psql(durable.url, f"CREATE DATABASE {name} TEMPLATE model")
    yield f"{durable.url}/{name}"
    _psql(durable.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def through(wire: Wire, database: str) -> str:
    """The same database, by the wire."""
    return sa.make_url(database).set(port=wire.port).render_as_string()


def test_f12_a_commit_without_an_answer_is_read_again_by_its_key(tmp_path, forge, durable, database) -> None:
    """Each COMMIT of the web process is carried out, and none is answered, while one thing after another is asked."""
    with Wire("127.0.0.1", durable.port) as wire, \
            warm_hub(tmp_path / "run", forge, database_url=database) as (made, provider, _, store):  # fmt: skip
        made.environment["TOCSIN_DATABASE_URL"] = through(wire, database)
        made.start("web", "web")
        walkers.insist(lambda: made.api("GET", "/v1/templates"))
        example = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")[
            "example"
        ]
        wire.turn(Kind.CUT_AT_SIGHT, count=1, sight=b"COMMIT", after=WRITER)
        for name in ("sms", "api", "slip", "form"):
            assert walkers.insist(lambda name=name: DOORS[name](made, f"{name} f12-0", 0))
        by_commit = wire.cuts
        wire.turn(
            Kind.CUT_AT_SIGHT, count=1, sight=b"WITH led"
        )  # of the door's own loop, where it is the commit
        assert walkers.insist(lambda: DOORS["sms"](made, "sms f12-1", 1))
        assert by_commit >= 3 and wire.cuts > by_commit
        wire.turn(Kind.CUT_AT_SIGHT, count=1, sight=b"COMMIT", after=WRITER)
        body = {**example, "areas": ["990101"]}
        release = asked(made, "/v1/releases", body, "draft")["id"]
        digest = asked(made, f"/v1/releases/{release}/submit", {}, "submit")["digest"]
        found = asked(made, f"/v1/releases/{release}/approve", {"digest": digest}, "approve", key="approver")
        assert found["state"] in oracle.GOES
        wire.turn(Kind.PASS)
        assert wire.cuts >= 7
        assert (
            asked(made, f"/v1/releases/{release}/approve", {"digest": digest}, "approve", key="approver")
            == found
        )
        assert store.read(lambda unit: list(oracle.approvals(unit))) == []
        made.start("worker", "worker")
        walkers.insist(lambda: made.api("GET", "/v1/templates"))
        assert settle(made, store) == []
        texts = [row["text"] for row in made.api("GET", "/v1/reports?limit=200")["data"]]
        markers = walkers.markers(texts)
        assert sorted(markers) == sorted(
            ["sms f12-1", *(f"{name} f12-0" for name in ("sms", "api", "slip", "form"))]
        )
        warned = [call for call in provider.calls() if call.to.startswith("+861900")]
        assert len({call.to for call in warned}) == len(warned) > 0


def asked(made: House, path: str, body: Any, once: str, **who: str) -> dict[str, Any]:
    """POST under an Idempotency-Key until it is answered with a 2xx."""
    found: dict[str, Any] = {}
    assert walkers.insist(
        lambda: found.update(made.api("POST", path, body, **{"Idempotency-Key": f"f12-{once}"}, **who))
    )
    return found


@pytest.mark.faults
@pytest.mark.parametrize("seed", seeds(range(6, 8)))
@pytest.mark.parametrize(
    ("sight", "after", "every", "least"), [(b"COMMIT", WRITER, 5, 20), (STEP, b"", 2, 5)]
)
def test_r1_r3_r4_r8_f12_every_fifth_commit_of_all_processes_goes_unanswered(
    tmp_path, forge, durable, database, seed, sight, after, every, least
) -> None:
    """A step of a courier's own loop is a commit, too: every second of them."""
    plan = schedule(seed, ending=random.Random(seed).choice(("none", "correct")))
    with (
        Wire("127.0.0.1", durable.port) as wire,
        warm_hub(tmp_path / "run", forge, database_url=database) as found,
    ):
        found[0].environment["TOCSIN_DATABASE_URL"] = through(wire, database)
        hub = KilledHub(*found, plan)
        hub.start()
        wire.turn(Kind.CUT_AT_SIGHT, count=every, sight=sight, after=after)

        def cutting() -> None:
            ends = time.monotonic() + WALKS_LAST
            time.sleep(10)  # so long the walks go on; on a slow machine until enough is unanswered
            while wire.cuts <= least and time.monotonic() < ends:
                time.sleep(0.1)
            wire.turn(Kind.PASS)
            hub.slices = wire.sights // every  # some of these may be cut only now

        hub.round(f"{seed}f12", plan.rounds[0], (), meanwhile=threading.Thread(target=cutting))
        hub.prove()
        print(f"\nseed {seed}: {wire.cuts} of {wire.sights} {sight!r} unanswered; {hub.verdict.reports} reports, "
              f"{hub.verdict.taken} taken, {hub.verdict.looked_up} unsure, {hub.verdict.unsure} after look-up")  # fmt: skip
        assert hub.verdict.broken == [], hub.verdict.words(seed)
        assert wire.cuts > least
