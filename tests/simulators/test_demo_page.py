"""The demo's phones: what they show, and the lever that only the page itself may pull."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from simulators import demo_page
from simulators.phone_words import words
from simulators.presets import OUTAGES, PRESETS
from simulators.script import Act
from simulators.twilio_state import Simulator, TwilioSimConfig

HERE = "http://127.0.0.1:8000"
AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(
        TwilioSimConfig(account_sid="AC1", auth_token="t", number="+1", inbound_url="", now=lambda: AT)
    )


@pytest.fixture
def client(simulator: Simulator) -> Iterator[TestClient]:
    app = Starlette(routes=demo_page.routes(simulator, sections=[lambda language: f"<p>mail {language}</p>"]))
    with TestClient(app, base_url=HERE, follow_redirects=False) as made:
        yield made


def _text(simulator: Simulator, n: int, body: str, status: str = "delivered") -> None:
    message = simulator.book.take(to=f"+86190000000{n:02d}", sender="+1", body=body, at=AT + timedelta(seconds=n),
                                  callback_url="", service_sid="")  # fmt: skip
    message.status = status


def test_a_phone_shows_its_texts_as_they_came_and_what_became_of_them(client, simulator) -> None:
    _text(simulator, 1, "<script>alert(1)</script> & 你好")
    _text(simulator, 2, "late", status="undelivered")
    page = client.get("/demo/outbox")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; 你好" in page.text
    assert "<script>" not in page.text
    assert page.text.index("+8619000000002") < page.text.index("+8619000000001"), "the newest phone first"
    assert "已送达" in page.text
    assert 'class="about bad"' in page.text
    assert [p["number"] for p in client.get("/demo/outbox.json").json()] == [
        "+8619000000001",
        "+8619000000002",
    ]


def test_a_phone_shows_the_hub_s_time_wherever_the_machine_stands(simulator) -> None:
    _text(simulator, 1, "x")
    app = Starlette(routes=demo_page.routes(simulator, zone=ZoneInfo("Asia/Shanghai")))
    with TestClient(app, base_url=HERE) as client:
        assert '<time datetime="2026-11-23T14:05:01+08:00">14:05:01</time>' in client.get("/demo/outbox").text


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_page_speaks_both_languages_and_takes_a_second_section(client, language: str) -> None:
    page = client.get(f"/demo/outbox?lang={language}")
    assert f'<html lang="{language}">' in page.text
    assert words(language)["nobody"] in page.text
    assert f"<p>mail {language}</p>" in page.text
    assert set(words("en")) == set(words("zh-CN"))


def test_it_refreshes_itself_until_it_is_told_to_pause(client) -> None:
    assert client.get("/demo/outbox").headers["refresh"] == "5"
    assert "refresh" not in client.get("/demo/outbox?live=0").headers


@pytest.mark.parametrize("name", PRESETS)
def test_the_lever_programs_the_provider_and_shows_how_it_stands(client, simulator, name: str) -> None:
    answer = client.post("/demo/outbox", data={"preset": name, "lang": "en"}, headers={"Origin": HERE})
    assert answer.status_code == 303
    assert f'<option value="{name}" selected>' in client.get(answer.headers["location"]).text
    assert simulator.script.draw("+8613800138000").act in Act
    if name in OUTAGES:
        assert simulator.script.to_json()["rules"]


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:9000"])
def test_another_page_cannot_pull_the_lever(client, simulator, origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    assert client.post("/demo/outbox", data={"preset": "500"}, headers=headers).status_code == 403
    assert simulator.script.to_json()["rules"] == []


def test_a_host_that_only_claims_to_be_ours_is_refused(client) -> None:
    headers = {"Origin": "http://evil.example", "Host": "evil.example"}
    assert client.post("/demo/outbox", data={"preset": "500"}, headers=headers).status_code == 403


def test_an_unknown_preset_is_named(client) -> None:
    answer = client.post("/demo/outbox", data={"preset": "explode"}, headers={"Origin": HERE})
    assert (answer.status_code, "undelivered" in answer.text) == (400, True)


def test_no_style_or_script_of_elsewhere_is_allowed(client) -> None:
    policy = client.get("/demo/outbox").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
