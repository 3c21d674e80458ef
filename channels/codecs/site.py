"""The words, times and shell of the public pages: one place where a page becomes bytes."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from importlib.resources import files
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from domain.handling import Mode

LANGUAGES = ("zh-CN", "en")
FOLDERS = {"zh-CN": "", "en": "en/"}
CHINA = timezone(timedelta(hours=8), "CST")  # Asia/Shanghai has had no other offset since 1991
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHELLS = ("shell.html", "notice.html", "list.html", "line.html", "index.html", "area.html", "areas.html", "month.html",
           "months.html", "feeds.html", "style.css", "notice.css", "list.css")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time for a machine and for a reader."""

    iso: str
    words: str


class Site:
    """Words and shells of the public pages in one mode and zone."""

    def __init__(self, *, mode: Mode, zone: tzinfo = CHINA) -> None:
        self.mode = "" if mode is Mode.LIVE else mode.value
        self.zone = zone
        # The shells lie with all other words in templates/; they are data here, the room is not imported.
        self._shells = {name: _shell(name) for name in _SHELLS}
        self.words: Mapping[str, Any] = tomllib.loads(_shell("words.toml"))
        self._env = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._shells.get),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, name: str, language: str, style: str, values: Mapping[str, Any]) -> bytes:
        """The bytes of a page; `values` must not name what the shell gives itself."""
        sheets = f"{self._shells['style.css'].strip()}\n{self._shells[style].strip()}"
        page = self._env.get_template(name).render(
            language=language,
            other_language=other(language),
            words=self.words[language],
            mode=self.mode,
            style=Markup(sheets),  # noqa: S704 (our own file)
            **values,
        )
        return page.strip().encode("utf-8", "replace") + b"\n"

    def line(self, item: Mapping[str, Any], language: str, root: str) -> Markup:
        """A row of a list, on a page from which `root` leads up to the root of the site."""
        words = self.words[language]
        shown = self._env.get_template("line.html").render(
            item=item, language=language, words=words, root=root
        )
        return Markup(shown)  # noqa: S704 (just escaped)

    def moment(self, at: datetime, language: str) -> Moment:
        """2026年11月23日14:05 / 14:05 on 23 Nov 2026."""
        local = at.astimezone(self.zone).replace(microsecond=0)
        if language == "zh-CN":
            words = f"{local.year}年{local.month}月{local.day}日{local:%H:%M}"
        else:
            words = f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"
        return Moment(iso=local.isoformat(), words=words)

    def month(self, at: datetime, language: str) -> tuple[str, str]:
        """("2026/11", "2026年11月" / "Nov 2026")."""
        local = at.astimezone(self.zone)
        words = (
            f"{local.year}年{local.month}月"
            if language == "zh-CN"
            else f"{_MONTHS[local.month - 1]} {local.year}"
        )
        return f"{local:%Y/%m}", words


def other(language: str) -> str:
    """The other of the two languages."""
    return next(x for x in LANGUAGES if x != language)


def root_of(path: str) -> str:
    """What leads from a page up to the root of the site: ../../ for alerts/rel_1/index.html."""
    return "../" * path.count("/")


def _shell(name: str) -> str:
    return files("templates").joinpath("public", name).read_text(encoding="utf-8")
