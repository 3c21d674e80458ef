"""kill -9 between the words of a call: what the provider got an answer for is in the one report of that call."""

import asyncio
import signal
from pathlib import Path

import pytest

from simulators.twilio_state import Simulator, TwilioSimConfig
from simulators.voice import Call
from tests.e2e.hub_process import hub_process
from tests.walks.houses import until
from tocsin import demo
from tocsin.serve import now

pytestmark = pytest.mark.faults
STEPS = ("begin", "menu", "place", "said")


@pytest.mark.parametrize("step", STEPS)
def test_r1_r2_f1_a_kill_after_each_word_of_a_call_loses_none_and_repeats_none(
    step: str, tmp_path: Path
) -> None:
    with hub_process(tmp_path) as hub:
        made = demo.load_secrets(tmp_path / "data")
        config = TwilioSimConfig(
            account_sid=made.account_sid, auth_token=made.auth_token, number=demo.NUMBER, inbound_url="", now=now,
            voice_url=f"{hub.url}/hooks/voice/twilio", api_url="http://127.0.0.1:9",
        )  # fmt: skip
        call = Call(simulator=Simulator(config), number="+8613600136000")

        async def spoken() -> None:
            for name, act in zip(
                STEPS,
                (call.ring(), call.press("1"), call.press("990103#"), call.speak("", seconds=7)),
                strict=True,
            ):
                await act
                assert call.posts and call.posts[-1]["status"] in (200, 204)
                if name == step:
                    await asyncio.to_thread(hub.end, signal.SIGKILL)
                    await asyncio.to_thread(hub.start)
                    for n in range(
                        len(call.posts)
                    ):  # a provider repeats what it heard no answer of, or all of it
                        assert await call.repeat(n) in (200, 204)
            await call.simulator.aclose()

        asyncio.run(spoken())

        def mine() -> list[dict]:
            listed = hub.api("GET", "/v1/reports?channel=voice")["data"]
            return [one for one in listed if one["facts"]["sender"][0]["value"] == call.number]

        until(lambda: len(mine()) == 1 and "call_ended" in mine()[0]["facts"], "one whole report", 60)
        (report,) = mine()
        assert report["facts"]["place"][0]["value"] == "青石县"
        assert [fact["value"] for fact in report["facts"]["recording"]] == ["0:07"]
