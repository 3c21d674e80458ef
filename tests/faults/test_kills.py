"""What was answered is there, and what was approved arrives, whatever dies on the way (F1, F6, F7, F11)."""

import random
import secrets
import threading
from collections import Counter

import pytest
import redis as redis_client

from tests.conftest import _psql
from tests.servers import free_port, redis
from tests.walks.houses import House, get, house, until

pytestmark = pytest.mark.faults


def _ready(made: House) -> None:
    until(lambda: get(f"{made.url}/readyz") is not None, "the hub answers")


def _texts(made: House) -> Counter[str]:
    found, cursor = Counter(), ""
    while True:
        page = made.api("GET", f"/v1/reports?limit=200{cursor}")
        found.update(r["text"].strip() for r in page["data"])
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


def test_every_sms_that_was_answered_is_one_report_though_the_hub_is_killed_ten_times(tmp_path) -> None:
    dice = random.Random(7)
    answered: list[str] = []
    with house(tmp_path / "data") as made:
        made.start("all", "up")
        _ready(made)
        for round_ in range(10):

            def send(round_: int = round_) -> None:
                for n in range(40):
                    body = f"message {round_}-{n}"
                    try:
                        if made.provider.text("+8613800138000", body)["status"] == 200:
                            answered.append(body)
                    except (AssertionError, OSError):
                        return  # the hub is gone: nothing was promised

            sender = threading.Thread(target=send)
            sender.start()
            sender.join(dice.uniform(0.02, 0.6))
            made.kill("all")
            sender.join(30)
            made.start_again("all")
            _ready(made)
        until(lambda: set(answered) <= set(_texts(made)), "every answered message is a report")
        texts = _texts(made)
        assert len(answered) > 20
        assert all(texts[body] == 1 for body in answered)


def test_a_warning_arrives_once_though_redis_is_flushed_killed_and_restarted(tmp_path, postgres_url) -> None:
    name = f"f{secrets.token_hex(4)}"
    _psql(postgres_url, f"CREATE DATABASE {name}")
    (tmp_path / "redis").mkdir()
    port = free_port()
    broker = redis(tmp_path / "redis", port=port)
    url = broker.__enter__()
    with house(tmp_path / "data", database_url=f"{postgres_url}/{name}", redis_url=url) as made:
        made.start("web", "web")
        made.start("worker1", "worker")
        made.start("worker2", "worker")
        _ready(made)
        made.provider.script({"delay_ms": 100})
        body = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
        body["areas"] = ["990000"]
        release = made.api("POST", "/v1/releases", body, **{"Idempotency-Key": "f"})["id"]
        digest = made.api("POST", f"/v1/releases/{release}/submit", {})["digest"]
        redis_client.Redis.from_url(url).flushall()
        made.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
        redis_client.Redis.from_url(url).flushall()
        until(lambda: len(made.provider.ledger()) > 20, "the first messages are out")
        broker.__exit__(None, None, None)  # kill
        until(lambda: made.api("GET", f"/v1/releases/{release}")["state"] == "published", "published", 120)
        with redis(tmp_path / "redis", port=port):
            second = made.api("POST", "/v1/releases", body, **{"Idempotency-Key": "f2"})["id"]
            digest = made.api("POST", f"/v1/releases/{second}/submit", {})["digest"]
            made.api("POST", f"/v1/releases/{second}/approve", {"digest": digest}, key="approver")
            until(lambda: made.api("GET", f"/v1/releases/{second}")["state"] == "published", "published", 120)
        # the rest are acknowledgements of the morning's reports
        warned = [m for m in made.provider.ledger() if m["to"].startswith("+86190000")]
        sent = Counter((m["to"], m["body"]) for m in warned)
        assert max(sent.values()) == 1
        assert len(sent) == 480
