"""What the study found of a report, in JSON: places, classification, questions."""

from typing import Any

from domain.report import Report
from store import places, study, triages
from store.places import Placed
from store.unit import Unit
from web.api.shapes import instant


def found(unit: Unit, report: Report) -> dict[str, Any]:
    """All of it is a suggestion, but for the place that an officer chose; ``triage`` is null before the first study."""
    kept = triages.get(unit, report.id)
    return {
        "is_studied": study.is_studied(unit, report.id),
        "found_area": report.found_area,
        "places": [_place(p) for p in places.of_report(unit, report.id)],
        "triage": _triage(kept) if kept else None,
        "questions": [
            {
                "element": q.element, "opened_by": q.opened_by, "opened_at": instant(q.opened_at),
                "asked_at": instant(q.asked_at), "answered_by": q.answered_by, "answered_at": instant(q.answered_at),
            }
            for q in triages.questions(unit, report.id)
        ],
    }  # fmt: skip


def _place(placed: Placed) -> dict[str, Any]:
    place = placed.place
    is_at = place.lat is not None and place.lon is not None
    return {
        "candidate": placed.n,
        "kind": place.kind.value,
        "code": place.code,
        "name": place.name,
        "detail": place.detail,
        "position": {"lat": place.lat, "lon": place.lon, "datum": "WGS-84"} if is_at else None,
        "accuracy": place.accuracy,
        "origin": place.origin,
        "score": place.score,
        "words": place.words,
        "source": place.source,
        "start": place.start,
        "end": place.end,
        "why": [why.value for why in place.why],
        "chosen_by": placed.chosen_by or None,
        "chosen_at": instant(placed.chosen_at),
    }


def _triage(kept: triages.Kept) -> dict[str, Any]:
    return {
        "version": kept.version,
        "scheme": kept.scheme,
        "event_code": kept.event_code,
        "rule": kept.rule,
        "level": kept.level,
        "suggested_grade": kept.grade,
        "studied_at": instant(kept.studied_at),
        **kept.found,
    }
