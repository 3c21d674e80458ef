"""The contract between the hub and a wire.

To add a wire: one file here, its row in ``hub/wiring.py``, its simulator, its table of cases in
``tests/channels``, its line in the documents (ARCHITECTURE.md, "To add a channel").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.parcel import Answer, Part


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
    payloads: Mapping[str, bytes]  # language -> artefact body of this publisher's channel


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of the public directory. Index files are written last."""

    path: str  # relative, e.g. public/cap/rel_01J....xml
    body: bytes
    media_type: str
    is_index: bool = False


class Publisher(Protocol):
    """A wire that publishes to everyone at once, as files. Pure: same entries, same bytes."""

    name: str  # cap_feed
    channel: str

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        """The files of `entries` (newest first), byte-identical at each call."""
