"""The simulated Twilio, spoken to by the real wire and calling back a real hub-like server."""

import asyncio
import datetime as dt
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from twilio.rest import Client

from channels.codecs.twilio_http import Http
from channels.twilio_sms import TwilioSms, parse_message, parse_status, verify
from domain.errors import Never, NotAllowed, NotNow, Unsure
from domain.parcel import DeliveryState, Item, Part
from simulators.script import Act
from simulators.twilio import TwilioSimConfig, app

ACCOUNT, TOKEN = "AC" + "0" * 32, "secret"
PHONE = "+8613800138000"


class Hub:
    """A server that keeps every post and answers 204, or as `status` says."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes, str]] = []
        self.status = 204
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                hub.posts.append((self.path, raw, self.headers["X-Twilio-Signature"]))
                self.send_response(hub.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def receipts(self, *, expected: int) -> list[Any]:
        """The first `expected` callbacks, each with its signature verified."""
        until(lambda: len(self.posts) >= expected)
        found = []
        for path, raw, signature in list(self.posts):
            verify(self.url + path, raw, signature, TOKEN)
            found.append(parse_status(raw, path.partition("?")[2], account_sid=ACCOUNT, at=now()))
        return found


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)  # waits for another thread's real sockets


class World:
    """The simulator served by uvicorn, the wire that speaks to it, the hub it calls back."""

    def __init__(self, ledger: Path) -> None:
        self.hub = Hub()
        config = TwilioSimConfig(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            number="+861069000000",
            inbound_url=f"{self.hub.url}/hooks/sms/twilio",
            now=now,
            sent_after=dt.timedelta(milliseconds=10),
            delivered_after=dt.timedelta(milliseconds=10),
            ledger_path=ledger,
        )
        self.app = app(config)
        self.simulator = self.app.state.simulator
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        until(lambda: self.server.started)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.hub.server.shutdown()

    def wire(self, **more: Any) -> TwilioSms:
        usual: dict[str, Any] = {
            "account_sid": ACCOUNT,
            "auth_token": TOKEN,
            "sender": "+861069000000",
            "status_callback_url": f"{self.hub.url}/hooks/sms/status",
            "reaches_the_world": False,
            "base_url": self.url,
            "timeout": dt.timedelta(milliseconds=500),
        }
        return TwilioSms(**(usual | more))

    def send(self, address: str = PHONE, text: str = "暴雨红色预警", **more: Any) -> Any:
        async def once() -> Any:
            wire = self.wire(**more)
            try:
                return (await wire.call(part(address, text)))[0]
            finally:
                await wire.aclose()

        return asyncio.run(once())

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=10) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None

    def script(self, *rules: dict[str, Any], seed: int = 1) -> None:
        self.ask("/sim/script", {"seed": seed, "rules": list(rules)})

    def ledger(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/sim/ledger.json")
        return found


def part(address: str = PHONE, text: str = "暴雨红色预警", delivery_id: str = "dlv_1") -> Part:
    item = Item(delivery_id=delivery_id, address=address, attempt=3)
    return Part(channel="sms", payload=text.encode(), sha256="", language="zh", items=(item,))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("twilio") / "ledger.jsonl")
    yield made
    made.close()


@pytest.fixture
def world(shared: World) -> World:
    shared.ask("/sim/reset", b"")
    time.sleep(0.05)  # callbacks of the last test that were already in a socket
    shared.hub.posts.clear()
    shared.hub.status = 204
    return shared


def test_a_message_is_taken_and_its_three_callbacks_come_signed_with_our_tag(world: World) -> None:
    answer = world.send(text="暴雨 & 大风 = 停课 +\r\n")
    assert answer.state is DeliveryState.ACCEPTED
    receipts = world.hub.receipts(expected=3)
    assert [one.state for one in receipts] == ["accepted", "sent", "delivered"]
    assert {(one.delivery_id, one.provider_id, one.address) for one in receipts} == {
        ("dlv_1", answer.provider_id, PHONE)
    }
    until(lambda: len(world.ledger()[0]["callbacks"]) == 3)
    (row,) = world.ledger()
    assert (row["sid"], row["to"], row["from"], row["body"], row["status"]) == (
        answer.provider_id,
        PHONE,
        "+861069000000",
        "暴雨 & 大风 = 停课 +\r\n",
        "delivered",
    )
    assert [one["answer"] for one in row["callbacks"]] == [204, 204, 204]


def test_the_outbox_shows_each_phone_with_its_messages_in_order(world: World) -> None:
    for text in ("一", "二"):
        world.send(text=text)
    world.send("+8613900139000", "三")
    outbox = world.ask("/sim/outbox.json")
    assert [(one["number"], [m["body"] for m in one["messages"]]) for one in outbox] == [
        (PHONE, ["一", "二"]),
        ("+8613900139000", ["三"]),
    ]
    assert [one["number"] for one in world.simulator.phones()] == [PHONE, "+8613900139000"]


def test_a_wrong_password_is_never_and_nothing_is_taken(world: World) -> None:
    with pytest.raises(Never):
        world.send(auth_token="wrong")
    with pytest.raises(Never):
        world.send(account_sid="AC" + "1" * 32)
    assert world.ledger() == []


@pytest.mark.parametrize(
    ("address", "text", "code"),
    [
        ("123", "a", "21211"),
        ("+15005550001", "a", "21211"),
        ("+15005550004", "a", "21610"),
        ("+15005550009", "a", "21614"),
        (PHONE, "", "21602"),
        (PHONE, "a" * 1601, "21617"),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(
    world: World, address: str, text: str, code: str
) -> None:
    answer = world.send(address, text)
    assert (answer.state, answer.code) == (DeliveryState.FAILED, code)
    assert world.ledger() == []


EXPECTED = {
    Act.REFUSE: None,
    Act.THROTTLE: NotNow,
    Act.ERROR: Unsure,
    Act.ERROR_TAKEN: Unsure,
    Act.HANG: Unsure,
    Act.HANG_TAKEN: Unsure,
    Act.RESET: Unsure,
    Act.RESET_TAKEN: Unsure,
    Act.GARBAGE: Unsure,
    Act.GARBAGE_TAKEN: Unsure,
    Act.REDIRECT: Unsure,
    Act.TAKE: None,
}


def test_every_act_of_the_script_is_tried() -> None:
    assert set(EXPECTED) == set(Act)


@pytest.mark.parametrize(("act", "error"), EXPECTED.items(), ids=[act.value for act in EXPECTED])
def test_the_wire_says_what_each_failure_proves_and_the_ledger_knows_the_truth(
    world: World, act: Act, error: type[Exception] | None
) -> None:
    world.script({"act": act, "times": 1, "code": 21610})
    if error is None:
        assert world.send().code == ("21610" if act is Act.REFUSE else "")
    else:
        with pytest.raises(error):
            world.send()
    assert len(world.ledger()) == (1 if act.takes else 0)
    if act.takes:  # what the caller was not told, the callback tells
        assert {one.delivery_id for one in world.hub.receipts(expected=3)} == {"dlv_1"}
    assert world.send().state is DeliveryState.ACCEPTED  # the rule is used up


@pytest.mark.parametrize(("value", "seconds"), [("3", 3), ("", 1), ("soon", 1), ("100000", 900)])
def test_a_retry_after_comes_as_the_script_wrote_it(world: World, value: str, seconds: int) -> None:
    world.script({"act": "throttle", "retry_after": value})
    with pytest.raises(NotNow) as error:
        world.send()
    assert error.value.retry_after == dt.timedelta(seconds=seconds)


def test_a_slow_answer_within_the_deadline_is_an_answer(world: World) -> None:
    world.script({"delay_ms": 200})
    started = time.monotonic()
    assert world.send().state is DeliveryState.ACCEPTED
    assert time.monotonic() - started >= 0.2


def test_a_rule_is_for_the_phones_its_pattern_names(world: World) -> None:
    world.script({"to": "+86139*", "act": "refuse", "code": 21614})
    assert world.send().state is DeliveryState.ACCEPTED
    assert world.send("+8613900139000").code == "21614"


def test_a_percentage_is_drawn_the_same_way_from_the_same_seed(world: World) -> None:
    def run(seed: int) -> list[str]:
        world.script({"act": "refuse", "percent": 30}, seed=seed)
        return [world.simulator.script.draw(PHONE).act.value for _ in range(200)]

    first = run(7)
    assert first == run(7)
    assert first != run(8)
    assert 30 < first.count("refuse") < 90


def test_the_script_can_be_read_back_with_what_is_left(world: World) -> None:
    world.script({"act": "throttle", "times": 2})
    with pytest.raises(NotNow):
        world.send()
    read = world.ask("/sim/script")
    assert (read["rules"][0]["act"], read["rules"][0]["times"]) == ("throttle", 1)
    world.ask("/sim/script", read)  # what was read can be written
    assert world.ask("/sim/script") == read


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        {"rules": 1},
        {"rules": [1]},
        {"rules": [{"act": "explode"}]},
        {"rules": [{"unknown": 1}]},
        {"rules": [{"draw": 1}]},
        {"rules": [{"times": -1}]},
        {"rules": [{"times": True}]},
        {"rules": [{"percent": 101}]},
        {"rules": [{"delay_ms": "1"}]},
        {"rules": [], "seed": "x"},
    ],
)
def test_a_script_that_does_not_hold_is_refused_and_the_old_one_stays(world: World, body: Any) -> None:
    world.script({"act": "throttle"})
    with pytest.raises(urllib.error.HTTPError) as error:
        world.ask("/sim/script", body)
    assert error.value.code == 400
    assert world.ask("/sim/script")["rules"][0]["act"] == "throttle"


def states(world: World, expected: int) -> list[str]:
    return [one.state.value for one in world.hub.receipts(expected=expected)]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ("twice", ["accepted"] * 2 + ["sent"] * 2 + ["delivered"] * 2),
        ("shuffled", ["delivered", "sent", "accepted"]),
    ],
)
def test_callbacks_come_twice_or_the_last_first(world: World, calls: str, expected: list[str]) -> None:
    world.script({"calls": calls})
    world.send()
    assert states(world, len(expected)) == expected


def test_a_callback_can_come_before_the_answer_of_the_create_call(world: World) -> None:
    world.script({"calls": "early"})
    world.send()
    assert len(world.hub.posts) >= 2  # already there when the wire had its answer


def test_no_callback_comes_when_the_script_says_none(world: World) -> None:
    world.script({"calls": "none"})
    world.send()
    until(lambda: world.ledger()[0]["status"] == "delivered")
    assert world.hub.posts == []


def test_a_forged_callback_is_refused_by_its_signature(world: World) -> None:
    world.script({"calls": "forged"})
    world.send()
    until(lambda: len(world.hub.posts) == 3)
    for path, raw, signature in world.hub.posts:
        with pytest.raises(NotAllowed):
            verify(world.hub.url + path, raw, signature, TOKEN)


def test_a_late_callback_comes_late(world: World) -> None:
    world.script({"calls": "late", "late_ms": 300})
    started = time.monotonic()
    world.send()
    states(world, 1)
    assert time.monotonic() - started >= 0.3


def test_a_message_can_end_undelivered_with_its_code(world: World) -> None:
    world.script({"final": "undelivered", "error_code": 30005})
    world.send()
    last = world.hub.receipts(expected=3)[-1]
    assert (last.state, last.code) == (DeliveryState.FAILED, "30005")


def test_what_the_hub_answers_to_callbacks_is_in_the_ledger(world: World) -> None:
    world.hub.status = 503
    world.send()
    until(lambda: len(world.ledger()[0]["callbacks"]) == 3)
    assert {one["answer"] for one in world.ledger()[0]["callbacks"]} == {503}


def test_messages_can_be_looked_up_by_phone_day_and_sid_with_the_real_client(world: World) -> None:
    world.script({"calls": "none"})
    sids = [world.send(text=str(n)).provider_id for n in range(5)]
    world.send("+8613900139000")

    async def look() -> tuple[list[str], list[str], str]:
        http = Http(base_url=world.url, timeout=dt.timedelta(seconds=5))
        client = Client(ACCOUNT, TOKEN, http_client=http, environment={"TWILIO_EDGE": ""})
        try:
            found = await client.messages.list_async(
                to=PHONE, date_sent_after=now() - dt.timedelta(minutes=1), page_size=2
            )
            none = await client.messages.list_async(to=PHONE, date_sent_after=now() + dt.timedelta(days=1))
            one = await client.messages(sids[0]).fetch_async()
        finally:
            await http.close()
        return [m.sid for m in found], [m.sid for m in none], one.body

    assert asyncio.run(look()) == (sids[::-1], [], "0")


def test_a_phone_texts_the_hub_with_a_signed_form_of_the_strict_shape(world: World) -> None:
    answer = world.ask("/sim/inbound", {"from": PHONE, "body": "三号桥下有人被困"})
    assert answer["status"] == 204
    ((path, raw, signature),) = world.hub.posts
    verify(world.hub.url + path, raw, signature, TOKEN)
    found = parse_message(raw, account_sid=ACCOUNT, at=now())
    assert (found.external_id, found.sender, found.meta["to"]) == (answer["sid"], PHONE, "+861069000000")


def test_the_same_text_can_be_posted_many_times_under_one_sid(world: World) -> None:
    answer = world.ask("/sim/inbound", {"from": PHONE, "body": "a", "times": 60})
    assert answer["statuses"] == [204] * 60
    assert len({raw for _, raw, _ in world.hub.posts}) == 1
    again = world.ask("/sim/inbound", {"from": PHONE, "body": "a", "sid": answer["sid"]})
    assert again["sid"] == answer["sid"]


@pytest.mark.parametrize("body", [b"", b"[]", {"from": PHONE}, {"from": PHONE, "body": "a", "times": "x"}])
def test_a_text_without_sender_or_body_is_refused(world: World, body: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        world.ask("/sim/inbound", body)
    assert error.value.code == 400


def test_a_hub_that_is_down_is_told_as_no_answer(tmp_path: Path) -> None:
    world = World(tmp_path / "ledger.jsonl")
    world.hub.server.shutdown()
    world.hub.server.server_close()
    assert world.ask("/sim/inbound", {"from": PHONE, "body": "a"})["status"] == 0
    world.close()


def test_the_ledger_file_holds_every_message_before_its_answer_and_survives_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    world = World(path)

    async def many() -> list[str]:
        wire = world.wire(timeout=dt.timedelta(seconds=10))
        found = []

        async def one(n: int) -> None:
            (answer,) = await wire.call(part(delivery_id=f"dlv_{n}"))
            assert answer.provider_id.encode() in path.read_bytes()
            found.append(answer.provider_id)

        await asyncio.gather(*(one(n) for n in range(100)))
        await wire.aclose()
        return found

    sids = asyncio.run(many())
    world.ask("/sim/reset", b"")
    assert world.ledger() == []
    world.close()
    assert sorted(json.loads(line)["sid"] for line in path.read_text().splitlines()) == sorted(sids)
