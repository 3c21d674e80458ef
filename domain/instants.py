"""Which instants a stranger may name: those that every zone can tell."""

from datetime import datetime

FIRST, LAST = (
    1900,
    2999,
)  # years; of the first and the last that there are, some zones lie before or behind all time


def of_our_days(text: str) -> datetime | None:
    """The instant or the local time that ISO 8601 `text` names; None for none, and for one that is no time of people."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if FIRST <= at.year <= LAST else None
