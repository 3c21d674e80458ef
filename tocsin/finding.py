"""What a check of `tocsin doctor` works with, and what it says."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from hub.keys import Keys
from hub.settings import Settings
from store.database import Store


class Level(IntEnum):
    """Also the exit code: the worst finding decides."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence, and the command that repairs what it says ('' when all is well)."""

    level: Level
    says: str
    repair: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A hub as far as it can be opened. `store` is None when keys or database do not serve; `why` says so."""

    settings: Settings
    at: datetime
    keys: Keys | None
    store: Store | None
    why: str

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.settings.data_dir

    def command(self, words: str) -> str:
        """A command of ours on this data directory."""
        return f"tocsin {words} --data {shlex.quote(str(self.data))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`run` looks; `fix` mends what is safe to mend without asking, None where nothing is."""

    name: str
    zh: str
    en: str
    run: Callable[[Case], Finding]
    fix: Callable[[Case], None] | None = None


def ok(says: str) -> Finding:
    """All is well."""
    return Finding(level=Level.OK, says=says)


def warn(says: str, repair: str) -> Finding:
    """It works, and should not stay so."""
    return Finding(level=Level.WARN, says=says, repair=repair)


def fail(says: str, repair: str) -> Finding:
    """It does not work, or will not when it is needed."""
    return Finding(level=Level.FAIL, says=says, repair=repair)
