"""Answers of the desk: a rendered page or a redirect, with the headers that keep strangers' bytes harmless."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from domain.errors import BadInput, Flaw, HubError, Unavailable
from domain.person import Person, Role
from hub import quarantine
from hub.health import Trouble
from hub.wiring import Hub
from templates import pages
from web import problems

LANGUAGE_COOKIE = "lang"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # not no-referrer: browsers would then send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
}
_ACTING = {Role.OFFICER, Role.APPROVER}


def language_of(request: Request, person: Person | None = None) -> str:
    """The language chosen by ``?lang``, then the person's, then the browser's."""
    for wanted in (request.cookies.get(LANGUAGE_COOKIE), person.language if person else ""):
        if wanted in pages.LANGUAGES:
            return wanted
    return problems.language_of(request)


def show(
    hub: Hub,
    request: Request,
    name: str,
    *,
    person: Person | None = None,
    csrf: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page. `values` may hold done (an act's code), problem (a sentence), flaws, flaw_names,
    refresh (seconds between reloads), standing (what is around the page; None without a session).
    """
    language = language_of(request, person)
    given: dict[str, Any] = {
        "mode": hub.mode.value, "organisation": hub.authority(language), "person": person, "csrf": csrf,
        "may_act": bool(person and person.roles & _ACTING), "here": request.url.path,
        "may_see_grants": bool(person and person.roles & {Role.ADMIN, Role.AUDITOR}),
        "may_see_marked": bool(person and Role.SECURITY in person.roles),
        "other": next(x for x in pages.LANGUAGES if x != language), "done": "", "problem": "", "flaws": (),
        "flaw_names": {}, "flaws_at": "", "refresh": 0, "zone_name": hub.settings.zone, "standing": None,
        "banners": [t.value for t in quarantine.told(hub.health.troubles, person)] if person else [],
    }  # fmt: skip
    text = pages.render(name, language=language, zone=hub.zone, at=hub.clock(), **{**given, **values})
    return Response(text, status, {**HEADERS, **(headers or {})}, media_type="text/html")


def go(address: str) -> Response:
    """303: the browser fetches `address`, and reloading that repeats no act."""
    return RedirectResponse(address, 303, HEADERS)


def status_of(error: HubError) -> int:
    """As on /v1, but 412 and 401 answer headers that no form sends."""
    status = problems.status_of(error)
    return {412: 409, 401: 403}.get(status, status)


def sentence(error: HubError, language: str) -> str:
    """One sentence in the officer's language: what happened and what to do next."""
    known = pages.codes()["error"]
    codes = [error.code, *(kind.code for kind in type(error).__mro__ if issubclass(kind, HubError))]
    return pages.word("error", next(c for c in codes if c in known), language)


def problem_page(
    hub: Hub, request: Request, error: HubError, *, person: Person | None = None, csrf: str = ""
) -> Response:
    """The page for an error that has no form to go back to."""
    language = language_of(request, person)
    flaws: tuple[Flaw, ...] = error.flaws if isinstance(error, BadInput) else ()
    headers = {"Retry-After": "5"} if isinstance(error, Unavailable) else {}
    # nobody can be known while the database is down: the page that says so says also what still works
    down = [Trouble.DATABASE_DOWN.value] if Trouble.DATABASE_DOWN in hub.health.troubles else []
    banners = {"banners": down} if down and person is None else {}
    return show(
        hub, request, "error.html", person=person, csrf=csrf, status=status_of(error), headers=headers,
        problem=sentence(error, language), flaws=flaws, **banners,
    )  # fmt: skip
