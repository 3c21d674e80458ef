"""What is said to and fro about a report, on its page: the thread, the form, and what its acts are given."""

from collections.abc import Mapping
from typing import Any

from domain.exchange import ELEMENTS, MOST
from domain.further import STILL_READ
from domain.ids import mint
from domain.report import Report
from duty import exchanges as duty
from duty.exchanges import MAY_WRITE, answer, separate, settle_element
from store import exchanges, triages
from store.inbox import Arrived
from store.unit import Unit
from web.console.history import name_of
from web.console.visit import Visit

__all__ = ["answer", "line", "on_report", "question", "separate", "settle_element", "words"]


def on_report(unit: Unit, visit: Visit, report: Report, arrived: Arrived) -> Mapping[str, Any]:
    """The lines with who wrote them, where the next one goes, and what may be asked for."""
    lines = exchanges.of_report(unit, report.id)
    names: dict[str, str] = {}
    kept, questions = triages.get(unit, report.id), triages.questions(unit, report.id)
    told = {q.element for q in questions if q.answered_by is not None} | (kept.known if kept else frozenset())
    way = duty.way_to(unit, arrived, report.content, visit.hub.filing.entering.acknowledger)
    return {
        "lines": [(one, name_of(unit, one.by, visit.language, names) if one.by else "") for one in lines],
        "way": way, "may_write": bool(visit.person.roles & MAY_WRITE) and report.state in STILL_READ,
        "line_id": mint("exc", visit.at), "most": MOST, "asked_again": sum(one.again for one in lines),
        "elements": [(name, name in told) for name in ELEMENTS],
        "typed_answer": visit.form.first("text"), "ticked": {*visit.form.all("ask"), *visit.form.all("again")},
    }  # fmt: skip


def words(visit: Visit) -> Mapping[str, Any]:
    """What an answer is made of; the name of its line came with the form, so that sent twice it is one."""
    form = visit.form
    return {"line_id": form.first("line")[:40], "text": form.first("text"), "elements": form.all("ask"),
            "again": form.all("again"), "writer": visit.hub.filing.entering.acknowledger}  # fmt: skip


def line(visit: Visit) -> Mapping[str, Any]:
    """Which line is about something else."""
    return {"line_id": visit.form.first("line")[:40]}


def question(visit: Visit) -> Mapping[str, Any]:
    """Which element has been read."""
    return {"element": visit.form.first("element")[:20]}
