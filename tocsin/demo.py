"""Fills a demo hub, once, and keeps its made-up secrets between starts."""

import json
import os
import secrets
import shutil
import urllib.request
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from domain.errors import NotFound, Refused
from domain.handling import Mode
from domain.person import Person, Role, Scope
from domain.report import Inbound
from hub import birth, hold, keys
from hub.settings import Settings
from hub.wiring import Hub
from intake import desk
from store import areas, audience, people
from store import hub as hub_row
from store.unit import Unit
from tocsin import demo_world
from tocsin.alone import alone
from tocsin.people import SCOPES, add_person, new_key, new_link

LINK_LASTS = timedelta(minutes=10)
NUMBER = "+8610690000000"  # what the simulated provider sends from
MAIL_DOMAIN = "tocsin.example"  # RFC 2606: mail to it cannot go astray
_FORGOTTEN = ("anchors.jsonl", hold.STOP, hold.RESTORED, "backup.json", "simulator.json")
PEOPLE = (
    ("officer", "值班员甲", (Role.OFFICER,)),
    ("officer2", "值班员乙", (Role.OFFICER,)),
    ("approver", "签发人丙", (Role.APPROVER, Role.LEADER)),
    ("admin", "管理员丁", (Role.ADMIN,)),
    ("auditor", "审计员戊", (Role.AUDITOR,)),
    ("field", "现场人员己", (Role.FIELD,)),
    ("security", "保密员庚", (Role.SECURITY,)),
    ("security2", "保密员辛", (Role.SECURITY,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a demo invents on its first start; a file of mode 0600 in its data directory."""

    account_sid: str = field(default_factory=lambda: "AC" + secrets.token_hex(16))
    auth_token: str = field(default_factory=lambda: secrets.token_hex(16))
    telegram_token: str = field(default_factory=lambda: f"700000001:{secrets.token_urlsafe(26)}")
    department: str = field(default_factory=lambda: f"tocsin_test_{secrets.token_urlsafe(32)}")
    officer: str = field(default_factory=lambda: f"tocsin_test_{secrets.token_urlsafe(32)}")
    approver: str = field(default_factory=lambda: f"tocsin_test_{secrets.token_urlsafe(32)}")


def load_secrets(data_dir: Path) -> Secrets:
    """The demo's secrets, made on the first call."""
    path = data_dir / "demo.json"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, json.dumps(asdict(Secrets())))
    return Secrets(**json.loads(path.read_text()))


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def seed(hub: Hub, made: Secrets, at: datetime) -> dict[str, Person]:
    """People, keys, divisions, recipients and a morning's reports; login -> person. Safe to repeat."""
    persons = {login: _person(hub, login, name, roles, at) for login, name, roles in PEOPLE}
    authority = hub.settings.organisation
    new_key(hub.store, hub.mode, "demo department", organisation="示例省气象局", at=at, token=made.department,
            scopes=(Scope.REPORT, Scope.READ))  # fmt: skip
    for login in ("officer", "approver"):
        role = Role(login)
        new_key(hub.store, hub.mode, f"demo {login}", organisation=authority, at=at, person=persons[login],
                token=getattr(made, login), scopes=SCOPES[role])  # fmt: skip
    if hub.store.read(lambda unit: areas.listing(unit, "990000", limit=1)):
        return persons

    def fill(unit: Unit) -> None:
        areas.put(unit, demo_world.areas())
        audience.add(unit, [*demo_world.recipients(), *demo_world.mail_recipients()], at)

    hub.store.run(fill)
    for inbound in _morning(at):
        names = desk.mint_names(at)
        hub.store.run(partial(desk.receive, inbound=inbound, minted=names, at=at))
    return persons


def links(hub: Hub, persons: dict[str, Person], at: datetime) -> dict[str, str]:
    """One-time login links of the officer, the approver and the admin."""
    return {
        login: f"{hub.settings.site}/login/{new_link(hub.store, persons[login], expires=at + LINK_LASTS)}"
        for login in ("officer", "approver", "admin")
    }


def reset(settings: Settings) -> None:
    """Forget everything but keys and secrets, so that scripts written against this demo go on working.

    Raises Refused while a hub runs here, for a hub that is no demo, and for a database of its own server.
    """
    data = settings.data_dir
    if not (data / "demo.json").exists() or not (data / "tocsin.db").exists():
        raise NotFound("there is no demo here", code="no_demo")
    if not settings.database.startswith("sqlite"):
        raise Refused(
            "drop and create the database yourself: dropdb NAME && createdb NAME", code="not_embedded"
        )
    with alone(data / "up.lock"):
        store = birth.open_store(settings, keys.load(data / "keys", may_make=False))
        try:
            stands = store.read(hub_row.mode)
        finally:
            store.close()
        if stands is not Mode.DEMO:
            raise Refused(f"this hub is {stands.value}: nothing of it is ever thrown away", code="not_demo")
        for path in [*data.glob("tocsin.db*"), *(data / name for name in _FORGOTTEN)]:
            path.unlink(missing_ok=True)
        keys.disown(data / "keys")  # the next demo is another hub with the same keys
        for name in ("blobs", "thumbs", "spool", "public"):
            shutil.rmtree(data / name, ignore_errors=True)


def site(settings: Settings) -> str:
    """Where the desk is reached: at the port of the demo that runs on this data directory, if one does."""
    try:
        return str(json.loads((settings.data_dir / "simulator.json").read_text())["base_url"])
    except (OSError, ValueError, KeyError):
        return settings.site


def send_sms(data_dir: Path, sender: str, text: str) -> str:
    """Make the simulator of the running demo deliver an SMS to the hub; the hub's status in words."""
    try:
        where = json.loads((data_dir / "simulator.json").read_text())["url"]
    except FileNotFoundError:
        raise NotFound("no demo hub runs on this data directory", code="not_running") from None
    body = json.dumps({"from": sender, "body": text}).encode()
    request = urllib.request.Request(f"{where}/sim/inbound", body, {"Content-Type": "application/json"})  # noqa: S310 (as below)
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (our own simulator on 127.0.0.1)
        return str(answer.read().decode())


def _person(hub: Hub, login: str, name: str, roles: tuple[Role, ...], at: datetime) -> Person:
    found = hub.store.read(lambda unit: people.by_login(unit, login))
    if found:
        return found[0]
    return add_person(
        hub.store, login, name, roles, organisation=hub.settings.organisation, password="", at=at
    )


def _morning(at: datetime) -> list[Inbound]:
    slips = [
        Inbound(channel="phone", external_id=f"demo-{n}", media_type="application/json", received_at=at,
                raw=json.dumps(slip, ensure_ascii=False).encode(), sender=slip["caller"])
        for n, slip in enumerate(demo_world.CALLS)
    ]  # fmt: skip
    mails = [
        Inbound(channel="email", external_id=f"demo-{n}", media_type="message/rfc822", received_at=at,
                raw=mail.encode(), sender="station@qixiang.example" if n == 0 else "resident@mail.example")
        for n, mail in enumerate(demo_world.MAILS)
    ]  # fmt: skip
    return [*slips, *mails]
