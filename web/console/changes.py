"""What changed between two texts, word by word, so that an approver reads the difference and not two texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from domain.artefact import Artefact, Purpose

_TOKEN = re.compile(r"[A-Za-z0-9.:%+-]+|\s+|.", re.DOTALL)  # a Chinese character is a word of its own
_MOST = 6_000  # tokens; a comparison is quadratic at worst, and what is longer is shown whole
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One channel and language. `pieces`: (``same`` | ``out`` | ``in``, text) in reading order."""

    channel: str
    language: str
    pieces: Sequence[tuple[str, str]]


def changes(before: Sequence[Artefact], after: Sequence[Artefact]) -> list[Change]:
    """Main texts of `after` against those of `before`; what is new is all ``in``, what is gone all ``out``."""
    old, new = _texts(before), _texts(after)
    places = dict.fromkeys((*new, *old))
    return [
        Change(channel=channel, language=language,
               pieces=words_changed(old.get((channel, language), ""), new.get((channel, language), "")))
        for channel, language in places
    ]  # fmt: skip


def words_changed(before: str, after: str) -> list[tuple[str, str]]:
    """The two texts as one: what stayed, what went out, what came in."""
    one, two = _TOKEN.findall(before), _TOKEN.findall(after)
    if len(one) > _MOST or len(two) > _MOST:
        return [("out", before), ("in", after)] if before != after else [("same", after)]
    found: list[tuple[str, str]] = []
    for _, a, b, c, d in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        out, new = "".join(one[a:b]), "".join(two[c:d])
        if out == new:
            found.append(("same", new))
            continue
        found += [("out", out)] if out else []
        found += [("in", new)] if new else []
    return found


def _texts(artefacts: Sequence[Artefact]) -> dict[tuple[str, str], str]:
    return {(a.channel, a.language): _text(a) for a in artefacts if a.purpose is Purpose.MAIN}


def _text(artefact: Artefact) -> str:
    """The words of a page without its marks; every other text as it is."""
    text = artefact.body.decode("utf-8", "replace")
    if not artefact.media_type.startswith("text/html"):
        return text
    lines = (_TAG.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)
