"""A hub with people, keys and divisions, and the web application over it; used by the tests of /v1 and the doors."""

import base64
import hashlib
import hmac
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.testclient import TestClient

from domain.handling import Mode
from domain.person import Person, Role, Scope
from hub import birth
from hub.settings import Settings
from hub.wiring import Hub, build
from store import areas as area_book
from store import inbox, people
from store.unit import Unit
from tests.conftest import AREAS, ORGANISATION
from tests.servers import wait_for
from tocsin import house
from web.app import create_app
from web.gate import Turnstile

SITE = "http://127.0.0.1:8000"
SID, AUTH = "AC" + "0a" * 16, "s3cret-of-the-tests"
NUMBER = "+8610690000000"
ALL = frozenset(Scope)
KEYS = {  # name -> (organisation, person or None, scopes)
    "department": ("示例省气象局", None, {Scope.REPORT, Scope.READ}),
    "other": ("示例省水利厅", None, {Scope.REPORT, Scope.READ}),
    "reader": ("示例省气象局", None, {Scope.READ}),
    "officer": (ORGANISATION, Role.OFFICER, {Scope.REPORT, Scope.READ, Scope.DESK, Scope.RELEASE}),
    "officer2": (ORGANISATION, Role.OFFICER, {Scope.REPORT, Scope.READ, Scope.DESK, Scope.RELEASE}),
    "leader": (ORGANISATION, Role.LEADER, {Scope.READ, Scope.DESK}),
    "approver": (ORGANISATION, Role.APPROVER, {Scope.READ, Scope.DESK, Scope.RELEASE, Scope.APPROVE}),
    "auditor": (ORGANISATION, Role.AUDITOR, {Scope.READ}),
    "peer": ("邻省应急管理厅", None, {Scope.PEER}),
    "peer2": ("示例市应急管理局", None, {Scope.PEER}),
}


@dataclass
class Clock:
    """Time that moves when a test says so."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class World:
    """What a test holds."""

    hub: Hub
    clock: Clock
    client: TestClient
    rings: list[tuple[str, str]] = field(default_factory=list)
    n: int = 0

    def headers(self, who: str, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(who)}", **more}

    def post(self, who: str, path: str, body: Any = None, *, key: str | None = "", **headers: str) -> Any:
        """POST as JSON; with a fresh Idempotency-Key unless one is given or None says without."""
        self.n += 1
        if key is not None:
            headers["Idempotency-Key"] = key or f"k{self.n}"
        headers |= {"Content-Type": "application/json"}
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        return self.client.post(path, content=content, headers=self.headers(who, **headers))

    def get(self, who: str, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=self.headers(who, **headers))

    def file_all(self) -> None:
        """Do what the workers would; over a socket the ring may come after the answer, the row never does."""
        for row_id in self.hub.store.read(lambda unit: inbox.due(unit, self.clock())):
            self.hub.filing.file(row_id)
        self.rings.clear()

    def count(self, table: Any) -> int:
        return int(self.hub.store.read(lambda unit: len(unit.rows(table.select()))))


def token(who: str, *, kind: str = "test") -> str:
    """The API key of somebody."""
    return f"tocsin_{kind}_{hashlib.sha256(who.encode()).hexdigest()}"


def settings_of(directory: Path, url: str = "", **more: Any) -> Settings:
    usual = {
        "data_dir": directory, "database_url": url, "port": 8000, "twilio_account_sid": SID, "twilio_auth_token": AUTH,
        "twilio_from": NUMBER, "twilio_base_url": "http://127.0.0.1:9", "organisation": ORGANISATION,
        "twilio_webhook_url": "https://hub.example/hooks/sms/twilio",
        "twilio_status_url": "https://hub.example/hooks/dlr/twilio",
    }  # fmt: skip
    return Settings(**usual | more)


@contextmanager
def world(
    directory: Path,
    at: datetime,
    *,
    url: str = "",
    mode: Mode = Mode.DEMO,
    model: Path | None = None,
    **more: Any,
) -> Iterator[World]:
    """An open hub over a fresh database, with the keys of KEYS. `model`: a migrated SQLite file to copy; `more`:
    further settings."""
    clock = Clock(at)
    directory.mkdir(mode=0o700)
    if model:
        shutil.copy(model, directory / "tocsin.db")
    if mode is Mode.LIVE:
        more.setdefault("sender_id", "alerts@yj.example.cn")
    settings = settings_of(directory, url, **more)
    birth.prepare(settings, mode, at)
    hub = build(settings, clock=clock)
    try:
        hub.store.run(lambda unit: _fill(unit, at, "live" if mode is Mode.LIVE else "test"))
        app = create_app(hub)
        with TestClient(app, base_url=SITE, follow_redirects=False) as client:
            made = World(hub=hub, clock=clock, client=client)
            hub.bell.connect(lambda job, row_id: made.rings.append((job, row_id)))
            yield made
    finally:
        hub.close()


def _fill(unit: Unit, at: datetime, kind: str) -> None:
    area_book.put(unit, AREAS)
    for who, (organisation, role, scopes) in KEYS.items():
        person = None
        if role:
            person = Person(
                id=f"per_{who}", name=f"人{who}", organisation=organisation, roles=frozenset({role})
            )
            people.add(unit, person, login=who, password_hash="", at=at)
        people.add_key(
            unit, f"key_{who}", token(who, kind=kind), name=who, organisation=organisation,
            person_id=person.id if person else None, scopes=scopes, at=at,
        )  # fmt: skip


def sms_form(
    n: int = 1, *, body: str = "桥下积水，两车被淹", sender: str = "+8613800138000", **more: str
) -> dict[str, str]:
    """An incoming message as the provider sends it."""
    sid = f"SM{n:032x}"
    return {"AccountSid": SID, "ApiVersion": "2010-04-01", "Body": body, "From": sender, "MessageSid": sid,
            "NumMedia": "0", "NumSegments": "1", "SmsMessageSid": sid, "SmsSid": sid, "SmsStatus": "received",
            "To": NUMBER} | more  # fmt: skip


def signature(url: str, form: dict[str, str], secret: str = AUTH) -> str:
    """X-Twilio-Signature as the provider computes it ("Webhooks Security")."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def signed(url: str, form: dict[str, str], secret: str = AUTH) -> dict[str, Any]:
    """Arguments for client.post: body and headers of a genuine call."""
    headers = {
        "X-Twilio-Signature": signature(url, form, secret),
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
    }
    return {"content": urlencode(form).encode(), "headers": headers}


SMS_URL = "https://hub.example/hooks/sms/twilio"
DLR_URL = "https://hub.example/hooks/dlr/twilio"


@contextmanager
def served(hub: Hub, *, port: int = 0) -> Iterator[int]:
    """The application on a real socket; yields the port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        port = int(bound.getsockname()[1])
        server = house.server(create_app(hub), house.DEMO, Turnstile(hub.crowd))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        wait_for(port)
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(10)
