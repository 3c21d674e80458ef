"""Everything a freeze needs from the store, read at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from approval.policy import POLICIES, Policy, policy_for
from domain.errors import BadInput, NotFound
from domain.handling import Mode
from domain.place import canonical
from domain.release import Audience, Draft, Release
from store import areas, audience, hub, numbers, releases
from store.unit import Unit
from templates.library import Template, pinned

ADDRESSED = ("sms", "email", "telegram")  # channels that reach addresses; the others publish to everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """One release with what surrounds it. `counts`: addressed channel -> addresses of its audience."""

    release: Release
    template: Template
    policy: Policy
    mode: Mode
    number: int  # within the year, as printed; an update keeps that of the first message
    names: Mapping[str, tuple[str, str]]  # known area code -> (Chinese, English); unknown codes are missing
    list_version: int
    counts: Mapping[str, int] = field(default_factory=dict)
    chain: tuple[Release, ...] = ()  # what it replaces, the first message of the event first

    @property
    def update(self) -> int:
        """0 for a first message, else which one it is: 2, 3, ..."""
        return len(self.chain) + 1 if self.chain else 0

    @property
    def reach(self) -> int:
        """Addresses over all addressed channels."""
        return sum(self.counts.values())


def prepare(unit: Unit, release: Release, *, zone: tzinfo, policies: Sequence[Policy] = POLICIES) -> Inputs:
    """Read what a freeze of `release` needs; run it in `Store.read`, it counts the audience.

    The release may be one that was never stored (a preview while typing). Raises NotFound for an unknown
    template or a hub without mode, NotAllowed where no policy fits.
    """
    draft, mode = release.draft, hub.mode(unit)
    wanted = selector(draft)
    version = audience.version(unit) if set(ADDRESSED) & set(draft.channels) else 0
    places = _canonical(wanted.areas)
    counts = {
        channel: _count(unit, channel, places, wanted, version)
        for channel in ADDRESSED
        if channel in draft.channels
    }
    chain = chain_of(unit, draft.supersedes)
    first = chain[0] if chain else release
    local = first.created_at.astimezone(zone)
    new_year = datetime(local.year, 1, 1, tzinfo=zone)
    return Inputs(
        release=release,
        template=pinned(draft.template, draft.template_version),
        policy=policy_for(draft, mode, policies),
        mode=mode,
        number=numbers.ordinal(unit, first.id, first.created_at, since=new_year),
        names=areas.names(unit, _canonical((*draft.areas, *wanted.areas))),
        list_version=version,
        counts=counts,
        chain=chain,
    )


def chain_of(unit: Unit, release_id: str) -> tuple[Release, ...]:
    """`release_id` and what it replaced, the oldest first; () for ''.

    What never was approved cannot have been replaced, so each of them has its identifier.
    """
    found: list[Release] = []
    while release_id and (release := releases.get(unit, release_id)):
        found.append(release)
        release_id = release.draft.supersedes
    return tuple(reversed(found))


def prepare_stored(
    unit: Unit, release_id: str, *, zone: tzinfo, policies: Sequence[Policy] = POLICIES
) -> Inputs:
    """prepare() of the release as it stands. Raises NotFound as well for an unknown one."""
    release = releases.get(unit, release_id)
    if release is None:
        raise NotFound("no such release")
    return prepare(unit, release, zone=zone, policies=policies)


def selector(draft: Draft) -> Audience:
    """The audience with its areas written out: those of the release where none are named."""
    chosen = draft.audience
    return Audience(areas=chosen.areas or draft.areas, groups=chosen.groups, languages=chosen.languages)


def _count(unit: Unit, channel: str, places: Sequence[str], wanted: Audience, version: int) -> int:
    """Nobody for an audience without areas: an empty filter would reach the whole list (H91)."""
    if not places:
        return 0
    _, addresses = audience.count(
        unit, channel=channel, areas=places, groups=wanted.groups, languages=wanted.languages,
        list_version=version,
    )  # fmt: skip
    return addresses


def _canonical(codes: Sequence[str]) -> list[str]:
    """The well-formed ones; the others are flaws of the draft and named there."""
    found = []
    for code in codes:
        try:
            found.append(canonical(code))
        except BadInput:
            continue
    return found
