"""Answers to citizens: a page in their language, without a script, a cookie or anything from elsewhere."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from domain.errors import HubError, NotFound, Unavailable
from hub.wiring import Hub
from templates import citizen_pages, sheet
from web import problems
from web.page import HEADERS

YEAR = 365 * 86400  # s; the name of the style sheet changes with its bytes
# A secret stands in the address: nobody is told where the reader came from, and no machine lists the page.
SECRET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow, noarchive"}


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
    text = citizen_pages.render(
        name, language=language, mode=hub.mode.value, organisation=hub.authority(language), zone=hub.zone,
        here=request.url.path, **values,
    )  # fmt: skip
    told = {**HEADERS, "Content-Language": language, "Vary": "Accept-Language", **(headers or {})}
    return Response(text, status, told, media_type="text/html")


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
