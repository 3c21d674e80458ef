"""Field tasks: the duty room gives and recalls them, the person in the field says how far he is."""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.errors import BadInput, Flaw, NotAllowed, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.task import MOVES, STEPS, Task, TaskState
from duty.reports import MAY_WORK, workable
from store import incidents, journal, people, reports, tasks
from store.unit import Unit

LONGEST_WHAT = 1000  # letters of what is to be done: a page of a telephone
LONGEST_WHERE = 300
LONGEST_REASON = 500
CLOCK = timedelta(minutes=5)  # a telephone's clock may be ahead by so much; beyond it is not believed


def give(
    unit: Unit, report_id: str, *, by: Person, at: datetime, person: str, what: str, where: str,
    due_at: datetime | None, incident: str = "",
) -> Task:  # fmt: skip
    """派出: ask somebody in the field to do something about a report. Raises BadInput with flaws."""
    reports.hold(unit, [report_id])  # a mark that is found meanwhile recalls it, or keeps it from being given
    report = workable(unit, report_id, by)
    if incident and incidents.get(unit, incident) is None:
        raise NotFound("no such incident")
    if incident and report_id not in {m.report for m in incidents.members(unit, incident)}:
        raise NotFound("this report is not of the incident", code="not_in_incident")
    told, place = _line(what, LONGEST_WHAT), _line(where, LONGEST_WHERE)
    flaws = [] if told else [Flaw("/what", "is empty")]
    if not any(row.id == person for row in tasks.people(unit)):
        flaws.append(Flaw("/person", "nobody in the field is called so"))
    if due_at is None or due_at <= at:
        flaws.append(Flaw("/due_at", "is a time to come"))
    if flaws or due_at is None:
        raise BadInput("the task does not fit", code="bad_task", flaws=flaws)
    task = Task(
        id=mint("tsk", at), report=report.id, incident=incident, person=person, given_by=by.id, what=told, where=place,
        given_at=at, due_at=due_at, state=TaskState.GIVEN, revision=1, changed_at=at,
    )  # fmt: skip
    tasks.insert(unit, task)
    _note(unit, task, "give_task", by=by, at=at, is_first=True)
    return task


def recall(unit: Unit, task_id: str, *, by: Person, at: datetime, reason: str) -> Task:
    """撤回, with the reason, also when its report bears a mark of secrecy by now; what was sent for it stays where it is."""
    by.must_be(*MAY_WORK)
    before = tasks.get(unit, task_id, lock=True)
    if before is None or reports.get(unit, before.report) is None:
        raise NotFound("no such task")
    return _move(unit, before, "recall_task", by=by, at=at, reason=_reason(reason))


def step(
    unit: Unit,
    task_id: str,
    act: str,
    *,
    by: Person,
    at: datetime,
    said_at: datetime | None = None,
    reason: str = "",
) -> Task:
    """How far he is, by himself. The same again changes nothing, so a lost answer may be asked for again.

    `said_at`: when his telephone says that he said so, which may have been without a network. Raises NotFound for
    another's task, BadInput(task_over) when it was recalled or ended otherwise.
    """
    before = own(unit, task_id, by=by, lock=True)
    if act not in STEPS:
        raise NotFound("no such act")
    is_said = before.state in {after for (_, action), after in MOVES.table.items() if action == act}
    if is_said or (act == "set_out" and before.state is TaskState.ARRIVED):
        return before
    if not MOVES.allows(before.state, act):
        code = "task_order" if before.is_open else "task_over"
        raise BadInput("the task stands otherwise", code=code)
    wanted = _reason(reason) if act == "decline_task" else ""
    return _move(unit, before, act, by=by, at=at, reason=wanted, said_at=_believed(said_at, before, at))


def own(unit: Unit, task_id: str, *, by: Person, lock: bool = False) -> Task:
    """A task of this person. Raises NotFound also for another's."""
    by.must_be(Role.FIELD)
    found = tasks.get(unit, task_id, lock=lock)
    if found is None or found.person != by.id:
        raise NotFound("no such task")
    return found


def end_sessions(unit: Unit, person_id: str, *, by: Person, at: datetime) -> int:
    """End every session of somebody at once: his telephone is lost. How many there were."""
    by.must_be(Role.ADMIN)
    person = people.get(unit, person_id)
    if Role.FIELD not in person.roles:
        raise NotAllowed("only of people in the field", code="role_missing")
    ended = people.end_sessions(unit, person.id)
    journal.append(unit, "auth", person.id, "end_sessions", by=by.id, at=at, detail={"ended": ended})
    return ended


def _move(
    unit: Unit,
    before: Task,
    act: str,
    *,
    by: Person,
    at: datetime,
    reason: str = "",
    said_at: datetime | None = None,
) -> Task:
    after = replace(
        before, state=MOVES.after(before.state, act), changed_at=at, reason=reason or before.reason
    )
    changed = tasks.change(unit, before, after)
    _note(unit, changed, act, by=by, at=at, said_at=said_at)
    return changed


def _note(
    unit: Unit,
    task: Task,
    act: str,
    *,
    by: Person,
    at: datetime,
    said_at: datetime | None = None,
    is_first: bool = False,
) -> None:
    """In the task's stream and in its report's, whose page follows it."""
    said = {"said_at": said_at.isoformat(timespec="seconds")} if said_at else {}
    content = "\n".join((task.what, task.where, task.reason)).encode()
    journal.append(unit, "task", task.id, act, by=by.id, at=at, is_first=is_first, content=content,
                   detail={"report": task.report, "person": task.person, **said})  # fmt: skip
    journal.append(unit, "report", task.report, act, by=by.id, at=at,
                   detail={"task": task.id, "person": task.person, **said})  # fmt: skip


def _believed(said_at: datetime | None, task: Task, at: datetime) -> datetime | None:
    """What his telephone's clock says, if it can be: after the task was given, and not to come."""
    return said_at if said_at and task.given_at - CLOCK <= said_at <= at + CLOCK else None


def _reason(text: str) -> str:
    reason = _line(text, LONGEST_REASON)
    if not reason:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    return reason


def _line(text: str, most: int) -> str:
    return text.strip()[:most]
