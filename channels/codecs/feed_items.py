"""What a feed lists: a release or its ending, with titles that say how it stands, whatever the format."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from channels.codecs.chain import Chains
from channels.contract import Entry
from domain.artefact import Purpose
from domain.ids import is_id
from domain.release import CURRENT, Colour, State

CAP_TYPE = "application/cap+xml"
ENDED_ENTRIES = 100  # about 1 KB each: readers ask for feeds near 100 KB. Entries in force are always listed
LANGUAGES = ("zh-CN", "en")
STATES: Mapping[State, tuple[str, str]] = {
    State.STOPPED: ("已停止发送", "Sending stopped"),
    State.CANCELLED: ("已解除", "Lifted"),
    State.CORRECTED: ("误发已更正", "Corrected: sent in error"),
    State.SUPERSEDED: ("已被替代", "Replaced"),
    State.UNLIFTED: ("到期未解除", "Expired, not lifted"),
    State.EXPIRED: ("已到期", "Expired"),
}
_IN_FORCE = ("生效中", "In force")
_ENDING_TITLES = {Purpose.CORRECTION: ("更正", "Correction"), Purpose.LIFT: ("解除", "Lifted")}
_ENDINGS = (Purpose.CORRECTION, Purpose.LIFT)
_COLOURS = {
    Colour.RED: "红色 Red",
    Colour.ORANGE: "橙色 Orange",
    Colour.YELLOW: "黄色 Yellow",
    Colour.BLUE: "蓝色 Blue",
}
# What XML 1.0 §2.2 cannot hold, and what turns a line round: a headline may come from a peer's message.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One CAP file with its line in the feeds."""

    entry: Entry
    purpose: Purpose
    version: str  # of the entry: names all that it says
    before: str = ""  # id of the release that this one replaced
    after: str = ""  # id of the one that replaced it
    earlier: tuple[str, ...] = ()  # CAP identifiers of what it updates or ends, the first one first

    @property
    def name(self) -> str:
        """rel_01J.... , or rel_01J....-lift for an ending."""
        return self.entry.release_id + ("" if self.purpose is Purpose.MAIN else f"-{self.purpose}")

    @property
    def made_of(self) -> tuple[object, ...]:
        """All that its line in a list can show, as one key."""
        return self.name, self.version, self.before, self.after, self.earlier

    @property
    def id(self) -> str:
        """The same for ever, whatever becomes of the release."""
        return f"urn:x-tocsin:{self.name}"

    @property
    def payload(self) -> str:
        """The key of its CAP file among the payloads."""
        return "mul" if self.purpose is Purpose.MAIN else f"mul+{self.purpose}"

    @property
    def published(self) -> datetime:
        """An ending is published when it ends the release."""
        return whole(self.entry.sent if self.purpose is Purpose.MAIN else self.entry.changed_at)

    @property
    def updated(self) -> datetime:
        """Moves with every change of state."""
        return whole(self.entry.changed_at)

    @property
    def msg_type(self) -> str:
        """CAP 1.2 §3.2.1 msgType."""
        if self.purpose is not Purpose.MAIN:
            return "Cancel"
        return "Update" if self.entry.supersedes else "Alert"

    @property
    def severity(self) -> str:
        """CAP severity of the colour; '' without one."""
        known = self.entry.colour in set(Colour)
        return Colour(self.entry.colour).severity if known else ""

    @property
    def is_current(self) -> bool:
        """Whether readers should still act on it."""
        return self.purpose is Purpose.MAIN and State(self.entry.state) in CURRENT

    def state(self, language: str) -> str:
        """How the release stands, in words of one language, or of both."""
        return _said(STATES.get(State(self.entry.state), _IN_FORCE), language)

    def title(self, language: str) -> str:
        """The headline with the state in words, so that a reader who shows titles only is not misled."""
        line = headline(self.entry, language)
        if self.purpose is not Purpose.MAIN:
            return f"[{_said(_ENDING_TITLES[self.purpose], language)}] {line}"
        words = STATES.get(State(self.entry.state))
        return f"[{_said(words, language)}] {line}" if words else line

    def summary(self, language: str) -> str:
        """State, headlines and issuer, a line each."""
        spoken = [language] if language else list(self.entry.headlines)
        lines = [headline(self.entry, each) for each in spoken]
        if self.purpose is not Purpose.MAIN or not self.is_current or self.entry.state == State.UNLIFTED:
            lines.insert(0, self.state(language))
        return "\n".join(dict.fromkeys([*lines, plain(self.entry.issuer)]))


def items(entries: Sequence[Entry], versions: Mapping[str, str]) -> list[Item]:
    """Every CAP file of the entries, the last change first; an ending before what it ends.

    `versions` are those of the entries by release id. Entries that flaw() names have none.
    """
    usable = [e for e in entries if flaw(e) is None]
    chains = Chains(usable)
    found = [item for entry in usable for item in _items(entry, versions[entry.release_id], chains)]
    return sorted(
        found, key=lambda i: (i.updated, i.purpose is not Purpose.MAIN, i.published, i.name), reverse=True
    )


def _items(entry: Entry, version: str, chains: Chains) -> Iterator[Item]:
    before, after = chains.before(entry), chains.after(entry)
    earlier = tuple(e.identifier for e in chains.earlier(entry))
    make = partial(
        Item, entry=entry, version=version,
        before=before.release_id if before else "", after=after.release_id if after else "",
    )  # fmt: skip
    for purpose in _ENDINGS:
        if f"mul+{purpose}" in entry.payloads:
            yield make(purpose=purpose, earlier=(*earlier, entry.identifier))
    yield make(purpose=Purpose.MAIN, earlier=earlier)


def newest(found: Sequence[Item]) -> list[Item]:
    """All that are in force, and the last that ended with their endings."""
    ended = [i for i in found if i.entry.state not in CURRENT]
    dropped = {i.name for i in ended[ENDED_ENTRIES:]}
    return [i for i in found if i.name not in dropped]


def flaw(entry: Entry) -> str | None:
    """Why the entry has no line in a feed."""
    if reason := unwritable(entry):
        return reason
    if entry.state not in set(State):
        return "the state is unknown"
    return None if any(plain(h) for h in entry.headlines.values()) else "there is no headline"


def unwritable(entry: Entry) -> str | None:
    """Why no file can be written for the entry; its id becomes a path."""
    if not is_id("rel", entry.release_id):
        return "the release id is malformed"
    if not all(at.tzinfo for at in (entry.sent, entry.changed_at, entry.expires)):
        return "a time lacks its offset"
    return None if "mul" in entry.payloads else "there is no CAP file"


def headline(entry: Entry, language: str) -> str:
    """The headline in that language, else the first there is."""
    spoken = (entry.headlines.get(language, ""), *entry.headlines.values())
    return next((text for text in map(plain, spoken) if text), "")


def plain(text: str) -> str:
    """One line that any format can hold and that shows in the order in which it was written."""
    return " ".join(_DIRECTION.sub("", _UNWRITABLE.sub("\ufffd", text)).split())


def whole(at: datetime) -> datetime:
    """UTC, in whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0)


def colour_words(colour: Colour) -> str:
    """红色 Red."""
    return _COLOURS[colour]


def _said(words: tuple[str, str], language: str) -> str:
    return words[LANGUAGES.index(language)] if language in LANGUAGES else " ".join(words)
