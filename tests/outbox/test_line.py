"""Who goes first when calls wait for a provider's pace and for a place among those in flight."""

import asyncio

import pytest

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
    window = Window(2)

    async def call(name: str, done: list[str]) -> None:
        await window.enter(is_urgent=name.startswith("urgent"))
        done.append(name)
        await asyncio.sleep(0.02)
        window.leave()

    assert in_order(call)[:4] == ["usual0", "usual1", "urgent0", "urgent1"]


def test_whoever_gives_up_waiting_takes_no_place_and_no_token_with_him() -> None:
    async def run() -> None:
        window, pace = Window(1), Pace(100, burst=1)
        await window.enter(is_urgent=False)
        await pace.take()
        waiting = [asyncio.create_task(window.enter(is_urgent=False)) for _ in range(3)]
        paced = [asyncio.create_task(pace.take()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in (*waiting, *paced):
            task.cancel()
        await asyncio.gather(*waiting, *paced, return_exceptions=True)
        window.leave()
        await asyncio.wait_for(window.enter(is_urgent=False), 5)
        await asyncio.wait_for(pace.take(), 5)

    asyncio.run(run())


def test_a_place_given_in_the_moment_of_giving_up_is_passed_on() -> None:
    async def run() -> None:
        window = Window(1)
        await window.enter(is_urgent=False)
        task = asyncio.create_task(window.enter(is_urgent=False))
        await asyncio.sleep(0)
        window.leave()  # it is his now, and he has not woken up yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(window.enter(is_urgent=False), 5)

    asyncio.run(run())
