"""A simulated Telegram on a real socket, and a hub with its bot."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from simulators.telegram import Telegram, TelegramSimConfig, app
from store import media
from tests.servers import free_port, wait_for
from tests.web.api_world import World, world

TOKEN = "700000001:AAH-chat_token_of_the_tests_0123456"
SECRET = "webhook-secret_of_the_tests"
CHAT = 4_100_200_300
PATH = "/hooks/telegram"


@dataclass
class Chats:
    """The simulator, in a thread of its own."""

    url: str
    telegram: Telegram

    def say(self, text: str = "", *, chat: int = CHAT, **more: Any) -> dict[str, Any]:
        """Somebody writes; the update. `content` in place of a text, `files`, `kind`, `message_id`."""
        asked = {"chat": chat, "text": text, **more}
        return _post(f"{self.url}/sim/say", asked)

    def script(self, *rules: dict[str, Any]) -> None:
        _post(f"{self.url}/sim/script", {"seed": 1, "rules": list(rules)})

    def said(self, chat: int = CHAT) -> list[str]:
        """What the bot wrote there."""
        found = self.telegram.chats.get(chat)
        return [one["text"] for one in (found.said if found else []) if one["who"] == "bot"]


@contextmanager
def chats() -> Iterator[Chats]:
    """An open simulator."""
    port = free_port()
    made = app(TelegramSimConfig(token=TOKEN, now=lambda: datetime.now(UTC)))
    server = uvicorn.Server(
        uvicorn.Config(made, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(port)
    try:
        yield Chats(f"http://127.0.0.1:{port}", made.state.telegram)
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def chat_world(directory: Path, at: datetime, url: str, **more: Any) -> Iterator[World]:
    """A hub whose bot talks to the simulator at `url`; `database` and further settings in `more`."""
    database = more.pop("database", "")
    with world(directory, at, url=database, telegram_token=TOKEN, telegram_api_url=url, **more) as made:
        yield made


def knock(to: World, update: dict[str, Any] | bytes, secret: str | None = SECRET) -> Any:
    """Post an update as Telegram does, a second after the last one."""
    to.clock.forward(seconds=1)
    content = update if isinstance(update, bytes) else json.dumps(update).encode()
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["X-Telegram-Bot-Api-Secret-Token"] = secret
    return to.client.post(PATH, content=content, headers=headers)


def update(n: int = 1, *, text: str = "大坪村山塌了", chat: int = CHAT, message: int = 0, kind: str = "message",
           **content: Any) -> dict[str, Any]:  # fmt: skip
    """An update as Telegram writes it."""
    said: dict[str, Any] = {
        "message_id": message or n, "date": 1_795_413_900,
        "chat": {"id": chat, "type": "private" if chat > 0 else "group", "first_name": "李雷", "title": "群"},
        "from": {"id": abs(chat), "is_bot": False, "first_name": "李雷", "language_code": "zh-hans"},
    }  # fmt: skip
    if text and "caption" not in content:
        said["text"] = text
    if kind == "edited_message":
        said["edit_date"] = 1_795_413_900 + n
    return {"update_id": 5_000 + n, kind: said | content}


def work(to: World) -> None:
    """File, fetch and send all that is due."""
    to.file_all()
    for medium in to.hub.store.read(lambda unit: media.due(unit, to.clock(), 1000)):
        to.hub.media.fetch(medium)


def reports(to: World) -> list[Any]:
    """The queue as an officer reads it, the oldest first."""
    found = to.get("officer", "/v1/reports").json()["data"]
    return list(reversed(found))


def _post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
