"""Approved releases for the bench, by the same acts as a desk's."""

from dataclasses import replace

from approval import checks, desk, forms, gather
from domain.person import Person
from domain.release import Release
from hub.wiring import Hub, now
from store import people, promises
from templates.library import library
from tocsin.benches.place import APPROVER, OFFICER

TEMPLATE = "heavy_rain"


def submitted(hub: Hub, area: str) -> Release:
    """A release by SMS to everybody of one county, frozen and not yet approved."""
    at, author = now(), _person(hub, OFFICER)
    body = forms.example(library()[TEMPLATE], at, zone=hub.zone, codes=[area], lanes=["sms"])
    body |= {"channels": ["sms"], "languages": ["zh-CN"]}
    draft = hub.store.read(lambda unit: forms.draft_from_body(unit, body, by=author, at=at))
    made = hub.store.run(lambda unit: desk.create(unit, draft, by=author, at=at))
    inputs = hub.store.read(lambda unit: gather.prepare_stored(unit, made.id, zone=hub.zone))
    frozen = checks.freeze(inputs, replace(hub.place, lanes=None), at=at)
    return hub.store.run(lambda unit: desk.submit(unit, made.id, frozen, by=author, at=at))


def approve(hub: Hub, release: Release) -> None:
    """The approver's act, and the bell that follows its commit."""
    approver = _person(hub, APPROVER)
    hub.store.run(lambda unit: desk.approve(unit, release.id, digest=release.digest, by=approver, at=now()))
    for dispatch in hub.store.read(lambda unit: promises.of_release(unit, release.id)):
        hub.bell("relay", dispatch.id)


def _person(hub: Hub, person: str) -> Person:
    return hub.store.read(lambda unit: people.get(unit, person))
