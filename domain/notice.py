"""A message to one person that nobody has to approve: from a closed list, never to many (law 3)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

CHANNELS = (
    "sms",
    "email",
    "telegram",
)  # channels of one address; a notice never goes to pages, feeds or loudspeakers


class NoticeKind(StrEnum):
    """The closed list. Everything else that leaves is an approved artefact."""

    ACKNOWLEDGEMENT = "acknowledgement"  # your report 4F7K-92PX has arrived
    ANSWER = (
        "answer"  # of an officer to whoever reported, in his own words: to that one address and nobody else
    )
    HANDOVER = "handover"  # a report is handed to the body that is responsible: sign for it
    CHAT_HELP = "chat_help"  # how to report by chat, and how to subscribe to warnings
    CHAT_SUBSCRIBED = "chat_subscribed"  # warnings for this area come to this chat now
    CHAT_WHICH_AREA = "chat_which_area"  # no such area, or several
    CHAT_STOPPED = "chat_stopped"  # no more warnings come to this chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One text for one address about one report; the same kind about the same report is the same notice."""

    kind: NoticeKind
    about: str  # report id
    channel: str
    address: str
    language: str
    payload: bytes  # as the wire of the channel takes it: text; for mail a subject line, an empty line, text
    expires: datetime  # of no use afterwards
