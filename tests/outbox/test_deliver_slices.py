"""From an approved release to answers in rows, and every way in which a call can end."""

import hashlib
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.errors import Never, NotNow, Unsure
from domain.parcel import Answer, DeliveryState
from domain.release import Audience, State
from outbox import deliver, recall, relay, sweep
from outbox.deliver import Ended
from outbox.pace import Pace
from store import audience, journal, parcels, promises, releases, shelf, slices
from store import tables as t
from tests.outbox.outbox_kit import TEXT, Wire, approve, outgoing, phones, run_all, states, subscribe


def open_parcel(out, dispatches):
    for dispatch in dispatches:
        relay.relay(out, dispatch)
    return out.store.read(lambda unit: parcels.due(unit, out.clock() + timedelta(days=1)))


def test_an_approved_release_reaches_everyone_once_and_is_then_published(store, at, tmp_path):
    subscribe(store, at, phones(1203))
    release_id, _ = approve(store, at)
    wire = Wire()
    wire.delay = 0.002
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert sorted(wire.taken) == phones(1203)
    assert wire.payloads == {TEXT["zh-CN"].encode()}
    assert wire.most_in_flight == wire.window
    assert states(store, release_id) == {"accepted": 1203}
    release = store.read(lambda u: releases.get(u, release_id))
    assert release.state is State.PUBLISHED
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "release", release_id))]
    assert acts == ["approve", "start", "dispatched", "finish"]


def test_each_language_gets_its_own_text_and_others_get_the_first(store, at, tmp_path):
    subscribe(store, at, phones(5), language="zh-CN")
    subscribe(store, at, phones(4, 100), language="en")
    subscribe(store, at, phones(3, 200), language="ja")
    release_id, dispatches = approve(store, at, languages=("zh-CN", "en"))
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    sizes = {d.language: d.expanded for d in store.read(lambda u: promises.of_release(u, release_id))}
    assert sizes == {"zh-CN": 8, "en": 4}
    assert states(store, release_id) == {"accepted": 12}


def test_throttled_addresses_go_back_to_the_queue_and_are_sent_later_once(store, at, tmp_path):
    subscribe(store, at, phones(40))
    release_id, dispatches = approve(store, at)
    full = NotNow("429", retry_after=timedelta(seconds=7))
    wire = Wire(lambda a, n: full if a == phones(1, 10)[0] and n == 1 else None)
    times = [at]
    out = outgoing(store, at, tmp_path, wire=wire, clock=lambda: times[0])
    (parcel,) = open_parcel(out, dispatches)
    assert deliver.deliver(out, parcel) is Ended.WAITS
    due = store.read(lambda u: u.scalar(sa.select(t.parcel_row.c.next_due)))
    assert due >= at + timedelta(seconds=7)
    assert states(store, release_id)["queued"] >= 1
    assert deliver.deliver(out, parcel) is Ended.NOT_DUE
    times[0] = due
    fresh = outgoing(store, at, tmp_path, wire=wire, clock=lambda: times[0])  # its pace was not told to wait
    run_all(fresh)
    assert sorted(wire.taken) == phones(40)
    assert states(store, release_id) == {"accepted": 40}


def test_the_provider_is_not_called_again_by_other_parcels_while_it_asked_for_a_pause(store, at, tmp_path):
    subscribe(store, at, phones(1000))
    _, dispatches = approve(store, at)
    wire = Wire(lambda _a, _n: NotNow("429", retry_after=timedelta(seconds=60)))
    out = outgoing(store, at, tmp_path, wire=wire)
    first, second = open_parcel(out, dispatches)
    assert deliver.deliver(out, first) is Ended.WAITS
    calls = len(wire.started)
    assert deliver.deliver(out, second) is Ended.WAITS
    assert len(wire.started) == calls


@pytest.mark.parametrize("error", [Unsure("silence"), RuntimeError("a bug"), TimeoutError(), OSError()])
def test_r3_r4_silence_after_sending_is_written_down_and_not_repeated(store, at, tmp_path, error):
    subscribe(store, at, phones(20))
    release_id, _ = approve(store, at)
    wire = Wire(lambda a, _n: error if a == phones(20)[4] else None)
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert states(store, release_id) == {"accepted": 19, "unsure": 1}
    assert len(wire.started) == 20
    notes = [e for e in store.read(lambda u: journal.entries(u, "release", release_id)) if e.act == "unsure"]
    assert [n.detail["count"] for n in notes] == [1]


def test_an_answer_that_leaves_an_address_out_is_unsure(store, at, tmp_path):
    class Forgetful(Wire):
        async def call(self, part):
            await super().call(part)
            return []

    subscribe(store, at, phones(3))
    release_id, _ = approve(store, at)
    run_all(outgoing(store, at, tmp_path, wire=Forgetful()))
    assert states(store, release_id) == {"unsure": 3}


def test_a_refused_address_fails_with_the_providers_code_and_the_others_go_on(store, at, tmp_path):
    subscribe(store, at, phones(10))
    release_id, _ = approve(store, at)
    refused = Answer(delivery_id="", state=DeliveryState.FAILED, code="21211")
    run_all(outgoing(store, at, tmp_path, wire=Wire(lambda a, _n: refused if a == phones(1)[0] else None)))
    assert states(store, release_id) == {"accepted": 9, "failed": 1}
    codes = store.read(lambda u: u.rows(sa.select(t.delivery.c.code).where(t.delivery.c.state == "failed")))
    assert [row.code for row in codes] == ["21211"]


def test_a_provider_that_will_never_take_it_buries_the_parcel_on_the_shelf(store, at, tmp_path):
    subscribe(store, at, phones(100))
    release_id, dispatches = approve(store, at)
    wire = Wire(lambda _a, _n: Never("wrong token", code="config"))
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert states(store, release_id) == {"failed": 100}
    assert len(wire.started) <= wire.window
    (item,) = store.read(shelf.pending)
    assert (item.kind, item.reason, item.origin) == ("parcel", "config", f"{dispatches[0]}-0")


def test_one_providers_name_for_two_messages_proves_only_the_first(store, at, tmp_path):
    subscribe(store, at, phones(3))
    release_id, _ = approve(store, at)
    same = Answer(delivery_id="", state=DeliveryState.ACCEPTED, provider_id="SM1")
    run_all(outgoing(store, at, tmp_path, wire=Wire(lambda _a, _n: same)))
    assert states(store, release_id) == {"accepted": 1, "unsure": 2}


def test_r6_changed_bytes_never_reach_the_wire(store, at, tmp_path):
    subscribe(store, at, phones(5))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire)
    (parcel,) = open_parcel(out, dispatches)
    other = hashlib.sha256(b"what was approved").hexdigest()
    store.run(lambda u: u.execute(t.dispatch.update().values(sha256=other)))
    assert deliver.deliver(out, parcel) is Ended.BURIED
    assert wire.started == []
    assert states(store, release_id) == {"failed": 5}
    assert "tampered" in [e.act for e in store.read(lambda u: journal.entries(u, "release", release_id))]
    assert [i.reason for i in store.read(shelf.pending)] == ["tampered"]


def test_what_is_queued_when_the_release_is_over_expires(store, at, tmp_path):
    subscribe(store, at, phones(30))
    release_id, dispatches = approve(store, at, lasts=timedelta(minutes=5))
    wire = Wire(lambda _a, _n: NotNow("throttled", retry_after=timedelta(hours=1)))
    times = [at]
    out = outgoing(store, at, tmp_path, wire=wire, clock=lambda: times[0])
    (parcel,) = open_parcel(out, dispatches)
    deliver.deliver(out, parcel)
    times[0] = at + timedelta(minutes=5)  # not an hour: somebody must say that it is over
    run_all(out)
    assert states(store, release_id) == {"expired": 30}
    assert wire.taken == []


def test_the_kill_switch_lets_nothing_begin(store, at, tmp_path):
    subscribe(store, at, phones(10))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire)
    (parcel,) = open_parcel(out, dispatches)
    out.stop_file.touch()
    assert deliver.deliver(out, parcel) is Ended.WAITS
    assert wire.started == []
    assert states(store, release_id) == {"queued": 10}


def test_without_a_share_of_the_pace_nothing_leaves(store, at, tmp_path):
    subscribe(store, at, phones(10))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire, pace=Pace(0))
    (parcel,) = open_parcel(out, dispatches)
    assert deliver.deliver(out, parcel) is Ended.WAITS
    assert wire.started == []


def test_the_pace_is_kept(store, at, tmp_path):
    subscribe(store, at, phones(30))
    _, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire, pace=Pace(50, burst=5))
    (parcel,) = open_parcel(out, dispatches)
    deliver.deliver(out, parcel)
    times = sorted(begun for _, begun in wire.started)
    assert len(times) == 30
    assert times[-1] - times[0] >= (30 - 5) / 50 * 0.95


def test_subscribers_who_opted_out_are_counted_and_not_called_and_responsible_persons_are_called(
    store, at, tmp_path
):
    subscribe(store, at, phones(5))
    subscribe(store, at, phones(2, 50), group=audience.RESPONSIBLE)
    out_before, boss = phones(1)[0], phones(1, 50)[0]
    scopes = [
        store.run(lambda u, a=a: audience.opt_out(u, "sms", a, inbound="", at=at)) for a in (out_before, boss)
    ]
    assert scopes == ["subscriptions", "responsible"]
    release_id, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire)
    open_parcel(out, dispatches)
    assert states(store, release_id) == {"queued": 6, "opted_out": 1}
    later = phones(5)[3]
    store.run(lambda u: audience.opt_out(u, "sms", later, inbound="", at=at))
    run_all(out)
    assert sorted(wire.taken) == sorted(set(phones(5)) - {out_before, later} | set(phones(2, 50)))
    assert states(store, release_id) == {"accepted": 5, "opted_out": 2}


def test_an_opt_out_that_arrives_while_a_slice_waits_its_turn_is_honoured(store, at, tmp_path):
    subscribe(store, at, phones(6))
    release_id, dispatches = approve(store, at)

    def say(_address, _n):
        if len(wire.started) == 1:
            store.run(lambda u: audience.opt_out(u, "sms", late, inbound="", at=at))

    wire = Wire(say)
    out = outgoing(store, at, tmp_path, wire=wire, pace=Pace(2, burst=1))  # the sixth waits 2.5 s
    (parcel,) = open_parcel(out, dispatches)
    late = store.read(lambda u: u.scalar(sa.select(t.delivery.c.address).where(t.delivery.c.seq == 5)))
    deliver.deliver(out, parcel)
    assert late not in wire.taken
    assert states(store, release_id) == {"accepted": 5, "opted_out": 1}


def test_r9_no_call_starts_later_than_a_second_after_a_recall_in_another_process(
    store, at, tmp_path, database_url
):
    from tests.conftest import open_store

    subscribe(store, at, phones(900))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    wire.delay = 0.02
    out = outgoing(store, at, tmp_path, wire=wire)
    names = open_parcel(out, dispatches)
    workers = [threading.Thread(target=deliver.deliver, args=(out, name)) for name in names]
    for worker in workers:
        worker.start()
    while len(wire.started) < 40:
        time.sleep(0.005)
    other = open_store(database_url)  # as the web process has one of its own
    other.run(lambda u: recall.stop(u, release_id, by="per_author", at=at, reason="wrong area"))
    recalled = time.monotonic()
    other.close()
    for worker in workers:
        worker.join(20)
    assert max(begun for _, begun in wire.started) < recalled + 1.0
    assert len(wire.started) < 900
    run_all(out)
    while store.run(lambda u: sweep.tidy(u, at)):
        pass
    found = states(store, release_id)
    assert found["accepted"] == len(wire.taken) == len(set(wire.taken))
    assert set(found) == {"accepted", "stopped"}
    assert store.read(lambda u: sweep.due(u, at + timedelta(days=1))) == []


def test_a_stopped_release_is_never_expanded_again(store, at, tmp_path):
    subscribe(store, at, phones(10))
    release_id, dispatches = approve(store, at)
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="again"))
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire)
    assert relay.relay(out, dispatches[0]) is relay.Relayed.NOT_DUE
    assert states(store, release_id) == {"stopped": 10}
    assert wire.started == []


def test_only_one_of_many_workers_gets_a_parcel(store, at, tmp_path):
    subscribe(store, at, phones(60))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    wire.delay = 0.01
    out = outgoing(store, at, tmp_path, wire=wire)
    (parcel,) = open_parcel(out, dispatches)
    workers = [threading.Thread(target=deliver.deliver, args=(out, parcel)) for _ in range(10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert sorted(wire.taken) == phones(60)


def test_bells_for_unknown_old_and_repeated_rows_do_nothing(store, at, tmp_path):
    subscribe(store, at, phones(3))
    _, dispatches = approve(store, at)
    wire = Wire()
    out = outgoing(store, at, tmp_path, wire=wire)
    run_all(out)
    for name in ("dsp_unknown", "", dispatches[0], f"{dispatches[0]}-0"):
        assert deliver.deliver(out, name) is Ended.NOT_DUE
        assert relay.relay(out, name) is relay.Relayed.NOT_DUE
    assert len(wire.started) == 3


def test_f10_a_worker_that_slept_through_its_lease_writes_nothing_and_calls_nobody(store, at, tmp_path):
    subscribe(store, at, phones(20))
    release_id, dispatches = approve(store, at)
    out = outgoing(store, at, tmp_path, wire=Wire())
    (parcel,) = open_parcel(out, dispatches)
    held = store.run(lambda u: parcels.claim(u, parcel, at=at, until=at + deliver.LEASE))
    slots = store.run(lambda u: slices.go_on(u, held, [], most=8, at=at, until=at + deliver.LEASE)[1])
    later = at + timedelta(seconds=31)
    assert store.run(lambda u: sweep.recover(u, at + timedelta(seconds=29))) == 0
    assert store.run(lambda u: sweep.recover(u, later)) == 1
    results = [
        parcels.Result(seq=s.seq, state=DeliveryState.ACCEPTED, provider_id=f"SM{s.seq}") for s in slots
    ]
    assert store.run(lambda u: slices.record(u, held, results, later)) is None
    assert store.run(lambda u: slices.go_on(u, held, [], most=8, at=later, until=later)[1]) is None
    assert states(store, release_id) == {"unsure": 8, "queued": 12}
    wire = Wire()
    run_all(outgoing(store, later, tmp_path, wire=wire))
    assert states(store, release_id) == {"unsure": 8, "accepted": 12}
    assert len(wire.started) == 12


def test_an_answer_in_flight_at_the_recall_is_still_written_down(store, at, tmp_path):
    subscribe(store, at, phones(4))
    release_id, dispatches = approve(store, at)
    out = outgoing(store, at, tmp_path, wire=Wire())
    (parcel,) = open_parcel(out, dispatches)
    held = store.run(lambda u: parcels.claim(u, parcel, at=at, until=at + deliver.LEASE))
    slots = store.run(lambda u: slices.go_on(u, held, [], most=2, at=at, until=at + deliver.LEASE)[1])
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    assert states(store, release_id) == {"sending": 2, "stopped": 2}
    results = [
        parcels.Result(seq=slots[0].seq, state=DeliveryState.ACCEPTED, provider_id="SM1"),
        parcels.Result(seq=slots[1].seq, state=DeliveryState.QUEUED),
    ]
    assert store.run(lambda u: slices.record(u, held, results, at)) is not None
    assert states(store, release_id) == {"accepted": 1, "stopped": 3}


def test_what_a_dead_worker_was_sending_at_the_recall_becomes_unsure(store, at, tmp_path):
    subscribe(store, at, phones(4))
    release_id, dispatches = approve(store, at)
    out = outgoing(store, at, tmp_path, wire=Wire())
    (parcel,) = open_parcel(out, dispatches)
    held = store.run(lambda u: parcels.claim(u, parcel, at=at, until=at + deliver.LEASE))
    store.run(lambda u: slices.go_on(u, held, [], most=3, at=at, until=at + deliver.LEASE)[1])
    store.run(lambda u: recall.stop(u, release_id, by="x", at=at, reason="r"))
    store.run(lambda u: sweep.tidy(u, at + timedelta(seconds=31)))
    assert states(store, release_id) == {"unsure": 3, "stopped": 1}


def test_the_audience_is_that_of_the_list_version_that_was_approved(store, at, tmp_path):
    subscribe(store, at, phones(6))
    release_id, _ = approve(store, at)
    subscribe(store, at, phones(4, 100))
    store.run(lambda u: audience.remove(u, "sms", phones(1)[0]))
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert sorted(wire.taken) == phones(6)


def test_an_address_on_the_list_twice_is_called_once_as_a_responsible_person(store, at, tmp_path):
    subscribe(store, at, phones(3), area="990101")
    subscribe(store, at, phones(3), area="990102", language="en")
    subscribe(store, at, phones(1), area="990101", group=audience.RESPONSIBLE)
    store.run(lambda u: u.execute(t.opt_out.insert(), {
        "channel": "sms", "address": phones(1)[0], "scope": "subscriptions", "at": at}))  # fmt: skip
    release_id, _ = approve(store, at, languages=("zh-CN", "en"))
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert sorted(wire.taken) == phones(3)
    assert states(store, release_id) == {"accepted": 3}


def test_areas_groups_and_languages_choose(store, at, tmp_path):
    subscribe(store, at, phones(2), area="990101", group="grassroots")
    subscribe(store, at, phones(2, 10), area="990102", group="grassroots", language="en")
    subscribe(store, at, phones(2, 20), area="990200", group="grassroots")
    subscribe(store, at, phones(2, 30), area="990101", group="subscriber")
    cases = [
        (Audience(areas=("990101000000", "990200000000")), phones(2) + phones(2, 20) + phones(2, 30)),
        (Audience(groups=("grassroots",)), phones(2) + phones(2, 10)),
        (Audience(groups=("grassroots",), languages=("en",)), phones(2, 10)),
    ]
    for wanted, expected in cases:
        release_id, _ = approve(store, at, wanted=wanted)
        wire = Wire()
        run_all(outgoing(store, at, tmp_path, wire=wire))
        assert sorted(wire.taken) == expected
        assert states(store, release_id) == {"accepted": len(expected)}


def test_an_expansion_that_died_between_chunks_goes_on_where_it_stopped(store, at, tmp_path, monkeypatch):
    # A constant is patched: 10,000 recipients for each chunk would only make the same test slower.
    monkeypatch.setattr(audience, "PARCELS_PER_CHUNK", 2)
    everyone = phones(3300)
    subscribe(store, at, everyone[:1700], area="990102")
    subscribe(store, at, everyone[1700:], area="990101")
    release_id, (dispatch,) = approve(store, at)
    wire = Wire()
    times = [at]
    out = outgoing(store, at, tmp_path, wire=wire, clock=lambda: times[0])
    store.run(lambda u: relay._take(u, out, dispatch))
    store.run(lambda u: relay._expand(u, out, dispatch))  # one chunk, and then the process is gone
    seen = store.read(lambda u: promises.get(u, dispatch))
    assert (seen.expanded, seen.is_expanded) == (1000, False)
    assert states(store, release_id) == {"queued": 1000}
    assert relay.relay(out, dispatch) is relay.Relayed.NOT_DUE
    times[0] = at + relay.IN_HAND
    run_all(out)
    assert sorted(wire.taken) == everyone
    assert states(store, release_id) == {"accepted": 3300}


def test_an_audience_of_nobody_is_published_at_once(store, at, tmp_path):
    release_id, _ = approve(store, at)
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    assert store.read(lambda u: releases.get(u, release_id)).state is State.PUBLISHED


def test_addresses_that_are_put_off_again_and_again_do_not_hold_up_the_others(store, at, tmp_path):
    subscribe(store, at, phones(40))
    release_id, dispatches = approve(store, at)
    put_off: set[str] = set()
    wire = Wire(lambda address, _n: NotNow("450 4.1.2") if address in put_off else None)
    wire.window = 4
    out = outgoing(store, at, tmp_path, wire=wire)
    (parcel,) = open_parcel(out, dispatches)
    d = t.delivery.c
    first = sa.select(d.address).where(d.parcel == parcel).order_by(d.seq).limit(6)
    put_off |= {row.address for row in store.read(lambda u: u.rows(first))}
    for _ in range(8):
        deliver.deliver(out, parcel)
        out.clock.at += timedelta(minutes=1)
    assert sorted(wire.taken) == sorted(set(phones(40)) - put_off)
    assert states(store, release_id) == {"accepted": 34, "queued": 6}
