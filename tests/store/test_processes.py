"""Who runs, and what the rows say of how the hub does."""

from datetime import timedelta

from domain.ids import mint
from store import condition, figures, journal, processes
from store import tables as t
from store.processes import Process
from store.snapshot import census


def _process(at, kind: str = "worker", **changes) -> Process:
    values = {"id": mint("prc", at), "kind": kind, "host": "h", "pid": 7, "version": "1", "started_at": at,
              "seen_at": at} | changes  # fmt: skip
    return Process(**values)


def test_a_process_is_seen_again_and_leaves(store, at) -> None:
    me = _process(at)
    later = at + timedelta(seconds=10)
    store.run(lambda u: processes.seen(u, me, at))
    store.run(lambda u: processes.seen(u, me, later))
    assert [p.seen_at for p in store.read(lambda u: processes.listing(u, at - timedelta(1)))] == [later]
    assert store.read(lambda u: processes.last_seen(u, ("worker",))) == later
    store.run(lambda u: processes.left(u, me.id, later))
    assert store.read(lambda u: processes.last_seen(u, ("worker",))) is None
    assert store.read(lambda u: processes.listing(u, at))[0].left_at == later


def test_strain_tells_the_age_of_what_waits_and_nothing_of_an_idle_hub(store, at) -> None:
    idle = store.read(lambda u: figures.strain(u, at))
    assert (idle.unfiled, idle.oldest_due, idle.failing, idle.worker_seen) == (0, None, frozenset(), None)
    store.run(lambda u: _promise(u, at))
    store.run(lambda u: journal.append(u, "auth", "x", "login", by="x", at=at))
    busy = store.read(lambda u: figures.strain(u, at + timedelta(minutes=2)))
    assert busy.oldest_due == at
    assert busy.oldest_unsealed == at
    assert busy.failing == {"sms"}
    assert (busy.clock is not None) == store.is_postgres


def test_figures_count_by_channel_and_state(store, at) -> None:
    store.run(lambda u: _promise(u, at))
    found = store.read(figures.figures)
    assert found.dispatches == {("sms", "open"): 1}
    assert found.parcels == {("sms", "ready"): 1}
    assert found.deliveries == {("sms", "queued"): 1, ("sms", "unsure"): 1}
    assert (found.receipts_waiting, found.shelved, found.roots) == (0, 0, 0)


def test_a_guard_that_is_gone_is_named(store) -> None:
    assert store.read(condition.missing_guards) == []
    where = " ON journal" if store.is_postgres else ""
    store.run(lambda u: u.connection.exec_driver_sql(f"DROP TRIGGER journal_no_delete{where}"))
    assert store.read(condition.missing_guards) == ["journal"]


def test_a_database_without_fsync_is_not_durable(store) -> None:
    found = store.read(condition.durability)
    assert set(found.wrong) == ({"fsync", "full_page_writes"} if store.is_postgres else set())


def test_a_census_counts_every_table(store) -> None:
    found = store.read(census)
    assert set(found.rows) == {table.name for table in t.META.sorted_tables}
    assert found.rows["hub"] == 1


def _promise(unit, at) -> None:
    unit.execute(t.dispatch.insert(), {
        "id": "dsp_1", "notice": "ack", "notice_payload": b"x", "channel": "sms", "language": "en", "sha256": "0" * 64,
        "lane": "sms", "state": "open", "next_due": at, "expires": at, "created_at": at, "is_expanded": True,
        "expanded": 2,
    })  # fmt: skip
    unit.execute(t.parcel_row.insert(), {"id": "dsp_1.0", "dispatch": "dsp_1", "n": 0, "state": "ready",
                                         "next_due": at, "attempts": 3})  # fmt: skip
    for n, state in enumerate(("queued", "unsure")):
        unit.execute(t.delivery.insert(), {"parcel": "dsp_1.0", "seq": n, "recipient": "r", "address": "+1",
                                           "state": state, "changed_at": at})  # fmt: skip
