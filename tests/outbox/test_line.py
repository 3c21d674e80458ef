"""Who goes first when calls wait for a provider's pace and for a place among those in flight."""

import asyncio

from outbox.line import Window
from outbox.pace import Pace


def in_order(work) -> list[str]:
    """Names in the order in which they had their turn; 20 ordinary ones came before the urgent two."""

    async def run() -> list[str]:
        done: list[str] = []
        names = [f"usual{n}" for n in range(20)] + ["urgent0", "urgent1"]
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(work(name, done)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return done

    return asyncio.run(run())


def test_an_urgent_call_gets_the_next_token_whoever_waits() -> None:
    pace = Pace(200, burst=1)

    async def call(name: str, done: list[str]) -> None:
        await pace.take(is_urgent=name.startswith("urgent"))
        done.append(name)

    found = in_order(call)
    assert set(found[1:4]) >= {"urgent0", "urgent1"}, found
    assert [n for n in found if n.startswith("usual")] == [f"usual{n}" for n in range(20)]


def test_an_urgent_call_gets_the_next_place_whoever_waits() -> None:
    done: list[str] = []

    async def call(name: str) -> None:
        done.append(name)
        await asyncio.sleep(0.02)

    async def run() -> None:
        window = Window(2, call)
        window.put([f"usual{n}" for n in range(20)], is_urgent=False)
        while not done:
            await asyncio.sleep(0)
        window.put(["urgent0", "urgent1"], is_urgent=True)
        await window.end()

    asyncio.run(run())
    assert done[:5] == ["usual0", "usual1", "urgent0", "urgent1", "usual2"] and len(done) == 22


def test_never_more_calls_than_the_window_and_none_fewer_while_some_wait() -> None:
    now, most, seen = 0, 0, 0

    async def call(_: int) -> None:
        nonlocal now, most, seen
        now, seen = now + 1, seen + 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1

    async def run() -> None:
        window = Window(4, call)
        for first in (0, 3, 50):
            window.put(list(range(first, first + 40)), is_urgent=False)
            await asyncio.sleep(0.005)
        await window.end()

    asyncio.run(run())
    assert (most, seen, now) == (4, 120, 0)


def test_what_is_cut_off_says_its_last_word_and_the_rest_is_still_done() -> None:
    said: list[str] = []

    async def call(name: str) -> None:
        try:
            await asyncio.sleep(60 if name == "hangs" else 0)
        except asyncio.CancelledError:
            said.append(f"{name} cut off")
        else:
            said.append(name)

    async def run() -> None:
        window = Window(1, call)
        window.put(["first", "hangs", "last"], is_urgent=False)
        ending = asyncio.create_task(window.end())
        while not said:
            await asyncio.sleep(0)
        await window.cut_off(5)
        await ending

    asyncio.run(run())
    assert said == ["first", "hangs cut off", "last"]


def test_whoever_gives_up_waiting_takes_no_token_with_him() -> None:
    async def run() -> None:
        pace = Pace(100, burst=1)
        await pace.take()
        paced = [asyncio.create_task(pace.take()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in paced:
            task.cancel()
        await asyncio.gather(*paced, return_exceptions=True)
        await asyncio.wait_for(pace.take(), 5)

    asyncio.run(run())
