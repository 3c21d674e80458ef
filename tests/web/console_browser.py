"""A browser at the desk: logs in by a one-time link, follows forms with their tokens; used by the desk's tests."""

import json
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

from argon2 import PasswordHasher
from starlette.testclient import TestClient

from domain.person import Person, Role
from domain.report import Inbound
from intake import desk
from store import audience, people
from store.unit import Unit
from tests.conftest import ORGANISATION
from tests.web.api_world import SITE, World

SECRET = "correct horse battery staple"
OURS = {"Sec-Fetch-Site": "same-origin", "Origin": SITE}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # what is verified names its own parameters


@dataclass
class Browser:
    """One person's browser."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str, **headers: str) -> Any:
        answer = self.client.get(path, headers=headers)
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> Any:
        given = {"csrf": self.csrf, **(fields or {})}
        return self.client.post(path, data=given, headers={**OURS, **headers})

    def follow(self, path: str, fields: dict[str, Any] | None = None) -> Any:
        """POST, see the 303, GET where it leads."""
        answer = self.post(path, fields)
        assert answer.status_code == 303, words(answer.text)
        return self.get(answer.headers["location"])


def stranger(hall: World) -> Browser:
    """A browser that is not logged in."""
    return Browser(TestClient(hall.client.app, base_url=SITE, follow_redirects=False))


def link_for(hall: World, login: str, *, minutes: float = 10) -> str:
    """The path of a fresh one-time link."""
    token = secrets.token_urlsafe(32)
    expires = hall.clock() + timedelta(minutes=minutes)
    hall.hub.store.run(lambda unit: people.add_link(unit, token, f"per_{login}", expires))
    return f"/login/{token}"


def enter(hall: World, login: str) -> Browser:
    """A browser in which `login` has just begun a shift."""
    browser = stranger(hall)
    answer = browser.post(link_for(hall, login))
    assert answer.headers["location"] == "/console"
    browser.get("/console")
    return browser


def add_person(hall: World, login: str, *roles: Role, password: str = "", name: str = "") -> Person:
    """A further person of the authority."""
    person = Person(
        id=f"per_{login}", name=name or f"人{login}", organisation=ORGANISATION, roles=frozenset(roles)
    )
    hashed = CHEAP.hash(password) if password else ""

    def work(unit: Unit) -> None:
        people.add(unit, person, login=login, password_hash=hashed, at=hall.clock())

    hall.hub.store.run(work)
    return person


def add_recipients(hall: World, count: int = 7) -> None:
    """SMS subscribers of 甲一区."""
    rows = [{"channel": "sms", "address": f"+8619000000{n:03d}", "area": "990101", "language": "zh-CN",
             "group": "subscriber"} for n in range(count)]  # fmt: skip
    hall.hub.store.run(lambda unit: audience.add(unit, rows, hall.clock()))


def bring(hall: World, channel: str, raw: bytes, media_type: str, *, sender: str = "", key: str = "1") -> str:
    """A message taken by a door and filed; the report's id."""
    inbound = Inbound(channel=channel, external_id=f"{channel}-{key}", raw=raw, media_type=media_type,
                      received_at=hall.clock(), sender=sender)  # fmt: skip
    names = desk.mint_names(hall.clock())
    kept = hall.hub.store.run(lambda unit: desk.receive(unit, inbound, names, at=hall.clock()))
    hall.hub.filing.file(kept.inbound_id)
    return kept.report_id


def call(hall: World, key: str = "1", **fields: Any) -> str:
    """A filed call slip; the report's id."""
    raw = json.dumps(fields, ensure_ascii=False).encode()
    return bring(hall, "phone", raw, "application/json", sender=str(fields.get("caller", "")), key=key)


def words(page: str) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page))).strip()


def rain(**more: Any) -> dict[str, Any]:
    """The composer's fields for a heavy rain warning to 甲一区."""
    return {
        "template": "heavy_rain", "issuer": "示例省气象台", "colour": "orange", "areas": ["990101000000"],
        "languages": ["zh-CN", "en"], "channels": ["sms", "web_notice", "cap_feed"], "expires": "2026-11-23T20:00",
        "handling": "public", "fields.hours": "3", "fields.rainfall_mm": "50", "fields.basis": "expected",
        "fields.hazards": "both", "fields.hotline": "12345", **more,
    }  # fmt: skip
