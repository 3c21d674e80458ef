"""A hub of its own for the bench: a data directory, people, keys, and its processes as they are in production."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from domain.errors import Unavailable
from domain.handling import Mode
from domain.person import Person, Role, Scope
from hub import birth
from hub.settings import Settings
from hub.wiring import Hub, build, now
from store import areas, audience, people
from tocsin import demo_world
from tocsin.given import settings_of
from tocsin.sockets import free_port

OFFICER, APPROVER = "per_officer", "per_approver"
SID = "AC" + "0" * 32
NUMBER = "+8610690000000"
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One hub on one store; `keys` are API keys by who holds them."""

    store: str  # sqlite | postgres
    settings: Settings
    keys: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """Where its web process answers."""
        return self.settings.site

    @contextmanager
    def hub(self) -> Iterator[Hub]:
        """The hub in this process, nothing of it running."""
        hub = build(self.settings)
        try:
            yield hub
        finally:
            hub.close()

    @contextmanager
    def process(
        self, *arguments: str, port: int = 0, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """A Python process ``-m ARGUMENTS`` on this hub, from when `port` answers until the block ends."""
        log = (self.settings.data_dir / "bench.log").open("a")
        command = [sys.executable, "-m", *arguments]
        with subprocess.Popen(  # noqa: S603 (our own words)
            command,
            env=dict(environment or self.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as running:
            try:
                if port:
                    _await(running, port)
                yield running
            finally:
                running.send_signal(signal.SIGTERM)
                try:
                    running.wait(20)
                except subprocess.TimeoutExpired:
                    running.kill()
                log.close()

    def api(self, method: str, path: str, body: Any = None, *, key: str = "officer", **headers: str) -> Any:
        """A JSON request to its web process."""
        data = None if body is None else json.dumps(body).encode()
        words = {"Content-Type": "application/json", "Authorization": f"Bearer {self.keys[key]}", **headers}
        request = urllib.request.Request(f"{self.url}{path}", data, words, method=method)  # noqa: S310 (127.0.0.1)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read())


@contextmanager
def opened(store: str, database_url: str, directory: Path, **changes: Any) -> Iterator[Place]:
    """A hub in a fresh directory, with an officer, an approver and a province; nothing is running yet."""
    settings = settings_of(
        directory, database_url=database_url, redis_url="", port=free_port("127.0.0.1"),
        smtp_port=free_port("127.0.0.1"), twilio_account_sid=SID, twilio_auth_token=SecretStr("0" * 32),
        twilio_from=NUMBER, twilio_base_url="http://127.0.0.1:9", sms_calls_per_second=1e9, **changes,
    )  # fmt: skip
    birth.prepare(settings, Mode.DEMO, now())
    keys = {
        name: f"tocsin_test_{secrets.token_urlsafe(32)}" for name in ("officer", "approver", "department")
    }
    hub = build(settings)
    try:
        _people(hub, keys)
        hub.store.run(lambda unit: areas.put(unit, demo_world.areas()))
    finally:
        hub.close()
    yield Place(store=store, settings=settings, keys=keys, environment=_environment(settings))


def _people(hub: Hub, keys: Mapping[str, str]) -> None:
    at = now()
    for name, role, person in (("officer", Role.OFFICER, OFFICER), ("approver", Role.APPROVER, APPROVER)):
        made = Person(id=person, name=name, organisation="o", roles=frozenset({role}))
        hub.store.run(partial(people.add, person=made, login=name, password_hash="", at=at))
    scopes: dict[str, tuple[str | None, list[Scope]]] = {
        "officer": (OFFICER, list(Scope)),
        "approver": (APPROVER, list(Scope)),
        "department": (None, [Scope.REPORT]),
    }
    for name, (owner, held) in scopes.items():
        hub.store.run(
            partial(people.add_key, key_id=f"key_{name}", token=keys[name], name=name, organisation="o",
                    person_id=owner, scopes=held, at=at)
        )  # fmt: skip


def subscribe(hub: Hub, count: int, area: str, start: int = 0) -> None:
    """Put `count` made-up numbers of one county on the SMS list."""
    at = now()
    for first in range(start, start + count, 5_000):
        rows = [
            {
                "channel": "sms",
                "address": f"+8619{n:09d}",
                "area": area,
                "language": "zh-CN",
                "group": "subscriber",
            }
            for n in range(first, min(first + 5_000, start + count))
        ]
        hub.store.run(partial(audience.add, rows=rows, at=at))


def log_in(hub: Hub, person: str = OFFICER) -> str:
    """The token of a fresh session."""
    token = secrets.token_urlsafe(32)
    lasts = timedelta(hours=1)
    hub.store.run(
        lambda unit: people.open_session(
            unit, token, person, secrets.token_urlsafe(32), at=now(), lasts=lasts
        )
    )
    return token


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment with every setting that was chosen, and no other one of ours."""
    chosen = {name: getattr(settings, name) for name in settings.model_fields_set}
    plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for k, v in chosen.items()}
    given = {f"TOCSIN_{name.upper()}": value for name, value in plain.items()}
    return {**{k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}, **given}


def _await(running: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and running.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 0.2):
                return
        except OSError:
            time.sleep(0.02)
    raise Unavailable(f"a process of the bench does not answer on port {port}", code="bench")
