"""How releases, their frozen bytes and their deliveries look in JSON."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from approval.forms import body_from_draft
from domain.artefact import Artefact
from domain.release import Release
from web.api.shapes import instant


def release(found: Release, artefacts: Iterable[Artefact] = ()) -> dict[str, Any]:
    """A release and where it stands. `artefacts`: the bytes of the submission that stands."""
    place = f"/v1/releases/{found.id}"
    return {
        "id": found.id,
        "state": found.state.value,
        "revision": found.revision,
        "kind": found.draft.kind.value,
        "event_code": found.draft.event_code,
        "organisation": found.draft.organisation,
        "template_version": found.draft.template_version,
        "draft": body_from_draft(found.draft),
        "author": found.author,
        "editors": sorted(found.editors),
        "created_at": instant(found.created_at),
        "submitted_by": found.submitted_by or None,
        "submitted_at": instant(found.submitted_at),
        "sent": instant(found.sent),
        "identifier": found.identifier or None,
        "digest": found.digest or None,
        "list_version": found.list_version,
        "reach": found.reach,
        "approved_at": instant(found.approved_at),
        "ended_reason": found.ended_reason,
        "supersedes": found.draft.supersedes or None,
        "artefacts": [artefact(found.id, a) for a in artefacts],
        "links": {
            "self": place, "preview": f"{place}/preview", "deliveries": f"{place}/deliveries",
            "summary": f"{place}/summary", "journal": f"/v1/journal/release/{found.id}",
            "page": f"/alerts/{found.id}/", "cap": f"/public/cap/{found.id}.xml",
        },
    }  # fmt: skip


def artefact(release_id: str, found: Artefact) -> dict[str, Any]:
    """What is known of frozen bytes, and where they are."""
    return {
        "id": found.id,
        "channel": found.channel,
        "language": found.language,
        "area_variant": found.area_variant,
        "purpose": found.purpose.value,
        "media_type": found.media_type,
        "sha256": found.sha256,
        "size": len(found.body),
        "href": f"/v1/releases/{release_id}/artefacts/{found.id}",
    }


def delivery(row: Any) -> dict[str, Any]:
    """One address of a release and what is known of it."""
    return {
        "id": f"{row.parcel}.{row.seq}",
        "purpose": row.purpose,
        "channel": row.channel,
        "language": row.language,
        "address": row.address,
        "state": row.state,
        "attempts": row.attempts,
        "provider_id": row.provider_id,
        "code": row.code,
        "changed_at": instant(row.changed_at),
    }


def jsonable(value: Any) -> Any:
    """`value` with its times as RFC 3339 and its enums as their words."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    return value
