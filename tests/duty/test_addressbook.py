"""A list of recipients comes in whole or not at all, whoever dies or changes his mind on the way."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.errors import Conflict, NotAllowed
from domain.person import Person
from duty import addressbook, list_reading
from sandbox.pool import Pool
from store import audience, journal, operations, staging
from store import tables as t
from store.database import Store
from store.operations import Operation

RAW = "号码,区划,组\n13800138001,990101,责任人\n13800138002,990102,\n".encode()
ROW = {"channel": "sms", "area": "990101000000", "language": "zh-CN", "group": "subscriber", "name": ""}


@pytest.fixture
def reader(store: Store, areas: object, at: datetime) -> Iterator[list_reading.Reader]:
    pool = Pool(size=1)
    yield list_reading.Reader(store=store, pool=pool, region="CN", area_code="", clock=lambda: at)
    pool.close()


def begin(store: Store, by: Person, at: datetime, *, must_confirm: bool = True) -> Operation:
    return store.run(lambda unit: addressbook.begin(unit, RAW, by=by, at=at, must_confirm=must_confirm))


def now(store: Store, operation: Operation) -> Operation:
    found = store.read(lambda unit: operations.get(unit, operation.id))
    assert found is not None
    return found


def reached(store: Store) -> int:
    return store.read(lambda unit: audience.count(unit, channel="sms", areas=["990000"])[1])


def stored(store: Store) -> int:
    return store.read(lambda unit: len(unit.rows(t.recipient.select())))


def test_a_list_is_shown_in_numbers_first_and_in_force_when_confirmed(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    begun = begin(store, people["admin"], at)
    reader.read(begun, RAW)
    seen = now(store, begun)
    assert (seen.state, seen.result["phase"], seen.result["fresh"]) == ("running", "ready", 2)
    assert reached(store) == 0 and stored(store) == 2
    store.run(lambda unit: addressbook.confirm(unit, begun.id, by=people["officer"], at=at))
    assert now(store, begun).state == "done" and reached(store) == 2
    with pytest.raises(Conflict, match="ended"):
        store.run(lambda unit: addressbook.confirm(unit, begun.id, by=people["officer"], at=at))
    acts = store.read(lambda unit: [row.act for row in journal.entries(unit, "operation", begun.id)])
    assert acts == ["import", "put_in_force"]


def test_a_list_given_up_leaves_nothing(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    begun = begin(store, people["admin"], at)
    reader.read(begun, RAW)
    store.run(lambda unit: addressbook.discard(unit, begun.id, by=people["admin"], at=at))
    addressbook.tidy(store, at)
    assert now(store, begun).result["reason"] == "discarded"
    assert stored(store) == 0


def test_one_list_at_a_time(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    begin(store, people["admin"], at)
    with pytest.raises(Conflict):
        begin(store, people["officer"], at)


def test_who_only_reads_or_approves_brings_no_list_in(
    store: Store, people: dict[str, Person], at: datetime
) -> None:
    for login in ("auditor", "approver"):
        with pytest.raises(NotAllowed):
            begin(store, people[login], at)


def test_a_run_that_dies_in_the_middle_leaves_nothing_and_cannot_come_back(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    dead = begin(store, people["admin"], at)
    version = store.read(staging.reserve)
    told: dict[str, Any] = {**dead.result, "phase": "storing", "version": version}
    rows = [{**ROW, "address": f"+861900000{n:04d}"} for n in range(2500)]

    def page(unit: Any) -> None:
        operations.step(unit, dead.id, at=at, done=2500, total=9000, result=told)
        staging.stage(unit, rows, version, at)

    store.run(page)
    addressbook.tidy(store, at + timedelta(seconds=59))
    assert now(store, dead).state == "running"
    addressbook.tidy(store, at + timedelta(seconds=61))
    assert (now(store, dead).state, now(store, dead).result["reason"]) == ("failed", "interrupted")
    assert stored(store) == 0
    with pytest.raises(Conflict, match="ended"):
        store.run(page)
    assert stored(store) == 0
    later = at + timedelta(minutes=2)
    fresh = begin(store, people["admin"], later, must_confirm=False)
    reader.read(fresh, RAW)
    assert now(store, fresh).state == "done" and reached(store) == 2


def test_a_list_that_nobody_decides_on_makes_room(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    begun = begin(store, people["admin"], at)
    reader.read(begun, RAW)
    addressbook.tidy(store, at + timedelta(minutes=14))
    assert now(store, begun).state == "running"
    addressbook.tidy(store, at + timedelta(minutes=16))
    assert now(store, begun).result["reason"] == "undecided" and stored(store) == 0


def test_single_changes_while_a_list_waits_count_and_its_rows_do_not(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    begun = begin(store, people["admin"], at)
    reader.read(begun, RAW)
    store.run(lambda unit: audience.add(unit, [{**ROW, "address": "+8613800138001"}], at))
    assert reached(store) == 1, "a row that waits is no row of the list"
    store.run(lambda unit: audience.remove(unit, "sms", "+8613800138001"))
    assert reached(store) == 0
    store.run(lambda unit: addressbook.confirm(unit, begun.id, by=people["admin"], at=at))
    assert reached(store) == 1, "who was taken off the list meanwhile stays off"


def test_a_release_frozen_before_the_list_came_keeps_its_count(
    store: Store, reader: list_reading.Reader, people: dict[str, Person], at: datetime
) -> None:
    before = store.run(lambda unit: audience.add(unit, [{**ROW, "address": "+8613800138099"}], at))
    reader.read(begin(store, people["admin"], at, must_confirm=False), RAW)
    counted = store.read(
        lambda unit: audience.count(unit, channel="sms", areas=["990000"], list_version=before)[1]
    )
    assert (counted, reached(store)) == (1, 3)
