"""A hub on a machine whose network is out, each column of that row tried over the local network (R22).

    unshare -rnm -- python -m tests.faults.cut_off DIRECTORY

Run in a network namespace of its own, which it furnishes: a link of the office with an address and no way out. The
provider stands behind an address that no route leads to, the mail relay on the local network.
"""

import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from hub import network
from simulators.twilio import TwilioSimConfig
from simulators.twilio import app as twilio_app
from tests.channels.mail_kit import RunningSink
from tests.faults.columns import Desk
from tests.servers import free_port
from tests.walks.houses import Provider, furnish, get, ready, until
from tocsin import demo

OFFICE, BEYOND = "10.77.0.1", "127.66.0.9"  # the second is a loopback address, for a demo hub calls no other
AREA = "990101"
GOING = {"queued", "sending"}


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _wire_the_office() -> None:
    """A link that is plugged in, an address on it, and no default route; /sys shows the links of whoever mounted it."""
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    _ip("addr", "add", f"{OFFICE}/24", "dev", "lan0")
    for link in ("lan0", "lan1"):
        _ip("link", "set", link, "up")


def _provider(secrets: demo.Secrets, hub: str) -> Provider:
    config = TwilioSimConfig(
        account_sid=secrets.account_sid, auth_token=secrets.auth_token, number=demo.NUMBER,
        inbound_url=f"{hub}/hooks/sms/twilio", now=lambda: datetime.now(UTC),
        sent_after=timedelta(milliseconds=20), delivered_after=timedelta(milliseconds=60),
    )  # fmt: skip
    app, port = twilio_app(config), free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=BEYOND, port=port, log_config=None))
    threading.Thread(target=server.run, daemon=True).start()
    until(lambda: server.started, "the provider answers", 20)
    return Provider(url=f"http://{BEYOND}:{port}", server=server, simulator=app.state.simulator)


def _rows(desk: Desk, release: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.made.api("GET", f"/v1/releases/{release}/deliveries?limit=200")["data"]
    return found


def _states(desk: Desk, release: str, channel: str, *, is_ending: bool = False) -> Counter[str]:
    mine = [
        r for r in _rows(desk, release) if r["channel"] == channel and (r["purpose"] != "main") is is_ending
    ]
    return Counter(r["state"] for r in mine)


def _is_mailed(desk: Desk, release: str, *, is_ending: bool = False) -> bool:
    return _states(desk, release, "email", is_ending=is_ending).keys() == {"accepted"}


def _submitted(desk: Desk) -> tuple[str, str]:
    api = desk.made.api
    example = next(one for one in api("GET", "/v1/templates")["data"] if one["id"] == "heavy_rain")["example"]
    body = {**example, "areas": [AREA], "channels": sorted({*example["channels"], "email"})}
    key = {"Idempotency-Key": f"d{datetime.now(UTC).timestamp()}"}
    release = str(api("POST", "/v1/releases", body, **key)["id"])
    return release, desk.submit(release)


def _intake(desk: Desk) -> None:
    """From the local network, and call slips."""
    assert desk.mail() == 250
    assert desk.form()[0] == 303
    assert desk.api()[0] == 201
    slip = {"caller": "0571-88001234", "place": "江滨路88号", "text": "slip 水漫过来了"}
    assert desk.post("/v1/calls", slip, **{"Idempotency-Key": "slip"})[0] in (200, 201)
    until(lambda: {"phone", "email", "web", "api"} <= _channels(desk), "all of it is in the queue", 60)


def _channels(desk: Desk) -> set[str]:
    return {r["channel"] for r in desk.made.api("GET", "/v1/reports?limit=50")["data"]}


def _release(desk: Desk, relay: RunningSink) -> str:
    """Approved as ever: mail leaves by the local relay, the page and the words to read out are there, SMS waits."""
    release, digest = _submitted(desk)
    assert desk.approve(release, digest) == 200
    until(lambda: _is_mailed(desk, release), "mail by the local relay", 60)
    # one language is expanded after the other
    addresses = lambda: {r["address"] for r in _rows(desk, release) if r["channel"] == "email"}  # noqa: E731
    until(lambda: set(_mailed(relay)) >= addresses(), "every mail", 60)
    until(lambda: "暴雨" in desk.public()[1].decode(), "the page", 60)
    public = desk.made.settings.data_dir / "public"
    until(
        lambda: any(release in str(path) for path in public.rglob("*broadcast*/**/*")),
        "the words to read out",
        60,
    )
    until(lambda: _states(desk, release, "sms").total() == 20, "SMS are promised", 60)
    assert _states(desk, release, "sms").keys() <= GOING, (
        "no way out is no answer: nothing failed, nothing is unsure"
    )
    return release


def _mailed(relay: RunningSink) -> list[str]:
    return [mail.to for mail in relay.sink.boxes.mails]


def _recall(desk: Desk, release: str) -> None:
    """The correction goes to whom the warning reached; what waits for the network never leaves."""
    assert desk.recall(release) == 200
    until(lambda: "更正" in desk.public()[1].decode(), "the page is corrected", 60)
    until(lambda: _is_mailed(desk, release, is_ending=True), "and the mails", 60)
    until(lambda: _states(desk, release, "sms") == {"stopped": 20}, "no SMS of it will leave", 60)


def main(directory: str) -> None:
    """All columns without the network, and what waited when it is back."""
    _wire_the_office()
    assert not network.is_there(), "no default route"
    secrets = demo.load_secrets(Path(directory) / "data")
    port = free_port()
    site = f"http://{OFFICE}:{port}"
    provider = _provider(secrets, site)
    relay = RunningSink()
    places: dict[str, Any] = {
        "port": port, "host": OFFICE, "smtp_host": OFFICE, "base_url": site,
        "twilio_webhook_url": f"{site}/hooks/sms/twilio", "twilio_status_url": f"{site}/hooks/dlr/twilio",
        "email_relay_host": relay.host, "email_relay_port": relay.port, "email_relay_tls": "never",
        "email_domain": "yj.example.org",
    }  # fmt: skip
    made = furnish(Path(directory) / "data", secrets, provider, **places)
    _ip("route", "add", "unreachable", f"{BEYOND}/32", "table", "local")
    try:
        made.start("all", "up")
        ready(made)
        desk = Desk(made)
        assert desk.officer is not None
        assert get(f"{made.url}/") is not None
        _intake(desk)
        recalled = _release(desk, relay)
        _recall(desk, recalled)
        waits = _release_again(desk)
        calls = len(provider.simulator.book.messages)
        assert calls == 0, "nothing has left"
        _ip("route", "del", "unreachable", f"{BEYOND}/32", "table", "local")
        _ip("route", "add", "default", "dev", "lan0")
        assert network.is_there()
        until(
            lambda: _states(desk, waits, "sms").keys() <= {"accepted", "sent", "delivered"},
            "what waited leaves",
            120,
        )
        texts = ((m.to, m.body) for m in provider.simulator.book.messages.values())
        warned = Counter(to for to, text in texts if "暴雨" in text or "RAINSTORM" in text)
        assert (len(warned), set(warned.values())) == (20, {1}), warned
    finally:
        made.stop()
        relay.close()
    print("kept")


def _release_again(desk: Desk) -> str:
    release, digest = _submitted(desk)
    assert desk.approve(release, digest) == 200
    until(lambda: _states(desk, release, "sms").total() == 20, "SMS are promised", 60)
    return release


if __name__ == "__main__":
    main(sys.argv[1])
