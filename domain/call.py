"""A telephone call that a machine answers: its steps, and what is said and asked at each."""

from dataclasses import dataclass
from enum import StrEnum

CHINESE, ENGLISH = "zh-CN", "en"
LANGUAGES = (CHINESE, ENGLISH)
RECORDING_SECONDS = 600  # a caller who needs longer rings again; 600 s at 8 kHz are 9.6 MB, under egress's 16


class Step(StrEnum):
    """What a provider tells of a call; the first four wait for an answer that the caller hears."""

    BEGIN = "begin"  # it rings
    MENU = "menu"  # a key was pressed, or none
    PLACE = "place"  # the place by keypad or voice, or none
    SAID = "said"  # the caller has spoken, or has hung up while speaking
    RECORDING = "recording"  # where the recording lies
    TRANSCRIPT = "transcript"  # what a machine understood of it
    STATUS = "status"  # the call has ended

    @property
    def is_heard(self) -> bool:
        """Whether somebody is at the other end and waits for what to do."""
        return self in (Step.BEGIN, Step.MENU, Step.PLACE, Step.SAID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Keys, or speech as well, that `then` is told of; silence goes there too."""

    then: Step
    keys: int  # at most
    takes_speech: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the caller hears, and what happens next: a question, a recording, or the end."""

    says: tuple[tuple[str, str], ...]  # (language, words)
    language: str = CHINESE
    tries: int = 0  # of the question that is asked
    ask: Ask | None = None
    records: bool = False


class DeskAct(StrEnum):
    """What a telephone system tells of a call to the desk."""

    RING = "newCall"
    ANSWER = "answer"
    HANG_UP = "hangup"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskCall:
    """One word of the telephone system; each may come late, twice, or never."""

    act: DeskAct
    call_id: str
    caller: str = ""  # as the system gives it: a number, or "anonymous"
    called: str = ""
    agents: tuple[str, ...] = ()  # who is rung or has answered: a login, a name or an extension
    cause: str = ""
    recording: str = ""  # address of the recording, where the system keeps one
    is_incoming: bool = True
