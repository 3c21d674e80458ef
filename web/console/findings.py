"""What the study found, as the report's page shows it: places, classification with its words, title, questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.casualties import Casualties
from domain.events import class_of, event_types
from domain.report import Report
from domain.whereabouts import Kind
from intake.steps import people_of
from store import areas, places, study, triages
from store.places import Placed
from store.unit import Unit
from templates import pages, report_titles
from web.console.history import event_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything beside what an officer set."""

    is_studied: bool
    places: Sequence[Placed]
    names: Mapping[str, tuple[str, str]]  # of the divisions that this hub knows
    triage: triages.Kept | None
    people: Casualties
    harms: Sequence[str]
    titles: Sequence[tuple[str, str]]  # (language, title)
    questions: Sequence[triages.Question]
    event: str
    is_raw: bool  # the code is in no table


def found_of(unit: Unit, report: Report, language: str) -> Found:
    """What is known of a report beside its text."""
    placed = places.of_report(unit, report.id)
    kept = triages.get(unit, report.id)
    people = people_of(kept.found) if kept else Casualties()
    codes = {code[:n].ljust(12, "0") for p in placed if (code := p.place.code) for n in (4, 6, 9, 12)}
    names = areas.names(unit, codes)
    code = report.event_code or (kept.event_code if kept else "")
    return Found(
        is_studied=study.is_studied(unit, report.id),
        places=placed,
        names=names,
        triage=kept,
        people=people,
        harms=report_titles.harms(language, people.numbers, people.households),
        titles=_titles(report, kept, placed, names, people),
        questions=triages.questions(unit, report.id),
        event=event_name(code, language),
        is_raw=bool(code) and code not in event_types(),
    )


def place_name(placed: Placed, names: Mapping[str, tuple[str, str]], language: str) -> str:
    """A place for a title: 示例省甲市甲一区大坪村三组 / Jiayi District, Jia City."""
    place = placed.place
    chain = [place.code[:n].ljust(12, "0") for n in (12, 9, 6, 4)]
    known = [names[c] for c in dict.fromkeys(chain) if c in names]
    if language == pages.SOURCE or place.code not in names:
        lies_in = "".join(zh for zh, _ in reversed(known)) if place.kind is Kind.LANDMARK else ""
        return lies_in + place.name + (place.detail if place.kind is not Kind.POSITION else "")
    parts = [en for _, en in known]
    return ", ".join([place.name, *parts] if place.kind is Kind.LANDMARK else parts)


def _titles(
    report: Report, kept: triages.Kept | None, placed: Sequence[Placed], names: Mapping[str, tuple[str, str]],
    people: Casualties,
) -> list[tuple[str, str]]:  # fmt: skip
    if kept is None:
        return []
    best = placed[0] if placed and (placed[0].chosen_by or placed[0].place.code == report.where) else None
    progress: Any = kept.found["progress"]
    made = []
    for language in pages.LANGUAGES:
        title = report_titles.title(
            language, place=place_name(best, names, language) if best else "",
            event=_event_word(report.event_code or kept.event_code, language), people=people.numbers,
            households=people.households, is_unknown=people.is_unknown, progress=progress["rule"] if progress else "",
        )  # fmt: skip
        if title:
            made.append((language, title))
    return made


def _event_word(code: str, language: str) -> str:
    kind = event_types().get(code) or class_of(code)
    if kind is None:
        return ""
    return kind.name_zh if language == pages.SOURCE or not kind.name_en else kind.name_en
