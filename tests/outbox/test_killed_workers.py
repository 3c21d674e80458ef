"""Workers killed with -9 in the middle: the provider's ledger against what the rows say."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import uvicorn

from outbox import deliver, receipts
from outbox.deliver import SLICE
from simulators.script import USUAL, Act, Rule, Script
from simulators.twilio import TwilioSimConfig, app
from store import tables as t
from tests import servers
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, run_all, states, subscribe
from tests.outbox.test_deliver_slices import open_parcel
from tests.outbox.worker_process import ACCOUNT, TOKEN, wire

PEOPLE = 900


def now() -> datetime:
    return datetime.now(UTC)


class Provider:
    """The simulated Twilio behind a real socket; its ledger is on disk before it answers."""

    def __init__(self, tmp_path) -> None:
        self.ledger = tmp_path / "ledger.jsonl"
        config = TwilioSimConfig(
            account_sid=ACCOUNT, auth_token=TOKEN, number="+8613900999999", now=now,
            inbound_url="http://127.0.0.1:9/", ledger_path=self.ledger,
        )  # fmt: skip
        self.app = app(config)
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(
            uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="critical")
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        servers.wait_for(self.port)

    def script(self, *rules: Rule, seed: int = 1) -> None:
        self.app.state.simulator.script = Script(USUAL, rules, seed=seed)

    def taken(self) -> Counter[str]:
        """Address -> messages."""
        text = self.ledger.read_text() if self.ledger.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may be half written
        return Counter(json.loads(line)["to"] for line in lines)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def provider(tmp_path):
    made = Provider(tmp_path)
    yield made
    made.close()


def rows(store):
    d = t.delivery.c
    return {r.address: r.state for r in store.read(lambda u: u.rows(sa.select(d.address, d.state)))}


def spawn(url, tmp_path, provider, redis=""):
    command = [sys.executable, "-m", "tests.outbox.worker_process", url, str(tmp_path), provider.url, redis]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=os.getcwd())
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return process


def wait_for(claim, seconds=60.0):
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def shorten_leases(store, at):
    """As if 30 s had passed since the death of their holder."""
    p = t.parcel_row
    store.run(lambda u: u.execute(p.update().where(p.c.state == "leased").values(lease_until=at)))


@pytest.mark.parametrize("with_redis", [False, True])
def test_a_killed_worker_leaves_only_unsure_ones_and_no_duplicate(
    store, database_url, tmp_path, provider, with_redis
):
    subscribe(store, now(), phones(PEOPLE))
    release_id, dispatches = approve(store, now())
    provider.script(Rule(delay_ms=30))
    running = servers.redis(tmp_path) if with_redis else None
    redis = running.__enter__() if running else ""
    try:
        for already in (60, 300):  # twice, at different moments
            worker = spawn(database_url, tmp_path, provider, redis)
            wait_for(lambda already=already: sum(provider.taken().values()) > already)
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
            worker.stdout.close()
            shorten_leases(store, now())
        worker = spawn(database_url, tmp_path, provider, redis)
        going = {"queued", "sending"}
        wait_for(lambda: len(rows(store)) == PEOPLE and not going & set(rows(store).values()))
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        worker.stdout.close()
    finally:
        if running:
            running.__exit__(None, None, None)
    taken, known = provider.taken(), rows(store)
    assert max(taken.values()) == 1
    sure = {a for a, s in known.items() if s in ("accepted", "sent")}
    unsure = {a for a, s in known.items() if s == "unsure"}
    assert sure | unsure == set(known) == set(phones(PEOPLE))
    assert sure <= set(taken)
    assert set(taken) - sure <= unsure
    assert len(unsure) <= 2 * 2 * SLICE  # two deaths, two parcels in hand
    assert sum(states(store, release_id).values()) == PEOPLE


def test_every_fault_of_a_provider_leaves_no_duplicate_and_nothing_untold(store, tmp_path, provider):
    subscribe(store, now(), phones(600))
    release_id, _ = approve(store, now())
    provider.script(
        Rule(act=Act.THROTTLE, percent=1, retry_after="1"), Rule(act=Act.ERROR, percent=2),
        Rule(act=Act.ERROR_TAKEN, percent=2), Rule(act=Act.RESET, percent=2),
        Rule(act=Act.RESET_TAKEN, percent=2), Rule(act=Act.GARBAGE_TAKEN, percent=2),
        Rule(act=Act.REFUSE, percent=2, code=21614),
    )  # fmt: skip
    out = outgoing(store, now(), tmp_path, wire=wire(provider.url), clock=now)
    wait_for(lambda: run_all(out) or not {"queued", "sending"} & set(rows(store).values()))
    out.courier.close()
    taken, known = provider.taken(), rows(store)
    assert max(taken.values()) == 1
    assert {a for a, s in known.items() if s == "accepted"} <= set(taken)
    assert {a for a in taken if known[a] != "accepted"} <= {a for a, s in known.items() if s == "unsure"}
    assert {a for a, s in known.items() if s == "failed"}.isdisjoint(taken)
    assert sum(states(store, release_id).values()) == 600


def test_signed_callbacks_settle_what_a_dead_worker_left_unsure(store, tmp_path, provider):
    subscribe(store, now(), phones(3))
    release_id, _ = approve(store, now())
    provider.script(Rule(act=Act.ERROR_TAKEN))
    out = outgoing(store, now(), tmp_path, wire=wire(provider.url), clock=now)
    run_all(out)
    out.courier.close()
    assert states(store, release_id) == {"unsure": 3}
    from urllib.parse import urlencode

    from channels.twilio_sms import parse_status

    for sid, message in provider.app.state.simulator.book.messages.items():
        form = {"AccountSid": ACCOUNT, "MessageSid": sid, "MessageStatus": "delivered", "To": message.to}
        query = message.callback_url.partition("?")[2]
        told = parse_status(urlencode(form).encode(), query, account_sid=ACCOUNT, at=now())
        assert store.run(lambda u, told=told: receipts.take(u, told, now())) is receipts.Taken.APPLIED
    assert states(store, release_id) == {"delivered": 3}


def test_a_provider_that_is_not_there_is_tried_again_later(store, tmp_path):
    subscribe(store, now(), phones(5))
    release_id, dispatches = approve(store, now())
    gone = wire(f"http://127.0.0.1:{servers.free_port()}")
    out = outgoing(store, now(), tmp_path, wire=gone, clock=now)
    (parcel,) = open_parcel(out, dispatches)
    assert deliver.deliver(out, parcel) is deliver.Ended.WAITS
    out.courier.close()
    assert states(store, release_id) == {"queued": 5}


def test_a_clean_stop_in_the_middle_leaves_nothing_unsure(store, at, tmp_path):
    subscribe(store, at, phones(400))
    release_id, dispatches = approve(store, at)
    slow = Wire()
    slow.delay = 0.03
    out = outgoing(store, at, tmp_path, wire=slow)
    (parcel,) = open_parcel(out, dispatches)
    ended = []
    worker = threading.Thread(target=lambda: ended.append(deliver.deliver(out, parcel)))
    worker.start()
    wait_for(lambda: len(slow.started) > 30)
    out.courier.close()
    worker.join(10)
    assert ended == [deliver.Ended.WAITS]
    found = states(store, release_id)
    assert found == {"accepted": len(slow.taken), "queued": 400 - len(slow.taken)}
    assert len(slow.started) == len(slow.taken)


def test_a_loop_that_ends_while_a_step_is_under_way_leaves_nothing_unsure(store, at, tmp_path, monkeypatch):
    subscribe(store, at, phones(20))
    release_id, dispatches = approve(store, at)
    silent = Wire()
    out = outgoing(store, at, tmp_path, wire=silent)
    (parcel,) = open_parcel(out, dispatches)
    done = store.done

    async def unheard(work):
        await done(work)
        await asyncio.sleep(3600)

    async def no_line(_work):
        """What a step answers while the loop has no line: the thread does it."""

    def ended(turn):
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(turn, 1))

    monkeypatch.setattr(store, "done", unheard)
    monkeypatch.setattr(store, "at_once", no_line)
    monkeypatch.setattr(out.courier, "run", ended)
    assert deliver.deliver(out, parcel) is deliver.Ended.WAITS
    out.courier.close()
    assert silent.started == []
    assert states(store, release_id) == {"queued": 20}
    assert set(store.read(lambda u: u.rows(sa.select(t.delivery.c.attempts)))) == {(0,)}


def test_a_call_that_never_ends_is_cut_off_at_the_stop_and_unsure(store, at, tmp_path):
    subscribe(store, at, phones(20))
    release_id, dispatches = approve(store, at)
    stuck = Wire()
    stuck.delay = 3600
    out = outgoing(store, at, tmp_path, wire=stuck)
    (parcel,) = open_parcel(out, dispatches)
    worker = threading.Thread(target=deliver.deliver, args=(out, parcel))
    worker.start()
    wait_for(lambda: len(stuck.started) == stuck.window)
    out.courier.close(timedelta(seconds=0.3))
    worker.join(10)
    assert not worker.is_alive()
    assert states(store, release_id) == {"unsure": stuck.window, "queued": 20 - stuck.window}


def test_a_provider_that_answers_too_late_is_unsure_after_the_deadline(store, at, tmp_path, monkeypatch):
    # The deadline is patched: the real ten seconds would only make the same test slower.
    monkeypatch.setattr("outbox.window.DEADLINE", timedelta(seconds=0.2))
    subscribe(store, at, phones(3))
    release_id, _ = approve(store, at)
    late = Wire()
    late.delay = 30
    out = outgoing(store, at, tmp_path, wire=late)
    begun = time.monotonic()
    run_all(out)
    assert time.monotonic() - begun < 5
    assert states(store, release_id) == {"unsure": 3}
