"""A release by mail over real sockets: out through the relay, back to the SMTP door as receipts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from channels.codecs.return_path import Box, ReturnPath
from domain.errors import HubError, Refused
from domain.handling import Mode
from hub import birth
from hub.settings import Settings
from hub.wiring import Hub, build, smtp_door
from outbox import progress, sweep
from store import audience, inbox, roots
from store import tables as t
from tests.channels.mail_kit import RunningSink
from tests.outbox.outbox_kit import approve
from tests.servers import free_port
from tests.walks.houses import until

TEXTS = {
    "zh-CN": "【演示】暴雨橙色预警 第12号\n\n请低洼地带居民转移。\n",
    "en": "[TEST] Orange rainstorm warning\n\nLeave low-lying land.\n",
}
DOMAIN = "yj.example.org"
PEOPLE = {
    "fine": ("zh-CN", {}),
    "visitor": ("en", {}),
    "gone": ("zh-CN", {"stage": "rcpt", "act": "refuse", "reply": "550 5.1.1 no such user"}),
    "moved": ("zh-CN", {"back": "failed", "status": "5.1.6"}),
    "tuixin": ("zh-CN", {"back": "plain"}),
    "away": ("zh-CN", {"back": "away"}),
    "slow": ("zh-CN", {"back": "delayed", "status": "4.4.1"}),
    "proved": ("zh-CN", {"back": "delivered", "status": "2.0.0"}),
    "lost": ("zh-CN", {"act": "drop_taken", "back": "delivered", "status": "2.0.0"}),
}


@dataclass
class Town:
    """A hub with its SMTP door open, and the relay outside."""

    hub: Hub
    relay: RunningSink

    def work(self) -> None:
        """One round of what workers and timers do."""
        hub = self.hub
        jobs = hub.store.read(lambda u: sweep.due(u, hub.clock()))
        jobs += [("file_report", i) for i in hub.store.read(lambda u: inbox.due(u, hub.clock()))]
        for job, row in jobs:
            getattr(hub.jobs, job)(row)

    def work_until(self, claim: Any, what: str) -> None:
        def holds() -> bool:
            self.work()
            return bool(claim())

        until(holds, what)

    def states(self, release: str) -> dict[str, tuple[str, str]]:
        """name -> (state, code) of each delivery."""
        query = sa.select(t.delivery.c.address, t.delivery.c.state, t.delivery.c.code).join(
            t.parcel_row, t.parcel_row.c.id == t.delivery.c.parcel
        )
        rows = self.hub.store.read(lambda u: u.rows(query.where(t.parcel_row.c.release == release)))
        return {row.address.partition("@")[0]: (row.state, row.code) for row in rows}


def _settings(tmp_path: Path, **more: Any) -> Settings:
    given = {"email_relay_host": "127.0.0.1", "email_domain": DOMAIN, "email_relay_tls": "never"}
    return Settings(data_dir=tmp_path / "data", smtp_port=free_port(), **{**given, **more})


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    settings = _settings(tmp_path)
    relay = RunningSink(door=(settings.smtp_host, settings.smtp_port))
    settings = settings.model_copy(update={"email_relay_port": relay.port})
    birth.prepare(settings, Mode.DEMO, datetime.now(UTC))
    hub = build(settings)
    door = smtp_door(hub)
    relay.run(door.start())
    yield Town(hub, relay)
    relay.run(door.stop())
    relay.close()
    hub.close()


def _subscribe(hub: Hub, group: str = "subscriber") -> None:
    rows = [
        {
            "channel": "email",
            "address": f"{name}@mail.example",
            "area": "990101",
            "language": language,
            "group": group,
        }
        for name, (language, _) in PEOPLE.items()
    ]
    hub.store.run(lambda u: audience.add(u, rows, hub.clock()))


def _release(hub: Hub) -> str:
    release, _ = approve(hub.store, hub.clock(), channels=("email",), languages=("zh-CN", "en"), texts=TEXTS)
    return release


def test_each_mailbox_ends_as_what_came_back_says_and_the_queue_stays_empty(town: Town) -> None:
    hub, sink = town.hub, town.relay.sink
    _subscribe(hub)
    town.relay.script(*({"to": f"{name}@*", **rule} for name, (_, rule) in PEOPLE.items() if rule))
    release = _release(hub)
    expected = {
        "fine": ("accepted", ""),
        "visitor": ("accepted", ""),
        "gone": ("failed", "550 5.1.1"),
        "moved": ("failed", "5.1.6"),
        "tuixin": ("failed", "550"),
        "away": ("accepted", ""),
        "slow": ("accepted", ""),
        "proved": ("delivered", "2.0.0"),
        "lost": ("delivered", "2.0.0"),  # was unsure; the notification names our own delivery
    }

    def is_over() -> bool:
        states = {name: state for name, (state, _) in town.states(release).items()}
        backs = sum(len(mail.back) for mail in sink.boxes.mails)
        settled = hub.store.read(lambda u: inbox.due(u, hub.clock())) == []
        return states == {name: state for name, (state, _) in expected.items()} and backs == 6 and settled

    town.work_until(is_over, "every mailbox has its state")
    found = town.states(release)
    assert {n: found[n] for n in expected if expected[n][1]} == {n: e for n, e in expected.items() if e[1]}
    assert hub.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row))) == 0
    assert hub.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.inbound))) == 6
    summary = hub.store.read(lambda u: progress.summary(u, release))
    assert summary["channels"]["email"]["adds_up"], summary
    assert sorted(mail.to.partition("@")[0] for mail in sink.boxes.mails) == sorted(set(PEOPLE) - {"gone"})
    boxes = {box["address"]: box["messages"] for box in sink.boxes.shown()}
    assert boxes["fine@mail.example"][0]["subject"] == "【演示】暴雨橙色预警 第12号"
    assert boxes["visitor@mail.example"][0]["text"].strip() == "Leave low-lying land."
    _, findings = hub.store.read(lambda u: roots.verify(u, hub.keys.journal_root.public_key(), {}))
    assert findings == []


def test_stop_to_the_address_in_the_mail_ends_it_for_the_next_release(town: Town) -> None:
    hub, sink = town.hub, town.relay.sink
    _subscribe(hub)
    first = _release(hub)
    town.work_until(lambda: set(town.states(first).values()) == {("accepted", "250 2.0.0")}, "accepted")
    mail = next(mail for mail in sink.boxes.mails if mail.to.startswith("fine@"))
    address = str(mail.read()["list-unsubscribe"]).removeprefix("<mailto:").partition("?")[0]
    raw = b"From: fine@mail.example\r\nSubject: STOP\r\nMessage-ID: <stop@mail.example>\r\n\r\n\r\n"
    town.relay.run(sink.deliver(raw, sender="fine@mail.example", to=address))
    town.work_until(
        lambda: hub.store.read(lambda u: audience.opted_out(u, "email", ["fine@mail.example"])), "opted out"
    )
    wrong = ReturnPath(key=b"x" * 32, domain=DOMAIN).address(Box.UNSUBSCRIBE, "dsp_" + "0" * 26 + "-0-0")
    town.relay.run(sink.deliver(raw.replace(b"<stop@", b"<stop2@"), sender="x@mail.example", to=wrong))
    second = hub.store.run(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row)))
    assert second == 0
    town.work_until(
        lambda: hub.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row))) == 1,
        "a STOP without proof is a report",
    )
    assert hub.store.read(
        lambda u: audience.opted_out(u, "email", [f"{n}@mail.example" for n in PEOPLE])
    ) == {"fine@mail.example"}


def test_a_demo_hub_may_not_hold_a_relay_that_is_not_on_this_machine(tmp_path: Path) -> None:
    birth.prepare(_settings(tmp_path), Mode.DEMO, datetime.now(UTC))
    for changes, code in (
        ({"email_relay_host": "smtp.example.org"}, "mode_forbids_wire"),
        ({"email_relay_host": "192.0.2.1"}, "mode_forbids_wire"),
        ({"email_domain": ""}, "mail_domain"),
        ({"email_domain": "", "email_from": "a@" + "d" * 60 + ".example"}, "mail_domain"),
    ):
        with pytest.raises(Refused) as refused:
            build(_settings(tmp_path, **changes)).close()
        assert refused.value.code == code
        assert isinstance(refused.value, HubError)


def test_a_password_is_not_said_in_clear_to_another_machine(tmp_path: Path) -> None:
    birth.prepare(_settings(tmp_path), Mode.LIVE, datetime.now(UTC))
    far = {
        "email_relay_host": "smtp.example.org",
        "email_relay_user": "hub",
        "sender_id": "alerts@yj.example.cn",
    }
    for tls in ("never", "offered"):
        with pytest.raises(Refused) as refused:
            build(_settings(tmp_path, email_relay_tls=tls, **far)).close()
        assert refused.value.code == "mail_login"
    hub = build(_settings(tmp_path, email_relay_tls="starttls", **far))
    assert hub.wires["email"].reaches_the_world
    hub.close()
