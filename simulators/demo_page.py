"""The phones and mailboxes of the demo: what each of them has received."""

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from simulators.smtp_sink import Sink
from simulators.twilio_state import Simulator

_STYLE = """body{font:16px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif;margin:1.5rem;
background:#eef1f5;color:#1a1f26}h1{font-size:1.4rem}ul{list-style:none;padding:0;display:grid;gap:1rem;
grid-template-columns:repeat(auto-fill,minmax(17rem,1fr))}li.phone{background:#fff;border:1px solid #c3cad4;
border-radius:1rem;padding:1rem}h2{font-size:1rem;margin:0 0 .5rem}p.subject{font-weight:600}
p{background:#e3efe3;border-radius:.8rem;
padding:.6rem .8rem;margin:.5rem 0;white-space:pre-wrap;overflow-wrap:anywhere}small{color:#4a5462}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e8ecf1}li.phone{background:#1f252d;border-color:#3a444f}
p{background:#24402a}small{color:#b3bcc7}}"""


def routes(simulator: Simulator, sink: Sink) -> list[Route]:
    """``/demo/outbox`` for people; ``/demo/outbox.json`` (phones) and ``/demo/mailbox.json`` for scripts."""

    async def as_json(_: Request) -> Response:
        return JSONResponse(simulator.phones())

    async def mail_as_json(_: Request) -> Response:
        return JSONResponse(sink.boxes.shown())

    async def as_page(_: Request) -> Response:
        page = _page(simulator.phones(), sink.boxes.shown())
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    return [
        Route("/demo/outbox.json", as_json),
        Route("/demo/mailbox.json", mail_as_json),
        Route("/demo/outbox", as_page),
    ]


def _page(phones: list[dict[str, object]], boxes: list[dict[str, Any]]) -> str:
    shown = (
        "".join(_phone(phone) for phone in phones[:200])
        or "<li>还没有手机收到短信 No phone has received anything yet</li>"
    )
    mails = (
        "".join(_box(box) for box in boxes[:200])
        or "<li>还没有邮箱收到邮件 No mailbox has received anything yet</li>"
    )
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>演示手机 Demo phones</title><style>{_STYLE}</style><h1>【演示】{len(phones)} 部手机收到的短信"
        f"<br><small>What the simulated phones received; nothing left this machine.</small></h1><ul>{shown}</ul>"
        f"<h1>{len(boxes)} 个邮箱收到的邮件 <small>Mailboxes</small></h1><ul>{mails}</ul></html>"
    )


def _box(box: dict[str, Any]) -> str:
    texts = "".join(
        f'<p class="subject">{escape(m["subject"])}</p><p>{escape(m["text"])}</p><small>{escape(m["from"])}</small>'
        for m in box["messages"][-10:]
    )
    return f'<li class="phone"><h2>{escape(box["address"])}</h2>{texts}</li>'


def _phone(phone: dict[str, object]) -> str:
    messages = phone["messages"]
    if not isinstance(messages, list):
        return ""
    texts = "".join(
        f"<p>{escape(str(m['body']))}</p><small>{escape(str(m.get('status', '')))}</small>"
        for m in messages[-10:]
    )
    return f'<li class="phone"><h2>{escape(str(phone["number"]))}</h2>{texts}</li>'
