"""Who tried what he may not do is written down, though the act itself left nothing."""

from datetime import datetime

from domain.errors import NotAllowed
from domain.person import Person
from store import journal, reports
from store.database import Store
from store.unit import Unit


def note(store: Store, error: NotAllowed, *, act: str, report_id: str, by: Person, at: datetime) -> None:
    """Journal the refusal in a transaction of its own; under the person where there is no such report."""

    def work(unit: Unit) -> None:
        kind, entity = ("report", report_id) if reports.get(unit, report_id) else ("person", by.id)
        detail = {"act": act, "code": error.code}
        journal.append(unit, kind, entity, "refused", by=by.id, at=at, detail=detail)

    store.run(work)
