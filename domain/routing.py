"""Which body is responsible for a report, and how far a hand-over to it is: 移送, 签收."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.moves import Moves

SIGN_WITHIN = timedelta(
    minutes=30
)  # unless the body's row says otherwise; the counties' own forms say 15 to 30
CHANNELS = ("email", "sms", "console")  # console: people of this hub sign for it, or it is told by telephone


class HandoverState(StrEnum):
    """Where one hand-over stands."""

    PROPOSED = "proposed"  # by a rule; an officer confirms or changes it
    SENT = "sent"  # 移送: the body has been told, or is being told
    SIGNED = "signed"  # 签收
    PASSED_ON = "passed_on"  # 转送: another body has it now
    DROPPED = "dropped"  # a proposal that nobody took, or that another took the place of
    TAKEN_BACK = "taken_back"  # the duty room has the report again


HANDOVERS = Moves(
    "handover",
    HandoverState,
    {
        (HandoverState.PROPOSED, "confirm_handover"): HandoverState.SENT,
        (HandoverState.PROPOSED, "drop_handover"): HandoverState.DROPPED,
        (HandoverState.SENT, "sign_handover"): HandoverState.SIGNED,
        (HandoverState.SENT, "pass_on"): HandoverState.PASSED_ON,
        (HandoverState.SIGNED, "pass_on"): HandoverState.PASSED_ON,
        (HandoverState.SENT, "take_back"): HandoverState.TAKEN_BACK,
        (HandoverState.SIGNED, "take_back"): HandoverState.TAKEN_BACK,
    },
)
GOING = (HandoverState.SENT, HandoverState.SIGNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A responsible body, and how it is told."""

    id: str
    name: str
    channel: str
    address: str  # '' for console
    sign_minutes: int
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Area by category: both are beginnings of codes, '' is all."""

    id: str
    area: str
    category: str
    body: str

    @property
    def weight(self) -> tuple[int, int]:
        """The longer match wins: of the area first, then of the category."""
        return len(self.area), len(self.category)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A report handed to a body."""

    id: str
    report: str
    body: str
    state: HandoverState
    rule: str  # '' for a choice of an officer's
    why: str  # what it is explained with: prefixes of the rule, or the officer's reason
    by: str
    at: datetime
    due_at: datetime | None = None  # for the signature
    dispatch: str = ""
    signed_by: str = ""
    signed_at: datetime | None = None
    signed_way: str = ""  # console | link | email
    escalated_at: datetime | None = None
    declined_by: str = ""  # who of the body said on the page of the link that it is not theirs
    declined_at: datetime | None = None
    declined_why: str = ""
    delivery: str = ""  # how far the telling is

    @property
    def is_turned_down(self) -> bool:
        """Whether the body has it, said that it is not theirs, and has not signed for it since."""
        is_signed_since = self.signed_at and self.declined_at and self.signed_at > self.declined_at
        return self.state in GOING and self.declined_at is not None and not is_signed_since


def matching(rules: Iterable[Rule], area: str, category: str) -> list[Rule]:
    """Those that hold for this area and category, the one that wins first; equal ones in the order of their ids."""
    found = [r for r in rules if area.startswith(r.area) and category.startswith(r.category)]
    return sorted(found, key=lambda r: (tuple(-n for n in r.weight), r.id))
