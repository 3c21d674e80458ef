"""What does not work is named, journalled once when it begins and once when it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from hub import banners
from hub.clock import Followed
from hub.health import Health, Trouble
from store import journal, processes
from store import tables as t
from store.processes import Process
from tests.conftest import open_store


@pytest.fixture
def place(tmp_path):
    """A data directory of a hub that runs well."""
    data = tmp_path / "data"
    for name in ("spool", "public"):
        (data / name).mkdir(parents=True)
    (data / "public" / "index.html").write_text("x")
    return data


@pytest.fixture
def health(store, place, at) -> Health:
    me = Process(id="prc_1", kind="worker", host="h", pid=1, version="1", started_at=at, seen_at=at)
    store.run(lambda u: processes.seen(u, me, at))
    return Health(store=store, data_dir=place, clock=lambda: at)


def _found(health: Health) -> set[Trouble]:
    """Without the clock: the tests' time is not the database server's."""
    return set(health.look().troubles) - {Trouble.CLOCK_OFF}


def test_a_hub_that_runs_well_has_no_trouble(health) -> None:
    assert health.troubles == ()
    assert _found(health) == set()


@pytest.mark.parametrize("harm, trouble", [
    (lambda d: (d / "STOP").touch(), Trouble.HELD),
    (lambda d: (d / "spool" / "inb_1.frame").write_bytes(b"x"), Trouble.SPOOL_WAITING),
    (lambda d: (d / "public" / "index.html").unlink(), Trouble.PUBLIC_STALE),
])  # fmt: skip
def test_files_that_say_trouble(health, place, harm, trouble) -> None:
    harm(place)
    assert _found(health) == {trouble}


def test_a_neighbour_that_says_no_or_fails_is_the_trouble(health) -> None:
    def breaks() -> bool:
        raise OSError("gone")

    health.join(Trouble.BROKER_DOWN, lambda: True)
    assert _found(health) == set()
    for answers in (lambda: False, breaks):
        health.join(Trouble.BROKER_DOWN, answers)
        assert _found(health) == {Trouble.BROKER_DOWN}


def test_time_that_passes_without_worker_or_root_is_trouble(store, place, at) -> None:
    store.run(lambda u: journal.append(u, "auth", "x", "login", by="x", at=at))
    late = Health(store=store, data_dir=place, clock=lambda: at + timedelta(minutes=5))
    assert _found(late) == {Trouble.NO_WORKER, Trouble.JOURNAL_LATE}


def test_parcels_given_back_again_and_again_and_late_publishing_are_trouble(health, store, at) -> None:
    row = {"notice": "ack", "notice_payload": b"x", "language": "en", "sha256": "0" * 64, "state": "open",
           "next_due": at, "expires": at, "created_at": at - timedelta(minutes=1), "is_expanded": True}  # fmt: skip

    def fill(unit) -> None:
        unit.execute(
            t.dispatch.insert(),
            {"id": "a", "channel": "sms", "lane": "sms", "expanded": 1, "about": "a", **row},
        )
        unit.execute(t.parcel_row.insert(), {"id": "a.0", "dispatch": "a", "n": 0, "state": "ready",
                                             "next_due": at, "attempts": 2})  # fmt: skip

    store.run(fill)
    assert Trouble.PROVIDER_FAILING in health.look().troubles
    store.run(lambda u: u.execute(t.dispatch.insert(), {
        "id": "b", "channel": "web_notice", "lane": "public", "expanded": 0, "about": "b", **row}))  # fmt: skip
    assert Trouble.PUBLIC_STALE in health.look().troubles


def test_a_database_that_is_gone_is_trouble_and_files_are_looked_at_all_the_same(place, tmp_path, at) -> None:
    gone = open_store(f"sqlite:///{tmp_path}/none/none.db") if (tmp_path / "none").mkdir() is None else None
    (tmp_path / "none" / "none.db").mkdir()
    (place / "STOP").touch()
    seen = Health(store=gone, data_dir=place, clock=lambda: at).look()
    assert seen.troubles == (Trouble.DATABASE_DOWN, Trouble.HELD)
    assert seen.strain is None
    gone.close()


def test_what_began_and_ended_is_journalled_once_whoever_saw_it(store, at) -> None:
    later = at + timedelta(seconds=10)
    began = banners.changes((), (Trouble.HELD, Trouble.NO_WORKER), at)
    ended = banners.changes((Trouble.HELD, Trouble.NO_WORKER), (Trouble.HELD,), later)
    for found, expected in ((began, 2), (began, 0), (ended, 1), (ended, 0)):
        assert store.run(lambda u, f=found: banners.note(u, f, host="h")) == expected
    acts = [row.act for row in store.read(lambda u: journal.entries(u, "trouble", "no_worker"))]
    assert acts == ["begin", "end"]
    assert len(store.read(lambda u: journal.entries(u, "trouble", "held@h"))) == 1
    assert store.run(lambda u: banners.note(u, banners.changes((), (Trouble.HELD,), at), host="other")) == 1


def test_an_end_without_a_beginning_is_not_written(store, at) -> None:
    ended = banners.changes(Trouble, (), at)
    assert store.run(lambda u: banners.note(u, ended, host="h")) == 0


def test_a_clock_that_differs_from_the_databases_is_trouble(store, place, at) -> None:
    store.run(lambda u: journal.append(u, "auth", "x", "login", by="x", at=at + timedelta(minutes=1)))
    turned_back = Health(store=store, data_dir=place, clock=lambda: at)
    assert Trouble.CLOCK_OFF in turned_back.look().troubles


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_r20_r38_a_neighbour_that_takes_its_time_is_no_jump_of_the_clock(store, place) -> None:
    """A worker leaves when its clock has jumped: on a busy machine all of them would leave, again and again."""
    passed = [timedelta()]
    followed = Followed(lambda: datetime.now(UTC) + passed[0])
    health = Health(store=store, data_dir=place, clock=followed, followed=followed)

    def slow() -> bool:
        passed[0] += timedelta(seconds=3)
        return True

    health.join(Trouble.BROKER_DOWN, slow)
    assert Trouble.CLOCK_OFF not in health.look().troubles
    assert not health.has_jumped
    assert Trouble.CLOCK_OFF in health.look().troubles
    assert health.has_jumped
