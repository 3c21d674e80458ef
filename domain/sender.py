"""Whether a mail is from whom it says: what was found out, and how far it is believed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What the look at a sender came to."""

    UNCHECKED = "unchecked"  # nobody could be asked; never taken for a pass
    UNVERIFIED = "unverified"  # 未核实
    VERIFIED = "verified"  # the domain in From vouches for this very mail


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderCheck:
    """The verdict with its reasons (keys of `sender_reason` in the console's words), the weightiest first."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    checked_at: datetime | None = None

    @property
    def trust(self) -> int:
        """0: nothing may happen on this mail's word alone. 1: it is from the domain that stands in From."""
        return 1 if self.verdict is Verdict.VERIFIED else 0


NOT_CHECKED = SenderCheck(verdict=Verdict.UNCHECKED, reasons=("not_checked",))
