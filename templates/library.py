"""The message templates: versioned, sandboxed, and the words they make of a release."""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
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
from templates import guard, moments, shape

LANGUAGES = ("zh-CN", "en")
_NEEDED = ("number", "issuer", "mode", "zone", "areas", "sent", "expires", "fields")
# channel -> its file, and what makes the channel's text of the rendered one
_TEXT_CHANNELS: Mapping[str, tuple[str, Callable[[str, Mode, str], str]]] = {
    "sms": ("sms.{}.txt", shape.message),
    "email": ("email.{}.txt", shape.letter),
    "telegram": ("telegram.{}.txt", shape.post),
    "web_notice": ("web_notice.{}.html", shape.page),
    "broadcast": ("broadcast.{}.txt", shape.script),
}

# 突发事件应对法 art. 63: four levels, red the first. The words are those of warning titles in use.
_COLOURS = {
    Colour.RED: {"zh-CN": ("红色", "Ⅰ级", "特别严重"), "en": ("red", "Level I", "extreme")},
    Colour.ORANGE: {"zh-CN": ("橙色", "Ⅱ级", "严重"), "en": ("orange", "Level II", "severe")},
    Colour.YELLOW: {"zh-CN": ("黄色", "Ⅲ级", "较重"), "en": ("yellow", "Level III", "moderate")},
    Colour.BLUE: {"zh-CN": ("蓝色", "Ⅳ级", "一般"), "en": ("blue", "Level IV", "minor")},
}
# What would pass for our marks, or deny them: the Hawaii text of 2018 said "This is not a drill".
_RESERVED = re.compile(
    r"【\s*演[示练习]\s*】|\[\s*(?:TEST|EXERCISE|DRILL)\s*\]|不是演[习练示]|not\s+a\s+drill", re.IGNORECASE
)
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn a line round


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A value that an author gives. `options` of an enum: value -> language -> words."""

    name: str
    type: str  # text | enum | datetime | number | decimal
    labels: Mapping[str, str]
    example: str | int
    is_required: bool = True
    max_length: int = 0  # characters of a text
    least: int = 0  # of a number or decimal
    most: int = 0
    places: int = 0  # digits after the point of a decimal, which is a text: "5.4" (manifests hold no floats)
    is_past: bool = False  # a datetime that has happened
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
    """The text of an SMS, a letter (first line its subject), a script, or the inner HTML of a web notice.

    `context`: number (the short number: 第12号), issuer (text, or language -> text), mode, zone (tzinfo),
    areas (language -> names, or names), sent, expires, fields; and where there are any: colour (Colour),
    effective, onset, update (0 for a first message, else 2, 3, ...) and previous, the message that an update
    replaces, with sent and colour. Times are aware. In a demo or exercise the text starts and ends with the
    mark. Raises BadInput when a value is missing, NotFound for a channel or language without a text.
    """
    if channel not in _TEXT_CHANNELS or channel not in template.channels:
        raise NotFound("this template has no text for that channel")
    form, shaped = _TEXT_CHANNELS[channel]
    found = _load(template, purpose, form, language)
    values = _values(template, language, context)
    try:
        return shaped(found.render(values), Mode(context["mode"]), language)
    except (TemplateError, TypeError, ValueError) as error:
        raise _incomplete(template, error) from None


def parts(template: Template, purpose: Purpose, language: str, context: Mapping[str, Any]) -> Parts:
    """Headline, description and instruction of a CAP info; context and errors as of render()."""
    found = _load(template, purpose, "feed.{}.txt", language)
    try:
        module = found.make_module(_values(template, language, context))
        texts = {name: str(getattr(module, name)()) for name in Parts.__slots__}
    except (TemplateError, TypeError, ValueError) as error:
        raise _incomplete(template, error) from None
    mode = Mode(context["mode"])
    return Parts(**{name: shape.message(text, mode, language) for name, text in texts.items()})


def headline(template: Template, purpose: Purpose, language: str, context: Mapping[str, Any]) -> str:
    """The headline alone; context and errors as of render()."""
    return parts(template, purpose, language, context).headline


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
        loader=FunctionLoader(_checked),
        undefined=StrictUndefined,
        autoescape=lambda name: bool(name and name.endswith(".html")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.clear()  # no range, lipsum, cycler: a message needs none of them
    env.filters.update(
        clock=_clock,
        moment=_moment,
        stamp=_stamp,
        iso=_iso,
        spoken_clock=_spoken_clock,
        spoken=_spoken,
        flow=_flow,
    )
    return env


def _checked(name: str) -> str | None:
    """What is about to be compiled. Raises BadInput when it holds more than a message needs."""
    source = _source(name)
    if source is not None and (flaws := guard.check(source)):
        raise BadInput(f"template {name}", code="bad_template", flaws=flaws)
    return source


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
    # what is required and missing stays undefined, so that the text that uses it is refused and never has a hole
    fields = {
        f.name: _given(given, f) for f in template.fields if not f.is_required or _given(given, f) != ""
    }
    chosen = {
        f.name: f.options[fields[f.name]][language]
        for f in template.fields
        if fields.get(f.name) in f.options
    }
    return {
        "number": str(context["number"]),
        "update": context.get("update") or 0,
        **_of_previous(context.get("previous"), colour, language),
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


def _given(fields: Mapping[str, Any], wanted: Field) -> Any:
    value = fields.get(wanted.name)
    return "" if value is None else value


def _of_previous(previous: Any, colour: Colour | str | None, language: str) -> dict[str, Any]:
    """What a text says of the message that it replaces; change is raised, lowered or kept, or '' of no colour."""
    if previous is None:
        return {"change": "", "previous_sent": "", "previous_colour_name": ""}
    if not previous.colour or not colour:
        return {"change": "", "previous_sent": previous.sent, "previous_colour_name": ""}
    before, ranks = Colour(previous.colour), list(Colour)  # red, the first level, comes first
    step = ranks.index(Colour(colour)) - ranks.index(before)
    return {
        "change": "raised" if step < 0 else "lowered" if step else "kept",
        "previous_sent": previous.sent,
        "previous_colour_name": colour_name(before, language),
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


# ---- filters: every time is shown in the zone and language of the context


def _local(context: Context, value: datetime | str | int | None) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    zone: tzinfo = context["zone"]
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ValueError("no time with its offset")
    return at.astimezone(zone)


@pass_context
def _clock(context: Context, value: datetime | str) -> str:
    return moments.clock(_local(context, value))


@pass_context
def _moment(context: Context, value: datetime | str) -> str:
    return moments.moment(_local(context, value), context["language"])


@pass_context
def _stamp(context: Context, value: datetime | str) -> str:
    return moments.stamp(_local(context, value), context["language"])


@pass_context
def _spoken_clock(context: Context, value: datetime | str) -> str:
    return moments.spoken_clock(_local(context, value), context["language"])


@pass_context
def _spoken(context: Context, value: datetime | str) -> str:
    return moments.spoken(_local(context, value), context["language"])


@pass_context
def _flow(context: Context, value: str) -> str:
    return shape.flow(value, context["language"])


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


def _decimal_flaw(wanted: Field, value: Any) -> str:
    """One way to write a number, so that what is printed is what was typed: 5.4, never 05.4, 5,4 or 5.40."""
    written = rf"(0|[1-9][0-9]{{0,3}})\.[0-9]{{{wanted.places}}}"
    is_written = isinstance(value, str) and re.fullmatch(written, value) is not None
    is_inside = is_written and wanted.least <= Decimal(value) <= wanted.most
    return (
        ""
        if is_inside
        else f"is a number from {wanted.least} to {wanted.most}, written like {wanted.example}"
    )


_CHECKS: Mapping[str, Callable[[Field, Any], str]] = {
    "text": _text_flaw,
    "enum": _enum_flaw,
    "datetime": _datetime_flaw,
    "number": _number_flaw,
    "decimal": _decimal_flaw,
}


def _token(name: object) -> str:
    """A JSON pointer token (RFC 6901 §3), bounded: the name is the caller's."""
    return str(name)[:40].replace("~", "~0").replace("/", "~1")
