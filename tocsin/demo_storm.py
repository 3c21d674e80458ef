"""A storm of reports on a demo hub: several doors, repeats, typos, as on a bad night."""

import json
import random
import smtplib
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from domain.errors import NotFound

DOORS = {"sms": 10, "mail": 4, "form": 3, "api": 3}  # how often each is used
AT_ONCE = 8  # callers at a time: a flood that one demo process takes without falling behind
REPEATED, MISTYPED = 0.25, 0.3  # of the reports
PATIENCE_SECONDS = 20
_PLACES = (
    "临江区江滨路88号",
    "滨湖区东堤三段",
    "青石县白石镇",
    "云台县老街",
    "北山区铁路涵洞",
    "南溪区二中旁",
)
_EVENTS = (
    "河堤漏水，水已经到路面", "桥面裂缝，有车掉下去", "地下室进水，有老人被困", "山体滑坡，路断了", "变压器起火，整片停电",
    "房子塌了一角，有人喊救命", "水库水位涨得很快", "化工厂方向有刺鼻气味", "大树倒在公交站", "井盖被冲走，有人掉下去",
)  # fmt: skip
_TYPOS = {
    "河堤": "河提",
    "漏水": "漏谁",
    "被困": "被因",
    "起火": "起伙",
    "滑坡": "话坡",
    "涵洞": "寒洞",
    "二中": "二钟",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One report: through which door, from whom, and what it says."""

    door: str
    sender: str
    text: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a running demo hub listens."""

    base_url: str
    provider_url: str
    smtp: tuple[str, int]
    key: str


def target(data_dir: Path) -> Target:
    """The demo hub that runs on `data_dir`. Raises NotFound when none does."""
    try:
        where = json.loads((data_dir / "simulator.json").read_text())
        key = json.loads((data_dir / "demo.json").read_text())["department"]
        host, port = where["smtp"]
        return Target(base_url=where["base_url"], provider_url=where["url"], smtp=(host, port), key=key)
    except (FileNotFoundError, KeyError, ValueError):
        raise NotFound("no demo hub runs on this data directory", code="not_running") from None


def calls(count: int, *, seed: int) -> Iterator[Call]:
    """`count` reports; the same seed gives the same storm."""
    dice = random.Random(seed)  # noqa: S311 (repeatable on purpose)
    said: list[tuple[str, str]] = []
    for _ in range(count):
        if said and dice.random() < REPEATED:
            place, text = dice.choice(said)
        else:
            place, text = dice.choice(_PLACES), dice.choice(_EVENTS)
            said.append((place, text))
        if dice.random() < MISTYPED:
            for right, wrong in _TYPOS.items():
                text, place = text.replace(right, wrong), place.replace(right, wrong)
        door = dice.choices(list(DOORS), weights=list(DOORS.values()))[0]
        yield Call(door=door, sender=f"+86138{dice.randrange(10**8):08d}", text=text, place=place)


def storm(
    to: Target,
    *,
    count: int,
    seconds: float,
    seed: int = 1,
    step: Callable[[Counter[str]], None] = lambda _: None,
) -> Counter[str]:
    """Send `count` reports spread over `seconds`; "door: outcome" -> n. `step` hears of each."""
    doors = _doors(to)
    found: Counter[str] = Counter()

    def knock(call: Call) -> str:
        door = call.door if call.door in doors else "api"
        try:
            return f"{door}: {doors[door](to, call)}"
        except (OSError, smtplib.SMTPException) as error:
            return f"{door}: {type(error).__name__}"

    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="caller") as callers:
        waiting = []
        for n, call in enumerate(calls(count, seed=seed)):
            time.sleep(max(began + n * seconds / count - time.monotonic(), 0))
            waiting.append(callers.submit(knock, call))
            for done in [one for one in waiting if one.done()]:
                waiting.remove(done)
                found[done.result()] += 1
                step(found)
        for one in waiting:
            found[one.result()] += 1
            step(found)
    return found


def _doors(to: Target) -> dict[str, Callable[[Target, Call], str]]:
    """The doors this hub has open."""
    doors: dict[str, Callable[[Target, Call], str]] = {"sms": _sms, "mail": _mail, "api": _api}
    try:
        with urllib.request.urlopen(f"{to.base_url}/report", timeout=PATIENCE_SECONDS):  # noqa: S310 (our own hub)
            doors["form"] = _form
    except (urllib.error.HTTPError, OSError):
        pass
    return doors


def _sms(to: Target, call: Call) -> str:
    body = json.dumps({"from": call.sender, "body": f"{call.place}{call.text}"}).encode()
    answer = _post(f"{to.provider_url}/sim/inbound", body, {"Content-Type": "application/json"})
    return _word(int(json.loads(answer[1])["status"]))


def _api(to: Target, call: Call) -> str:
    body = json.dumps(
        {"text": call.text, "place": call.place, "contact": call.sender}, ensure_ascii=False
    ).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {to.key}",
               "Idempotency-Key": f"storm-{random.getrandbits(64):x}"}  # fmt: skip
    return _word(_post(f"{to.base_url}/v1/reports", body, headers)[0])


def _form(to: Target, call: Call) -> str:
    body = urlencode({"text": call.text, "place": call.place, "contact": call.sender}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": to.base_url}
    return _word(_post(f"{to.base_url}/report", body, headers)[0])


def _mail(to: Target, call: Call) -> str:
    mail = EmailMessage()
    mail["From"] = f"{call.sender[1:]}@mail.example"
    mail["To"], mail["Subject"] = "report@tocsin.example", call.text[:20]
    mail["Message-ID"] = f"<{random.getrandbits(64):x}@mail.example>"
    mail.set_content(f"{call.place}\n{call.text}\n")
    with smtplib.SMTP(*to.smtp, timeout=PATIENCE_SECONDS) as line:
        line.send_message(mail)
    return "taken"


def _post(url: str, body: bytes, headers: Mapping[str, Any]) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, dict(headers))  # noqa: S310 (our own hub)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 (our own hub)
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _word(status: int) -> str:
    if status < 400:
        return "taken"
    return "told to wait" if status in (429, 503) else f"refused {status}"
