"""The file of the kill switch is seen by a call that begins ten milliseconds later."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from outbox import guard as guards
from outbox.guard import FRESH, SWITCH_FRESH, Guard, Refusal
from store import parcels
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, subscribe
from tests.outbox.test_deliver_slices import open_parcel


def test_a_stop_file_is_seen_within_ten_milliseconds_and_not_looked_at_before(
    store, at, tmp_path, monkeypatch
) -> None:
    subscribe(store, at, phones(1))
    _, dispatches = approve(store, at)
    (parcel,) = open_parcel(outgoing(store, at, tmp_path, wire=Wire()), dispatches)
    held = store.run(lambda unit: parcels.claim(unit, parcel, at=at, until=at + timedelta(seconds=30)))
    slot = parcels.Slot(seq=0, address=phones(1)[0], attempt=1, is_responsible=False)
    now, stop = [0.0], tmp_path / "STOP"
    # A guard lives for one slice and takes no clock: the edge of ten milliseconds needs one that stands still.
    monkeypatch.setattr(guards, "boottime", lambda: now[0])
    with ThreadPoolExecutor(1) as readers:
        guard = Guard(store=store, held=held, slots=[slot], lease_ends=now[0] + 30, stop_file=stop, clock=lambda: at,
                      readers=readers, seen_at=now[0], is_stopped=False)  # fmt: skip

        async def asked(after: float) -> Refusal | None:
            now[0] = after
            return await guard.refusal(slot)

        async def walk() -> None:
            assert await asked(0.0) is None
            stop.touch()
            assert await asked(SWITCH_FRESH * 0.9) is None  # 32 calls in that time look once
            assert await asked(SWITCH_FRESH) is Refusal.KILL_SWITCH
            stop.unlink()
            assert await asked(SWITCH_FRESH * 1.9) is Refusal.KILL_SWITCH
            assert await asked(SWITCH_FRESH * 2) is None
            stop.touch()
            assert await asked(FRESH.total_seconds() * 1.5) is Refusal.KILL_SWITCH, (
                "a read of the rows is no look at it"
            )

        asyncio.run(walk())
    assert timedelta(seconds=SWITCH_FRESH) == timedelta(milliseconds=10)
