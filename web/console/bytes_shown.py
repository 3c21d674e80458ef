"""The exact bytes of a release in a form that a person can judge: as text, as cut into SMS, as a page."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import nh3
from markupsafe import Markup, escape

from approval import aloud, checks, freeze, gather, wording
from approval.freeze import Frozen
from approval.reach import Count, counts
from channels.codecs.cap_check import validate
from channels.codecs.cap_finding import Finding
from channels.text import Segments, segments
from domain.artefact import Artefact, Purpose
from domain.errors import Flaw
from domain.release import Release, State
from hub.wiring import Hub
from store import releases
from store.database import SeenStore
from templates import library, pages

_RUN = re.compile("[ \\n\\t\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000]{2,}")
_BREAKS, _BLANKS, _INDENT = (
    2,
    3,
    40,
)  # one empty line, two blanks, an indented line: more is shown as a number
_HEADING = re.compile("<(/?)h[1-3]>")
ENDINGS = {
    "application/cap+xml": ".xml",
    "application/xml": ".xml",
    "text/html": ".html",
    "text/plain": ".txt",
}
# What the notices' templates use; a second lock behind their autoescape, for bytes shown inside the desk.
_TAGS = {
    "h1",
    "h2",
    "h3",
    "p",
    "ol",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "strong",
    "em",
    "time",
    "br",
    "div",
    "section",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One artefact with how it looks."""

    artefact: Artefact
    text: str
    marked: Markup  # the text with what cannot be seen written out
    segments: Segments | None
    page: Markup | None
    findings: Sequence[Finding] = ()  # of the rules of CAP

    @property
    def lines(self) -> int:
        """How many lines the text has."""
        return self.text.count("\n") + 1

    @property
    def hidden(self) -> int:
        """How much of it is written out because it could not be seen."""
        return self.marked.count('<mark class="ch">')

    @property
    def is_ending(self) -> bool:
        """Whether it is only prepared: the correction or the lifting."""
        return self.artefact.purpose is not Purpose.MAIN

    @property
    def subject(self) -> str:
        """The first line of a mail."""
        return self.text.partition("\n")[0]

    @property
    def mail_text(self) -> Markup:
        """A mail without its subject and the empty line, as `marked`."""
        return marked(self.text.partition("\n")[2].removeprefix("\n"))

    @property
    def parts(self) -> list[Markup]:
        """The text as it is cut into SMS, as `marked`."""
        return [marked(part) for part in self.segments.texts] if self.segments else []

    @property
    def seconds(self) -> int:
        """How long the text takes to be read aloud."""
        return aloud.seconds(self.text, self.artefact.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would leave, or will: to how many, and what stands against it or should be known."""

    pieces: Sequence[Shown]
    reach: int
    counts: Sequence[Count] = ()
    flaws: Sequence[Flaw] = ()
    warnings: Sequence[tuple[str, str]] = ()  # (code, channel or language)

    @property
    def receives(self) -> int:
        """To how many it goes, over all channels."""
        return sum(count.receives for count in self.counts)

    @property
    def silenced(self) -> int:
        """To how many of those chosen nothing leaves."""
        return sum(count.silenced for count in self.counts)


def preview(store: SeenStore, hub: Hub, release: Release, at: datetime) -> Preview:
    """The bytes that a draft would become now, or those that were frozen when it was submitted."""
    if release.state not in (State.DRAFT, State.RETURNED):
        found = store.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
        counted = (
            store.read(lambda unit: counts(unit, release, {})) if release.state is State.SUBMITTED else ()
        )
        return Preview(
            pieces=shown(found),
            reach=release.reach,
            counts=counted,
            warnings=_warnings(store, hub, release, at),
        )
    return tried(store, hub, release, at)


def tried(store: SeenStore, hub: Hub, release: Release, at: datetime) -> Preview:
    """What a draft would become now, by the functions that freeze and send; it may never have been stored."""
    inputs = store.read(lambda unit: gather.prepare(unit, release, zone=hub.zone))
    counted = store.read(lambda unit: counts(unit, release, inputs.counts))
    frozen, flaws = checks.trial(inputs, hub.place, at=at)
    if frozen is None:
        return Preview(pieces=(), reach=inputs.reach, counts=counted, flaws=flaws)
    told = _split(checks.warnings(inputs, frozen, at=at))
    return Preview(
        pieces=shown(frozen.artefacts), reach=frozen.reach, counts=counted, flaws=flaws, warnings=told
    )


def frozen_of(store: SeenStore, hub: Hub, release_id: str, at: datetime) -> Frozen:
    """The bytes to submit; computed before the transaction that keeps them. Raises BadInput with all flaws."""
    inputs = store.read(lambda unit: gather.prepare_stored(unit, release_id, zone=hub.zone))
    return checks.freeze(inputs, hub.place, at=at)


def _warnings(store: SeenStore, hub: Hub, release: Release, at: datetime) -> Sequence[tuple[str, str]]:
    if release.state is not State.SUBMITTED:
        return ()
    inputs = store.read(lambda unit: gather.prepare(unit, release, zone=hub.zone))
    frozen = store.read(lambda unit: freeze.stored(unit, release, mode=hub.mode, policy=inputs.policy))
    return _split(checks.warnings(inputs, frozen, at=at))


def _split(codes: Iterable[str]) -> list[tuple[str, str]]:
    return [(code.partition(":")[0], code.partition(":")[2]) for code in codes]


def shown(artefacts: Iterable[Artefact]) -> list[Shown]:
    """Main texts first, then the prepared endings; the shortest to read first, Chinese before its translation."""
    order = {"sms": 0, "email": 1, "telegram": 2, "broadcast": 3, "web_notice": 4}

    def place_of(piece: Shown) -> tuple[bool, str, int, bool]:
        a = piece.artefact
        return piece.is_ending, a.purpose.value, order.get(a.channel, 4), a.language != pages.SOURCE

    return sorted(map(_shown, artefacts), key=place_of)


def flaw_names(release: Release, pieces: Iterable[Shown], language: str) -> dict[str, str]:
    """JSON pointer -> what the field, or the finished text, is called."""
    template = library.pinned(release.draft.template, release.draft.template_version)
    found = {f"/{name}": pages.word("field", name, language) for name in pages.codes()["field"]}
    for piece in pieces:
        a = piece.artefact
        words = [pages.word(*pair, language) for pair in
                 (("channel", a.channel), ("language", a.language), ("purpose", a.purpose.value))]  # fmt: skip
        found[f"/artefacts/{a.channel}/{a.language}/{a.purpose.value}"] = " · ".join(words)
    return found | {f"/fields/{f.name}": f.labels[language] for f in template.fields}


def marked(text: str) -> Markup:
    """`text` with every character that cannot be seen, and every long run of blanks or breaks, written out.

    Nothing hides between the letters, and nothing is pushed off the screen: a run is folded to its count (H106).
    """
    found, rest = Markup(""), 0
    for run in _RUN.finditer(text):
        if counted := _counted(run[0]):
            found += _letters(text[rest : run.start()]) + Markup('<mark class="ch">{}</mark>').format(counted)
            found += "\n" if "\n" in run[0] else " "
            rest = run.end()
    return found + _letters(text[rest:])


def _counted(run: str) -> str:
    """⏎×10000 of a run that is longer than a text needs; '' of any other."""
    breaks = run.count("\n")
    blanks = len(run) - breaks
    if breaks <= _BREAKS and blanks < (_INDENT if breaks else _BLANKS):
        return ""
    return " ".join(f"{sign}×{n}" for sign, n in (("⏎", breaks), ("␣", blanks)) if n)


def _letters(text: str) -> Markup:
    return Markup("").join(
        Markup('<mark class="ch">{}</mark>').format(point)
        if c != "\n" and (point := wording.hidden(c))
        else escape(c)
        for c in text
    )


def _shown(artefact: Artefact) -> Shown:
    text = artefact.body.decode("utf-8", "replace")
    is_page = artefact.media_type.startswith("text/html")
    return Shown(
        artefact=artefact,
        text=text,
        marked=marked(text),
        segments=segments(text) if artefact.channel == "sms" else None,
        findings=validate(artefact.body, as_output=True) if artefact.channel == "cap_feed" else (),
        page=_page(text) if is_page else None,
    )


def _page(text: str) -> Markup:
    """A notice as part of our page: its headings go below ours, or a listener would lose his way."""
    clean = nh3.clean(text, tags=_TAGS, attributes={"time": {"datetime"}})
    return Markup(_HEADING.sub(r"<\1h4>", clean))  # noqa: S704 (nh3 cleaned it)
