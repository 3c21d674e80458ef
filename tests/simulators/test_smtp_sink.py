"""The simulated relay: what it takes and refuses, what comes back, and how it is told so."""

import asyncio
import smtplib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from channels.email import Door
from domain.report import Inbound
from simulators import smtp_controls
from simulators.mail_script import USUAL, Act, Back, MailRule, Stage
from simulators.script import parse
from tests.channels.mail_kit import AT, RunningSink
from tests.servers import free_port
from tests.walks.houses import until

MAIL = (
    b"From: =?utf-8?B?56S65L6L?= <alerts@yj.example.org>\r\nTo: a@mail.example\r\n"
    b"Subject: =?utf-8?B?5pq06Zuo?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n6L2s56e7\r\n"
)
SENDER = "bounces+token@yj.example.org"


class Town:
    """A relay and the door of a hub, in one loop of their own."""

    def __init__(self) -> None:
        self.came: list[Inbound] = []
        port = free_port()
        self.relay = RunningSink(door=("127.0.0.1", port))
        self.door = Door(
            host="127.0.0.1", port=port, take=self._take, log=lambda *_, **__: None, now=lambda: AT
        )
        self.relay.run(self.door.start())

    async def _take(self, inbound: Inbound) -> str:
        self.came.append(inbound)
        return "4F7K-92PX"

    def close(self) -> None:
        self.relay.run(self.door.stop())
        self.relay.close()

    def send(self, *to: str, raw: bytes = MAIL) -> dict[str, Any]:
        with smtplib.SMTP(self.relay.host, self.relay.port, timeout=20) as client:
            return client.sendmail(SENDER, list(to), raw)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request to the controls, inside the relay's loop."""

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=smtp_controls.app(self.relay.sink))
            async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
                return await client.request(method, path, **more)

        return self.relay.run(once())


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town()
    yield made
    made.close()


def test_a_mailbox_shows_what_its_owner_would_read(town: Town) -> None:
    town.send("a@mail.example", "b@mail.example")
    boxes = town.ask("GET", "/sim/mailbox.json").json()
    assert [box["address"] for box in boxes] == ["a@mail.example", "b@mail.example"]
    (message,) = boxes[0]["messages"]
    assert (message["subject"], message["text"].strip()) == ("暴雨", "转移")
    assert message["from"] == "示例 <alerts@yj.example.org>"
    (line, _) = town.ask("GET", "/sim/ledger.json").json()
    assert (line["sender"], line["to"], line["back"]) == (SENDER, "a@mail.example", [])
    assert ["Subject", "暴雨"] in line["headers"]


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.CONNECT])
def test_a_refusal_at_any_stage_is_said_as_the_script_words_it(town: Town, stage: Stage) -> None:
    rule = {"stage": stage.value, "act": "refuse", "reply": "452 4.2.2 over quota", "times": 1}
    assert town.ask("POST", "/sim/script", json={"rules": [rule]}).status_code == 200
    with pytest.raises(smtplib.SMTPException) as error:
        town.send("a@mail.example")
    assert "over quota" in str(error.value)
    assert town.relay.sink.boxes.mails == []
    assert town.send("a@mail.example") == {}  # once only


def test_a_rule_is_for_whom_it_names(town: Town) -> None:
    town.ask("POST", "/sim/script", json={"rules": [{"to": "gone@*", "stage": "rcpt", "act": "refuse"}]})
    assert set(town.send("gone@mail.example", "a@mail.example")) == {"gone@mail.example"}
    assert [mail.to for mail in town.relay.sink.boxes.mails] == ["a@mail.example"]


@pytest.mark.parametrize(("act", "taken"), [("drop", 0), ("drop_taken", 1)])
def test_a_connection_that_breaks_after_the_dot_tells_nobody_whether_the_mail_was_taken(
    town: Town, act: str, taken: int
) -> None:
    town.ask("POST", "/sim/script", json={"rules": [{"act": act}]})
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        town.send("a@mail.example")
    assert len(town.relay.sink.boxes.mails) == taken


@pytest.mark.parametrize("back", [b for b in Back if b is not Back.NOTHING])
def test_what_comes_back_reaches_the_door_with_a_null_sender(town: Town, back: Back) -> None:
    town.ask("POST", "/sim/script", json={"rules": [{"back": back.value, "status": "5.2.2"}]})
    town.send("a@mail.example")
    until(lambda: len(town.came) == 1, "something came back")
    (came,) = town.came
    assert (came.sender, came.meta["rcpt_to"]) == ("", [SENDER])
    assert (b"Action: " + back.value.encode() in came.raw) is (
        back in ("failed", "delayed", "delivered", "relayed")
    )
    assert came.raw.count(b"\n") == came.raw.count(b"\r\n") > 5
    until(lambda: len(town.relay.sink.boxes.mails[0].back) == 1, "the ledger has it")
    assert town.relay.sink.boxes.mails[0].back[0]["answer"].startswith("2.0.0 4F7K-92PX")


def test_a_bounce_waits_for_a_door_that_is_closed_for_a_while(town: Town) -> None:
    town.relay.run(town.door.stop())
    town.ask("POST", "/sim/script", json={"rules": [{"back": "failed"}]})
    town.send("a@mail.example")
    until(lambda: len(town.relay.sink.boxes.mails[0].back) >= 1, "one try")
    town.relay.run(town.door.start())
    until(lambda: len(town.came) == 1, "it came in the end")


def test_a_citizen_may_mail_the_hub_through_the_relay(town: Town) -> None:
    asked = {"from": "li@mail.example", "to": "report@yj.example.org", "subject": "堤坝", "text": "堤坝漏水"}
    assert "4F7K-92PX" in town.ask("POST", "/sim/inbound", json=asked).json()["answer"]
    assert town.came[0].sender == "li@mail.example"
    town.relay.run(town.door.stop())
    assert town.ask("POST", "/sim/inbound", json=asked).status_code == 502


def test_reset_forgets_mails_and_script(town: Town) -> None:
    town.ask("POST", "/sim/script", json={"rules": [{"back": "failed", "back_ms": 600_000}]})
    town.send("a@mail.example")
    assert town.ask("POST", "/sim/reset").status_code == 204
    assert town.ask("GET", "/sim/mailbox.json").json() == []
    assert town.ask("GET", "/sim/script").json() == {"seed": 1, "rules": []}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{", None),
        (b"[]", "/rules"),
        (b'{"rules": [{"act": "explode"}]}', "/rules/0/act"),
        (b'{"rules": [{"stage": "late"}]}', "/rules/0/stage"),
        (b'{"rules": [{}, {"back_ms": -1}]}', "/rules/1/back_ms"),
        (b'{"rules": [{"calls": "twice"}]}', "/rules/0/calls"),  # a field of the other provider
        (b'{"rules": ["x"]}', "/rules/0"),
    ],
)
def test_a_script_that_does_not_hold_names_the_place(town: Town, body: bytes, pointer: str | None) -> None:
    answer = town.ask("POST", "/sim/script", content=body)
    assert answer.status_code == 400
    assert [e["pointer"] for e in answer.json().get("errors", [])] == ([pointer] if pointer else [])
    for bad in (b"", b"[]", b"{}", b'{"from": "a"}'):
        assert town.ask("POST", "/sim/inbound", content=bad).status_code == 400


def test_a_script_reads_back_as_it_was_given() -> None:
    given = {"seed": 3, "rules": [{"to": "a*", "stage": "rcpt", "act": "hang", "times": 2, "back": "plain"}]}
    script = parse(given, USUAL)
    rule = script.draw("anna", where=lambda one: one.stage is Stage.RCPT)
    assert isinstance(rule, MailRule)
    assert (rule.act, rule.back) == (Act.HANG, Back.PLAIN)
    assert script.draw("bob", where=lambda one: one.stage is Stage.RCPT) is USUAL
    assert script.draw("anna", where=lambda one: one.stage is Stage.END) is USUAL
    again = script.to_json()
    assert again["rules"][0]["times"] == 1
    assert parse(again, USUAL).to_json() == again


def test_a_relay_that_stops_hangs_up_on_everybody(town: Town) -> None:
    client = smtplib.SMTP(town.relay.host, town.relay.port, timeout=20)
    client.ehlo()
    town.relay.run(town.relay.sink.stop())
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        client.noop()
    client.close()
    town.relay.run(asyncio.sleep(0))
