"""The steps of the study that find out where a report may be and what it tells of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from domain.casualties import Casualties
from domain.harm_words import Harm
from domain.numerals import Count
from domain.report import Content, Report
from domain.secrecy import Compartment, by_event
from intake.atlas import Atlas
from intake.documents import with_documents
from intake.locate import Located, locate
from intake.study import Rings
from intake.triage import Rules, Triage, triage
from store import compartments, journal, places, reports, scans, triages
from store.database import Store
from store.unit import Unit

BY = "system"  # who says so in the journal
HITS = 20  # rules that are kept with a report; more hit only in texts made for it


@dataclass(slots=True, kw_only=True)
class Whereabouts:
    """Where it may be: candidates, and the area that they leave no doubt about."""

    atlas: Atlas
    name: str = "place"

    def look(self, store: Store, report: Report) -> Located:
        """All candidates of the latest version and its documents."""
        return locate(whole(store, report), self.atlas.gazetteer(store))

    def write(self, unit: Unit, report: Report, found: Located, at: datetime) -> Rings:
        """Candidates as they are now; the journal says when the area became another."""
        places.put(unit, report.id, found.places, found.area)
        now = reports.get(unit, report.id)
        if now and now.found_area != report.found_area:
            detail = {"found_area": now.found_area, "was": {"found_area": report.found_area}}
            journal.append(unit, "report", report.id, "locate", by=BY, at=at, detail=detail)
        return ()


@dataclass(slots=True, kw_only=True)
class Kinds:
    """What it tells of: event type, people harmed, what is missing."""

    atlas: Atlas
    rules: Rules
    name: str = "kind"

    def look(self, store: Store, report: Report) -> tuple[Triage, int]:
        """Of the latest version and its documents, with its number."""
        content = whole(store, report)
        has_place = bool(report.where or locate(content, self.atlas.gazetteer(store)).places)
        found = triage(content, self.rules, has_place=has_place, event_code=report.event_code)
        return found, store.read(lambda unit: reports.versions(unit, report.id))

    def write(self, unit: Unit, report: Report, found: tuple[Triage, int], at: datetime) -> Rings:
        """A suggestion beside the report; what an officer set is not touched."""
        seen, version = found
        before = triages.get(unit, report.id)
        known = seen.known | (before.known if before else frozenset())
        kept = triages.Kept(
            version=version,
            scheme=seen.scheme,
            event_code=seen.event_code,
            rule=seen.hits[0].rule if seen.hits else "",
            level=seen.level,
            grade=seen.grade.grade if seen.grade else None,
            known=known,
            found=shown(seen),
            studied_at=at,
        )
        triages.put(unit, report.id, kept)
        if by_event(kept.event_code) and not _has_officer_s(unit, report):
            compartments.seal(unit, report.id, Compartment.SOCIAL, by=BY, at=at, why="event_type")
        missing = [element for element in seen.missing if element not in known]
        triages.ask(unit, report.id, missing=missing, known=known, version=version, at=at)
        if before is None or (before.event_code, before.grade) != (kept.event_code, kept.grade):
            was = {"event_code": before.event_code, "grade": before.grade} if before else {}
            detail = {"event_code": kept.event_code, "grade": kept.grade, "rule": kept.rule, "was": was}
            if before or kept.event_code or kept.grade:
                journal.append(unit, "report", report.id, "suggest", by=BY, at=at, detail=detail)
        return ()


def _has_officer_s(unit: Unit, report: Report) -> bool:
    """Whether an officer has said what it is; then a suggestion moves it nowhere."""
    return bool(report.event_code) and any(
        e.act == "classify" for e in journal.entries(unit, "report", report.id)
    )


def whole(store: Store, report: Report) -> Content:
    """What a report says with the words of the documents that came with it (详见附件)."""
    return with_documents(report.content, store.read(lambda unit: scans.texts(unit, report.id)))


def shown(found: Triage) -> Mapping[str, Any]:
    """A triage as JSON: what is sealed with the report and what pages and programs show."""
    return {
        "hits": [asdict(hit) for hit in found.hits[:HITS]],
        "level_hits": [asdict(hit) for hit in found.level_hits[:HITS]],
        "progress": asdict(found.progress) if found.progress else None,
        "people": {harm.value: _count(count) for harm, count in found.casualties.numbers.items()},
        "households": {harm.value: _count(count) for harm, count in found.casualties.households.items()},
        "statements": [
            {"harm": s.harm.value, **_count(s.count), "words": found.text[s.start : s.end], "start": s.start, "end": s.end,
             "is_household": s.is_household, "is_superseded": s.is_superseded}
            for s in found.casualties.statements[:HITS]
        ],
        "is_unknown": found.casualties.is_unknown,
        "loss_cny": found.casualties.loss_cny,
        "grade": asdict(found.grade) if found.grade else None,
        "missing": list(found.missing),
    }  # fmt: skip


def people_of(found: Mapping[str, Any]) -> Casualties:
    """The numbers back from what shown() made."""

    def counts(name: str) -> dict[Harm, Count]:
        return {Harm(harm): Count(**count) for harm, count in found[name].items()}

    return Casualties(
        numbers=counts("people"), households=counts("households"), is_unknown=found["is_unknown"]
    )


def _count(count: Count) -> dict[str, int | None]:
    return {"low": count.low, "high": count.high}
