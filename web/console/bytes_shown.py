"""The exact bytes of a release in a form that a person can judge: as text, as cut into SMS, as a page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import nh3
from markupsafe import Markup

from approval import checks, freeze, gather
from approval.freeze import Frozen, Place
from channels.text import Segments, segments
from domain.artefact import Artefact, Purpose
from domain.errors import Flaw
from domain.release import Release, State
from hub.wiring import Hub
from store import releases
from templates import library, pages

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
    segments: Segments | None
    page: Markup | None

    @property
    def is_ending(self) -> bool:
        """Whether it is only prepared: the correction or the lifting."""
        return self.artefact.purpose is not Purpose.MAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would leave, or will: to how many, and what stands against it or should be known."""

    pieces: Sequence[Shown]
    reach: int
    flaws: Sequence[Flaw] = ()
    warnings: Sequence[tuple[str, str]] = ()  # (code, channel or language)


def preview(hub: Hub, release: Release, at: datetime) -> Preview:
    """The bytes that a draft would become now, or those that were frozen when it was submitted."""
    if release.state not in (State.DRAFT, State.RETURNED):
        found = hub.store.read(lambda unit: releases.artefacts(unit, release.id, release.digest))
        return Preview(pieces=shown(found), reach=release.reach, warnings=_warnings(hub, release, at))
    inputs = hub.store.read(lambda unit: gather.prepare(unit, release, zone=hub.zone))
    frozen, flaws = checks.trial(inputs, place(hub), at=at)
    if frozen is None:
        return Preview(pieces=(), reach=inputs.reach, flaws=flaws)
    told = _split(checks.warnings(inputs, frozen, at=at))
    return Preview(pieces=shown(frozen.artefacts), reach=frozen.reach, flaws=flaws, warnings=told)


def frozen_of(hub: Hub, release_id: str, at: datetime) -> Frozen:
    """The bytes to submit; computed before the transaction that keeps them. Raises BadInput with all flaws."""
    inputs = hub.store.read(lambda unit: gather.prepare_stored(unit, release_id, zone=hub.zone))
    return checks.freeze(inputs, place(hub), at=at)


def place(hub: Hub) -> Place:
    """Where and as whom this hub publishes."""
    return Place(zone=hub.zone, sender_id=hub.settings.sender_id, public_url=hub.settings.public_site)


def _warnings(hub: Hub, release: Release, at: datetime) -> Sequence[tuple[str, str]]:
    if release.state is not State.SUBMITTED:
        return ()
    inputs = hub.store.read(lambda unit: gather.prepare(unit, release, zone=hub.zone))
    frozen = hub.store.read(lambda unit: freeze.stored(unit, release, mode=hub.mode, policy=inputs.policy))
    return _split(checks.warnings(inputs, frozen, at=at))


def _split(codes: Iterable[str]) -> list[tuple[str, str]]:
    return [(code.partition(":")[0], code.partition(":")[2]) for code in codes]


def shown(artefacts: Iterable[Artefact]) -> list[Shown]:
    """Main texts first, then the prepared endings; the shortest to read first, Chinese before its translation."""
    order = {"sms": 0, "web_notice": 1}

    def place_of(piece: Shown) -> tuple[bool, str, int, bool]:
        a = piece.artefact
        return piece.is_ending, a.purpose.value, order.get(a.channel, 2), a.language != pages.SOURCE

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


def _shown(artefact: Artefact) -> Shown:
    text = artefact.body.decode("utf-8", "replace")
    is_page = artefact.media_type.startswith("text/html")
    return Shown(
        artefact=artefact,
        text=text,
        segments=segments(text) if artefact.channel == "sms" else None,
        page=Markup(nh3.clean(text, tags=_TAGS, attributes={"time": {"datetime"}})) if is_page else None,  # noqa: S704
    )
