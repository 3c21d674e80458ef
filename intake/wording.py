"""Rules made of words: a table read top to bottom over a text, in one pass."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.errors import BadInput, Flaw

READ_MAX = 20_000  # characters of a text that are looked through
GAP = 12  # letters between the parts of "甲…乙"
_STOPS = frozenset("。！？!?；;\n")
_LOWER = {n: n + 32 for n in range(ord("A"), ord("Z") + 1)}  # keeps every letter where it is
_NOWHERE = re.compile(r"(?!)")
_NEVER_MAX = 12  # letters of the longest word of never_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule that fits, with the words it fits by and where they stand."""

    rule: str
    value: str  # what the rule says: a code, a level, a name
    words: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Phrase:
    rule: int
    parts: tuple[str, ...]
    is_word: bool  # English: stands for whole words
    is_open: bool  # a trailing *


@dataclass(slots=True)
class Table:
    """Rules of one kind, in their order."""

    ids: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    unless: list[tuple[str, ...]] = field(default_factory=list)
    never_after: tuple[str, ...] = ()
    heads: dict[str, list[_Phrase]] = field(default_factory=dict)
    lengths: dict[str, tuple[int, ...]] = field(default_factory=dict)  # first two letters -> lengths of heads
    starts: re.Pattern[str] = _NOWHERE  # letters with which a phrase may begin

    def hits(self, text: str) -> list[Hit]:
        """The first hit of every rule that fits, in the order of the rules; any text will do."""
        low = text[:READ_MAX].translate(_LOWER)
        found: dict[int, tuple[int, int]] = {}
        lengths, heads = self.lengths, self.heads
        for start in self.starts.finditer(low):
            at = start.start()
            for length in (*lengths.get(low[at], ()), *lengths.get(low[at : at + 2], ())):
                for phrase in heads.get(low[at : at + length], ()):
                    if phrase.rule not in found and (end := self._end(low, at, at + length, phrase)):
                        found[phrase.rule] = (at, end)
        return [
            Hit(rule=self.ids[n], value=self.values[n], words=text[start:end], start=start, end=end)
            for n, (start, end) in sorted(found.items())
            if not any(word in low for word in self.unless[n])
        ]

    def _end(self, low: str, start: int, end: int, phrase: _Phrase) -> int:
        """Where the phrase ends when it stands here, else 0."""
        if phrase.is_word and start and _is_letter(low[start - 1]):
            return 0
        for part in phrase.parts[1:]:
            there = low.find(part, end, end + GAP + len(part))
            if there < 0 or any(c in _STOPS for c in low[end:there]):
                return 0
            end = there + len(part)
        if phrase.is_word:
            while phrase.is_open and end < len(low) and _is_letter(low[end]):
                end += 1
            end += low[end : end + 1] == "s"  # more than one of them
            if end < len(low) and _is_letter(low[end]):
                return 0
        return 0 if low[max(0, start - _NEVER_MAX) : start].endswith(self.never_after) else end


def table(
    rows: Iterable[Mapping[str, Any]], *, name: str, value: str, never_after: Sequence[str] = ()
) -> Table:
    """Rules as read from a file. `name` and `value` say which keys hold a rule's id and what it says.

    Raises BadInput(bad_rules) with what does not fit.
    """
    made = Table(never_after=tuple(word.translate(_LOWER) for word in never_after))
    flaws = [flaw for n, row in enumerate(rows) for flaw in _add(made, row, n, name, value)]
    if flaws:
        raise BadInput("the rules do not fit", code="bad_rules", flaws=flaws)
    lengths: dict[str, set[int]] = {}
    for head in made.heads:
        lengths.setdefault(head[:2], set()).add(len(head))
    made.lengths = {letters: tuple(sorted(each)) for letters, each in lengths.items()}
    made.starts = _starts(made.heads)
    return made


def _starts(heads: Mapping[str, Sequence[_Phrase]]) -> re.Pattern[str]:
    """Where to look at all: nine of ten letters of a text begin nothing, and English begins at the start of a word."""
    words = {head[0] for head, phrases in heads.items() if any(p.is_word for p in phrases)}
    others = {head[0] for head, phrases in heads.items() if not all(p.is_word for p in phrases)}
    ways = [(others, ""), (words, "(?<![a-z0-9])")]
    one_of = [f"{before}[{''.join(map(re.escape, sorted(letters)))}]" for letters, before in ways if letters]
    return re.compile("|".join(one_of)) if one_of else _NOWHERE


def _add(made: Table, row: Mapping[str, Any], n: int, name: str, value: str) -> Iterator[Flaw]:
    words = [("zh", w) for w in row.get("zh", ())] + [("en", w) for w in row.get("en", ())]
    unless = row.get("unless", ())
    if not isinstance(row.get(name), str | int) or row.get(value) is None or not words:
        yield Flaw(f"/{n}", f"needs {name}, {value} and words")
        return
    if not all(isinstance(w, str) and len(w.strip("*… ")) > 0 for _, w in words) or isinstance(unless, str):
        yield Flaw(f"/{n}", "words are texts")
        return
    made.ids.append(str(row[name]))
    made.values.append(str(row[value]))
    made.unless.append(tuple(str(w).translate(_LOWER) for w in unless))
    for language, word in words:
        parts = tuple(p for p in word.translate(_LOWER).rstrip("*").split("…") if p)
        phrase = _Phrase(len(made.ids) - 1, parts, is_word=language == "en", is_open=word.endswith("*"))
        made.heads.setdefault(parts[0], []).append(phrase)


def _is_letter(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()
