"""What stands around a notice: its line in a list, its versions and what changed, its areas."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import escape

from channels.codecs import public_areas
from channels.codecs.chain import Chains, Step
from channels.codecs.feed_items import plain
from channels.codecs.site import FOLDERS, LANGUAGES, Site
from channels.contract import Entry
from domain.artefact import Purpose
from domain.ids import is_id
from domain.release import CURRENT, Colour, State

ROOM = 8_400  # bytes for the lines of one list page: the shell takes 5.2 KB of the 14 KB of one round trip
LINE = 700  # bytes of a line beside its headline and issuer
_RANK = {c.value: n for n, c in enumerate(Colour)}  # red first


def is_sound(entry: Entry) -> bool:
    """Whether the entry can be shown; its id becomes a path."""
    is_aware = all(at.tzinfo for at in (entry.sent, entry.changed_at, entry.expires))
    return (
        is_id("rel", entry.release_id) and entry.state in set(State) and is_aware and bool(languages(entry))
    )


def languages(entry: Entry) -> tuple[str, ...]:
    """The languages that have a notice."""
    return tuple(x for x in LANGUAGES if x in entry.payloads)


def place_of(entry: Entry, language: str) -> str:
    """The path of its page in that language, else in one that it has."""
    spoken = language if language in languages(entry) else languages(entry)[0]
    return f"{FOLDERS[spoken]}alerts/{entry.release_id}/index.html"


def headline(entry: Entry, language: str) -> tuple[str, str]:
    """The headline and the language it is in."""
    for spoken in (language, *entry.headlines):
        if text := plain(entry.headlines.get(spoken, "")):
            return text, spoken
    return entry.identifier, language


def rank(entry: Entry) -> int:
    """Red first; what has no colour last."""
    return _RANK.get(entry.colour, len(_RANK))


def line(site: Site, chains: Chains, entry: Entry, language: str) -> Mapping[str, Any]:
    """Its line in a list; `path` is from the root of the site."""
    words = site.words[language]
    text, spoken = headline(entry, language)
    state = State(entry.state)
    return {
        "path": place_of(entry, language),
        "headline": text,
        "headline_language": spoken,
        "colour": entry.colour if entry.colour in _RANK else "",
        "level": words["colours"].get(entry.colour) or words["kinds"].get(entry.kind, ""),
        "number": number(site, chains, entry, language),
        "is_over": state not in CURRENT,
        "state": "" if state in CURRENT - {State.UNLIFTED} else words["states"][state.value],
        "issuer": plain(entry.issuer),
        "sent": site.moment(entry.sent, language),
        "expires": site.moment(entry.expires, language),
        "changed": site.moment(entry.changed_at, language),
    }


def number(site: Site, chains: Chains, entry: Entry, language: str) -> str:
    """第12号 更新2 / No. 12, update 2; '' where the number is unknown."""
    words = site.words[language]
    first, update = chains.number(entry)
    parts = [words["number"].format(first)] if first else []
    return str(words["between"]).join([*parts, *([words["update"].format(update)] if update else [])])


def steps(site: Site, chains: Chains, entry: Entry, language: str) -> list[Mapping[str, Any]]:
    """The versions of its message as lines, the first one first; empty for a message that has only one."""
    words = site.words[language]
    found = chains.steps(entry)
    if len(found) < 2:
        return []
    return [
        {
            "path": "" if step.entry is entry else place_of(step.entry, language),
            "is_here": step.entry is entry and step.purpose is Purpose.MAIN,
            "name": _name(words, step),
            "at": site.moment(step.at, language),
            "changes": list(_changes(site, step, language)),
        }
        for step in found
    ]


def _name(words: Mapping[str, Any], step: Step) -> str:
    if step.purpose is not Purpose.MAIN:
        return str(words["endings"][step.purpose.value])
    return str(words["renewed"].format(step.update) if step.update else words["first"])


def _changes(site: Site, step: Step, language: str) -> Iterator[str]:
    """What a version says otherwise than the one before it."""
    words, now, before = site.words[language], step.entry, step.before
    if step.purpose is not Purpose.MAIN:
        return
    if before is None or before.colour != now.colour:
        names = [words["colours"].get(e.colour, "") for e in (before, now) if e]
        yield " → ".join(name for name in names if name)
    if before is None:
        return
    old, new = set(before.areas), set(now.areas)
    for word, codes, known in (("added", new - old, now), ("dropped", old - new, before)):
        if codes:
            yield words[word].format(area_names(known, language, codes))
    if before.expires != now.expires:
        yield words["until"] + " " + site.moment(now.expires, language).words


def area_names(entry: Entry, language: str, codes: set[str]) -> str:
    """The names of these areas of an entry; codes that no division book knows as they are."""
    names = {d.code: public_areas.name(d, language) for d in entry.divisions}
    return ("、" if language == "zh-CN" else ", ").join(names.get(code, code) for code in sorted(codes))


def packed(
    entries: Sequence[Entry], language: str, *, most: int = ROOM, first: int | None = None
) -> list[list[Entry]]:
    """The entries on as few pages of `most` bytes as hold them; the first may have less room, and stay empty."""
    room = most if first is None else first
    pages: list[list[Entry]] = [[]]
    for entry in entries:
        needed = cost(entry, language)
        if needed > room and (pages[-1] or room < most):  # an empty first page would say "none in force"
            pages.append([])
            room = most
        pages[-1].append(entry)
        room -= needed
    return pages


def cost(entry: Entry, language: str) -> int:
    """Bytes of a line; escaping can make five of one, so it is counted as written."""
    return LINE + sum(
        len(escape(text).encode("utf-8", "replace")) for text in (headline(entry, language)[0], entry.issuer)
    )
