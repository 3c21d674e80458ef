"""The pages of citizens: their form, its receipt and how far a report is; every word in two languages."""

import tomllib
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from templates.offline import PAGE, script_name
from templates.pages import LANGUAGES, words_for
from templates.sheet import style_name

__all__ = ["LANGUAGES", "render", "words"]


def render(name: str, *, language: str, mode: str, zone: tzinfo, big: bool = False, **values: Any) -> str:
    """The page `name` of templates/citizen, with the words of `language` as `w`; in large letters when `big`."""
    page = _environment().get_template(name)
    other = next(x for x in LANGUAGES if x != language)
    return page.render(
        language=language,
        other=other,
        mode=mode,
        zone=zone,
        w=words()[language],
        style_name=style_name("citizen"),
        script_name=script_name(*PAGE),
        big=big,
        keep=Markup("&amp;big=1") if big else "",
        **values,
    )


@lru_cache(maxsize=1)
def words() -> Mapping[str, Mapping[str, Any]]:
    """language -> name -> words."""
    return tomllib.loads(files("templates").joinpath("citizen", "words.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("templates", "citizen"),
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
