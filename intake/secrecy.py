"""Which compartment the words of a message ask for before anybody has read them: it is filed there, not moved later."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.report import Content
from domain.secrecy import by_event
from intake.triage import Rules, spoken

LiesIn = Callable[[Content], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorter:
    """Reads with the table of event types that the study uses."""

    rules: Rules

    def __call__(self, content: Content) -> int:
        """Compartments by the event type that the first rule to hit suggests; marks are found by the store itself."""
        hits = self.rules.events.hits(spoken(content))
        return by_event(hits[0].value) if hits else 0


def nowhere(_content: Content) -> int:
    """For a hub without rules."""
    return 0
