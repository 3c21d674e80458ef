"""A telephone in the demo: a person calls the hub, presses keys, speaks, hangs up, and reads what he hears."""

from collections.abc import Callable, Collection
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from simulators.demo_page import HEADERS, STYLE, is_from_here
from simulators.switchboard import DeskCall
from simulators.twilio_state import Simulator
from simulators.twiml import Do
from simulators.voice import Call

SHOWN = 8  # calls on the page of the phones
NUMBER = "+8613800138000"
_WORDS = {
    "zh-CN": {
        "title": "【演示】拨打值班电话", "calls": "{n} 个来电", "nobody": "还没有人打过值班电话。", "call": "拨打值班电话",
        "number": "主叫号码", "ring": "拨打", "heard": "听到", "keys": "按键", "press": "按下", "speech": "说出地点",
        "say": "说", "words": "对着话筒说（识别结果）", "seconds": "秒数", "done": "说完按 #", "leave": "说着挂断",
        "wait": "什么也不按", "hang_up": "挂断", "desk": "呼叫值班座席（人工接听）",
        "rings": "座席正在响铃", "answer": "值班员甲接听",
        "talks": "座席通话中", "over": "通话已结束", "back": "返回模拟手机", "going": "通话中",
    },
    "en": {
        "title": "Demo: call the duty line", "calls": "{n} calls", "nobody": "Nobody has called the duty line yet.",
        "call": "Call the duty line", "number": "Calling number", "ring": "Call", "heard": "Heard", "keys": "Keys",
        "press": "Press", "speech": "Say the place", "say": "Say", "words": "Speak (what is understood)",
        "seconds": "Seconds", "done": "Finish with #", "leave": "Hang up while speaking", "wait": "Press nothing",
        "desk": "Ring the desk (a person answers)", "rings": "Ringing at the desk", "answer": "Officer A answers",
        "talks": "On the line with the desk", "hang_up": "Hang up", "over": "The call is over",
        "back": "Back to the phones", "going": "going on",
    },
}  # fmt: skip


class Booth:
    """The calls that people make from the page, newest last."""

    def __init__(self, simulator: Simulator, *, hosts: Collection[str], desk_url: str) -> None:
        """`desk_url`: the hub's door for its telephone system, with the token."""
        self._simulator, self._hosts, self._desk_url = simulator, hosts, desk_url
        self._calls: dict[str, Call] = {}
        self._desk: dict[str, DeskCall] = {}

    def routes(self) -> list[Route]:
        """``/demo/call``."""
        return [
            Route("/demo/call", self._show, methods=["GET"]),
            Route("/demo/call", self._act, methods=["POST"]),
        ]

    def section(self) -> Callable[[str], str]:
        """A function from a language to the HTML of the calls, for the page of the phones."""

        def shown(language: str) -> str:
            say, calls = _WORDS[language], list(self._calls.values())[-SHOWN:][::-1]
            items = "".join(_item(call, language) for call in calls)
            found = f'<ul class="phones">{items}</ul>' if items else f'<p class="empty">{say["nobody"]}</p>'
            link = f'<p><a href="/demo/call?lang={language}">{say["call"]}</a></p>'
            return f"<h2>{say['calls'].format(n=len(self._calls))}</h2>{link}{found}"

        return shown

    async def _show(self, request: Request) -> Response:
        language = "en" if request.query_params.get("lang") == "en" else "zh-CN"
        sid = request.query_params.get("sid", "")
        call = self._calls.get(sid)
        desk = self._desk.get(sid)
        shown = _at_desk(desk, language) if desk else _going(call, language) if call else _ring(language)
        body = _page(shown, sid if call or desk else "", language)
        return HTMLResponse(body, headers={**HEADERS, "Content-Language": language})

    async def _act(self, request: Request) -> Response:
        if not is_from_here(request, self._hosts):
            return JSONResponse({"detail": "not from this page"}, 403)
        form = {name: str(value)[:500] for name, value in (await request.form()).items()}
        language = "en" if form.get("lang") == "en" else "zh-CN"
        call, desk = self._calls.get(form.get("sid", "")), self._desk.get(form.get("sid", ""))
        if desk is not None or form.get("act") == "desk":
            sid = await self._at_desk(desk, form)
            return RedirectResponse(f"/demo/call?lang={language}&sid={sid}", 303, HEADERS)
        if call is None:
            call = Call(simulator=self._simulator, number=form.get("number", "").strip() or NUMBER)
            self._calls[call.sid] = call
            await call.ring()
        elif not call.is_over:
            await _do(call, form)
        return RedirectResponse(f"/demo/call?lang={language}&sid={call.sid}", 303, HEADERS)

    async def _at_desk(self, desk: DeskCall | None, form: dict[str, str]) -> str:
        """Ring the desk, or go on with a call that rings there; its name."""
        if desk is None:
            desk = DeskCall(url=self._desk_url, number=form.get("number", "").strip() or NUMBER)
            self._desk[desk.sid] = desk
            await desk.ring()
        elif form.get("act") == "answer" and "answer" not in desk.told:
            await desk.answer("officer")
        elif form.get("act") == "hang_up" and not desk.is_over:
            await desk.hang_up()
        return desk.sid


async def _do(call: Call, form: dict[str, str]) -> None:
    act, seconds = form.get("act", ""), form.get("seconds", "")
    if act == "hang_up":
        await call.hang_up()
    elif act == "wait":
        await call.wait()
    elif call.heard.do is Do.GATHER:
        await (call.say(form.get("speech", "")) if act == "say" else call.press(form.get("keys", "")))
    elif call.heard.do is Do.RECORD:
        length = int(seconds) if seconds.isdigit() else 5
        await call.speak(form.get("words", ""), seconds=max(length, 1), hangs_up=act == "leave")


def _page(body: str, sid: str, language: str) -> str:
    say = _WORDS[language]
    other, name = ("en", "English") if language == "zh-CN" else ("zh-CN", "中文")
    of_call = f"&amp;sid={sid}" if sid else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{say['title']}</title><style>{STYLE}</style></head><body>"
        f'<header class="top"><h1>{say["title"]}</h1><nav><a href="/demo/outbox?lang={language}">{say["back"]}</a> · '
        f'<a href="?lang={other}{of_call}" lang="{other}" hreflang="{other}">{name}</a></nav></header>'
        f"<main>{body}</main></body></html>"
    )


def _at_desk(desk: DeskCall, language: str) -> str:
    say = _WORDS[language]
    state = say["over"] if desk.is_over else say["talks"] if "answer" in desk.told else say["rings"]
    acts = [] if "answer" in desk.told else [("answer", say["answer"])]
    forms = "" if desk.is_over else _form(language, desk.sid, "", [*acts, ("hang_up", say["hang_up"])])
    return f'<h2>{escape(desk.number)} · {state}</h2>{forms}<p><a href="/demo/call?lang={language}">{say["call"]}</a></p>'


def _ring(language: str) -> str:
    say = _WORDS[language]
    return _form(
        language, "", f'<label for="number">{say["number"]}</label><input id="number" name="number" value="{NUMBER}">',
        [("ring", say["ring"]), ("desk", say["desk"])],
    )  # fmt: skip


def _going(call: Call, language: str) -> str:
    say = _WORDS[language]
    heard = "".join(f'<li><p class="bubble">{escape(words)}</p></li>' for words in call.story)
    story = f"<h2>{escape(call.number)} · {say['heard']}</h2><ol>{heard}</ol>"
    if call.is_over:
        return f'{story}<p class="empty">{say["over"]} · <a href="/demo/call?lang={language}">{say["call"]}</a></p>'
    forms = ""
    if call.heard.do is Do.GATHER:
        keys = (
            f'<label for="keys">{say["keys"]}</label><input id="keys" name="keys" inputmode="tel" autofocus>'
        )
        forms += _form(language, call.sid, keys, [("press", say["press"]), ("wait", say["wait"])])
        if "speech" in call.heard.ways.get("input", ""):
            words = f'<label for="speech">{say["speech"]}</label><input id="speech" name="speech">'
            forms += _form(language, call.sid, words, [("say", say["say"])])
    elif call.heard.do is Do.RECORD:
        words = (
            f'<label for="words">{say["words"]}</label><input id="words" name="words" size="40" autofocus>'
            f'<label for="seconds">{say["seconds"]}</label><input id="seconds" name="seconds" value="20" size="4">'
        )
        forms += _form(language, call.sid, words, [("done", say["done"]), ("leave", say["leave"])])
    return story + forms + _form(language, call.sid, "", [("hang_up", say["hang_up"])])


def _form(language: str, sid: str, fields: str, acts: list[tuple[str, str]]) -> str:
    buttons = "".join(f'<button name="act" value="{name}">{words}</button>' for name, words in acts)
    return (
        f'<form method="post" action="/demo/call"><input type="hidden" name="lang" value="{language}">'
        f'<input type="hidden" name="sid" value="{sid}">{fields}{buttons}</form>'
    )


def _item(call: Call, language: str) -> str:
    say = _WORDS[language]
    state = say["over"] if call.is_over else say["going"]
    heard = "".join(f'<li><p class="bubble">{escape(words)}</p></li>' for words in call.story[-2:])
    link = f'<a href="/demo/call?lang={language}&amp;sid={call.sid}">{escape(call.number)}</a>'
    return f'<li class="phone"><div class="screen"><h3>{link}</h3><ol>{heard}</ol><p class="about">{state}</p></div></li>'
