"""A draft becomes the exact bytes of every channel and language, and one digest over them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from approval.gather import Inputs, selector
from approval.policy import Policy
from channels.codecs import cap, cap_release
from domain.artefact import Artefact, Purpose, digest
from domain.errors import NotFound
from domain.handling import Mode
from domain.ids import mint
from domain.place import canonical
from domain.release import Colour, Release
from store import releases
from store.unit import Unit
from templates import library

MEDIA_TYPES = {
    "sms": "text/plain; charset=utf-8",
    "telegram": "text/plain; charset=utf-8",
    "web_notice": "text/html; charset=utf-8",
    "cap_feed": "application/cap+xml",
    "email": "text/plain; charset=utf-8",  # subject, an empty line, text; the wire wraps MIME around it
    "broadcast": "text/plain; charset=utf-8",  # a script that somebody reads aloud
}
ALL_LANGUAGES = "mul"  # ISO 639-2: one file in several languages
_ENDS = {Purpose.MAIN: "", Purpose.CORRECTION: "-C", Purpose.LIFT: "-L"}
_TAIL = 10  # of a ULID: 50 random bits, so two freezes within a second do not meet


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and as whom this hub publishes."""

    zone: tzinfo
    sender_id: str  # CAP sender
    public_url: str
    lanes: frozenset[str] | None = None  # channels that this hub can send by; None: not known here
    numbers: frozenset[str] = frozenset()  # telephone numbers of this place that a text may name
    issuers_en: Mapping[str, str] = field(default_factory=dict)  # issuer as drafted -> its English name

    def issuer(self, name: str, language: str) -> str:
        """The issuer in that language; as drafted where no other name is known."""
        return self.issuers_en.get(name, name) if language == "en" else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """What an update's texts say of the message it replaces."""

    sent: datetime
    colour: Colour | None
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The bytes of one revision, as they would leave. Nothing in it is computed again afterwards."""

    release_id: str
    revision: int
    identifier: str
    sent: datetime
    list_version: int
    reach: int
    manifest: Mapping[str, Any]
    digest: str
    artefacts: tuple[Artefact, ...]
    titles: Mapping[tuple[Purpose, str], str]  # (purpose, language) -> headline
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def headlines(self) -> dict[str, str]:
        """language -> headline of the main texts."""
        return {
            language: title for (purpose, language), title in self.titles.items() if purpose is Purpose.MAIN
        }

    @property
    def printed(self) -> dict[str, str]:
        """language -> headline as it is stored beside the main bytes, for lists and feeds (releases.headlines)."""
        return {
            a.language: line[: releases.LONGEST_HEADLINE]
            for a, line in self.with_headlines()
            if a.purpose is Purpose.MAIN and line
        }

    def with_headlines(self) -> Iterator[tuple[Artefact, str]]:
        """Each artefact with the headline of its language; a lone file in all languages gets the first."""
        spoken = {a.language for a in self.artefacts} - {ALL_LANGUAGES}
        for artefact in self.artefacts:
            headline = self.titles.get((artefact.purpose, artefact.language), "")
            if artefact.language == ALL_LANGUAGES and not spoken:
                headline = next((t for (p, _), t in self.titles.items() if p is artefact.purpose), "")
            yield artefact, headline


def render(inputs: Inputs, place: Place, *, at: datetime) -> Frozen:
    """The bytes of `inputs` as of `at`, unchecked: approval.checks says whether they may be submitted.

    `sent` is `at` in whole seconds, since CAP knows no fractions (CAP 1.2 §3.3.2). Raises BadInput where a
    template lacks a value, NotFound where it lacks a channel or language.
    """
    release = inputs.release
    draft = release.draft
    sent = at.astimezone(UTC).replace(microsecond=0)
    identifier = f"TOCSIN-{sent:%Y%m%d%H%M%S}-{mint('cap', at)[-_TAIL:]}"
    said = {purpose: _parts(inputs, purpose, sent, place) for purpose in Purpose}
    artefacts = tuple(
        artefact
        for purpose in Purpose
        for channel in draft.channels
        for artefact in _artefacts(inputs, purpose, channel, said, identifier, sent, place, at)
    )
    frozen = Frozen(
        release_id=release.id,
        revision=release.revision,
        identifier=identifier,
        sent=sent,
        list_version=inputs.list_version,
        reach=inputs.reach,
        manifest={},
        digest="",
        artefacts=artefacts,
        titles={(p, language): w.headline for p, words in said.items() for language, w in words.items()},
        counts=inputs.counts,
    )
    manifest = make_manifest(
        release, inputs.mode, inputs.policy, sent=sent, identifier=identifier,
        list_version=inputs.list_version, reach=inputs.reach, headlines=frozen.printed,
    )  # fmt: skip
    return replace(frozen, manifest=manifest, digest=digest(artefacts, manifest))


def stored(unit: Unit, release: Release, *, mode: Mode, policy: Policy) -> Frozen:
    """The submission that stands, from its rows: what an approver is shown. Raises NotFound without one."""
    found = releases.artefacts(unit, release.id, release.digest) if release.digest else []
    if not found or release.sent is None:
        raise NotFound("nothing has been submitted")
    headlines = releases.headlines(unit, release.id, release.digest)
    manifest = manifest_of(release, mode, policy, headlines)
    return Frozen(
        release_id=release.id,
        revision=release.revision,
        identifier=release.identifier,
        sent=release.sent,
        list_version=release.list_version,
        reach=release.reach,
        manifest=manifest,
        digest=digest(found, manifest),
        artefacts=tuple(found),
        titles={(Purpose.MAIN, language): headline for language, headline in headlines.items()},
    )


def manifest_of(release: Release, mode: Mode, policy: Policy, headlines: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of a submitted release, from its row and the headlines beside its bytes."""
    if release.sent is None:
        raise NotFound("nothing has been submitted")
    return make_manifest(
        release, mode, policy, sent=release.sent, identifier=release.identifier,
        list_version=release.list_version, reach=release.reach, headlines=headlines,
    )  # fmt: skip


def make_manifest(
    release: Release, mode: Mode, policy: Policy, *, sent: datetime, identifier: str, list_version: int,
    reach: int, headlines: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """What the digest covers besides bytes (MODEL.md): to whom, by which rule, by whom, for how long.

    The revision is in it, so a digest names one submission of one version and no other.
    """
    draft = release.draft
    wanted = selector(draft)
    # absent where it is not chosen: what was submitted by an older program keeps its digest
    choices = {"repeat_unsure": True} if draft.repeat_unsure else {}
    return choices | {
        "release": release.id,
        "revision": release.revision,
        "mode": mode.value,
        "kind": draft.kind.value,
        "issuer": draft.issuer,
        "organisation": draft.organisation,
        "handling": draft.handling.value,
        "event_code": draft.event_code,
        "grade": draft.grade,
        "colour": draft.colour.value if draft.colour else None,
        "response_level": draft.response_level,
        "areas": sorted(canonical(a) for a in draft.areas),
        "selector": {
            "areas": sorted(canonical(a) for a in wanted.areas),
            "groups": sorted(wanted.groups),
            "languages": sorted(wanted.languages),
        },
        "list_version": list_version,
        "count": reach,
        "policy": dict(policy.row),
        "templates": {draft.template: draft.template_version},
        "identifier": identifier,
        "sent": _utc(sent),
        "effective": _utc(draft.effective),
        "onset": _utc(draft.onset),
        "expires": _utc(draft.expires),
        "review_by": _utc(draft.review_by),
        "supersedes": draft.supersedes or None,
        "headlines": dict(headlines),
    }


def _utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else None


def _artefacts(
    inputs: Inputs, purpose: Purpose, channel: str, said: Mapping[Purpose, Mapping[str, library.Parts]],
    identifier: str, sent: datetime, place: Place, at: datetime,
) -> Iterator[Artefact]:  # fmt: skip
    draft = inputs.release.draft
    if channel == "cap_feed":
        body = _cap(inputs, purpose, said[purpose], identifier, sent, place)
        yield _artefact(channel, ALL_LANGUAGES, purpose, body, at)
        return
    for language in draft.languages:
        text = library.render(inputs.template, purpose, channel, language, _context(inputs, sent, place))
        yield _artefact(channel, language, purpose, text.encode(), at)


def _artefact(channel: str, language: str, purpose: Purpose, body: bytes, at: datetime) -> Artefact:
    media_type = MEDIA_TYPES[channel]
    return Artefact(id=mint("art", at), channel=channel, language=language, purpose=purpose,
                    media_type=media_type, body=body)  # fmt: skip


def _parts(inputs: Inputs, purpose: Purpose, sent: datetime, place: Place) -> dict[str, library.Parts]:
    context = _context(inputs, sent, place)
    return {
        language: library.parts(inputs.template, purpose, language, context)
        for language in inputs.release.draft.languages
    }


def _context(inputs: Inputs, sent: datetime, place: Place) -> dict[str, Any]:
    draft = inputs.release.draft
    names = [_names(inputs, code) for code in draft.areas]
    return {
        "number": str(inputs.number),
        "issuer": {x: place.issuer(draft.issuer, x) for x in library.LANGUAGES},
        "mode": inputs.mode,
        "zone": place.zone,
        "areas": {"zh-CN": [n["zh-CN"] for n in names], "en": [n["en"] for n in names]},
        "sent": sent,
        "expires": draft.expires,
        "effective": draft.effective,
        "onset": draft.onset,
        "colour": draft.colour,
        "fields": draft.fields,
        "update": inputs.update,
        "previous": _previous(inputs),
    }


def _previous(inputs: Inputs) -> Previous | None:
    if not inputs.chain:
        return None
    last = inputs.chain[-1]
    return Previous(sent=last.sent or last.created_at, colour=last.draft.colour, expires=last.draft.expires)


def _names(inputs: Inputs, code: str) -> dict[str, str]:
    chinese, english = inputs.names.get(canonical(code), (code, code))
    return {"zh-CN": chinese, "en": english}


def _cap(
    inputs: Inputs, purpose: Purpose, said: Mapping[str, library.Parts], identifier: str, sent: datetime,
    place: Place,
) -> bytes:  # fmt: skip
    """One alert of all languages. An ending refers to the warning and is as old as the approval of it.

    An update, and its ending, refer to every earlier message of the chain too (CAP-R07).
    """
    draft = inputs.release.draft
    words = {
        language: cap_release.Words(
            event=inputs.template.events[language],
            headline=parts.headline,
            description=parts.description,
            instruction=parts.instruction,
            sender_name=place.issuer(draft.issuer, language),
        )
        for language, parts in said.items()
    }
    main = cap.Reference(sender=place.sender_id, identifier=identifier, sent=sent)
    earlier = tuple(
        cap.Reference(sender=place.sender_id, identifier=r.identifier, sent=r.sent)
        for r in inputs.chain
        if r.sent is not None
    )
    alert = cap_release.make_alert(
        purpose=purpose,
        identifier=identifier + _ENDS[purpose],
        sender=place.sender_id,
        sent=sent,
        mode=inputs.mode,
        kind=draft.kind,
        event_code=draft.event_code,
        words=words,
        places=[cap_release.Place(code=c, names=_names(inputs, c)) for c in draft.areas],
        expires=draft.expires,
        level=cap_release.Level(colour=draft.colour, grade=draft.grade, response=draft.response_level),
        effective=draft.effective,
        onset=draft.onset,
        references=earlier if purpose is Purpose.MAIN else (*earlier, main),
        is_observed=draft.fields.get("basis") == "observed",  # measured, not forecast
        responses=_responses(inputs),
        severity=inputs.template.policy.get("severity", ""),
        web=f"{place.public_url.rstrip('/')}/alerts/{inputs.release.id}/",
    )
    return cap.build(alert, zone=place.zone)


def _responses(inputs: Inputs) -> Sequence[str]:
    """CAP responseType as the template gives it for what the author chose; () where it says nothing."""
    table: Mapping[str, Any] = inputs.template.policy.get("responses", {})
    return tuple(table.get(str(inputs.release.draft.fields.get(table.get("field", ""), "")), ()))


def main_of(artefacts: Sequence[Artefact]) -> list[Artefact]:
    """Those that leave at once; the endings wait for their own act."""
    return [a for a in artefacts if a.purpose is Purpose.MAIN]
