"""The labelled reports of this folder, and the score of what is proposed for them.

A line: incident | day hour:minute of June 2026, Asia/Shanghai | channel | division | position | text.
Each part is one stream. A report has a *question* when an earlier one of its stream tells of the same incident.
Recall: questions with at least one right proposal among the first three, over all questions. Precision: right
proposals over all that are made among the first three of any report, asked for or not; a proposal is a report at or
above the threshold, and right when it tells of the same incident.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.handling import Handling
from domain.report import Content, Fact, Report, State

ZONE = ZoneInfo("Asia/Shanghai")
PARTS = tuple(f"part{n}" for n in range(1, 13))  # fitted to: tests/intake/same/fit.py holds out
HELD = ("part13", "part14", "part15")  # never fitted to: docs/triage.md says what was mended after them
TOP = 3


@dataclass(frozen=True)
class Labelled:
    """A report with the name of what it tells of."""

    incident: str
    report: Report


@dataclass(frozen=True)
class Score:
    """Counts of one stream, or of several together."""

    questions: int
    answered: int
    proposed: int
    right: int

    @property
    def recall(self) -> float:
        return self.answered / self.questions

    @property
    def precision(self) -> float:
        return self.right / self.proposed

    def __add__(self, other: "Score") -> "Score":
        return Score(self.questions + other.questions, self.answered + other.answered,
                     self.proposed + other.proposed, self.right + other.right)  # fmt: skip


def read(part: str) -> list[Labelled]:
    """The reports of one part in the order of their arrival."""
    lines = (Path(__file__).parent / f"{part}.txt").read_text("utf-8").splitlines()
    found = [_labelled(part, n, line) for n, line in enumerate(lines) if line and not line.startswith("#")]
    return sorted(found, key=lambda one: one.report.received_at)


def _labelled(part: str, n: int, line: str) -> Labelled:
    incident, when, channel, area, position, text = (field.strip() for field in line.split("|"))
    day, clock = when.split()
    hour, minute = map(int, clock.split(":"))
    at = datetime(2026, 6, int(day), hour, minute, tzinfo=ZONE)
    facts = {"position": (Fact(value=position, origin="test"),)} if position else {}
    report = Report(id=f"rep_{part}_{n}", code="", channel=channel, organisation="", handling=Handling.INTERNAL,
                    state=State.FILED, revision=1, received_at=at, filed_at=at, area=area.ljust(12, "0") if area else "",
                    content=Content(text=text, language="zh", facts=facts))  # fmt: skip
    return Labelled(incident, report)


def score(
    reports: Sequence[Labelled], propose: Callable[[Labelled, Sequence[Labelled]], Sequence[Labelled]]
) -> Score:
    """`propose(report, earlier ones)` -> its proposals, best first."""
    questions = answered = proposed = right = 0
    for n, one in enumerate(reports):
        earlier = reports[:n]
        first = list(propose(one, earlier))[:TOP]
        hits = sum(p.incident == one.incident for p in first)
        proposed, right = proposed + len(first), right + hits
        if any(e.incident == one.incident for e in earlier):
            questions, answered = questions + 1, answered + (hits > 0)
    return Score(questions, answered, proposed, right)
