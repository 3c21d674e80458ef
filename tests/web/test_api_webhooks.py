"""Departments hear what becomes of their reports: signed, once promised always tried, never at an address inside."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from channels import closed_list
from channels.egress import Egress
from channels.webhook import Caller, signed
from domain.errors import Never, NotNow
from domain.handling import Mode
from hub import metrics
from hub.health import Trouble
from store import tables as t
from store import webhooks
from store.tables_webhooks import webhook, webhook_call
from tests.web.api_world import World, world

PATH = "/v1/webhook-endpoints"


@contextmanager
def receiver(*, status: int = 204, huge: bool = False) -> Iterator[tuple[str, list[Any], dict[str, int]]]:
    """A department's server on this machine: its address, what it heard, and what it answers."""
    heard: list[Any] = []
    answers = {"status": status}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((dict(self.headers), body))
            self.send_response(answers["status"])
            if answers["status"] == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(10 << 30) if huge else "0")
            self.end_headers()
            try:
                while huge:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard, answers
    finally:
        server.shutdown()
        server.server_close()


def listen(hall: World, url: str, *, who: str = "department") -> dict[str, Any]:
    answer = hall.post(who, PATH, {"url": url})
    assert answer.status_code == 201, answer.text
    hall.hub.departments.teller.collect()  # the journal is read from here on
    return dict(answer.json())


def tell(hall: World) -> None:
    """What the chore and the workers do."""
    hall.hub.departments.teller.collect()
    for row_id in hall.hub.store.read(lambda u: webhooks.due(u, hall.clock())):
        hall.hub.jobs.tell_webhook(row_id)


def types(heard: list[Any]) -> list[str]:
    return [json.loads(body)["type"] for _, body in heard]


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As a receiver checks it, by the specification alone."""
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    made = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), told, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}" in headers["webhook-signature"].split(" ")


def test_a_department_hears_each_step_of_its_own_report_once_and_signed(hall: World) -> None:
    with receiver() as (url, heard, _):
        made = listen(hall, url)
        report_id = hall.post("department", "/v1/reports", {"text": "秘不外传的话"}).json()["id"]
        hall.post("other", "/v1/reports", {"text": "别人的"})
        hall.file_all()
        hall.post("officer", f"/v1/reports/{report_id}/claim", {})
        hall.post("officer", f"/v1/reports/{report_id}/close", {"reason": "已办"})
        for _ in range(2):
            tell(hall)
        assert types(heard) == ["report.created", "report.claimed", "report.closed"]
        for headers, body in heard:
            assert is_signed(headers, body, made["secret"]) and json.loads(body)["data"]["id"] == report_id
            assert "秘不外传" not in body.decode() and "已办" not in body.decode()
        assert [json.loads(body)["data"]["state"] for _, body in heard] == ["filed", "claimed", "closed"]
    told = hall.get("department", f"{made['links']['self']}/deliveries").json()["data"]
    assert {row["state"] for row in told} == {"delivered"} and len(told) == 3


def test_two_that_read_the_journal_at_once_promise_each_call_once(hall: World) -> None:
    with receiver() as (url, _, _):
        listen(hall, url)
        for n in range(20):
            hall.post("department", "/v1/reports", {"text": f"{n}"})
        hall.file_all()
        both = [threading.Thread(target=hall.hub.departments.teller.collect) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert hall.count(webhook_call) == 20


def test_a_failed_call_is_tried_again_later_under_the_same_id(quick: World) -> None:
    with receiver(status=500) as (url, heard, answers):
        listen(quick, url)
        quick.post("department", "/v1/reports", {"text": "x"})
        quick.file_all()
        tell(quick)
        tell(quick)
        assert len(heard) == 1  # not due yet
        quick.clock.forward(seconds=6)
        tell(quick)
        answers["status"] = 200
        quick.clock.forward(seconds=31)
        tell(quick)
        quick.clock.forward(hours=30)
        tell(quick)
        assert len(heard) == 3 and len({headers["webhook-id"] for headers, _ in heard}) == 1
    (row,) = quick.get("department", PATH).json()["data"]
    assert row["failing_since"] is None and row["state"] == "active"


def test_r22_a_day_of_failures_disables_the_address_and_the_desk_sees_it(hall: World) -> None:
    with receiver(status=503) as (url, heard, answers):
        made = listen(hall, url)
        hall.post("department", "/v1/reports", {"text": "x"})
        hall.file_all()
        for _ in range(9):
            tell(hall)
            assert Trouble.WEBHOOK_OFF not in hall.hub.health.look().troubles
            hall.clock.forward(hours=2.9)
        tell(hall)
        assert Trouble.WEBHOOK_OFF in hall.hub.health.look().troubles
        (row,) = hall.get("department", PATH).json()["data"]
        assert (row["state"], row["reason"]) == ("disabled", "failed_a_day")
        entries = hall.hub.store.read(
            lambda u: u.rows(t.journal.select().where(t.journal.c.kind == "webhook"))
        )
        assert [entry.act for entry in entries] == ["add", "disable"]
        calls, answers["status"] = len(heard), 200
        hall.clock.forward(hours=30)
        tell(hall)
        assert len(heard) == calls
        hall.post("department", f"{made['links']['self']}/enable")
        tell(hall)
        assert len(heard) == calls + 1 and Trouble.WEBHOOK_OFF not in hall.hub.health.look().troubles


def shown(hall: World) -> set[str]:
    """The figures of webhooks that are not nought."""
    lines = metrics.text(hall.hub).decode().splitlines()
    return {line for line in lines if line.startswith("tocsin_webhook") and not line.endswith(" 0.0")}


def test_the_figures_say_how_many_calls_were_sent_wait_and_failed_and_which_addresses_are_off(
    quick: World,
) -> None:
    with receiver() as (url, _, answers):
        listen(quick, url)
        for status in (200, 500):
            answers["status"] = status
            quick.post("department", "/v1/reports", {"text": "x"})
            quick.file_all()
            tell(quick)
    known = {'tocsin_webhooks{state="active"} 1.0', 'tocsin_webhook_calls{state="delivered"} 1.0'}
    assert shown(quick) == known | {'tocsin_webhook_calls{state="pending"} 1.0'}


def test_a_receiver_that_is_gone_is_not_called_again(quick: World) -> None:
    with receiver(status=410) as (url, heard, _):
        listen(quick, url)
        quick.post("department", "/v1/reports", {"text": "x"})
        quick.file_all()
        tell(quick)
        assert shown(quick) == {
            'tocsin_webhooks{state="disabled"} 1.0', 'tocsin_webhook_calls{state="pending"} 1.0'
        }  # fmt: skip
        quick.clock.forward(hours=1)
        tell(quick)
        assert len(heard) == 1
    assert quick.get("department", PATH).json()["data"][0]["state"] == "disabled"


def test_while_a_secret_is_rotated_both_sign(quick: World) -> None:
    with receiver() as (url, heard, _):
        made = listen(quick, url)
        new = quick.post("department", f"{made['links']['self']}/rotate").json()["secret"]
        assert quick.post("department", f"{made['links']['self']}/test").status_code == 202
        tell(quick)
        quick.clock.at += timedelta(days=2, seconds=1)
        quick.post("department", f"{made['links']['self']}/test")
        tell(quick)
        (first, body), (second, later) = heard
        assert is_signed(first, body, made["secret"]) and is_signed(first, body, new)
        assert is_signed(second, later, new) and not is_signed(second, later, made["secret"])


def test_the_secret_is_told_once_and_lies_sealed(quick: World) -> None:
    body = {"url": "http://127.0.0.1:9/h?token=geheim"}
    made, again = (quick.post("department", PATH, body, key="same") for _ in range(2))
    assert (
        "secret" in made.json()
        and "secret" not in again.json()
        and again.headers["Idempotent-Replayed"] == "true"
    )
    assert quick.count(webhook) == 1
    secret = made.json()["secret"].removeprefix("whsec_").encode()
    for file in Path(quick.hub.settings.data_dir).glob("tocsin.db*"):
        assert secret not in file.read_bytes()
    assert "secret" not in quick.get("department", PATH).text
    path = made.json()["links"]["self"]
    assert quick.client.delete(path, headers=quick.headers("department")).status_code == 204
    assert quick.get("department", PATH).json()["data"] == []
    assert quick.client.delete(path, headers=quick.headers("department")).status_code == 404


def test_h50_an_address_belongs_to_its_organisation(quick: World) -> None:
    path = quick.post("department", PATH, {"url": "http://127.0.0.1:9/h"}).json()["links"]["self"]
    for act in ("enable", "rotate", "test"):
        assert quick.post("other", f"{path}/{act}").status_code == 404
    assert quick.get("other", f"{path}/deliveries").status_code == 404
    assert quick.client.delete(path, headers=quick.headers("other")).status_code == 404
    assert quick.get("other", PATH).json()["data"] == []
    assert quick.post("reader", PATH, {"url": "http://127.0.0.1:9/h"}).status_code == 403


def test_h53_an_answer_of_10_gb_costs_4_kb_and_a_redirect_is_not_followed(quick: World) -> None:
    with receiver(status=200, huge=True) as (url, heard, answers):
        made = listen(quick, url)
        quick.post("department", f"{made['links']['self']}/test")
        tell(quick)
        (row,) = quick.get("department", f"{made['links']['self']}/deliveries").json()["data"]
        assert (row["state"], row["status"]) == ("delivered", 200)
        answers["status"] = 302
        quick.clock.forward(seconds=1)
        quick.post("department", f"{made['links']['self']}/test")
        tell(quick)
        assert len(heard) == 2
        last = quick.get("department", f"{made['links']['self']}/deliveries").json()["data"][0]
        assert (last["state"], last["status"]) == ("pending", 302)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/h", "http://192.0.2.1/h", "https://user@x/h", "file:///etc/passwd", "gopher://x/",
     "http://127.0.0.1:9/a b",
          "https://169.254.169.254/latest", ""],
)  # fmt: skip
def test_h53_a_demo_hub_calls_nobody_beyond_this_machine(quick: World, url: str) -> None:
    answer = quick.post("department", PATH, {"url": url})
    if answer.status_code == 201:  # http and a plain host: the network is looked at with each call
        quick.post("department", f"{answer.json()['links']['self']}/test")
        tell(quick)
        (row,) = quick.get("department", f"{answer.json()['links']['self']}/deliveries").json()["data"]
        assert (row["status"], row["reason"]) == (None, "bad_network")
    else:
        assert answer.json()["errors"][0]["pointer"] == "/url"


@pytest.mark.parametrize(
    ("address", "is_called"),
    [
        ("10.20.0.7", True),
        ("10.21.0.7", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("8.8.8.8", True),
    ],
)
def test_h53_a_live_hub_calls_public_addresses_and_the_networks_of_the_settings(
    sqlite_model: Path, tmp_path: Path, at: Any, address: str, is_called: bool
) -> None:
    dialled: list[str] = []

    def dial(where: str, port: int, seconds: float) -> Any:
        dialled.append(where)
        raise OSError

    with world(
        tmp_path / "data", at, model=sqlite_model, mode=Mode.LIVE, webhook_networks="10.20.0.0/16"
    ) as hall:
        real = hall.hub.departments.teller.caller
        caller = Caller(
            place_of=real.place_of,
            egress_of=lambda place: Egress([place], resolve=lambda _host, _port: [address], dial=dial),
        )
        with pytest.raises((Never, NotNow)) as told:
            caller.call("https://hooks.example.cn/a", "whc_1", b"{}", ("whsec_AAAA",), at)
        with pytest.raises(Never):
            caller.check("http://hooks.example.cn/a")
    assert (told.value.code, bool(dialled)) == (
        ("no_connection", True) if is_called else ("bad_network", False)
    )


def test_the_signature_is_that_of_the_specification(at: Any) -> None:
    """Standard Webhooks 1.0.0: the example of its own reference libraries."""
    body = b'{"test": 2432232314}'
    moment = at.replace(year=2021, month=2, day=25, hour=20, minute=0, second=30, microsecond=0)
    made = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], moment)
    assert is_signed(made, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert made["webhook-timestamp"] == str(int(moment.timestamp()))
    example = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
                     moment.fromtimestamp(1614265330, moment.tzinfo))  # fmt: skip
    assert example["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert closed_list.place_of("https://a.example/x", is_of_this_machine=False).port == 443
