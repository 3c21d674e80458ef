"""A worker process that carries one release, measured from inside: ``python -m tocsin.benches.carrier WHAT``.

It reads a line, the code of a county, and answers with a line of JSON: how long it took from the approval of a
release to everybody there until the last answer was stored, what was stored, and the largest resident memory of
this process. WHAT is
``taker`` (a wire that answers at once), ``wire`` (the SMS wire of the settings), or ``bare`` (the same wire called
in a loop, 32 at a time, nothing written down; the line is then a number of calls).
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import uvloop

from channels.contract import Wire
from domain.parcel import Answer, DeliveryState, Item, Part
from domain.release import State
from hub.log import configure
from hub.wiring import Hub, build, rewired
from outbox import progress
from outbox.pace import Pace
from store import releases
from store.unit import Unit
from tocsin.benches.releases import approve, submitted
from tocsin.given import settings_of
from tocsin.serve import running

WINDOW = 32
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.5  # between looks: they take from the worker what they measure


class Taker:
    """A wire that takes everything at once: what is left is the outbox itself."""

    name = "bench"
    channel = "sms"
    items_per_call = 1
    window = WINDOW
    reaches_the_world = False

    async def call(self, part: Part) -> Sequence[Answer]:
        """One answer, without any network."""
        (item,) = part.items
        state, name = DeliveryState.ACCEPTED, f"SM{item.delivery_id}"
        return [Answer(delivery_id=item.delivery_id, state=state, provider_id=name)]

    async def aclose(self) -> None:
        """Nothing to close."""


def carry(hub: Hub, area: str) -> dict[str, object]:
    """Approve a release to `area` and wait until this process's workers have brought it out."""
    release = submitted(hub, area)
    begun, end = hub.clock(), time.monotonic() + PATIENCE_SECONDS
    approve(hub, release)
    while (out_at := _out_at(hub, release.id)) is None and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    seconds = ((out_at or hub.clock()) - begun).total_seconds()
    found = hub.store.read(lambda unit: progress.summary(unit, release.id))["channels"]["sms"]["states"]
    return {"seconds": seconds, "states": found, "peak_kb": _peak_kb()}


def _out_at(hub: Hub, release_id: str) -> datetime | None:
    """When its last answer had been stored, as its row tells."""

    def look(unit: Unit) -> datetime | None:
        is_out = release_id in releases.ids_in(unit, [State.PUBLISHED])
        return releases.state_at(unit, release_id) if is_out else None

    return hub.store.read(look)


async def bare(wire: Wire, count: int, payload: bytes) -> dict[str, object]:
    """Call the wire `count` times with the same text, 32 at a time."""
    numbers = iter(range(count))

    async def one_after_another() -> None:
        for n in numbers:
            item = Item(delivery_id=f"bare-{n}", address=f"+8619{n:09d}")
            part = Part(channel="sms", payload=payload, sha256="0" * 64, language="zh-CN", items=(item,))
            await wire.call(part)

    begun = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(WINDOW)))
    seconds = time.perf_counter() - begun
    await wire.aclose()
    return {"seconds": seconds, "states": {"accepted": count}, "peak_kb": _peak_kb()}


def _peak_kb() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1])


def main() -> None:
    """Answer lines until the input ends."""
    what = sys.argv[1]
    gc.freeze()  # as tocsin.entry does
    configure()
    hub = build(settings_of())
    wire = Taker() if what == "taker" else hub.wires["sms"]
    if what == "bare":
        release = submitted(hub, sys.argv[2])
        (text,) = hub.store.read(lambda unit: releases.artefacts(unit, release.id, release.digest))[:1]
        _answer(lambda line: uvloop.run(bare(wire, int(line), text.body)))
    else:
        chosen = rewired(hub, wire, Pace(1e9, burst=1e9))
        with running(chosen, "worker"):
            _answer(lambda line: carry(chosen, line))
    hub.close()


def _answer(work: Callable[[str], dict[str, object]]) -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(work(line.strip())), flush=True)


if __name__ == "__main__":
    main()
