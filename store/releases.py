"""Releases, the bytes frozen of them, and the votes over those bytes."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.artefact import Artefact, Purpose, canonical_json, digest_of, line_of
from domain.errors import Conflict
from domain.handling import Handling
from domain.release import Audience, Colour, Draft, Kind, Release, State
from store import tables as t
from store.columns import Instant
from store.unit import Unit

LONGEST_HEADLINE = 300  # characters; the column's width, CAP-R34 asks for 160


def insert(unit: Unit, release: Release) -> None:
    """Add a draft."""
    row = {**_draft_row(release.draft), **_standing(release, release.created_at)}
    row |= {"id": release.id, "author": release.author, "created_at": release.created_at}
    unit.execute(t.release_row.insert(), row)
    _add_editors(unit, release)


def get(unit: Unit, release_id: str, *, lock: bool = False) -> Release | None:
    """The release as it stands."""
    query = sa.select(t.release_row).where(t.release_row.c.id == release_id)
    row = unit.row(unit.locked(query) if lock else query)
    if row is None:
        return None
    e = t.release_editor.c
    editors = frozenset(r.person for r in unit.rows(sa.select(e.person).where(e.release == release_id)))
    return _release(row, editors)


def save(unit: Unit, before: Release, after: Release, at: datetime) -> None:
    """Compare-and-set on state and revision. Raises Conflict."""
    r = t.release_row
    same = (r.c.id == before.id, r.c.state == before.state.value, r.c.revision == before.revision)
    values = {**_draft_row(after.draft), **_standing(after, at)}
    if unit.execute(r.update().where(*same).values(**values)).rowcount != 1:
        raise Conflict("the release has changed since it was read", code="release_changed")
    _add_editors(unit, after)


def page(
    unit: Unit, *, limit: int, before: tuple[datetime, str] | None = None, states: Iterable[str] = ()
) -> list[Release]:
    """Newest first, older than `before` = (created_at, id)."""
    r = t.release_row.c
    query = sa.select(r.id).order_by(r.created_at.desc(), r.id.desc()).limit(limit)
    if before:
        place = sa.tuple_(sa.literal(before[0], Instant()), sa.literal(before[1]))
        query = query.where(sa.tuple_(r.created_at, r.id) < place)
    if wanted := list(states):
        query = query.where(r.state.in_(wanted))
    found = [get(unit, row.id) for row in unit.rows(query)]
    return [release for release in found if release]


def state_at(unit: Unit, release_id: str) -> datetime:
    """When the state last changed."""
    instant: datetime = unit.scalar(
        sa.select(t.release_row.c.state_at).where(t.release_row.c.id == release_id)
    )
    return instant


def ids_in(unit: Unit, states: Iterable[State]) -> list[str]:
    """Ids of the releases in one of `states`."""
    r = t.release_row.c
    return [row.id for row in unit.rows(sa.select(r.id).where(r.state.in_([s.value for s in states])))]


def put_artefacts(unit: Unit, release_id: str, digest: str, frozen: Iterable[tuple[Artefact, str]]) -> None:
    """Keep the frozen bytes of one submission, each with its headline; the same again changes nothing."""
    for artefact, headline in frozen:
        unit.add_once(
            t.artefact,
            {
                "id": artefact.id,
                "release": release_id,
                "digest": digest,
                "channel": artefact.channel,
                "language": artefact.language,
                "area_variant": artefact.area_variant,
                "purpose": artefact.purpose.value,
                "media_type": artefact.media_type,
                "body": artefact.body,
                "sha256": artefact.sha256,
                "headline": headline[:LONGEST_HEADLINE],
            },
        )


def put_manifest(unit: Unit, release_id: str, digest: str, manifest: Mapping[str, Any]) -> None:
    """Keep what else the digest covers, as the bytes that it was taken of; the same again changes nothing."""
    row = {"release": release_id, "digest": digest, "manifest": canonical_json(manifest)}
    unit.add_once(t.release_manifest, row)


def manifest(unit: Unit, release_id: str) -> Mapping[str, Any]:
    """What was submitted last besides bytes; {} where nothing was, or where it is not what the digest was taken of."""
    m, r, a = t.release_manifest.c, t.release_row.c, t.artefact.c
    is_in_force = sa.and_(r.id == m.release, r.digest == m.digest)
    query = sa.select(m.digest, m.manifest).join(t.release_row, is_in_force).where(m.release == release_id)
    row = unit.row(query)
    if row is None:
        return {}
    named = sa.select(a.channel, a.language, a.area_variant, a.purpose, a.sha256)
    rows = unit.rows(named.where(a.release == release_id, a.digest == row.digest))
    lines = (line_of(x.channel, x.language, x.area_variant, Purpose(x.purpose), x.sha256) for x in rows)
    found: Mapping[str, Any] = json.loads(row.manifest)
    return found if digest_of(lines, row.manifest) == row.digest else {}


def artefacts(unit: Unit, release_id: str, digest: str) -> list[Artefact]:
    """The frozen bytes of one submission, in a fixed order."""
    a = t.artefact.c
    query = sa.select(t.artefact).where(a.release == release_id, a.digest == digest)
    query = query.order_by(a.purpose.desc(), a.channel, a.language, a.area_variant)
    return [_artefact(row) for row in unit.rows(query)]


def artefact(unit: Unit, artefact_id: str) -> Artefact | None:
    """One frozen artefact."""
    row = unit.row(sa.select(t.artefact).where(t.artefact.c.id == artefact_id))
    return _artefact(row) if row else None


def headlines(unit: Unit, release_id: str, digest: str) -> dict[str, str]:
    """language -> headline of a submission."""
    a = t.artefact.c
    query = sa.select(a.language, a.headline).where(
        a.release == release_id, a.digest == digest, a.purpose == Purpose.MAIN.value, a.headline != ""
    )
    return {row.language: row.headline for row in unit.rows(query)}


def vote(unit: Unit, row: Mapping[str, Any]) -> None:
    """Record a vote or another act over a digest."""
    unit.execute(t.approval.insert(), dict(row))


def votes(unit: Unit, release_id: str, digest: str) -> set[str]:
    """The persons whose approval of this digest stands."""
    a = t.approval.c
    query = sa.select(a.person).where(
        a.release == release_id, a.digest == digest, a.act == "approve", a.is_void.is_(False)
    )
    return {row.person for row in unit.rows(query)}


def void_votes(unit: Unit, release_id: str) -> None:
    """An edit makes every vote void; the rows stay."""
    unit.execute(t.approval.update().where(t.approval.c.release == release_id).values(is_void=True))


def _add_editors(unit: Unit, release: Release) -> None:
    for person in release.editors:
        unit.add_once(t.release_editor, {"release": release.id, "person": person})


def _draft_row(draft: Draft) -> dict[str, Any]:
    body: dict[str, Any] = {
        "areas": list(draft.areas),
        "fields": dict(draft.fields),
        "channels": list(draft.channels),
        "languages": list(draft.languages),
        "audience": asdict(draft.audience),
        "effective": draft.effective.isoformat() if draft.effective else None,
        "onset": draft.onset.isoformat() if draft.onset else None,
    }
    return {
        "kind": draft.kind.value,
        "issuer": draft.issuer,
        "organisation": draft.organisation,
        "handling": draft.handling.value,
        "template": draft.template,
        "template_version": draft.template_version,
        "event_code": draft.event_code,
        "grade": draft.grade,
        "colour": draft.colour.value if draft.colour else None,
        "response_level": draft.response_level,
        "body": body,
        "expires": draft.expires,
        "review_by": draft.review_by,
        "repeat_unsure": draft.repeat_unsure,
        "from_report": draft.from_report or None,
        "from_bulletin": draft.from_bulletin,
        "supersedes": draft.supersedes or None,
    }


def _standing(release: Release, at: datetime) -> dict[str, Any]:
    return {
        "state": release.state.value,
        "state_at": at,
        "revision": release.revision,
        "submitted_by": release.submitted_by or None,
        "submitted_at": release.submitted_at,
        "sent": release.sent,
        "identifier": release.identifier or None,
        "digest": release.digest,
        "list_version": release.list_version,
        "reach": release.reach,
        "approved_at": release.approved_at,
        "ended_reason": release.ended_reason,
    }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _release(row: sa.Row[Any], editors: frozenset[str]) -> Release:
    body = row.body
    draft = Draft(
        kind=Kind(row.kind),
        issuer=row.issuer,
        organisation=row.organisation,
        handling=Handling(row.handling),
        template=row.template,
        template_version=row.template_version,
        event_code=row.event_code,
        areas=tuple(body["areas"]),
        fields=body["fields"],
        channels=tuple(body["channels"]),
        languages=tuple(body["languages"]),
        audience=Audience(**{k: tuple(v) for k, v in body["audience"].items()}),
        expires=row.expires,
        effective=_instant(body["effective"]),
        onset=_instant(body["onset"]),
        review_by=row.review_by,
        repeat_unsure=row.repeat_unsure,
        grade=row.grade,
        colour=Colour(row.colour) if row.colour else None,
        response_level=row.response_level,
        from_report=row.from_report or "",
        from_bulletin=row.from_bulletin,
        supersedes=row.supersedes or "",
    )
    return Release(
        id=row.id, draft=draft, state=State(row.state), revision=row.revision, author=row.author,
        editors=editors, created_at=row.created_at, submitted_by=row.submitted_by or "",
        submitted_at=row.submitted_at, sent=row.sent, identifier=row.identifier or "", digest=row.digest,
        list_version=row.list_version, reach=row.reach, approved_at=row.approved_at,
        ended_reason=row.ended_reason,
    )  # fmt: skip


def _artefact(row: sa.Row[Any]) -> Artefact:
    return Artefact(
        id=row.id,
        channel=row.channel,
        language=row.language,
        area_variant=row.area_variant,
        purpose=Purpose(row.purpose),
        media_type=row.media_type,
        body=row.body,
    )


def is_intact(unit: Unit, release_id: str, digest: str) -> bool:
    """Whether there are bytes of this submission, each with the hash that was written beside it."""
    a = t.artefact.c
    rows = unit.rows(sa.select(a.body, a.sha256).where(a.release == release_id, a.digest == digest))
    return bool(rows) and all(hashlib.sha256(row.body).hexdigest() == row.sha256 for row in rows)
