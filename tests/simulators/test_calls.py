"""The simulated telephone: it follows TwiML as the provider does, and people can hold it."""

from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from simulators.call_page import Booth
from simulators.twilio_state import Simulator, TwilioSimConfig
from simulators.twiml import Do, hear
from simulators.voice import tone

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def client() -> TestClient:
    config = TwilioSimConfig(
        account_sid="AC1", auth_token="t", number="+1", inbound_url="", voice_url="http://127.0.0.1:9/voice",
        api_url="http://127.0.0.1:9", now=lambda: datetime(2026, 11, 23, tzinfo=UTC),
    )  # fmt: skip
    booth = Booth(Simulator(config), hosts={"127.0.0.1"}, desk_url="http://127.0.0.1:9/hooks/cti/x")
    return TestClient(Starlette(routes=booth.routes()), base_url=HERE)


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_page_offers_both_ways_to_call_and_answers_nobody_else(client: TestClient, language: str) -> None:
    page = client.get(f"/demo/call?lang={language}").text
    assert 'value="ring"' in page and 'value="desk"' in page
    assert (
        client.post(
            "/demo/call", data={"act": "desk"}, headers={"Origin": "https://evil.example"}
        ).status_code
        == 403
    )


def test_a_hub_that_does_not_answer_is_heard_as_an_error_and_the_call_is_over(client: TestClient) -> None:
    page = client.post("/demo/call", data={"act": "ring"}, headers={"Origin": HERE}).text
    assert "application error" in page and "通话已结束" in page
    page = client.post("/demo/call", data={"act": "desk"}, headers={"Origin": HERE}).text
    assert "正在响铃" in page


@pytest.mark.parametrize(
    "bad", ["", "<Response>", "<Other/>", "<Response><Dial/></Response>", "<!DOCTYPE a><Response/>"]
)
def test_what_the_provider_would_refuse_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"12[12]00"):
        hear(bad)


def test_an_answer_without_a_question_hangs_up() -> None:
    assert hear("<Response><Say>a &lt;b&gt;</Say></Response>").says == ("a <b>",)
    assert hear("<Response/>").do is Do.HANG_UP
    assert len(tone(2)) == 2 * 8000 * 2 + 44
