"""The message templates: versioned, sandboxed, and the words they make of a release."""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domain.artefact import Purpose
from domain.errors import BadInput, Flaw, NotFound
from domain.handling import Mode
from domain.release import Colour, Kind

LANGUAGES = ("zh-CN", "en")
_NEEDED = ("number", "issuer", "mode", "zone", "areas", "sent", "expires", "fields")
_TEXT_CHANNELS = {"sms": "sms.{}.txt", "web_notice": "web_notice.{}.html"}

# 突发事件应对法 art. 63: four levels, red the first. The words are those of warning titles in use.
_COLOURS = {
    Colour.RED: {"zh-CN": ("红色", "Ⅰ级", "特别严重"), "en": ("red", "Level I", "extreme")},
    Colour.ORANGE: {"zh-CN": ("橙色", "Ⅱ级", "严重"), "en": ("orange", "Level II", "severe")},
    Colour.YELLOW: {"zh-CN": ("黄色", "Ⅲ级", "较重"), "en": ("yellow", "Level III", "moderate")},
    Colour.BLUE: {"zh-CN": ("蓝色", "Ⅳ级", "一般"), "en": ("blue", "Level IV", "minor")},
}
_MARKS = {
    Mode.DEMO: {
        "zh-CN": ("【演示】", "演示信息，并非真实发布"),
        "en": ("[TEST]", "Demonstration only: not a real message"),
    },
    Mode.EXERCISE: {
        "zh-CN": ("【演练】", "演练信息"),
        "en": ("[EXERCISE]", "This is an exercise message"),
    },
}
# What would pass for our marks, or deny them: the Hawaii text of 2018 said "This is not a drill".
_RESERVED = re.compile(
    r"【\s*演[示练习]\s*】|\[\s*(?:TEST|EXERCISE|DRILL)\s*\]|不是演[习练示]|not\s+a\s+drill", re.IGNORECASE
)
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn a line round
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A value that an author gives. `options` of an enum: value -> language -> words."""

    name: str
    type: str  # text | enum | datetime | number
    labels: Mapping[str, str]
    example: str | int
    is_required: bool = True
    max_length: int = 0  # characters of a text
    least: int = 0  # of a number
    most: int = 0
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template; the version is pinned into the draft and never changes afterwards."""

    id: str
    version: int
    kind: Kind
    event_code: str
    names: Mapping[str, str]  # language -> name in the list of templates
    events: Mapping[str, str]  # language -> name of the event, as CAP event
    needs_colour: bool
    fields: tuple[Field, ...]
    channels: tuple[str, ...]
    policy: Mapping[str, Any]  # hints: longest_hours, needs_lifting

    @property
    def example_fields(self) -> dict[str, str | int]:
        """A complete set of fields that check_fields() accepts."""
        return {f.name: f.example for f in self.fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The texts of one language of a CAP alert."""

    headline: str
    description: str
    instruction: str


@lru_cache(maxsize=1)
def library() -> Mapping[str, Template]:
    """id -> the newest version of each template."""
    newest: dict[str, Template] = {}
    for found in sorted(_versions().values(), key=lambda t: (t.id, t.version)):
        newest[found.id] = found
    return newest


def pinned(template_id: str, version: int) -> Template:
    """The version that a draft was written with. Raises NotFound."""
    try:
        return _versions()[template_id, version]
    except KeyError:
        raise NotFound("no such template or version") from None


def check_fields(template: Template, fields: Mapping[str, Any]) -> list[Flaw]:
    """What is wrong with an author's fields; pointers are ``/fields/<name>``.

    Values are data and never compiled: ``{{ 7*7 }}`` in a value is printed as it stands.
    """
    known = {f.name: f for f in template.fields}
    flaws = [Flaw(f"/fields/{_token(name)}", "unknown field") for name in fields if name not in known]
    for name, wanted in known.items():
        value = fields.get(name)
        if value is None or value == "":
            detail = "is required" if wanted.is_required else ""
        else:
            detail = _CHECKS[wanted.type](wanted, value)
        if detail:
            flaws.append(Flaw(f"/fields/{name}", detail))
    return flaws


def render(
    template: Template, purpose: Purpose, channel: str, language: str, context: Mapping[str, Any]
) -> str:
    """The text of an SMS, or the inner HTML of a web notice.

    `context`: number (the short number: 第12号), issuer (text, or language -> text), mode, zone (tzinfo),
    areas (language -> names, or names), sent, expires, fields; and where there are any: update (which one:
    更新2), colour (Colour), effective, onset. Times are aware. In a demo or exercise the text starts and ends
    with the mark. Raises BadInput when a value is missing, NotFound for a channel or language without a text.
    """
    if channel not in _TEXT_CHANNELS or channel not in template.channels:
        raise NotFound("this template has no text for that channel")
    found = _load(template, purpose, _TEXT_CHANNELS[channel], language)
    values = _values(template, language, context)
    with_mark = _marked_html if channel == "web_notice" else _marked
    try:
        body = found.render(values)
    except (TemplateError, TypeError, ValueError) as error:
        raise _incomplete(template, error) from None
    return with_mark(body if channel == "web_notice" else _flow(body, language), context, language)


def parts(template: Template, purpose: Purpose, language: str, context: Mapping[str, Any]) -> Parts:
    """Headline, description and instruction of a CAP info; context and errors as of render()."""
    found = _load(template, purpose, "feed.{}.txt", language)
    try:
        module = found.make_module(_values(template, language, context))
        texts = {name: _flow(str(getattr(module, name)()), language) for name in Parts.__slots__}
    except (TemplateError, TypeError, ValueError) as error:
        raise _incomplete(template, error) from None
    return Parts(**{name: _marked(text, context, language) for name, text in texts.items()})


def headline(template: Template, purpose: Purpose, language: str, context: Mapping[str, Any]) -> str:
    """The headline alone; context and errors as of render()."""
    return parts(template, purpose, language, context).headline


def marked(text: str, mode: Mode, language: str) -> str:
    """`text` between the marks of a demo or an exercise; unchanged in a live hub."""
    return _marked(text, {"mode": mode}, language)


def colour_name(colour: Colour, language: str) -> str:
    """橙色 / orange."""
    return _COLOURS[colour][language][0]


def level_name(colour: Colour, language: str) -> str:
    """Ⅱ级/严重 / Level II, severe."""
    _, level, word = _COLOURS[colour][language]
    return f"{level}/{word}" if language == "zh-CN" else f"{level}, {word}"


# ---- reading the package's files


@lru_cache(maxsize=1)
def _versions() -> Mapping[tuple[str, int], Template]:
    found = (
        _read(version)
        for name in files("templates").joinpath("messages").iterdir()
        if name.is_dir()
        for version in name.iterdir()
        if version.joinpath("template.toml").is_file()
    )
    return {(t.id, t.version): t for t in found}


def _read(place: Traversable) -> Template:
    row = tomllib.loads(place.joinpath("template.toml").read_text(encoding="utf-8"))
    return Template(
        id=row["id"],
        version=row["version"],
        kind=Kind(row["kind"]),
        event_code=row["event_code"],
        names=row["names"],
        events=row["events"],
        needs_colour=row["needs_colour"],
        fields=tuple(Field(**f) for f in row["fields"]),
        channels=tuple(row["channels"]),
        policy=row.get("policy", {}),
    )


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    env = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        autoescape=lambda name: bool(name and name.endswith(".html")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.clear()  # no range, lipsum, cycler: a message needs none of them
    env.filters.update(clock=_clock, moment=_moment, stamp=_stamp, iso=_iso)
    return env


def _source(name: str) -> str | None:
    place = files("templates").joinpath("messages", *name.split("/"))
    return place.read_text(encoding="utf-8") if place.is_file() else None


def _load(template: Template, purpose: Purpose, form: str, language: str) -> Any:
    prefix = "" if purpose is Purpose.MAIN else f"{purpose}."
    name = f"{template.id}/{template.version}/{prefix}{form.format(language)}"
    if language not in LANGUAGES or _source(name) is None:  # the language becomes part of a path
        raise NotFound("this template has no text for that channel and language")
    return _environment().get_template(name)


def _incomplete(template: Template, error: Exception) -> BadInput:
    return BadInput(
        f"template {template.id}/{template.version} lacks a value: {type(error).__name__}", code="incomplete"
    )


# ---- what a template sees


def _values(template: Template, language: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """The context with the words of one language in place of codes."""
    if missing := [name for name in _NEEDED if name not in context]:
        raise BadInput("missing for the text: " + ", ".join(missing), code="incomplete")
    colour = context.get("colour")
    if template.needs_colour and colour is None:
        raise BadInput("this template needs a colour", code="incomplete")
    name, level, word = _COLOURS[Colour(colour)][language] if colour else ("", "", "")
    given = context["fields"]
    fields = {f.name: given.get(f.name) if given.get(f.name) is not None else "" for f in template.fields}
    chosen = {
        f.name: f.options[fields[f.name]][language] for f in template.fields if fields[f.name] in f.options
    }
    return {
        "number": str(context["number"]),
        "update": context.get("update") or 0,
        "issuer": _in(context["issuer"], language),
        "event": template.events[language],
        "colour": str(Colour(colour)) if colour else "",
        "colour_name": name,
        "level": level,
        "level_word": word,
        "areas": _joined(_in(context["areas"], language), language),
        "sent": context["sent"],
        "start": context.get("onset") or context.get("effective") or context["sent"],
        "expires": context["expires"],
        "fields": fields,
        "chosen": chosen,
        "zone": context["zone"],
        "language": language,
    }


def _in(value: Any, language: str) -> Any:
    """The words of that language, else the first there are."""
    if isinstance(value, Mapping):
        return value.get(language) or next(iter(value.values()))
    return value


def _joined(names: Sequence[str], language: str) -> str:
    if language == "zh-CN":
        return "、".join(names)
    return " and ".join(n for n in (", ".join(names[:-1]), *names[-1:]) if n)


def _flow(text: str, language: str) -> str:
    """Template lines become running text; an empty line starts a paragraph."""
    between = "" if language == "zh-CN" else " "
    paragraphs = re.split(r"\n[ \t]*\n", text.strip())
    return "\n".join(
        between.join(line.strip() for line in p.splitlines() if line.strip()) for p in paragraphs
    )


def _marked(text: str, context: Mapping[str, Any], language: str) -> str:
    if (mode := Mode(context["mode"])) not in _MARKS or not text:
        return text
    mark = _MARKS[mode][language][0]
    return f"{mark}{text}{mark}" if language == "zh-CN" else f"{mark} {text} {mark}"


def _marked_html(body: str, context: Mapping[str, Any], language: str) -> str:
    if (mode := Mode(context["mode"])) not in _MARKS:
        return body.strip() + "\n"
    mark, words = _MARKS[mode][language]
    line = f'<p class="mark">{mark} {words} {mark}</p>'
    return f"{line}\n{body.strip()}\n{line}\n"


# ---- filters: every time is shown in the zone of the context


def _local(context: Context, value: datetime | str) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    zone: tzinfo = context["zone"]
    if at.tzinfo is None:
        raise ValueError("naive time")
    return at.astimezone(zone)


@pass_context
def _clock(context: Context, value: datetime | str) -> str:
    """14:05."""
    return f"{_local(context, value):%H:%M}"


@pass_context
def _moment(context: Context, value: datetime | str) -> str:
    """11月23日14:05 / 14:05 on 23 November."""
    at = _local(context, value)
    if context["language"] == "zh-CN":
        return f"{at.month}月{at.day}日{at:%H:%M}"
    return f"{at:%H:%M} on {at.day} {_MONTHS[at.month - 1]}"


@pass_context
def _stamp(context: Context, value: datetime | str) -> str:
    """2026年11月23日14:05 / 14:05 on 23 November 2026."""
    at = _local(context, value)
    return (
        f"{at.year}年{_moment(context, at)}"
        if context["language"] == "zh-CN"
        else f"{_moment(context, at)} {at.year}"
    )


@pass_context
def _iso(context: Context, value: datetime | str) -> str:
    """2026-11-23T14:05:00+08:00, for <time datetime>."""
    return _local(context, value).replace(microsecond=0).isoformat()


# ---- checks of one value: '' or what is wrong


def _text_flaw(wanted: Field, value: Any) -> str:
    if not isinstance(value, str):
        return "is a text"
    if len(value) > wanted.max_length:
        return f"has at most {wanted.max_length} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in _DIRECTION for c in value):
        return "holds a control character or a line break"
    if _RESERVED.search(value):
        return "holds words that are kept for marking exercises"
    return "" if value.strip() else "is blank"


def _enum_flaw(wanted: Field, value: Any) -> str:
    is_known = isinstance(value, str) and value in wanted.options
    return "" if is_known else "is one of " + ", ".join(wanted.options)


def _datetime_flaw(wanted: Field, value: Any) -> str:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        at = None
    return (
        ""
        if isinstance(at, datetime) and at.tzinfo
        else "is a time with its offset, such as 2026-11-23T14:05:00+08:00"
    )


def _number_flaw(wanted: Field, value: Any) -> str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_inside = is_whole and wanted.least <= value <= wanted.most
    return "" if is_inside else f"is a whole number from {wanted.least} to {wanted.most}"


_CHECKS: Mapping[str, Callable[[Field, Any], str]] = {
    "text": _text_flaw,
    "enum": _enum_flaw,
    "datetime": _datetime_flaw,
    "number": _number_flaw,
}


def _token(name: object) -> str:
    """A JSON pointer token (RFC 6901 §3), bounded: the name is the caller's."""
    return str(name)[:40].replace("~", "~0").replace("/", "~1")
