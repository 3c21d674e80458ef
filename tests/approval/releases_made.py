"""Releases for tests, made by the same acts as in the duty room."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from approval import checks, desk, forms, freeze, gather
from approval.policy import POLICIES
from domain.release import Draft, Release
from templates.library import library

ZONE = ZoneInfo("Asia/Shanghai")
PLACE = freeze.Place(zone=ZONE, sender_id="tocsin@example.invalid", public_url="http://127.0.0.1:8000")
DISTRICT = "990101000000"


def body(at: datetime, template: str = "heavy_rain", **changes: Any) -> dict[str, Any]:
    return forms.example(library()[template], at, zone=ZONE) | changes


def draft(store, by, at: datetime, template: str = "heavy_rain", **changes: Any) -> Draft:
    wanted = body(at, template, **changes)
    return store.read(lambda u: forms.draft_from_body(u, wanted, by=by, at=at))


def created(store, by, at: datetime, template: str = "heavy_rain", **changes: Any) -> Release:
    wanted = draft(store, by, at, template, **changes)
    return store.run(lambda u: desk.create(u, wanted, by=by, at=at))


def frozen(store, release_id: str, at: datetime, policies=POLICIES) -> freeze.Frozen:
    inputs = store.read(lambda u: gather.prepare_stored(u, release_id, zone=ZONE, policies=policies))
    return checks.freeze(inputs, PLACE, at=at)


def submitted(store, by, at: datetime, policies=POLICIES, **changes: Any) -> Release:
    release = created(store, by, at, **changes)
    bytes_ = frozen(store, release.id, at, policies)
    return store.run(lambda u: desk.submit(u, release.id, bytes_, by=by, at=at, policies=policies))


def approved(store, author, approver, at: datetime, **changes: Any) -> Release:
    release = submitted(store, author, at, **changes)
    return store.run(lambda u: desk.approve(u, release.id, digest=release.digest, by=approver, at=at))
