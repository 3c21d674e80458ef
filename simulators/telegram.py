"""A Telegram on this machine: the Bot API over HTTP for one bot, its webhook, its files, and what goes wrong.

Source: "Bot API" (core.telegram.org/bots/api): "Making requests", getUpdates, setWebhook, getFile, sendMessage,
ResponseParameters. Errors are worded as the real one words them.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import BadInput
from simulators.script import parse
from simulators.telegram_state import USUAL, ChatAct, ChatRule, Telegram, TelegramSimConfig
from simulators.twilio import Hang, Reset

__all__ = ["Telegram", "TelegramSimConfig", "app"]

MOST_BYTES = 20_000_000  # "getFile"
_ERRORS = {
    ChatAct.BLOCKED: (403, "Forbidden: bot was blocked by the user"),
    ChatAct.REFUSE: (400, "Bad Request: chat not found"),
    ChatAct.UNAUTHORIZED: (401, "Unauthorized"),
    ChatAct.CONFLICT: (409, "Conflict: terminated by other getUpdates request; make sure that only one bot"
                            " instance is running"),
    ChatAct.ERROR: (500, "Internal Server Error"),
    ChatAct.ERROR_TAKEN: (500, "Internal Server Error"),
}  # fmt: skip


def app(config: TelegramSimConfig) -> Starlette:
    """The simulator as a web application; its state is `app.state.telegram`."""
    telegram = Telegram(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await telegram.aclose()

    routes = [
        Route("/bot{token}/{method}", _api, methods=["GET", "POST"]),
        Route("/file/bot{token}/{path:path}", _file, methods=["GET"]),
        Route("/sim/say", _say, methods=["POST"]),
        Route("/sim/script", _script, methods=["GET", "POST"]),
        Route("/sim/chats.json", _chats, methods=["GET"]),
    ]
    made = Starlette(routes=routes, lifespan=lifespan)
    made.state.telegram = telegram
    return made


async def _api(request: Request) -> Response:
    """Any method of the API, with its parameters in a form, as JSON or in the query."""
    telegram = _of(request)
    if request.path_params["token"] != telegram.config.token:
        return _error(401, "Unauthorized")
    method = request.path_params["method"]
    asked = await _parameters(request)
    rule = telegram.script.draw(str(asked.get("chat_id", method)))
    message = None
    if method == "sendMessage" and rule.act.takes:
        text = asked.get("text", "")
        if not text or len(text.encode("utf-16-le")) // 2 > 4096:
            return _error(
                400, "Bad Request: message text is empty" if not text else "Bad Request: message is too long"
            )
        message = telegram.take(int(asked["chat_id"]), text)
    if rule.act is not ChatAct.TAKE:
        return _wrong(rule)
    if method == "sendMessage":
        return _ok(message)
    answer = {"getUpdates": _updates, "setWebhook": _set_webhook, "deleteWebhook": _set_webhook, "getFile": _get_file,
              "getMe": _get_me}.get(method)  # fmt: skip
    return await answer(telegram, asked) if answer else _error(404, "Not Found")


async def _parameters(request: Request) -> dict[str, str]:
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        return {name: str(value) for name, value in json.loads(body or b"{}").items()}
    return dict(request.query_params) | dict(parse_qsl(body.decode(), keep_blank_values=True))


async def _updates(telegram: Telegram, asked: dict[str, str]) -> Response:
    if telegram.webhook["url"]:
        return _error(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to"
                           " delete the webhook first")  # fmt: skip
    if telegram.poller:
        telegram.poller.set()
    mine = telegram.poller = asyncio.Event()
    found = await telegram.ask(int(asked.get("offset", 0)), float(asked.get("timeout", 0)))
    return _wrong(ChatRule(act=ChatAct.CONFLICT)) if mine.is_set() else _ok(found)


async def _set_webhook(telegram: Telegram, asked: dict[str, str]) -> Response:
    telegram.webhook = {"url": asked.get("url", ""), "secret": asked.get("secret_token", "")}
    while telegram.webhook["url"] and telegram.updates:
        telegram.put(telegram.updates.popleft())
    return _ok(True)


async def _get_file(telegram: Telegram, asked: dict[str, str]) -> Response:
    name = asked.get("file_id", "")
    data = telegram.files.get(name)
    if data is None:
        return _error(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
    if len(data) > MOST_BYTES:
        return _error(400, "Bad Request: file is too big")
    return _ok(
        {"file_id": name, "file_unique_id": name[-8:], "file_size": len(data), "file_path": f"photos/{name}"}
    )


async def _get_me(telegram: Telegram, _: dict[str, str]) -> Response:
    return _ok(
        {"id": telegram.bot_id, "is_bot": True, "first_name": "Tocsin", "username": telegram.config.username}
    )


async def _file(request: Request) -> Response:
    telegram = _of(request)
    data = telegram.files.get(request.path_params["path"].removeprefix("photos/"))
    if request.path_params["token"] != telegram.config.token or data is None:
        return _error(404, "Not Found")
    return Response(data, media_type="application/octet-stream")


async def _say(request: Request) -> Response:
    """Somebody writes: {chat, text | content, language?, kind?, message_id?, files?: [{field, base64, ...}]}."""
    telegram, asked = _of(request), json.loads(await request.body())
    content = dict(asked.get("content") or {"text": str(asked.get("text", ""))})
    for one in asked.get("files", ()):
        named = {"file_id": telegram.keep(base64.b64decode(one["base64"])), "file_unique_id": "u", "width": 800,
                 "height": 600, **one.get("more", {})}  # fmt: skip
        content[one["field"]] = [named] if one["field"] == "photo" else named
    update = telegram.say(
        int(asked["chat"]), content, language=str(asked.get("language", "zh-hans")),
        kind=str(asked.get("kind", "message")), message_id=int(asked.get("message_id", 0)),
        update_id=int(asked.get("update_id", 0)),
    )  # fmt: skip
    return JSONResponse(update)


async def _script(request: Request) -> Response:
    """Read or replace the script."""
    telegram = _of(request)
    if request.method == "POST":
        try:
            telegram.script = parse(json.loads(await request.body()), USUAL)
        except (BadInput, ValueError):
            return JSONResponse({"detail": "no script"}, status_code=400)
    return JSONResponse(telegram.script.to_json())


async def _chats(request: Request) -> Response:
    """What was said in each chat, and how the bot has asked."""
    telegram = _of(request)
    chats = [{"id": c.id, "title": c.title, "said": c.said} for c in telegram.chats.values()]
    return JSONResponse({"chats": chats, "asked": telegram.answered[-50:], "posted": telegram.posted})


def _wrong(rule: ChatRule) -> Response:
    match rule.act:
        case ChatAct.THROTTLE:
            return _error(
                429, f"Too Many Requests: retry after {rule.retry_after}", retry_after=rule.retry_after
            )
        case ChatAct.MIGRATED:
            to = int(rule.migrate_to or -1001)
            return _error(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=to
            )
        case ChatAct.HANG | ChatAct.HANG_TAKEN:
            return Hang()
        case ChatAct.RESET | ChatAct.RESET_TAKEN:
            return Reset()
        case ChatAct.GARBAGE:
            return Response("<html>200 OK</html>", media_type="text/html")
    return _error(*_ERRORS[rule.act])


def _ok(result: Any) -> Response:
    return JSONResponse({"ok": True, "result": result})


def _error(status: int, description: str, **parameters: int) -> Response:
    body = {"ok": False, "error_code": status, "description": description}
    return JSONResponse(body | ({"parameters": parameters} if parameters else {}), status_code=status)


def _of(request: Request) -> Telegram:
    found: Telegram = request.app.state.telegram
    return found
