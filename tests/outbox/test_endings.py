"""An ending goes to exactly those whom the warning reached, or may have, and to nobody twice."""

import asyncio
import contextlib
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.artefact import Artefact, Purpose
from domain.errors import IllegalMove, NotNow, Unavailable, Unsure
from domain.ids import mint
from domain.parcel import Answer, DeliveryState, Receipt
from domain.release import MOVES, Audience, State
from outbox import deliver, ledger, progress, recall, receipts, relay
from store import audience, endings, parcels, promises, releases, slices
from store import tables as t
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, run_all, states, subscribe

CORRECTION = "更正：暴雨橙色预警系误发"
ACTS = {"correct": Purpose.CORRECTION, "cancel": Purpose.LIFT}


def end(store, at, release_id, act="correct", languages=("zh-CN",), channels=("sms",)):
    """What approval.desk does to the outbox; the ids of the ending's dispatches."""

    def work(unit):
        before = releases.get(unit, release_id, lock=True)
        after = replace(before, state=MOVES.after(before.state, act))
        frozen = [
            Artefact(id=mint("art", at), channel=c, language=x, media_type="text/plain",
                     purpose=ACTS[act], body=f"{CORRECTION} {c} {x}".encode())
            for c in channels for x in languages
        ]  # fmt: skip
        releases.put_artefacts(unit, release_id, before.digest, [(a, "") for a in frozen])
        releases.save(unit, before, after, at)
        recall.stop(unit, release_id, by="per_author", at=at, reason="false alarm")
        return ledger.put_ending(unit, release=after, artefacts=frozen, at=at)

    return store.run(work)


def summary(store, release_id):
    return store.read(lambda u: progress.summary(u, release_id))


def test_a_correction_reaches_who_was_sent_or_unsure_and_nobody_else(store, at, tmp_path):
    subscribe(store, at, phones(40))
    release_id, dispatches = approve(store, at)
    failed, silent = set(phones(3)), set(phones(4, 10))

    def say(address, _n):
        if address in failed:
            return Answer(delivery_id="", state=DeliveryState.FAILED, code="21211")
        return Unsure("silence") if address in silent else None

    run_all(outgoing(store, at, tmp_path, wire=Wire(say)))
    end(store, at, release_id)
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert sorted(wire.taken) == sorted(set(phones(40)) - failed)
    assert wire.payloads == {f"{CORRECTION} sms zh-CN".encode()}
    told = summary(store, release_id)
    assert told["state"] == "corrected"
    assert told["channels"]["sms"]["states"] == {"accepted": 33, "unsure": 4, "failed": 3}
    ending = told["endings"]["correction"]["sms"]
    assert (ending["reach"], ending["states"], ending["unexpanded"]) == (37, {"accepted": 37}, 0)
    assert told["adds_up"]


def test_a_correction_in_the_middle_stops_the_rest_who_hear_of_neither(store, at, tmp_path):
    subscribe(store, at, phones(900))
    release_id, dispatches = approve(store, at)
    wire = Wire()
    wire.delay = 0.01
    out = outgoing(store, at, tmp_path, wire=wire)
    relay.relay(out, dispatches[0])
    names = [f"{dispatches[0]}-{n}" for n in range(2)]
    workers = [threading.Thread(target=deliver.deliver, args=(out, name)) for name in names]
    for worker in workers:
        worker.start()
    while len(wire.taken) < 40:
        workers[0].join(0.005)
    (ending,) = end(store, at, release_id)
    relay.relay(out, ending)  # while calls are under way
    for worker in workers:
        worker.join(30)
    warned = list(wire.taken)
    assert len(warned) < 900
    told = Wire()
    run_all(outgoing(store, at, tmp_path, wire=told))
    assert sorted(told.taken) == sorted(warned)
    assert summary(store, release_id)["adds_up"]


def test_who_is_being_called_when_the_correction_comes_waits_for_the_end_of_the_call(store, at, tmp_path):
    subscribe(store, at, phones(10))
    release_id, dispatches = approve(store, at)
    late, never = phones(10)[0], phones(10)[1]
    under_way, go_on = threading.Semaphore(0), threading.Event()

    class Slow(Wire):
        async def call(self, part):
            (item,) = part.items
            if item.address == late:
                under_way.release()
                await asyncio.to_thread(go_on.wait, 30)
            return await super().call(part)

    wire = Slow(lambda a, _n: NotNow("full") if a == never else None)
    out = outgoing(store, at, tmp_path, wire=wire)
    relay.relay(out, dispatches[0])

    def carry() -> None:
        while not go_on.is_set():  # a guard that could not read in time holds everybody back for a second
            deliver.deliver(out, f"{dispatches[0]}-0")
            out.clock.at += timedelta(seconds=1)

    worker = threading.Thread(target=carry)
    worker.start()
    assert under_way.acquire(timeout=60)
    (ending,) = end(store, at, release_id)
    assert relay.relay(out, ending) is relay.Relayed.WAITS
    assert not store.read(lambda u: promises.get(u, ending)).is_expanded
    go_on.set()
    worker.join(30)
    assert late in wire.taken
    told = Wire()
    run_all(outgoing(store, at + timedelta(seconds=5), tmp_path, wire=told))
    assert late in told.taken
    assert never not in told.taken
    assert sorted(told.taken) == sorted(wire.taken)


def test_each_language_gets_the_ending_in_its_language(store, at, tmp_path):
    subscribe(store, at, phones(6))
    subscribe(store, at, phones(3, 50), language="en")
    release_id, _ = approve(store, at, languages=("zh-CN", "en"))
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    end(store, at, release_id, "cancel", languages=("zh-CN", "en"))
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    rows = store.read(lambda u: [d for d in promises.of_release(u, release_id) if d.purpose == "lift"])
    assert {d.language: d.expanded for d in rows} == {"zh-CN": 6, "en": 3}
    assert summary(store, release_id)["endings"]["lift"]["sms"]["states"] == {"accepted": 9}


def test_who_answered_stop_to_a_false_alarm_is_still_told_that_it_was_one_but_of_a_lift_no_more(
    store, at, tmp_path
):
    found = {}
    for n, act in enumerate(("correct", "cancel")):
        subscribe(store, at, phones(5, n * 100), area=f"99010{n + 1}")
        only = Audience(areas=(f"99010{n + 1}000000",))
        release_id, _ = approve(store, at, wanted=only)
        run_all(outgoing(store, at, tmp_path, wire=Wire()))
        gone = phones(5, n * 100)[2]
        store.run(lambda u, g=gone: audience.opt_out(u, "sms", g, inbound="", at=at))
        end(store, at, release_id, act)
        wire = Wire()
        run_all(outgoing(store, at, tmp_path, wire=wire))
        found[act] = gone in wire.taken
    assert found == {"correct": True, "cancel": False}


def test_nothing_ends_where_nothing_had_begun(store, at, tmp_path):
    subscribe(store, at, phones(5))
    release_id, _ = approve(store, at, channels=("sms", "web_notice"))
    assert end(store, at, release_id, channels=("sms", "web_notice")) == []
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert wire.started == []
    assert states(store, release_id) == {"stopped": 5}


def test_an_ending_is_sent_after_its_warning_has_expired(store, at, tmp_path):
    subscribe(store, at, phones(5))
    release_id, _ = approve(store, at, lasts=timedelta(hours=1))
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    later = at + timedelta(hours=3)
    from outbox import sweep

    store.run(lambda u: sweep.expire(u, later))
    assert store.read(lambda u: releases.get(u, release_id)).state is State.UNLIFTED
    end(store, later, release_id, "cancel")
    wire = Wire()
    run_all(outgoing(store, later, tmp_path, wire=wire))
    assert sorted(wire.taken) == phones(5)


def test_an_ending_is_refused_for_a_release_that_has_not_ended(store, at):
    release_id, _ = approve(store, at)
    release = store.read(lambda u: releases.get(u, release_id))
    with pytest.raises(IllegalMove):
        store.run(lambda u: ledger.put_ending(u, release=release, artefacts=[], at=at))


def test_a_walk_in_many_steps_with_deaths_between_takes_everybody_once(store, at, tmp_path):
    subscribe(store, at, phones(2200))
    release_id, dispatches = approve(store, at)
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    (ending,) = end(store, at, release_id)
    store.run(lambda u: promises.move(u, promises.get(u, ending), "start", at))
    steps = []

    def step(unit):
        dispatch = promises.get(unit, ending, lock=True)
        names, cursor, size = endings.expand(unit, dispatch, at, walked=700)
        steps.append((len(names), size))
        if len(steps) == 2:
            raise Unavailable("it died here, and nothing of this step was kept")
        promises.note_expanded(unit, ending, cursor=cursor, expanded=dispatch.expanded + size,
                               is_expanded=False, next_due=at)  # fmt: skip

    for _ in range(4):
        with contextlib.suppress(Unavailable):
            store.run(step)
    assert steps == [(2, 700), (2, 700), (2, 700), (2, 700)]
    run_all(outgoing(store, at, tmp_path, wire=(wire := Wire())))
    assert sorted(wire.taken) == phones(2200)
    assert store.read(lambda u: promises.get(u, ending)).expanded == 2200


@pytest.mark.parametrize("is_walked", [True, False])
def test_who_had_failed_and_got_it_after_all_is_told_of_the_end_once(store, at, tmp_path, is_walked):
    subscribe(store, at, phones(8))
    release_id, dispatches = approve(store, at)
    late, never = phones(8)[2], phones(8)[5]
    failed = Answer(delivery_id="", state=DeliveryState.FAILED, code="30003")
    run_all(outgoing(store, at, tmp_path, wire=Wire(lambda a, _n: failed if a in (late, never) else None)))
    end(store, at, release_id)
    out = outgoing(store, at, tmp_path, wire=(wire := Wire()))
    if is_walked:
        run_all(out)
    d = t.delivery.c
    failed_one = sa.select(d.parcel, d.seq).where(d.address == late, d.parcel == f"{dispatches[0]}-0")
    tag = "{}-{}".format(*store.read(lambda u: u.row(failed_one)))
    receipt = Receipt(channel="sms", provider_id="SMlate", state=DeliveryState.DELIVERED, received_at=at,
                      delivery_id=tag, address=late)  # fmt: skip
    for state in (DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.DELIVERED):
        store.run(lambda u, said=state: receipts.take(u, replace(receipt, state=said), at))
    run_all(out)
    assert sorted(wire.taken) == sorted(set(phones(8)) - {never})
    told = summary(store, release_id)["endings"]["correction"]["sms"]
    assert (told["reach"], told["unexpanded"], told["states"]) == (7, 0, {"accepted": 7})


def replaced(store, at, old, **more):
    """An approved update of `old`, as approval.desk leaves both."""
    update, dispatches = approve(store, at, supersedes=old, **more)

    def work(unit):
        before = releases.get(unit, old, lock=True)
        releases.save(unit, before, replace(before, state=MOVES.after(before.state, "supersede")), at)
        recall.stop(unit, old, by="per_author", at=at, reason="superseded")

    store.run(work)
    return update, dispatches


def end_replaced(store, at, old, ended, act="correct"):
    def work(unit):
        first, last = releases.get(unit, old), releases.get(unit, ended)
        frozen = [Artefact(id=mint("art", at), channel="sms", language="zh-CN", media_type="text/plain",
                           purpose=ACTS[act], body=b"of the first")]  # fmt: skip
        releases.put_artefacts(unit, old, first.digest, [(a, "") for a in frozen])
        return ledger.put_ending_of_replaced(unit, old=first, ended=last, artefacts=frozen, at=at)

    return store.run(work)


def test_who_got_the_first_message_and_not_its_update_gets_the_ending_of_what_he_has(store, at, tmp_path):
    subscribe(store, at, phones(6))  # in the update's area
    subscribe(store, at, phones(5, 50), area="990102")  # in the first one's alone
    first, _ = approve(store, at)
    unreached = phones(6)[4]
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    update, _ = replaced(store, at, first, wanted=Audience(areas=("990101000000",)))
    failed = Answer(delivery_id="", state=DeliveryState.FAILED, code="30003")
    run_all(outgoing(store, at, tmp_path, wire=Wire(lambda a, _n: failed if a == unreached else None)))
    end(store, at, update)
    end_replaced(store, at, first, update)
    heard = {}

    class Listening(Wire):
        async def call(self, part):
            heard.setdefault(part.items[0].address, []).append(part.payload)
            return await super().call(part)

    run_all(outgoing(store, at, tmp_path, wire=Listening()))
    of_update = f"{CORRECTION} sms zh-CN".encode()
    strays = [*phones(5, 50), unreached]
    assert heard == {a: [of_update] for a in set(phones(6)) - {unreached}} | {
        a: [b"of the first"] for a in strays
    }
    told = summary(store, first)["endings"]["correction"]["sms"]
    assert (told["reach"], told["unexpanded"]) == (6, 0)


def test_the_ending_of_what_was_replaced_waits_for_the_calls_of_its_update(store, at, tmp_path):
    subscribe(store, at, phones(3))
    first, _ = approve(store, at)
    run_all(outgoing(store, at, tmp_path, wire=Wire()))
    update, dispatches = replaced(store, at, first)
    out = outgoing(store, at, tmp_path, wire=Wire())
    relay.relay(out, dispatches[0])
    held = store.run(lambda u: parcels.claim(u, f"{dispatches[0]}-0", at=at, until=at + deliver.LEASE))
    slots = store.run(lambda u: slices.go_on(u, held, [], most=8, at=at, until=at + deliver.LEASE)[1])
    end(store, at, update)
    (ending,) = end_replaced(store, at, first, update)
    assert relay.relay(out, ending) is relay.Relayed.WAITS
    taken = [parcels.Result(seq=s.seq, state=DeliveryState.ACCEPTED, provider_id=f"SM{s.seq}") for s in slots]
    assert store.run(lambda u: deliver._write(u, held, taken, at))
    run_all(outgoing(store, at + timedelta(seconds=5), tmp_path, wire=(wire := Wire())))
    assert sorted(wire.taken) == phones(3)
    assert wire.payloads == {f"{CORRECTION} sms zh-CN".encode()}


def test_only_what_was_replaced_by_something_that_ended_ends_with_it(store, at):
    first, _ = approve(store, at)
    second, _ = approve(store, at)
    with pytest.raises(IllegalMove):
        end_replaced(store, at, first, second)
