"""Who may see what: the administrator gives sight of a compartment, until when and why, and takes it away again."""

from datetime import datetime, timedelta

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.secrecy import named
from store import grants, journal
from store.grants import Grant
from store.unit import Unit

LONGEST = timedelta(days=366)  # 保密审查 is yearly: nobody keeps sight of anything because it was forgotten


def give(
    unit: Unit, *, holder: str, compartment: str, until: datetime | None, reason: str, by: Person, at: datetime
) -> Grant:  # fmt: skip
    """A grant. Raises BadInput with flaws; nobody gives one to himself."""
    by.must_be(Role.ADMIN)
    flaws = []
    if holder not in {row_id for row_id, _, _ in grants.holders(unit)}:
        flaws.append(Flaw("/holder", "is nobody here"))
    if holder == by.id:
        flaws.append(Flaw("/holder", "is yourself"))
    if named(compartment) is None:
        flaws.append(Flaw("/compartment", "is none that is granted"))
    if until is None or not at < until <= at + LONGEST:
        flaws.append(Flaw("/until", "is not within a year"))
    if not reason.strip():
        flaws.append(Flaw("/reason", "is empty"))
    if flaws or until is None:
        raise BadInput("such a grant cannot be", code="bad_grant", flaws=flaws)
    made = Grant(id=mint("grt", at), holder=holder, compartment=compartment, given_by=by.id, given_at=at,
                 until=until, reason=reason.strip()[:500])  # fmt: skip
    grants.add(unit, made)
    detail = {"holder": holder, "compartment": compartment, "until": until.isoformat(), "reason": made.reason}
    journal.append(unit, "grant", made.id, "give", by=by.id, at=at, is_first=True, detail=detail)
    return made


def withdraw(unit: Unit, grant_id: str, *, by: Person, at: datetime) -> Grant:
    """It ends now, also for pages and streams that are open."""
    by.must_be(Role.ADMIN)
    found = grants.get(unit, grant_id)
    if found is None:
        raise NotFound("no such grant")
    if not grants.withdraw(unit, grant_id, by=by.id, at=at):
        raise Conflict("it has ended already", code="grant_over")
    detail = {"holder": found.holder, "compartment": found.compartment}
    journal.append(unit, "grant", grant_id, "withdraw", by=by.id, at=at, detail=detail)
    return found
