"""The pages of the desk: one Jinja2 environment, its words in two languages, its times in one zone."""

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from domain.errors import Flaw
from templates.sheet import style_name

LANGUAGES = ("zh-CN", "en")
SOURCE = "zh-CN"  # what the pages are written in; other languages have a catalogue
SCRIPTS = ("htmx", "hx-sse", "desk")  # in the order in which a page needs them
_STEPS = ((86400, "{n} 天", "{n} d"), (3600, "{n} 小时", "{n} h"), (60, "{n} 分钟", "{n} min"))


def render(name: str, *, language: str, zone: tzinfo, at: datetime, **values: Any) -> str:
    """The page `name` of templates/console; `at` is what ages are counted from."""
    page = _environment().get_template(name)
    return page.render(
        language=language, zone=zone, at=at, _=translator(language), style_name=style_name("console"),
        script_names=list(scripts()), **values,
    )  # fmt: skip


def translator(language: str) -> Callable[[str], str]:
    """A function from the Chinese source text to that of `language`; the source where there is none."""
    catalogue = catalogues().get(language, {})
    return lambda text: catalogue.get(text) or text


def word(section: str, code: object, language: str) -> str:
    """What a code is called, e.g. word("report_state", "filed", "en"); an unknown code stays as it is."""
    found = codes().get(section, {}).get(str(code))
    return translator(language)(found) if found else str(code)


def confirm_word(act: str, mode: str, language: str) -> str:
    """What is typed to confirm an ending: another word in an exercise, so that no hand does it by habit."""
    table = _read_codes()["confirm"][language]
    return str(table.get(mode, "") + table[act])


def explain(flaw: Flaw, language: str) -> str:
    """What is wrong with a field, in the reader's language; the rooms below speak English."""
    if language != SOURCE:
        return flaw.detail
    return _meaning("flaws", flaw.detail) or f"填写有误（{flaw.detail}）"


def note(text: str, language: str) -> str:
    """What a reader of messages remarked beside a fact, in the reader's language."""
    return _meaning("notes", text) or text if language == SOURCE else text


@lru_cache(maxsize=1)
def scripts() -> Mapping[str, bytes]:
    """Address -> bytes of the scripts in templates/console/static; an address changes with its bytes."""
    place = files("templates").joinpath("console", "static")
    found = {name: place.joinpath(f"{name}.js").read_bytes() for name in SCRIPTS}
    return {f"{name}-{hashlib.sha256(body).hexdigest()[:12]}.js": body for name, body in found.items()}


@lru_cache(maxsize=1)
def catalogues() -> Mapping[str, Mapping[str, str]]:
    """language -> source text -> translation."""
    found: dict[str, Mapping[str, str]] = {}
    for language in LANGUAGES:
        place = files("templates").joinpath("locale", f"{language}.po")
        if language != SOURCE:
            rows = read_po(BytesIO(place.read_bytes()))
            found[language] = {str(row.id): str(row.string) for row in rows if row.id and row.string}
    return found


def codes() -> Mapping[str, Mapping[str, str]]:
    """section -> code -> Chinese word."""
    words: Mapping[str, Mapping[str, str]] = _read_codes()["words"]
    return words


def _meaning(table: str, text: str) -> str:
    """The Chinese of an English sentence of the rooms below; '' if none of the patterns fits."""
    for row in _read_codes()[table]:
        if found := re.fullmatch(row["says"], text, re.DOTALL):
            return str(row["means"]).format(*found.groups())
    return ""


@lru_cache(maxsize=1)
def _read_codes() -> Mapping[str, Any]:
    return tomllib.loads(files("templates").joinpath("locale", "codes.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("templates", "console"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        when=_when,
        clock=_clock,
        age=_age,
        left=_left,
        until=_until,
        span=_span,
        size=_size,
        say=_say,
        explain=_explain,
        lines=_lines,
        anchor=_anchor,
        note=_note,
        hands=_hands,
        moment=_moment,
        elapsed=_elapsed,
    )
    return env


def words_for(at: datetime, zone: tzinfo, language: str) -> str:
    """2026年11月23日 14:05 / 14:05, 23 Nov 2026."""
    local = at.astimezone(zone)
    if language == SOURCE:
        return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
    return f"{local:%H:%M}, {local.day} {local:%b} {local.year}"


@pass_context
def _when(context: Context, at: datetime) -> Markup:
    """A full time for the reader and for machines."""
    return _time(context, at, words_for(at, context["zone"], context["language"]))


@pass_context
def _clock(context: Context, at: datetime) -> Markup:
    """Today 14:05:09, else 11-22 14:05."""
    local, now = at.astimezone(context["zone"]), context["at"].astimezone(context["zone"])
    return _time(context, at, f"{local:%H:%M:%S}" if local.date() == now.date() else f"{local:%m-%d %H:%M}")


@pass_context
def _moment(context: Context, text: str) -> Markup | str:
    """A time written by a program, as a person reads it; anything else stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return _when(context, at) if at.tzinfo else text


@pass_context
def _hands(context: Context, at: datetime) -> str:
    """14:05:09, the clock on the wall."""
    return f"{at.astimezone(context['zone']):%H:%M:%S}"


@pass_context
def _elapsed(context: Context, since: datetime) -> Markup:
    """How long it has been going on, 3:05; the page's script counts on from there."""
    seconds = max(0, int((context["at"] - since) / timedelta(seconds=1)))
    shown = f"{seconds // 60}:{seconds % 60:02d}"
    return Markup('<span class="num" data-since="{}">{}</span>').format(since.isoformat(), shown)


@pass_context
def _age(context: Context, at: datetime) -> Markup:
    """How long ago: 12 分钟 / 12 min."""
    seconds = max(0, int((context["at"] - at) / timedelta(seconds=1)))
    for step, chinese, english in _STEPS:
        if seconds >= step:
            return _time(
                context, at, (chinese if context["language"] == SOURCE else english).format(n=seconds // step)
            )
    return _time(context, at, context["_"]("刚刚"))


@pass_context
def _left(context: Context, at: datetime) -> str:
    """How long until then: 10 小时 16 分 / 10 h 16 min."""
    minutes = max(0, int((at - context["at"]) / timedelta(minutes=1)))
    shape = "{h} 小时 {m} 分" if context["language"] == SOURCE else "{h} h {m} min"
    return shape.format(h=minutes // 60, m=minutes % 60)


@pass_context
def _until(context: Context, at: datetime) -> Markup:
    """How long until then, or since: 剩 12 分 / 超 3 分; 12 min left / 3 min over."""
    ahead = at - context["at"]
    shape = ("剩 {t}", "{t} left") if ahead > timedelta() else ("超 {t}", "{t} over")
    shown = shape[context["language"] != SOURCE].format(t=_span(context, abs(ahead)))
    return _time(context, at, shown)


@pass_context
def _span(context: Context, span: timedelta) -> str:
    """A length of time: 35 分, 1 小时 5 分, 40 秒; 35 min, 1 h 5 min, 40 s."""
    seconds = int(span.total_seconds())
    names = ("天", "小时", "分", "秒") if context["language"] == SOURCE else ("d", "h", "min", "s")
    parts = zip((seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60), names, strict=False)
    return " ".join(f"{n} {name}" for n, name in parts if n) or f"{seconds} {names[3]}"


def _time(context: Context, at: datetime, shown: str) -> Markup:
    local = at.astimezone(context["zone"]).replace(microsecond=0)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        local.isoformat(), words_for(at, context["zone"], context["language"]), shown
    )


def _size(count: int) -> str:
    """Bytes in the unit that a person would say."""
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"


@pass_context
def _say(context: Context, code: object, section: str) -> str:
    return word(section, code, context["language"])


@pass_context
def _explain(context: Context, flaw: Flaw) -> str:
    return explain(flaw, context["language"])


@pass_context
def _note(context: Context, text: str) -> str:
    return note(text, context["language"])


def _lines(text: str) -> Markup:
    """A stranger's text line by line, each with its own direction."""
    return Markup("\n").join(
        Markup('<span dir="auto">{}</span>').format(escape(line)) for line in text.split("\n")
    )


def _anchor(pointer: str) -> str:
    """The id of the form field that a JSON pointer speaks of: /areas/0 -> f-areas."""
    parts = pointer.split("/")[1:]
    kept = parts if parts[:1] in (["fields"], ["artefacts"]) else parts[:1]
    return "-".join(["f", *kept])
