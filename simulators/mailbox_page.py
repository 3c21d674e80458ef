"""The mailboxes of the demo, as a section of its page and as JSON: what each of them has received."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.smtp_sink import Sink

SHOWN = 60  # mailboxes on the page; the JSON has all
LAST = 6  # mails of a mailbox
_WORDS = {
    "zh-CN": {"boxes": "{n} 个邮箱", "nobody": "还没有邮箱收到邮件。"},
    "en": {"boxes": "{n} mailboxes", "nobody": "No mailbox has received anything yet."},
}


def routes(sink: Sink) -> list[Route]:
    """``/demo/mailbox.json`` for scripts."""

    async def as_json(_: Request) -> Response:
        return JSONResponse(sink.boxes.shown())

    return [Route("/demo/mailbox.json", as_json)]


def section(sink: Sink, zone: tzinfo | None = None) -> Callable[[str], str]:
    """A function from a language to the HTML of the mailboxes, for the page of the phones; times are of `zone`."""

    def shown(language: str) -> str:
        say, boxes = _WORDS[language], sink.boxes.shown()
        items = "".join(_box(box, zone) for box in boxes[:SHOWN])
        found = f'<ul class="phones">{items}</ul>' if items else f'<p class="empty">{say["nobody"]}</p>'
        return f"<h2>{say['boxes'].format(n=len(boxes))}</h2>{found}"

    return shown


def _box(box: dict[str, Any], zone: tzinfo | None) -> str:
    mails = "".join(_mail(mail, zone) for mail in box["messages"][-LAST:])
    return (
        f'<li class="phone"><div class="screen"><h3>{escape(box["address"])}</h3><ol>{mails}</ol></div></li>'
    )


def _mail(mail: dict[str, Any], zone: tzinfo | None) -> str:
    at = datetime.fromisoformat(str(mail["at"])).astimezone(zone)
    return (
        f'<li><p class="bubble"><strong>{escape(mail["subject"])}</strong>\n\n{escape(mail["text"])}</p>'
        f'<p class="about"><time datetime="{at.isoformat()}">{at:%H:%M:%S}</time> · {escape(mail["from"])}</p></li>'
    )
