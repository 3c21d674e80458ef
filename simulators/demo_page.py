"""The phones of the demo: what each of them has received, and a lever to make their provider fail."""

import base64
import hashlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from simulators.phone_words import STATES, words
from simulators.presets import PRESETS, USUAL, script
from simulators.script import USUAL as ANSWERS
from simulators.script import parse
from simulators.twilio_state import Simulator

Section = Callable[[str], str]  # language -> HTML of a further part of the page, e.g. mailboxes
SHOWN = 60  # phones on a page; the JSON has all
LAST = 12  # messages of a phone
REFRESH_SECONDS = 5

STYLE = """*{box-sizing:border-box}body{font:16px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",
sans-serif;margin:0;padding:1.5rem;background:#e9edf2;color:#1a1f26}h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem}
.top{display:flex;flex-wrap:wrap;gap:1rem;align-items:baseline;justify-content:space-between}a{color:#0b4a8f}
form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:1rem 0;padding:.8rem 1rem;background:#fff;
border:1px solid #717b88;border-radius:.8rem}select,button,input{font:inherit;padding:.35rem .8rem;min-height:2.2rem;
border-radius:.4rem;border:1px solid #4a5462;background:#fff;color:inherit}
button{background:#0b4a8f;color:#fff;border:0}
ul.phones{list-style:none;padding:0;display:grid;gap:1.5rem;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr))}
li.phone{background:#0f1318;border-radius:2rem;padding:.7rem;box-shadow:0 .2rem .8rem #0004}.screen{background:#f6f8fb;
border-radius:1.4rem;padding:.6rem .8rem 1rem;min-height:20rem;height:100%}h3{font-size:.95rem;text-align:center;
margin:.2rem 0 .6rem;padding-bottom:.5rem;border-bottom:1px solid #c3cad4;font-variant-numeric:tabular-nums}
ol{list-style:none;margin:0;padding:0}.bubble{background:#dfe5ec;border-radius:1rem 1rem 1rem .25rem;padding:.5rem .75rem;
margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-width:95%}.about{margin:.1rem 0 .7rem .3rem;font-size:.8rem;
color:#47515e}.about.bad{color:#9c1c1c;font-weight:600}.empty{padding:2rem;text-align:center}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e8ecf1}a{color:#8cc0ff}form{background:#1f252d}
select,input{background:#14181d}button{background:#8cc0ff;color:#10151b}.screen{background:#1f252d}li.phone{background:#000}
.bubble{background:#33404f}.about{color:#b3bcc7}.about.bad{color:#ff9d9d}h3{border-color:#4a5462}}
@media(prefers-reduced-motion:no-preference){li.phone{transition:box-shadow .2s}}"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def routes(
    simulator: Simulator,
    *,
    hosts: Collection[str] = ("127.0.0.1", "localhost"),
    lead: Section = lambda _language: "",
    sections: Sequence[Section] = (),
    zone: tzinfo | None = None,
) -> list[Route]:
    """``/demo/outbox`` for people, ``/demo/outbox.json`` for scripts; `hosts` are the names answered to.

    `lead` stands above the phones, `sections` below them.

    Times are shown in `zone`, the hub's, so that a phone agrees with what its messages say; None: this machine's.
    """

    async def as_json(_: Request) -> Response:
        return JSONResponse(simulator.phones())

    async def as_page(request: Request) -> Response:
        language = "en" if request.query_params.get("lang") == "en" else "zh-CN"
        is_live = request.query_params.get("live") != "0"
        # the header, not <meta>: the page offers to pause it (WCAG 2.2.2)
        refresh = {"Refresh": str(REFRESH_SECONDS)} if is_live else {}
        body = _page(simulator, language, is_live=is_live, parts=(lead, *sections), zone=zone)
        return HTMLResponse(body, headers={**HEADERS, **refresh, "Content-Language": language})

    async def pull(request: Request) -> Response:
        """The lever; only from this very page."""
        if not is_from_here(request, hosts):
            return JSONResponse({"detail": "not from this page"}, 403)
        form = await request.form()
        name = str(form.get("preset", ""))
        if name not in PRESETS:
            return JSONResponse({"detail": f"one of {', '.join(PRESETS)}"}, 400)
        simulator.script = parse(script(name), ANSWERS)
        language = "en" if form.get("lang") == "en" else "zh-CN"
        return RedirectResponse(f"/demo/outbox?lang={language}", 303, HEADERS)

    return [
        Route("/demo/outbox.json", as_json),
        Route("/demo/outbox", as_page, methods=["GET"]),
        Route("/demo/outbox", pull, methods=["POST"]),
    ]


def is_from_here(request: Request, hosts: Collection[str]) -> bool:
    """Whether a form was sent by a page of this very address."""
    origin = urlsplit(request.headers.get("origin", ""))
    return origin.netloc == request.headers.get("host") and origin.hostname in hosts


def _page(
    simulator: Simulator, language: str, *, is_live: bool, parts: Sequence[Section], zone: tzinfo | None
) -> str:
    say, phones = words(language), simulator.phones()
    newest = sorted(phones, key=lambda phone: str(phone["messages"][-1]["at"]), reverse=True)
    shown = "".join(_phone(phone, language, zone) for phone in newest[:SHOWN])
    list_ = f'<ul class="phones">{shown}</ul>' if shown else f'<p class="empty">{say["nobody"]}</p>'
    other, name = ("en", "English") if language == "zh-CN" else ("zh-CN", "中文")
    pause = f"?lang={language}&amp;live={0 if is_live else 1}"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{say['title']}</title><style>{STYLE}</style></head><body>"
        f'<header class="top"><h1>{say["title"]}</h1><nav aria-label="{say["page"]}">'
        f'<a href="{pause}">{say["pause"] if is_live else say["live"]}</a> · '
        f'<a href="?lang={other}" lang="{other}" hreflang="{other}">{name}</a></nav></header>'
        f"<main><p>{say['about']}</p>{_lever(simulator, language)}{parts[0](language)}"
        f"<h2>{say['phones'].format(n=len(phones))}</h2>{list_}{''.join(part(language) for part in parts[1:])}"
        "</main></body></html>"
    )


def _lever(simulator: Simulator, language: str) -> str:
    say = words(language)
    rules = simulator.script.to_json()["rules"]
    current = next((name for name in PRESETS if parse(script(name), ANSWERS).to_json()["rules"] == rules), "")
    options = "".join(
        f'<option value="{name}"{" selected" if name == current else ""}>{say[f"preset_{name}"]}</option>'
        for name in PRESETS
    )
    state = say["works"] if current == USUAL else say["fails"]
    return (
        f'<form method="post" action="/demo/outbox"><input type="hidden" name="lang" value="{language}">'
        f'<label for="preset">{say["lever"]}</label><select id="preset" name="preset">{options}</select>'
        f"<button>{say['set']}</button><span>{state}</span></form>"
    )


def _phone(phone: dict[str, Any], language: str, zone: tzinfo | None) -> str:
    texts = "".join(_message(message, language, zone) for message in phone["messages"][-LAST:])
    return f'<li class="phone"><div class="screen"><h3>{escape(str(phone["number"]))}</h3><ol>{texts}</ol></div></li>'


def _message(message: dict[str, Any], language: str, zone: tzinfo | None) -> str:
    status = str(message.get("status", ""))
    said = STATES.get(status, {}).get(language, status)
    at = datetime.fromisoformat(str(message["at"])).astimezone(zone)
    bad = " bad" if status in ("failed", "undelivered") else ""
    return (
        f'<li><p class="bubble">{escape(str(message["body"]))}</p>'
        f'<p class="about{bad}"><time datetime="{at.isoformat()}">{at:%H:%M:%S}</time> · {escape(said)}</p></li>'
    )
