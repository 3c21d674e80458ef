"""One officer's request: who asks, what the form says, and how an act of his is run."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import BadInput, HubError, NotAllowed, NotFound, Refused
from domain.person import Person
from domain.secrecy import Eyes
from duty import refusals
from hub.wiring import Hub
from store import grants, people
from store.database import SeenStore
from store.unit import Unit
from templates import pages
from web.auth import change_language
from web.console.standing import Standing, standing
from web.page import go, language_of, problem_page, sentence, show, status_of
from web.sessions import Form, current, drop, must_be_our_page, must_hold_token, read_form, token_of

T = TypeVar("T")
Endpoint = Callable[[Request], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a page or an act of the desk works with; it runs in a thread and may wait for the store."""

    hub: Hub
    request: Request
    person: Person
    csrf: str
    form: Form
    at: datetime
    standing: Standing | None  # None for an act that shows no page
    store: SeenStore  # as this officer sees it

    @property
    def language(self) -> str:
        """The language of this officer's pages."""
        return language_of(self.request, self.person)

    def part(self, name: str) -> str:
        """A part of the address, e.g. the report's id."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A query parameter, stripped; '' when missing."""
        return self.request.query_params.get(name, "").strip()

    def say(self, text: str) -> str:
        """The Chinese source text in the officer's language."""
        return pages.translator(self.language)(text)

    def read(self, work: Callable[[Unit], T]) -> T:
        """Read from the store."""
        return self.store.read(work)

    def act(self, work: Callable[[Unit, Person], T]) -> T:
        """One transaction with the person as he is in it."""
        return self.hub.store.run(self.in_session(work))

    def attempt(self, work: Callable[[Unit, Person], T], *, act: str, report_id: str) -> T:
        """As act(); when the person may not do it, the journal says that he tried."""
        try:
            return self.act(work)
        except NotAllowed as error:
            refusals.note(self.hub.store, error, act=act, report_id=report_id, by=self.person, at=self.at)
            raise

    def in_session(self, work: Callable[[Unit, Person], T]) -> Callable[[Unit], T]:
        """`work` with session and roles looked up again in its transaction, not taken from the page (H81).

        It raises NotAllowed when the session has ended meanwhile.
        """
        token = token_of(self.hub, self.request)

        def with_person(unit: Unit) -> T:
            found = people.session(unit, token, self.at)
            if found is None:
                raise NotAllowed("the session is over", code="csrf")
            return work(unit.seen_by(grants.of_person(unit, found[0], self.at)), found[0])

        return with_person

    def change(
        self, acts: "Mapping[str, Callable[[Unit, Person, Visit], object]]", again: "Callable[[Visit, HubError], Response]",
        here: str, *, of: str = "",
    ) -> Response:  # fmt: skip
        """One act of a page of lists, then the page `here`; `again` shows it when that was refused. `of` ends its name."""
        name = self.part("act")
        if name not in acts:
            raise NotFound("no such act")
        try:
            self.act(lambda unit, by: acts[name](unit, by, self))
        except (Refused, BadInput) as error:
            return again(self, error)
        return go(f"{here}?done={name}{of}")

    @property
    def field_names(self) -> Mapping[str, str]:
        """How the fields of a form are called where one is wrong."""
        return {f"/{name}": pages.word("field", name, self.language) for name in pages.codes()["field"]}

    def show(
        self, name: str, *, problem: HubError | None = None, names: Mapping[str, str] | None = None, **values: Any
    ) -> Response:  # fmt: skip
        """A page of the desk; with `problem`, its sentence on top and its status; `names` fill the sentence."""
        if problem is not None:
            said = sentence(problem, self.language)
            values = {
                "status": status_of(problem),
                "problem": said.format(**names) if names else said,
                **values,
            }
            values.setdefault("flaws", getattr(problem, "flaws", ()))
        else:
            values.setdefault("done", self._done())
        around = self.standing or self.read(lambda unit: standing(unit, self.hub, self.person, self.at))
        values.setdefault("standing", around)
        return show(self.hub, self.request, name, person=self.person, csrf=self.csrf, **values)

    def fragment(self, name: str, **values: Any) -> Response:
        """A piece of a page, which htmx puts where it belongs."""
        return show(self.hub, self.request, name, person=self.person, csrf=self.csrf, **values)

    def _done(self) -> str:
        """The act that led here, from ``?done=``: a code of ours or nothing."""
        wanted = self.query("done")
        return wanted if wanted in pages.codes()["done"] else ""


def page(hub: Hub, handle: Callable[[Visit], Response]) -> Endpoint:
    """An endpoint that shows `handle` to whoever is logged in, and the login page to others."""

    async def endpoint(request: Request) -> Response:
        if changed := change_language(hub, request):
            return changed
        return await _answer(hub, request, handle, is_act=False)

    return endpoint


def act(hub: Hub, handle: Callable[[Visit], Response]) -> Endpoint:
    """An endpoint for a form: our own page, this session's token, then `handle`, which answers 303."""

    async def endpoint(request: Request) -> Response:
        return await _answer(hub, request, handle, is_act=True)

    return endpoint


async def at_own_door(
    hub: Hub, request: Request, work: Callable[[Person, str], Awaitable[Response]]
) -> Response:  # fmt: skip
    """For a form that Visit cannot read: our own page, somebody logged in, and his session's token to `work`.

    `work` reads the form and holds the token against it (must_hold_token).
    """
    person, csrf = None, ""
    try:
        must_be_our_page(request)
        found = await current(hub, request)
        if found is None:
            return go("/login")
        person, csrf = found
        return await work(person, csrf) if person.is_of_the_desk else _shown_out(is_act=True)
    except HubError as error:
        return problem_page(hub, request, error, person=person, csrf=csrf)


def _shown_out(*, is_act: bool) -> Response:
    """Somebody in the field has a page of his own, and no act at the desk. Raises NotAllowed for one."""
    if is_act:
        raise NotAllowed("nothing of the desk is for the field", code="role_missing")
    return go("/field")


async def _answer(
    hub: Hub, request: Request, handle: Callable[[Visit], Response], *, is_act: bool
) -> Response:
    person, csrf = None, ""
    try:
        if is_act:
            must_be_our_page(request)
        found = await current(hub, request)
        if found is None:
            return drop(hub, go("/login")) if token_of(hub, request) else go("/login")
        person, csrf = found
        if not person.is_of_the_desk:
            return _shown_out(is_act=is_act)
        form = await read_form(request) if is_act else Form(fields={})
        if is_act:
            must_hold_token(form, csrf)
        at, is_page = hub.clock(), not (is_act or "hx-request" in request.headers)

        def look(unit: Unit) -> tuple[Eyes, Standing | None]:
            eyes = grants.of_person(unit, found[0], at)
            return eyes, standing(unit.seen_by(eyes), hub, found[0], at) if is_page else None

        eyes, around = await run_in_threadpool(hub.store.read, look)
        visit = Visit(hub=hub, request=request, person=person, csrf=csrf, form=form, at=at, standing=around,
                      store=hub.store.seen_by(eyes))  # fmt: skip
        return await run_in_threadpool(handle, visit)
    except HubError as error:
        return problem_page(hub, request, error, person=person, csrf=csrf)
