"""The chats of the demo, as a section of its page: what was said in each, and a line to say something."""

from collections.abc import Callable, Collection
from datetime import datetime, tzinfo
from html import escape
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from simulators.telegram_state import Chat, Telegram

SHOWN, LAST = 30, 12  # chats on the page, messages of a chat
NUMBER = 700_100_200  # of the chat that the demo begins with
_WORDS = {
    "zh-CN": {"chats": "Telegram：{n} 个聊天", "say": "以该用户身份发送", "send": "发送", "text": "文字",
              "chat": "聊天号码", "bot": "机器人", "person": "用户"},
    "en": {"chats": "Telegram: {n} chats", "say": "Write as this user", "send": "Send", "text": "Text",
           "chat": "Chat number", "bot": "bot", "person": "user"},
}  # fmt: skip


def routes(telegram: Telegram, hosts: Collection[str]) -> list[Route]:
    """``/demo/chat`` takes what a person types; only from this very page."""

    async def say(request: Request) -> Response:
        origin = urlsplit(request.headers.get("origin", ""))
        if origin.netloc != request.headers.get("host") or origin.hostname not in hosts:
            return JSONResponse({"detail": "not from this page"}, 403)
        form = await request.form()
        number, text = str(form.get("chat", "")), str(form.get("text", ""))[:4096]
        language = "en" if form.get("lang") == "en" else "zh-CN"
        if (
            text.strip()
            and number.lstrip("-").isascii()
            and number.lstrip("-").isdigit()
            and len(number) < 16
        ):
            telegram.say(int(number), {"text": text}, language="en" if language == "en" else "zh-hans")
        return RedirectResponse(f"/demo/outbox?lang={language}#chats", 303, {"Cache-Control": "no-store"})

    return [Route("/demo/chat", say, methods=["POST"])]


def section(telegram: Telegram, zone: tzinfo | None = None) -> Callable[[str], str]:
    """A function from a language to the HTML of the chats, for the page of the phones; times are of `zone`."""

    def shown(language: str) -> str:
        say = _WORDS[language]
        telegram.chat(NUMBER)
        items = "".join(_chat(chat, language, zone) for chat in list(telegram.chats.values())[-SHOWN:])
        title = say["chats"].format(n=len(telegram.chats))
        return f'<h2 id="chats">{title}</h2><ul class="phones">{items}</ul>'

    return shown


def _chat(chat: Chat, language: str, zone: tzinfo | None) -> str:
    say = _WORDS[language]
    lines = "".join(_line(one, say, zone) for one in chat.said[-LAST:])
    form = (
        f'<form method="post" action="/demo/chat"><input type="hidden" name="lang" value="{language}">'
        f'<input type="hidden" name="chat" value="{chat.id}"><label>{say["say"]} '
        f'<input name="text" required maxlength="4096" autocomplete="off"></label><button>{say["send"]}</button></form>'
    )
    return f'<li class="phone"><div class="screen"><h3>{escape(chat.title)}</h3><ol>{lines}</ol>{form}</div></li>'


def _line(one: dict[str, str], say: dict[str, str], zone: tzinfo | None) -> str:
    at = datetime.fromisoformat(str(one["at"])).astimezone(zone)
    who = say["bot"] if one["who"] == "bot" else say["person"]
    return (
        f'<li><p class="bubble">{escape(str(one["text"]) or "📎")}</p><p class="about">'
        f'<time datetime="{at.isoformat()}">{at:%H:%M:%S}</time> · {who}</p></li>'
    )
