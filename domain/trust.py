"""Who reports: those whom we know, what became of what somebody sent before, and whom nobody wants to hear for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.moves import Moves

LONGEST_BLOCK = timedelta(
    days=90
)  # then somebody must say so again: a number is another person's after a year
CHANNELS = ("sms", "voice", "phone", "email", "telegram", "web")  # on which a sender has an address


class VerdictKind(StrEnum):
    """What was said of a report."""

    FALSE = "false"  # 不实: it happened otherwise, or not at all
    ABUSE = "abuse"  # 恶意: it lies in quarantine
    BLOCKED = (
        "blocked"  # its sender is on the block list: it lies in quarantine unless its words tell of danger
    )


class VerdictState(StrEnum):
    """Whether it holds."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


VERDICTS = Moves(
    "verdict",
    VerdictState,
    {
        (VerdictState.GIVEN, "withdraw_verdict"): VerdictState.WITHDRAWN,
        (VerdictState.WITHDRAWN, "give_verdict"): VerdictState.GIVEN,
    },
)
SETS_ASIDE = frozenset({VerdictKind.ABUSE, VerdictKind.BLOCKED})


class KnownKind(StrEnum):
    """Who is known."""

    INFORMANT = "informant"  # 信息报告员
    ENTERPRISE = "enterprise"  # 企业


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Somebody who reports by an office or a duty, with the addresses that he reports from."""

    id: str
    kind: KnownKind
    name: str
    body: str  # where he belongs
    area: str
    since: datetime
    until: datetime
    addresses: tuple[tuple[str, str], ...]  # (channel, address)
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sender whose reports lie in quarantine until a day."""

    id: str
    channel: str
    address: str
    reason: str
    by: str
    at: datetime
    until: datetime
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was said of a report, and whether it holds."""

    report: str
    kind: VerdictKind
    state: VerdictState
    by: str
    at: datetime
    reason: str
    is_urgent: bool = False  # of a blocked one: its words tell of danger, so it is in the queue all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What came of what one sender sent before."""

    reports: int = 0
    verified: int = 0
    false: int = 0
    abuse: int = 0
    is_more: bool = False  # only the latest were counted
