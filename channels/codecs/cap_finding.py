"""What a check of a CAP document found: rule, severity, place, sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters: an error forbids publishing, a warning is for an officer's eye, a note breaks nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding; `line` is 1-based, 0 when unknown.

    `rule` is ``CAP-R01`` .. ``CAP-R38``, ``XSD``, or ``XML`` for what cannot be read.
    """

    rule: str
    severity: Severity
    line: int
    message: str
    path: str = ""  # alert/info[1]/area[2]/polygon[1]

    @property
    def is_error(self) -> bool:
        """Whether it forbids publishing."""
        return self.severity is Severity.ERROR


def report(findings: Sequence[Finding]) -> str:
    """One line a finding, ``CAP-R07 error line 12: ... (alert/references[1])``; '' when there is none."""
    return "\n".join(
        f"{f.rule} {f.severity} line {f.line}: {f.message}" + (f" ({f.path})" if f.path else "")
        for f in findings
    )
