"""Telegram by its Bot API, both ways.

Source: "Bot API" (core.telegram.org/bots/api): setWebhook (secret_token), getUpdates (offset), getFile, sendMessage,
ResponseParameters (migrate_to_chat_id, retry_after). python-telegram-bot makes the calls and knows the types; its
Application is not used: it confirms updates before anybody has kept them.
"""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from telegram import Bot, LinkPreviewOptions
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from channels.closed_list import Place
from channels.codecs import telegram_update
from channels.egress import Egress, Fetched
from domain.errors import DeliveryError, Never, NotAllowed, NotNow, Unsure
from domain.parcel import Answer, DeliveryState, Item, Part
from domain.report import Inbound

T = TypeVar("T")

SCHEME, LARGEST = telegram_update.SCHEME, telegram_update.LARGEST
API = "https://api.telegram.org"
LONGEST = 4096  # UTF-16 units of one message ("sendMessage": 1-4096 characters after entities parsing)
WAIT = timedelta(seconds=25)  # of one long poll: shorter than what middle boxes let lie idle
UPDATES = 100  # of one answer ("getUpdates")

# httpx under python-telegram-bot: what it could not connect for was never sent.
_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_FILE_PATH = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]{0,250}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")  # "setWebhook": secret_token
_TOKEN = re.compile(r"([0-9]{1,20}):[A-Za-z0-9_-]{20,80}")


class Telegram:
    """See `channels.contract.Wire`. One sendMessage for each call, without a parse mode: a text is a text."""

    name, channel, items_per_call = "telegram", "telegram", 1

    def __init__(
        self, *, token: str, reaches_the_world: bool, base_url: str = API, window: int = 8,
        timeout: timedelta = timedelta(seconds=8),
    ) -> None:  # fmt: skip
        """`timeout` of one answer: less than the deadline of a call, so that silence has a name."""
        self.window, self.reaches_the_world = window, reaches_the_world
        self._token, self._base_url, self._timeout = token, base_url.rstrip("/"), timeout.total_seconds()
        self._bots: dict[str, tuple[asyncio.AbstractEventLoop, HTTPXRequest, Bot]] = {}
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and ours hold the token

    async def call(self, part: Part) -> Sequence[Answer]:
        """Send one message; its text is `part.payload`, byte for byte.

        Raises NotNow, Never(code="config" | "payload") or Unsure. A group that has become a supergroup is answered
        with its new number: nothing was sent to the old one, and another send is another attempt.
        """
        (item,) = part.items
        try:
            text = part.payload.decode()
        except UnicodeDecodeError:
            raise Never("the payload is not UTF-8", code="payload") from None
        return [await self._send(item, text)]

    async def updates(self, offset: int, wait: timedelta = WAIT) -> list[dict[str, Any]]:
        """What has come in since; `offset` confirms everything before it. 0 confirms nothing.

        Raises NotNow, Never(code="config" | "other_poller").
        """
        asked: dict[str, Any] = {"timeout": int(wait.total_seconds()), "limit": UPDATES,
                                 "allowed_updates": list(telegram_update.KINDS)}  # fmt: skip
        if offset:
            asked["offset"] = offset
        found = await self._asked("getUpdates", asked, wait.total_seconds() + self._timeout)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise NotNow("no list of updates", code="garbage")
        return found

    async def listen_at(self, url: str, secret: str) -> None:
        """Have updates posted to `url`; '' ends that, and they are asked for again. Raises like updates()."""
        if not url:
            await self._asked("deleteWebhook", {}, self._timeout)
            return
        asked = {"url": url, "secret_token": secret, "allowed_updates": list(telegram_update.KINDS)}
        await self._asked("setWebhook", asked, self._timeout)

    async def aclose(self) -> None:
        bots, self._bots = self._bots, {}
        for _, request, _ in bots.values():
            await request.shutdown()

    async def _send(self, item: Item, text: str) -> Answer:
        """One sendMessage. Raises NotNow, Never or Unsure."""
        bot = self._bot("send")
        try:
            made = await bot.send_message(
                chat_id=item.address, text=text, link_preview_options=LinkPreviewOptions(is_disabled=True)
            )
            sent = f"{int(made.chat.id)}:{int(made.message_id)}"
        except ChatMigrated as moved:
            state, to = DeliveryState.QUEUED, str(moved.new_chat_id)
            return Answer(delivery_id=item.delivery_id, state=state, code="migrated", moved_to=to)
        except Forbidden:  # blocked by the user, kicked from the group, user is deactivated
            return _failed(item, "blocked", is_gone=True)
        except BadRequest as error:  # chat not found, not enough rights, ...
            return _failed(item, re.sub(r"[^a-z0-9]+", "_", str(error).lower())[:40])
        except Conflict:  # said of polling; of a message it is a refusal that says nothing of whom it is for
            raise NotNow("refused, and not for this chat", code="409") from None
        except TelegramError as error:
            raise _meaning(error, Unsure) from None
        except (TypeError, ValueError, KeyError, AttributeError):
            raise Unsure("success, but not a Message", code="garbage") from None
        return Answer(delivery_id=item.delivery_id, state=DeliveryState.SENT, provider_id=sent)

    async def _asked(self, method: str, asked: Mapping[str, Any], seconds: float) -> Any:
        bot = self._bot("ask")
        try:
            return await bot.do_api_request(method, api_kwargs=dict(asked), read_timeout=seconds)
        except Conflict:
            detail = "another program asks for the same updates, or a webhook is set"
            raise Never(detail, code="other_poller") from None
        except TelegramError as error:
            raise _meaning(error, NotNow) from None

    def _bot(self, purpose: str) -> Bot:
        """One with connections of its own, made inside the loop that runs now: a poll must not hold up a warning."""
        loop = asyncio.get_running_loop()
        held = self._bots.get(purpose)
        if held is None or held[0] is not loop:
            request = HTTPXRequest(
                connection_pool_size=self.window, read_timeout=self._timeout, write_timeout=self._timeout,
                connect_timeout=self._timeout / 2, pool_timeout=self._timeout / 2,
                httpx_kwargs={"trust_env": False},
            )  # fmt: skip
            bot = Bot(self._token, base_url=f"{self._base_url}/bot", request=request)
            held = self._bots[purpose] = (loop, request, bot)
        return held[2]


def _failed(item: Item, code: str, *, is_gone: bool = False) -> Answer:
    return Answer(delivery_id=item.delivery_id, state=DeliveryState.FAILED, code=code, is_gone=is_gone)


def _meaning(error: TelegramError, otherwise: Callable[..., DeliveryError]) -> DeliveryError:
    """What an error of the library means; `otherwise` for what proves nothing."""
    if isinstance(error, RetryAfter):
        wait = error.retry_after  # seconds, or a timedelta: the library is changing it
        wait = wait if isinstance(wait, timedelta) else timedelta(seconds=int(wait))
        return NotNow("flood control", code="429", retry_after=wait)
    if isinstance(error, InvalidToken):
        return Never("the token is refused", code="config")
    if type(error.__cause__).__name__ in _UNSENT:
        return NotNow("no connection", code="no_connection", is_down=True)
    return otherwise("no definite answer", code=type(error).__name__)


def bot_of(token: str) -> str:
    """The bot's number, '' for what is no token ("123456:ABC-DEF...")."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def verify(given: Sequence[str], secret: str) -> None:
    """Compare the secret token of a webhook call in constant time, which the library does not do (PROMISES H31).

    Raises NotAllowed(code="bad_signature").
    """
    value = given[0] if len(given) == 1 else ""
    is_ours = bool(secret) and hmac.compare_digest(value.encode("utf-8", "replace")[:1024], secret.encode())
    if not is_ours or len(value) > len(secret):
        raise NotAllowed("the secret token does not match", code="bad_signature")


def is_secret(text: str) -> bool:
    """Whether Telegram takes it as a secret token."""
    return bool(_SECRET.fullmatch(text))


def parse(raw: bytes, *, bot: str, at: datetime) -> Inbound:
    """An update as it was posted. Raises BadInput(code="bad_shape")."""
    return telegram_update.inbound(raw, telegram_update.load(raw), bot=bot, at=at)


def polled(update: Mapping[str, Any], *, bot: str, at: datetime) -> Inbound | None:
    """An update out of a list, written down alone; None for one without a number of its own."""
    if not telegram_update.is_id(update.get("update_id")):
        return None
    return telegram_update.inbound(json.dumps(update).encode(), update, bot=bot, at=at)


def places(base_url: str, *, token: str, is_simulator: bool) -> tuple[Place, ...]:
    """Where files may be asked for: getFile and the files of this bot, nothing else of the API."""
    base = urlsplit(base_url)
    root, bot = re.escape(base.path.rstrip("/")), re.escape(token)
    path = re.compile(
        rf"{root}/bot{bot}/getFile\?file_id=[A-Za-z0-9_-]+|{root}/file/bot{bot}/{_FILE_PATH.pattern}"
    )
    port = base.port or (80 if is_simulator else 443)
    return (Place(host=base.hostname or "", port=port, path=path, is_of_this_machine=is_simulator),)


def fetch(egress: Egress, name: str, *, base_url: str, token: str) -> Fetched:
    """The file that a message names. Raises Never or NotNow, as the egress does."""
    base = base_url.rstrip("/")
    told = egress.get(f"{base}/bot{token}/getFile?file_id={name.removeprefix(telegram_update.SCHEME)}")
    try:
        path = str(json.loads(told.data)["result"]["file_path"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotNow("no File", code="garbage") from None
    if not _FILE_PATH.fullmatch(path):
        raise Never("no path of a file", code="bad_address")
    return egress.get(f"{base}/file/bot{token}/{path}")
