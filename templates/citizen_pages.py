"""The pages for telephones: the citizen's form, its receipt and how far a report is; the page of people in the field."""

import tomllib
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from templates.offline import FIELD, PAGE, script_name
from templates.pages import LANGUAGES, words_for
from templates.sheet import style_name

__all__ = ["LANGUAGES", "render", "words"]


_SCRIPTS = {"citizen": PAGE, "field": FIELD}
_HOMES = {"citizen": "/report", "field": "/field"}


def render(
    name: str,
    *,
    language: str,
    mode: str,
    zone: tzinfo,
    big: bool = False,
    family: str = "citizen",
    **values: Any,
) -> str:
    """The page `name` of templates/`family`, with the words of `language` as `w`; in large letters when `big`."""
    page = _environment(family).get_template(name)
    other = next(x for x in LANGUAGES if x != language)
    return page.render(
        language=language,
        other=other,
        mode=mode,
        zone=zone,
        w=words(family)[language],
        home=_HOMES[family],
        style_name=style_name("citizen"),
        script_name=script_name(*_SCRIPTS[family]),
        big=big,
        keep=Markup("&amp;big=1") if big else "",
        **values,
    )


@lru_cache
def words(family: str = "citizen") -> Mapping[str, Mapping[str, Any]]:
    """language -> name -> words; another family's besides the citizen's, whose names it may take for its own."""
    found = _read("citizen")
    if family == "citizen":
        return found
    own = _read(family)
    return {language: _joined(found[language], own[language]) for language in LANGUAGES}


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: {**one[name], **told}
        for name, told in other.items()
        if isinstance(told, Mapping) and name in one
    }
    return {**one, **other, **both}


def _read(family: str) -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("templates").joinpath(family, "words.toml").read_text(encoding="utf-8"))


@lru_cache
def _environment(family: str) -> Environment:
    own = [PackageLoader("templates", family)] if family != "citizen" else []
    env = Environment(
        loader=ChoiceLoader([*own, PackageLoader("templates", "citizen")]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(when=_when)
    return env


@pass_context
def _when(context: Context, at: datetime) -> Markup:
    """A time for the reader and for machines."""
    local = at.astimezone(context["zone"]).replace(microsecond=0)
    shown = words_for(at, context["zone"], context["language"])
    return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), shown)
