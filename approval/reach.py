"""To how many a release goes: whom its audience chooses, and to how many of them nothing leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from approval.gather import ADDRESSED, selector
from domain.release import Release
from store import audience
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One addressed channel."""

    channel: str
    reach: int
    silenced: int  # opted out and no responsible persons

    @property
    def receives(self) -> int:
        """To how many it goes."""
        return self.reach - self.silenced


def counts(unit: Unit, release: Release, known: Mapping[str, int]) -> list[Count]:
    """The audience of each addressed channel in the list version that was submitted, else in the present one.

    `known`: channel -> addresses, where they have been counted already; that is the dear part.
    """
    draft, wanted = release.draft, selector(release.draft)
    if not wanted.areas:
        return []
    given: Any = {"areas": wanted.areas, "groups": wanted.groups, "languages": wanted.languages,
                  "list_version": release.list_version or None}  # fmt: skip
    return [
        Count(
            channel=channel,
            reach=known[channel] if channel in known else audience.count(unit, channel=channel, **given)[1],
            silenced=audience.count_silenced(unit, channel=channel, **given),
        )
        for channel in ADDRESSED
        if channel in draft.channels
    ]
