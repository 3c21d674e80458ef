"""One timer for all calls; a place goes on after a call that was too late."""

import asyncio
from datetime import timedelta

from outbox.deadlines import Deadlines


def test_a_task_whose_call_was_late_makes_the_next_one_unharmed() -> None:
    async def run() -> list[str]:
        deadlines, said = Deadlines(), []
        began = asyncio.get_running_loop().time()
        for seconds, lasts in ((30, 0.02), (0, 30), (30, 0.02), (0.01, 30)):
            task = deadlines.begin(timedelta(seconds=lasts))
            try:
                try:
                    await asyncio.sleep(seconds)
                finally:
                    is_late = deadlines.end(task)
            except asyncio.CancelledError:
                said.append("late" if is_late else "cancelled")
            else:
                said.append("in time")
            assert task.cancelling() == 0
        assert asyncio.get_running_loop().time() - began < 20, (
            "a short one does not wait for the timer of a long one"
        )
        return said

    assert asyncio.run(run()) == ["late", "in time", "late", "in time"]
