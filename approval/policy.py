"""Who may let a release out: the table of policies, and the rule of the second pair of eyes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.errors import Conflict, NotAllowed
from domain.handling import Mode
from domain.person import Person, Role
from domain.release import Colour, Draft, Kind, Release

LAPSE = timedelta(minutes=30)  # MODEL.md: a submission not acted on; its `sent` is no longer true after that


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One row. Empty collections mean any; the first row that fits a release is in force."""

    id: str
    modes: frozenset[Mode] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    colours: frozenset[Colour] = frozenset()
    quorum: int = 1  # how many persons approve
    step_up: timedelta | None = None  # how old a second proof of identity may be; None: not asked for
    lapse: timedelta = LAPSE

    @property
    def row(self) -> Mapping[str, Any]:
        """What stands of it in a manifest: a changed policy voids what was submitted under the old one."""
        step_up = None if self.step_up is None else int(self.step_up.total_seconds())
        return {
            "id": self.id,
            "quorum": self.quorum,
            "step_up_seconds": step_up,
            "lapse_seconds": int(self.lapse.total_seconds()),
        }

    def fits(self, draft: Draft, mode: Mode) -> bool:
        """Whether this row speaks of such a release."""
        return (
            (not self.modes or mode in self.modes)
            and (not self.kinds or draft.kind in self.kinds)
            and (not self.colours or draft.colour in self.colours)
        )


# One approver besides the author everywhere: a county's night shift is two people. Where the rule of the
# place asks for two approvers of red and orange, its row goes before `live`.
POLICIES: tuple[Policy, ...] = (
    Policy(id="demo", modes=frozenset({Mode.DEMO})),
    Policy(id="exercise", modes=frozenset({Mode.EXERCISE})),
    Policy(id="live", modes=frozenset({Mode.LIVE})),
)


def policy_for(draft: Draft, mode: Mode, policies: Sequence[Policy] = POLICIES) -> Policy:
    """The row in force. Raises NotAllowed where there is none: what no row allows does not leave."""
    for policy in policies:
        if policy.fits(draft, mode):
            return policy
    raise NotAllowed("no policy allows such a release", code="no_policy")


def may_approve(
    release: Release,
    person: Person,
    votes: Collection[str],
    policy: Policy,
    *,
    at: datetime,
    step_up: datetime | None = None,
) -> None:
    """Returns if `person` may vote for `release` now.

    Author, every editor of any version and the one who submitted are excluded, by person and not by account.
    `step_up` is when the person last proved who he is. Raises NotAllowed; Conflict for a second vote.
    """
    person.must_be(Role.APPROVER)
    if person.id in release.editors | {release.author, release.submitted_by}:
        raise NotAllowed("nobody approves a release that he wrote, changed or submitted", code="own_work")
    if policy.step_up is not None and not _is_fresh(step_up, at, policy.step_up):
        raise NotAllowed("this release needs a fresh proof of who you are", code="step_up_needed")
    if person.id in votes:
        raise Conflict("this person has approved it already", code="already_voted")


def _is_fresh(step_up: datetime | None, at: datetime, lasts: timedelta) -> bool:
    return step_up is not None and timedelta(0) <= at - step_up <= lasts
