"""A guard that fails lets nothing through, and somebody is told."""

from types import SimpleNamespace
from typing import cast

from outbox.guard import Guard, Refusal
from outbox.pace import Pace
from outbox.window import Courier, calls_of
from store.parcels import Slot
from tests.outbox.outbox_kit import Wire


def test_what_a_guard_raises_holds_its_call_back_and_is_told() -> None:
    told: list[Exception] = []
    courier, wire = Courier(told.append), Wire()

    async def refusal(slot: Slot) -> Refusal | None:
        if slot.seq == 1:
            raise KeyError("a bug")
        return None

    slots = [Slot(seq=n, address=f"+861390000000{n}", attempt=1, is_responsible=False) for n in range(3)]
    calls = calls_of(wire, slots, payload=b"x", sha256="", language="zh-CN", name=lambda n: f"par-{n}")
    guard = cast(Guard, SimpleNamespace(refusal=refusal))
    outcomes = courier.run(courier.carry(wire, calls, pace=Pace(1e6, burst=10), guard=guard))
    courier.close()
    assert [one.refusal for one in outcomes] == [None, Refusal.BLIND, None]
    assert [type(error) for error in told] == [KeyError]
