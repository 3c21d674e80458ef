"""What several messages have in common: the one conversation, album or long text that they are pieces of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

PARTS_WAIT = timedelta(seconds=60)  # for the missing parts of a long text (PROMISES H99)
PARTS_LATE = timedelta(
    hours=1
)  # then the same reference is another text: a phone counts to 255 and begins again


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One message as a part of something. Keys are plain here and blind in the store: they hold numbers of people."""

    correspondent: str  # who writes, and to whom: pieces of one correspondent are put together one at a time
    thread: str  # what they are pieces of: an album, a long text; of a lone message the message
    message: str  # its own name, that an edit or a reply repeats
    answers: Sequence[
        str
    ] = ()  # names of messages that it answers: a piece's, or the provider's name of ours
    n: int = 0  # its place
    total: int = 1  # pieces of a long text; 1 where nobody says how many there will be
    edited: int = 0  # 0 for the message as first sent, then the time of the edit: the latest one counts
    body: Mapping[str, Any] = field(default_factory=dict)  # JSON: what the text is put together from
