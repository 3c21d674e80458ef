"""The contract between the hub and a wire.

To add a wire: one file here, its row in ``hub/wiring.py``, its simulator, its table of cases in
``tests/channels``, its line in the documents (ARCHITECTURE.md, "To add a channel").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from domain.parcel import Answer, Listed, Part


class Wire(Protocol):
    """A provider that takes addresses. It parses and makes one call; it never splits, paces or repeats."""

    name: str  # twilio_sms
    channel: str  # sms
    items_per_call: int
    window: int  # calls in flight that the provider allows one process
    reaches_the_world: bool  # False for a simulator on this machine

    async def call(self, part: Part) -> Sequence[Answer]:
        """Hand over `part.items`, one answer for each.

        Raises NotNow (provably not taken), Never (always refused), Unsure (everything else).
        """

    async def aclose(self) -> None:
        """Close sessions; safe to call twice."""


@runtime_checkable
class LooksUp(Protocol):
    """A wire whose provider can be asked what it holds: what settles the unsure (PROMISES R4)."""

    async def look_up(self, address: str, since: datetime) -> Sequence[Listed]:
        """Every message of ours to `address` that the provider has made since then, the whole list.

        Raises NotNow, Never or Unsure when it is not whole: an absence is a proof, and must be one.
        """


@runtime_checkable
class Repeats(Protocol):
    """A wire whose repeat of an unsure delivery reads as the same message at the other end."""

    repeats_after: timedelta  # once


@runtime_checkable
class Weighs(Protocol):
    """A wire of which one call may be several messages of the provider: it counts each, in pace and in window."""

    def weight(self, payload: bytes) -> int:
        """How many messages this text is; 1 for what is no text."""


def weight_of(wire: Wire, payload: bytes) -> int:
    """How many messages one call with this payload is at the provider."""
    return max(wire.weight(payload), 1) if isinstance(wire, Weighs) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """An administrative division as a reader knows it; `centre` is (longitude, latitude), WGS 84 degrees."""

    code: str  # 12 digits
    names: Mapping[str, str]  # language -> name
    centre: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One release as a publisher sees it: the frozen bytes, and where it stands now."""

    release_id: str
    identifier: str
    state: str  # domain.release.State value
    sent: datetime
    changed_at: datetime  # last change of state
    expires: datetime
    kind: str
    colour: str
    event_code: str
    issuer: str
    areas: Sequence[str]
    headlines: Mapping[str, str]  # language -> headline
    payloads: Mapping[
        str, bytes
    ]  # language -> artefact body of this publisher's channel; may read when asked
    hashes: Mapping[str, str] = field(
        default_factory=dict
    )  # as payloads -> SHA-256; without it, they are read
    digest: str = ""  # what was approved
    number: int = 0  # 第12号: of the year in which it was drafted; 0 where unknown
    supersedes: str = ""  # id of the release that this one replaced
    channels: Sequence[str] = ("cap_feed", "web_notice")  # all on which it is released
    is_recent: bool = True  # issued in a month of which all is told
    divisions: Sequence[Division] = ()  # of `areas`, and what those lie in, where known


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of the public directory. Index files are written last.

    `version` names all that `body` is made of: a file that lies there in that version is not made again.
    """

    path: str  # relative, e.g. public/cap/rel_01J....xml
    body: bytes | Callable[[], bytes]
    media_type: str
    is_index: bool = False
    version: str = ""  # unknown: made and compared each time
    is_passing: bool = False  # a further page of a list: taken away when the list no longer reaches it
    about: str = ""  # id of the release whose payloads the body holds

    def read(self) -> bytes:
        """The bytes, made now where they are not made yet."""
        return self.body if isinstance(self.body, bytes) else self.body()


class Publisher(Protocol):
    """A wire that publishes to everyone at once, as files. Pure: same entries, same bytes."""

    name: str  # cap_feed
    channel: str

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """The files of `entries` (newest first), byte-identical at each call.

        Cheap: bodies are made when they are read, and payloads read when a body is made.
        """
