"""What an officer and whoever reported say to each other about one report, in the order in which it was said."""

from dataclasses import dataclass
from datetime import datetime

MOST = 300  # characters an officer writes at once: with what stands around it five parts of a text
ELEMENTS = (
    "source",
    "time",
    "place",
    "nature",
    "scope",
    "casualties",
    "trend",
    "measures",
)  # of intake/triage
PAGE = "page"  # the way of what lies ready on the page of the report's secret link
API = "api"  # and of what a department fetches


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was said."""

    id: str
    report: str
    is_ours: bool
    channel: str  # sms | email | telegram, or page | api where nothing is sent: it is fetched
    by: str  # person id; '' for the reporter
    text: str
    at: datetime
    elements: tuple[str, ...] = ()  # that we asked for
    again: int = 0  # of them that were known already
    dispatch: str = ""  # the promise to send it; '' for what is fetched
    fetched_at: datetime | None = None  # first read on the page or by the department's key
    inbound: str = ""  # the message of the reporter's
    version: int | None = None  # of the report, that says it
    separated: str = ""  # the report that an officer made of it: it was about something else
    state: str = ""  # of the delivery
    code: str = ""  # why it failed
    changed_at: datetime | None = None
