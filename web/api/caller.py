"""Who calls: the API key behind a request, the person behind the key, and what both may see."""

import asyncio
import contextlib
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio.to_thread
from starlette.requests import Request

from domain.errors import NotAllowed, NotFound, Unavailable
from domain.handling import Mode
from domain.person import Person, Role, Scope
from domain.secrecy import Eyes
from hub.wiring import Hub
from store import grants, people
from store.database import SeenStore
from store.unit import Unit

BELIEVED = timedelta(
    hours=12
)  # a shift: longer than a database has ever been down, shorter than a theft stays unseen
LOOKED_AT = timedelta(
    seconds=30
)  # one look-up of all of them; a key that is taken back is believed that long, at most, when the database then goes
KEYS = 1_000  # of departments and peers that one process remembers
_TOKEN = re.compile(r"tocsin_(live|test)_[A-Za-z0-9_-]{20,120}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A key in force. `person` is None for a program that only reports."""

    key_id: str
    name: str
    organisation: str
    scopes: frozenset[Scope]
    person: Person | None
    eyes: Eyes  # which compartments exist for it

    @property
    def sees_all(self) -> bool:
        """Whether reports of every organisation are shown: the duty room's keys and an auditor's."""
        is_auditor = self.person is not None and Role.AUDITOR in self.person.roles
        return Scope.DESK in self.scopes or is_auditor

    def must_hold(self, *scopes: Scope) -> None:
        """Returns if the key holds one of `scopes`. Raises NotAllowed(scope_missing)."""
        if not self.scopes & set(scopes):
            wanted = ", ".join(s.value for s in scopes)
            raise NotAllowed(f"this needs the scope {wanted}", code="scope_missing")

    def acting(self, *scopes: Scope) -> Person:
        """The human being who acts. Raises NotAllowed for a key without one, or without the scope."""
        self.must_hold(*scopes)
        if self.person is None:
            raise NotAllowed("this key belongs to no person", code="person_missing")
        return self.person

    def may_know(self, organisation: str) -> bool:
        """Whether something of `organisation` exists for this caller (PROMISES H50)."""
        return self.sees_all or (bool(self.organisation) and organisation == self.organisation)


def hub_of(request: Request) -> Hub:
    """The hub that this application serves."""
    hub: Hub = request.app.state.hub
    return hub


class Remembered:
    """Keys that were good a while ago, by their hash, for what must be taken while the database is down.

    They are looked at again while it is there, so one that was taken back is forgotten by every process. Whoever has
    one that should be, in that moment, can hand in a report with it, no more.
    """

    def __init__(self, hub: Hub, every: timedelta = LOOKED_AT) -> None:
        self._hub, self._every = hub, every
        self._callers: dict[str, tuple[Caller, datetime]] = {}
        self._looker: asyncio.Task[None] | None = None

    def note(self, token: str, caller: Caller, at: datetime) -> None:
        """It is good now."""
        name = people.token_hash(token)
        self._callers.pop(name, None)
        self._callers[name] = (caller, at)
        while len(self._callers) > KEYS:
            del self._callers[next(iter(self._callers))]
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look_again())

    def forget(self, token: str) -> None:
        """It is no key any more."""
        self._callers.pop(people.token_hash(token), None)

    def find(self, token: str, at: datetime) -> Caller | None:
        """Whose it was within BELIEVED."""
        caller, seen = self._callers.get(people.token_hash(token), (None, at))
        return caller if at - seen < BELIEVED else None

    async def check(self) -> None:
        """Forget those that are in force no more; all stay while the database does not answer."""
        known = list(self._callers)
        with contextlib.suppress(Unavailable):
            good = await anyio.to_thread.run_sync(
                self._hub.store.read, lambda unit: people.keys_in_force(unit, known)
            )
            for name in set(known) - good:
                self._callers.pop(name, None)

    async def _look_again(self) -> None:
        while self._callers and not self._hub.stopping.is_set():
            await asyncio.sleep(self._every.total_seconds())
            await self.check()


def store_of(request: Request) -> SeenStore:
    """The store as the caller of this request sees it; caller_of() comes first, nobody reads before he is known."""
    eyes: Eyes = request.state.eyes
    return hub_of(request).store.seen_by(eyes)


async def caller_of(request: Request, *, hands_in: bool = False) -> Caller:
    """The caller named by ``Authorization: Bearer``; a session cookie is never one.

    `hands_in`: what he brings waits in the spool while the database is down, so a key that was good of late will do.
    Raises NotAllowed(key_missing, key_unknown, key_of_other_mode).
    """
    hub = hub_of(request)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token:
        raise NotAllowed("send Authorization: Bearer and an API key", code="key_missing")
    shape = _TOKEN.fullmatch(token)
    if shape is None:
        raise NotAllowed("no such key", code="key_unknown")
    if (shape[1] == "live") is not (hub.mode is Mode.LIVE):
        raise NotAllowed("this key is of a hub in another mode", code="key_of_other_mode")
    remembered: Remembered = request.app.state.remembered
    try:
        found = await anyio.to_thread.run_sync(hub.store.read, lambda unit: _find(unit, token, hub.clock()))
    except Unavailable:
        known = remembered.find(token, hub.clock()) if hands_in else None
        if known is None:
            raise
        request.state.eyes = known.eyes
        return known
    if found is None:
        remembered.forget(token)
        raise NotAllowed("no such key", code="key_unknown")
    remembered.note(token, found, hub.clock())
    request.state.eyes = found.eyes
    return found


def fingerprint(*parts: bytes) -> str:
    """SHA-256 hex over `parts`, each with its length, so that no two cuts agree."""
    told = hashlib.sha256()
    for part in parts:
        told.update(len(part).to_bytes(8, "big") + part)
    return told.hexdigest()


def _find(unit: Unit, token: str, at: datetime) -> Caller | None:
    row = people.key(unit, token)
    if row is None:
        return None
    try:
        person = people.get(unit, row.person) if row.person else None
    except NotFound:
        return None
    if person is not None and not person.is_active:
        return None
    return Caller(
        key_id=row.id,
        name=row.name,
        organisation=row.organisation,
        scopes=_within(frozenset(Scope(s) for s in row.scopes), person),
        person=person,
        eyes=grants.of_key(unit, row.id, person, at),
    )


def _within(scopes: frozenset[Scope], person: Person | None) -> frozenset[Scope]:
    """A key never exceeds its person: somebody who is in the field only has his own page, and nothing by a key."""
    return scopes if person is None or person.is_of_the_desk else frozenset()
