"""The page of somebody in the field: rendered with what is his, or empty, as his telephone keeps it."""

import secrets
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import HubError, NotAllowed
from domain.person import Person, Role
from domain.task import MOVES
from hub.wiring import Hub
from store import grants, inbox, people, tasks
from store.unit import Unit
from templates import citizen_pages, offline
from web.citizen_form import TOKEN, Sent
from web.citizen_offline import Form
from web.citizen_page import LEAVE, ROOM_FOR_WORDS, language_of
from web.page import HEADERS, problem_page, status_of
from web.sessions import token_of

RECENT = timedelta(hours=12)  # a shift: what he began in it he may go on with
STEPS = ("sent", "set_out", "arrive", "finish_task", "decline_task")


class FieldPage:
    """The one page of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def show(
        self,
        request: Request,
        person: Person,
        csrf: str,
        *,
        error: HubError | None = None,
        sent: Sent | None = None,
    ) -> Response:
        """His tasks, the form and what he has sent. Waits for the store."""
        hub = self._hub
        if Role.FIELD not in person.roles:
            refused = NotAllowed("not of the field", code="role_missing")
            return problem_page(hub, request, refused, person=person, csrf=csrf)
        token = token_of(hub, request)
        values = hub.store.read(lambda unit: self._his(unit, person, token))
        return self._answer(request, error, sent, person=person, csrf=csrf, **values)

    def without(self, request: Request, error: HubError, sent: Sent) -> Response:
        """What was typed by somebody who is not known: his session is over, or the database is down."""
        return self._answer(request, error, sent, person=None, csrf="", **NOBODYS)

    def code_of(self, unit: Unit, report: str) -> str:
        """The short code of a report; its first message has it, before it is filed."""
        row = inbox.by_report(unit, report)
        return str(row.code) if row else ""

    def _his(self, unit: Unit, person: Person, token: str) -> dict[str, Any]:
        at = self._hub.clock()
        gone = tasks.recalled_of(unit, person.id, at - RECENT)
        unit = unit.seen_by(grants.of_person(unit, person, at))
        found = tasks.of_person(unit, person.id)
        shown = {task.id for task in found}
        until = people.session_ends(unit, token)
        return {
            "tasks": found,
            "gone": [row.changed_at for row in gone if row.id not in shown],
            "codes": {task.report: self.code_of(unit, task.report) for task in found},
            "names": {name: people.get(unit, name).name for name in {task.given_by for task in found}},
            "counts": tasks.counts(unit, [task.id for task in found]),
            "matters": tasks.matters(unit, person.id, at - RECENT),
            "items": tasks.items_of(unit, person.id),
            "left": int((until - at).total_seconds()) if until else 0,
        }

    def _answer(self, request: Request, error: HubError | None, sent: Sent | None, **values: Any) -> Response:
        language, hub = language_of(request), self._hub
        done = request.query_params.get("done", "")
        text = _rendered(
            hub, language, big=request.query_params.get("big") == "1", sent=sent, problem=_problem_of(error),
            token=(sent.token if sent else "") or secrets.token_hex(16), done=done if done in STEPS and not error else "",
            code=request.query_params.get("code", "")[:20], **values,
        )  # fmt: skip
        headers = {**HEADERS, **LEAVE, "Content-Language": language, "Vary": "Accept-Language, Cookie"}
        return Response(text, status_of(error) if error else 200, headers, media_type="text/html")


NOBODYS: dict[str, Any] = {
    "tasks": [],
    "gone": [],
    "codes": {},
    "names": {},
    "counts": {},
    "matters": [],
    "items": [],
    "left": 0,
}


def form_of(hub: Hub) -> Form:
    """The form at /field as a telephone keeps it."""
    return Form(
        place="/field", scripts=offline.FIELD, beside=("sender",), outbox="tocsin-field",
        title=lambda language: str(citizen_pages.words("field")[language]["field_title"]),
        empty=lambda language: _shell(hub, language),
    )  # fmt: skip


def _shell(hub: Hub, language: str) -> Response:
    """Without a word of anybody's: the page's script puts in what it was told last."""
    text = _rendered(hub, language, person=None, csrf="", **NOBODYS)
    headers = {**HEADERS, **LEAVE, "Content-Language": language, "X-Robots-Tag": "noindex"}
    return Response(text, 200, headers, media_type="text/html")


def _rendered(
    hub: Hub, language: str, *, sent: Sent | None = None, big: bool = False, token: str = "", problem: str = "",
    done: str = "", code: str = "", **values: Any,
) -> str:  # fmt: skip
    return citizen_pages.render(
        "field.html", family="field", language=language, mode=hub.mode.value, organisation=hub.authority(language),
        zone=hub.zone, big=big, here="/field", at=hub.clock(), typed=sent.fields if sent else {}, token=token,
        problem=problem, had_files=bool(problem and sent and sent.files), token_name=TOKEN, done=done, code=code,
        most=hub.settings.max_body_bytes - ROOM_FOR_WORDS, said=list(citizen_pages.words("field")["en"]["said"]),
        moves=MOVES.table, **values,
    )  # fmt: skip


def _problem_of(error: HubError | None) -> str:
    if error is None:
        return ""
    known = citizen_pages.words("field")["en"]["problem"]
    codes = [error.code, *(kind.code for kind in type(error).__mro__ if issubclass(kind, HubError))]
    return next((code for code in codes if code in known), "other")
