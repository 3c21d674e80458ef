"""What a caller hears next: a menu, the place, his own words, his code; nobody is ever sent away.

Who presses nothing, or the wrong keys, is asked once more and then goes on: a rotary phone, a wet hand and a
child reach the recording too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.call import CHINESE, ENGLISH, Ask, Step, Turn
from domain.handling import Mode
from templates.voice_words import say, spelled

KEYS = 12  # of an area code at most (GB/T 2260 and GB/T 10114: 6, 9 or 12 digits)
OTHER = {CHINESE: ENGLISH, ENGLISH: CHINESE}

Place = Callable[[str], tuple[str, str] | None]  # an area code as keyed in -> its Chinese and English name
NOBODY_KNOWS = ("", "")  # names of a code while the database is down: nobody is asked again for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the telephone line of a hub says of itself."""

    mode: Mode
    organisation: str

    def lost(self) -> Turn:
        """Nothing could be kept: what to do instead, in both languages, and the end."""
        return Turn(says=tuple((language, say("lost", language)) for language in (CHINESE, ENGLISH)))

    def onward(self, step: Step, language: str) -> Turn:
        """Nobody knows what the caller answered: on to his own words, or what to do when these were it."""
        if step is Step.SAID:
            return self.lost()
        mark = self._mark() if step is Step.BEGIN else ()
        return Turn(says=(*mark, (language, say("speak", language))), language=language, records=True)

    def turn(
        self, step: Step, said: Mapping[str, Any], *, language: str, tries: int, code: str, place: Place
    ) -> Turn:
        """What follows `step`, where `said` is what the caller answered; `tries` counts how often he was asked."""
        if step is Step.BEGIN:
            return self._welcome()
        if step is Step.MENU:
            return _menu(str(said.get("digits", "")), language, tries)
        if step is Step.PLACE:
            return _place(said, language, tries, place)
        return Turn(
            says=((language, say("thanks", language, code=spelled(code, language))),), language=language
        )

    def _mark(self) -> tuple[tuple[str, str], ...]:
        """That the line is none in earnest."""
        is_live = self.mode is Mode.LIVE
        return () if is_live else tuple((lang, say(self.mode.value, lang)) for lang in (CHINESE, ENGLISH))

    def _welcome(self) -> Turn:
        chinese = say("welcome", CHINESE, organisation=self.organisation)
        says = (*self._mark(), (CHINESE, chinese), (ENGLISH, say("welcome", ENGLISH)))
        return Turn(says=says, ask=Ask(then=Step.MENU, keys=1))


def _menu(key: str, language: str, tries: int) -> Turn:
    if key == "2" and tries < 2:
        other = OTHER[language]
        return Turn(says=((other, say("menu", other)),), language=other, ask=Ask(then=Step.MENU, keys=1))
    if key == "1" or tries:
        return _ask_place(language)
    says = ((language, say("again", language)), (language, say("menu", language)))
    return Turn(says=says, language=language, tries=1, ask=Ask(then=Step.MENU, keys=1))


def _ask_place(language: str, name: str = "place", tries: int = 0) -> Turn:
    ask = Ask(then=Step.PLACE, keys=KEYS, takes_speech=True)
    return Turn(says=((language, say(name, language)),), language=language, tries=tries, ask=ask)


def _place(said: Mapping[str, Any], language: str, tries: int, place: Place) -> Turn:
    keyed, speak = str(said.get("digits", "")), say("speak", language)
    names = place(keyed) if keyed else None
    if keyed and names is None and not tries:
        return _ask_place(language, "place_again", 1)
    says = [speak]
    if names and any(names):
        says.insert(0, say("place_known", language, place=names[0 if language == CHINESE else 1]))
    elif keyed or said.get("speech"):
        says.insert(0, say("place_taken", language))
    return Turn(says=tuple((language, words) for words in says), language=language, records=True)
