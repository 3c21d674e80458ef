"""Reads the labelled texts and scores what is found in them: precision and recall of places, event types, numbers of people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from domain.report import Content
from intake.gazetteer import Gazetteer
from intake.locate import Located, locate
from intake.triage import Rules, Triage, triage

HERE = Path(__file__).parent
OURS, HELD = HERE / "labelled.tsv", HERE / "labelled_held.tsv"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One text with what is to be found."""

    channel: str
    place: str
    event: str
    people: str
    text: str


@dataclass(kw_only=True)
class Score:
    """Right, wrong and missed, with the texts of the latter two."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    bad: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Of what was found, how much is right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Of what is to be found, how much was."""
        return self.right / max(1, self.right + self.missed)

    def add(self, wanted: Mapping[str, object], found: Mapping[str, object], text: str) -> None:
        """Count one text: what is wanted and found by name."""
        right = sum(found.get(name) == value for name, value in wanted.items())
        self.right += right
        self.wrong += len(found) - right
        self.missed += len(wanted) - right
        if wanted != found:
            self.bad.append(f"{text}\n      wanted {dict(wanted)}, found {dict(found)}")


def cases(file: Path) -> Iterator[Labelled]:
    """All of a file."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            channel, place, event, people, text = line.split("\t")
            yield Labelled(channel=channel, place=place, event=event, people=people, text=text)


def score(file: Path, gazetteer: Gazetteer, rules: Rules) -> dict[str, Score]:
    """place, ambiguous, event, people -> its score."""
    scores = {name: Score() for name in ("place", "ambiguous", "event", "people")}
    for case in cases(file):
        content = Content(text=case.text, language="und", facts={})
        located = locate(content, gazetteer)
        seen = triage(content, rules, has_place=bool(located.places))
        _place(scores, case, located)
        event = {} if case.event == "-" else {"event": case.event}
        found = {"event": seen.event_code} if seen.event_code else {}
        scores["event"].add(event, found, case.text)
        scores["people"].add(_wanted(case.people), _people(seen), case.text)
    return scores


def _place(scores: dict[str, Score], case: Labelled, located: Located) -> None:
    if case.place.startswith("?"):
        wanted = {code: True for code in case.place[1:].split(",") if code}
        shown = {code: any(p.code.startswith(code) for p in located.places) for code in wanted}
        shown = {code: True for code, is_there in shown.items() if is_there}
        if located.area:
            shown["decided"] = True
        scores["ambiguous"].add(wanted, shown, case.text)
        return
    wanted_place = {} if case.place == "-" else {"area": case.place.rstrip("0").ljust(2, "0")}
    found_place = {"area": located.area.rstrip("0").ljust(2, "0")} if located.area else {}
    scores["place"].add(wanted_place, found_place, case.text)


def _wanted(people: str) -> dict[str, object]:
    if people in ("-", "0", "?"):
        return {"-": {}, "0": {"dead": "0", "injured": "0"}, "?": {"unknown": "?"}}[people]
    return dict(each.split("=") for each in people.split(" "))


def _people(seen: Triage) -> dict[str, object]:
    harmed = seen.casualties
    found: dict[str, object] = {}
    for harm, count in harmed.numbers.items():
        high = "+" if count.high is None else "" if count.high == count.low else f"-{count.high}"
        found[harm.value] = f"{count.low}{high}"
    for harm, count in harmed.households.items():
        found[f"{harm.value}:households"] = str(count.low)
    if harmed.is_unknown and not found:
        found["unknown"] = "?"
    return found
