"""Wire: scripts for loudspeakers and radio, one text file a release and language, and a list of them.

An entry's payloads: ``zh-CN`` and ``en`` are the script as approved; ``zh-CN+lift`` or ``zh-CN+correction`` (the
same for ``en``) that of its ending, once published. The operator opens the file he was given and reads what is in
it, so the address stays and the content follows the state: in force, the script byte for byte; ended, the
script of the ending; stopped, replaced or expired, one sentence that says not to read. A file that vanished would
leave him the copy that he has. What has expired without being lifted may still be true: the script stays, below
a sentence that sends him to the issuer first.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from functools import partial
from importlib.resources import files

from channels.codecs import versions
from channels.contract import Entry, File
from domain.artefact import Purpose
from domain.errors import Tampered
from domain.handling import Mode
from domain.ids import is_id
from domain.release import CURRENT, State

LANGUAGES = ("zh-CN", "en")
ENDED = 20  # files of each sort that the list still names; the older ones answer at their own address
_MEDIA_TYPE = "text/plain; charset=utf-8"
_CHINA = timezone(timedelta(hours=8), "CST")  # Asia/Shanghai has had no other offset since 1991
_ENDINGS = {State.CANCELLED: Purpose.LIFT, State.CORRECTED: Purpose.CORRECTION}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    """What the file of one entry and language holds, and under which heading the list names it."""

    entry: Entry
    language: str
    sort: str  # read | ended | silent
    body: Callable[[], bytes]  # payloads are read when the file is made

    @property
    def name(self) -> str:
        """rel_01J....zh-CN.txt."""
        return f"{self.entry.release_id}.{self.language}.txt"


class Broadcast:
    """The publisher of channel ``broadcast``. Pure: the same entries give the same bytes."""

    name = "broadcast"
    channel = "broadcast"

    def __init__(self, *, mode: Mode, zone: tzinfo = _CHINA) -> None:
        self._mode = mode.value
        self._zone = zone
        self._program = versions.of_program()
        # The sentences lie with all other words in templates/; they are data here, the room is not imported.
        self._words = tomllib.loads(
            files("templates").joinpath("public", "broadcast.toml").read_text(encoding="utf-8")
        )

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """``public/broadcast/{release}.{language}.txt`` for each script, then ``index.{language}.txt``.

        An entry with a malformed id, an unknown state, a time without its offset or no readable script gets
        no file.
        """
        scripts = [script for entry in entries if _is_sound(entry) for script in self._scripts(entry)]
        indexes = [
            File(path=f"public/broadcast/index.{language}.txt", body=self._index(scripts, language),
                 media_type=_MEDIA_TYPE, is_index=True)
            for language in LANGUAGES
        ]  # fmt: skip
        return [
            *(
                File(
                    path=f"public/broadcast/{s.name}",
                    body=s.body,
                    media_type=_MEDIA_TYPE,
                    about=s.entry.release_id,
                    version=self._version(s.entry, s.language),
                )
                for s in scripts
            ),
            *indexes,
        ]

    def _scripts(self, entry: Entry) -> Iterator[_Script]:
        state = State(entry.state)
        for language in LANGUAGES:
            if language not in entry.payloads:
                continue
            ending = f"{language}+{_ENDINGS[state]}" if state in _ENDINGS else ""
            if state in CURRENT:
                before = self._says("unlifted", language) + b"\n\n" if state is State.UNLIFTED else b""
                sort, body = "read", partial(_read, entry, language, before)
            elif ending in entry.payloads:
                sort, body = "ended", partial(_read, entry, ending)
            else:
                sort, body = "silent", partial(self._says, state.value, language)
            yield _Script(entry=entry, language=language, sort=sort, body=body)

    def _version(self, entry: Entry, language: str) -> str:
        return versions.of(self._program, language, versions.of_entry(entry))

    def _says(self, what: str, language: str) -> bytes:
        return self._marked(self._words[language][what], language).encode()

    def _marked(self, text: str, language: str) -> str:
        mark: str = self._words[language]["marks"][self._mode]
        return " ".join(part for part in (mark, text, mark) if part)

    def _index(self, scripts: Sequence[_Script], language: str) -> bytes:
        """Newest first under each heading, as the entries come; times are those of the last change."""
        words: Mapping[str, str] = self._words[language]
        spoken = [s for s in scripts if s.language == language]
        lines = [self._marked(words["title"], language)]
        for sort in ("read", "ended", "silent"):
            found = [s for s in spoken if s.sort == sort][: None if sort == "read" else ENDED]
            if found:
                lines += ["", words[sort], *map(self._line, found)]
            elif sort == "read":
                lines += ["", words["none"]]
        return ("\n".join(lines) + "\n").encode()

    def _line(self, script: _Script) -> str:
        entry = script.entry
        headline = entry.headlines.get(script.language) or next(iter(entry.headlines.values()), "")
        at = entry.changed_at.astimezone(self._zone)
        return f"{at:%Y-%m-%d %H:%M}  {script.name}  {' '.join(headline.split())}"


def _is_sound(entry: Entry) -> bool:
    """Whether the entry can be told of; its id becomes a path."""
    is_aware = all(at.tzinfo for at in (entry.sent, entry.changed_at, entry.expires))
    return is_id("rel", entry.release_id) and entry.state in set(State) and is_aware


def _read(entry: Entry, key: str, before: bytes = b"") -> bytes:
    body = entry.payloads[key]
    try:
        body.decode()
    except UnicodeDecodeError:
        raise Tampered("the script is not text", code="artefact") from None
    return before + body
