"""What the machine on the telephone says, in two languages."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from domain.ids import spoken_digits


def say(name: str, language: str, **values: str) -> str:
    """The words `name` with `values` put in; they are ours, none is a stranger's."""
    return words()[language][name].format(**values)


def spelled(code: str, language: str) -> str:
    """A receipt code as twelve digits, each said by itself, with a rest after four."""
    rest = "，" if language == "zh-CN" else ", "
    return rest.join(" ".join(group) for group in spoken_digits(code).split("-"))


@lru_cache(maxsize=1)
def words() -> Mapping[str, Mapping[str, str]]:
    """language -> name -> words."""
    return tomllib.loads(files("templates").joinpath("voice", "words.toml").read_text(encoding="utf-8"))
