"""The chats, updates and files of the simulated Telegram, and the script of what goes wrong with them."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import aiohttp

from simulators.script import AnyRule, Script

KEPT = 24 * 3600  # seconds that updates wait for a bot ("getUpdates")
TRIES = 5  # of a webhook; the real one goes on for a day


class ChatAct(StrEnum):
    """What happens to one call. `..._taken`: the message exists, though the caller is not told so."""

    TAKE = "take"
    THROTTLE = "throttle"  # 429 with parameters.retry_after
    BLOCKED = "blocked"  # 403
    MIGRATED = "migrated"  # 400 with parameters.migrate_to_chat_id
    REFUSE = "refuse"  # 400 chat not found
    UNAUTHORIZED = "unauthorized"  # 401
    CONFLICT = "conflict"  # 409
    ERROR = "error"  # 500
    ERROR_TAKEN = "error_taken"
    HANG = "hang"
    HANG_TAKEN = "hang_taken"
    RESET = "reset"
    RESET_TAKEN = "reset_taken"
    GARBAGE = "garbage"  # 200 and no JSON

    @property
    def takes(self) -> bool:
        """Whether the message exists afterwards."""
        return self is ChatAct.TAKE or self.endswith("_taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRule(AnyRule):
    """One rule; `to` is a chat's number, or a method such as getUpdates."""

    act: ChatAct = ChatAct.TAKE
    retry_after: int = 3
    migrate_to: str = ""


USUAL = ChatRule()


@dataclass(slots=True, kw_only=True)
class Chat:
    """One chat with the bot: what was said in it, the oldest first."""

    id: int
    title: str
    language: str = "zh-hans"
    kind: str = "private"
    said: list[dict[str, Any]] = field(default_factory=list)  # {who, text, message_id, at, file?}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSimConfig:
    """The one bot that it knows."""

    token: str
    now: Callable[[], datetime]
    username: str = "tocsin_demo_bot"


class Telegram:
    """State of the simulator; used inside one event loop."""

    def __init__(self, config: TelegramSimConfig) -> None:
        self.config = config
        self.script: Script[ChatRule] = Script(USUAL)
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, bytes] = {}  # file id -> bytes
        self.updates: deque[dict[str, Any]] = deque()
        self.answered: list[dict[str, Any]] = []  # each getUpdates: {offset, ids}
        self.webhook: dict[str, str] = {"url": "", "secret": ""}
        self.posted: list[int] = []  # status of each webhook call
        self._ids = itertools.count(1)
        self._update_ids = itertools.count(870_000_001)
        self._news = asyncio.Event()
        self.poller: asyncio.Event | None = None  # set: another one asks, this one is ended
        self._tasks: set[asyncio.Task[None]] = set()

    def chat(self, number: int, title: str = "", language: str = "zh-hans") -> Chat:
        """The chat of that number, made when it is new; below zero it is a group."""
        kind = "private" if number > 0 else "supergroup"
        return self.chats.setdefault(
            number, Chat(id=number, title=title or f"用户 {number}", language=language, kind=kind)
        )

    def take(self, number: int, text: str) -> dict[str, Any]:
        """A message of the bot's; the Message that it is told of."""
        message = self._message(
            self.chat(number), {"id": self.bot_id, "is_bot": True, "first_name": "Tocsin"}
        )
        self._said(number, "bot", message["message_id"], text)
        return message | {"text": text}

    def say(self, number: int, content: dict[str, Any], *, language: str = "zh-hans", kind: str = "message",
            message_id: int = 0, update_id: int = 0) -> dict[str, Any]:  # fmt: skip
        """Somebody writes to the bot; the update that comes of it. `content`: the fields of a Message."""
        chat = self.chat(number, language=language)
        who = {"id": abs(number), "is_bot": False, "first_name": chat.title, "language_code": language}
        message = self._message(chat, who) | content
        if message_id:
            message["message_id"] = message_id
        if kind == "edited_message":
            message["edit_date"] = int(self.config.now().timestamp())
        update = {"update_id": update_id or next(self._update_ids), kind: message}
        self._said(
            number, "person", message["message_id"], str(content.get("text") or content.get("caption") or "")
        )
        self.put(update)
        return update

    def put(self, update: dict[str, Any]) -> None:
        """Let the bot have an update: by its webhook where one is set, else when it asks."""
        if self.webhook["url"]:
            task = asyncio.get_running_loop().create_task(self._post(update))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self.updates.append(update)
        self._news.set()

    def keep(self, data: bytes) -> str:
        """A file that can be fetched; its id."""
        name = f"AgACAgUAAx{next(self._ids):06d}"
        self.files[name] = data
        return name

    async def ask(self, offset: int, seconds: float) -> list[dict[str, Any]]:
        """What waits from `offset` on, at once or as soon as there is something."""
        while self.updates and self.updates[0]["update_id"] < offset:
            self.updates.popleft()
        if not self.updates and seconds:
            self._news.clear()
            waiting = [asyncio.ensure_future(self._news.wait())]
            if self.poller:
                waiting.append(asyncio.ensure_future(self.poller.wait()))
            _, left = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for one in left:
                one.cancel()
        found = list(self.updates)[:100]
        self.answered.append({"offset": offset, "ids": [one["update_id"] for one in found]})
        return found

    @property
    def bot_id(self) -> int:
        """The number before the colon of the token."""
        return int(self.config.token.partition(":")[0])

    async def aclose(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _post(self, update: dict[str, Any]) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook["secret"]}
        async with aiohttp.ClientSession() as session:
            for n in range(TRIES):
                try:
                    async with session.post(self.webhook["url"], json=update, headers=headers) as answer:
                        self.posted.append(answer.status)
                        if answer.status < 300:
                            return
                except aiohttp.ClientError:
                    self.posted.append(0)
                await asyncio.sleep(0.2 * 2**n)

    def _message(self, chat: Chat, who: dict[str, Any]) -> dict[str, Any]:
        return {
            "message_id": next(self._ids),
            "date": int(self.config.now().timestamp()),
            "from": who,
            "chat": {"id": chat.id, "type": chat.kind, "title" if chat.id < 0 else "first_name": chat.title},
        }

    def _said(self, number: int, who: str, message_id: int, text: str) -> None:
        at = self.config.now().isoformat()
        self.chat(number).said.append({"who": who, "text": text, "message_id": message_id, "at": at})
