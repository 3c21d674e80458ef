"""The exact bytes of a release in a form that a person can judge: as text, as cut into SMS, as a page."""

from collections.abc import Iterable
from dataclasses import dataclass

import nh3
from markupsafe import Markup

from channels.text import Segments, segments
from domain.artefact import Artefact, Purpose
from domain.release import Release
from store import releases
from store.unit import Unit
from templates import library, pages

ENDINGS = {"application/cap+xml": ".xml", "application/xml": ".xml", "text/html": ".html", "text/plain": ".txt"}
# What the notices' templates use; a second lock behind their autoescape, for bytes shown inside the desk.
_TAGS = {"h1", "h2", "h3", "p", "ol", "ul", "li", "dl", "dt", "dd", "strong", "em", "time", "br", "div", "section"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One artefact with how it looks."""

    artefact: Artefact
    text: str
    segments: Segments | None
    page: Markup | None
    reach: int | None = None

    @property
    def is_ending(self) -> bool:
        """Whether it is only prepared: the correction or the lifting."""
        return self.artefact.purpose is not Purpose.MAIN


def of_release(unit: Unit, release: Release) -> list[Shown]:
    """The frozen bytes of the submission in force."""
    return shown(releases.artefacts(unit, release.id, release.digest))


def shown(artefacts: Iterable[Artefact]) -> list[Shown]:
    """Main texts first, then the prepared endings."""
    found = [_shown(artefact) for artefact in artefacts]
    return sorted(found, key=lambda s: (s.is_ending, s.artefact.channel != "sms", s.artefact.channel))


def flaw_names(release: Release, language: str) -> dict[str, str]:
    """JSON pointer -> what the field is called."""
    template = library.pinned(release.draft.template, release.draft.template_version)
    found = {f"/{name}": pages.word("field", name, language) for name in pages.codes()["field"]}
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
