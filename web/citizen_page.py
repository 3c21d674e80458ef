"""Answers to citizens: a page in their language, whole without a script, without a cookie or anything from elsewhere."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import HubError, NotFound, Unavailable
from hub.wiring import Hub
from templates import citizen_pages, sheet
from web import citizen_form, problems
from web.citizen_form import Sent
from web.page import HEADERS

YEAR = 365 * 86400  # s; the name of the style sheet changes with its bytes
# A secret stands in the address: nobody is told where the reader came from, and no machine lists the page.
SECRET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}


# The form may ask where the reader is, when he presses its button; the manifest makes it an app of his phone.
LEAVE = {
    "Permissions-Policy": "camera=(), geolocation=(self), microphone=()",
    "Content-Security-Policy": f"{HEADERS['Content-Security-Policy']}; manifest-src 'self'; worker-src 'self'",
}
# Told by the form to its script: the largest request less its words and boundaries.
ROOM_FOR_WORDS = 300_000


def language_of(request: Request) -> str:
    """The language of ``?lang``, else the browser's: a link keeps it, not a cookie."""
    wanted = request.query_params.get("lang", "")
    return wanted if wanted in citizen_pages.LANGUAGES else problems.language_of(request)


def show(
    hub: Hub,
    request: Request,
    name: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """The page `name`; its words are those of the reader's language."""
    language = language_of(request)
    is_big = request.query_params.get("big") == "1"
    text = _rendered(hub, name, language, here=request.url.path, big=is_big, **values)
    told = {**HEADERS, **LEAVE, "Content-Language": language, "Vary": "Accept-Language", **(headers or {})}
    return Response(text, status, told, media_type="text/html")


def shell_page(hub: Hub, language: str) -> Response:
    """The empty form as a phone keeps it: the same bytes for everybody."""
    text = _rendered(hub, "form.html", language, here="/report", big=False, **form_values(hub))
    headers = {**HEADERS, **LEAVE, "Content-Language": language, "X-Robots-Tag": "noindex"}
    return Response(text, 200, headers, media_type="text/html")


def form_values(hub: Hub, sent: Sent | None = None, token: str = "", problem: str = "") -> dict[str, Any]:
    """What the form shows: what was typed, and why it comes back."""
    sent = sent or Sent()
    return {
        "typed": sent.fields, "token": token, "problem": problem, "had_files": bool(problem and sent.files),
        "trap": citizen_form.TRAP, "token_name": citizen_form.TOKEN,
        "most": hub.settings.max_body_bytes - ROOM_FOR_WORDS,
        "said": list(citizen_pages.words()["en"]["said"]),
    }  # fmt: skip


def _rendered(hub: Hub, name: str, language: str, **values: Any) -> str:
    return citizen_pages.render(
        name,
        language=language,
        mode=hub.mode.value,
        organisation=hub.authority(language),
        zone=hub.zone,
        **values,
    )


def problem_of(error: HubError | None, section: str) -> str:
    """The name in `section` of words.toml under which the page explains `error`; '' for none."""
    if error is None:
        return ""
    code = "unavailable" if isinstance(error, Unavailable) else error.code
    return code if code in citizen_pages.words()["en"][section] else "other"


async def style(request: Request) -> Response:
    """The style sheet, under a name that changes with its bytes."""
    if f"{request.path_params['style']}.css" != sheet.style_name("citizen"):
        raise NotFound("no such style sheet")
    headers = {**HEADERS, "Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(sheet.style("citizen"), 200, headers, media_type="text/css")
