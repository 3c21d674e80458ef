"""What a phone fetches once so that a form opens without a network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import NotFound
from hub.wiring import Hub
from templates import citizen_pages, offline, sheet
from web.citizen_page import YEAR, language_of, shell_page
from web.page import HEADERS

FOREVER = f"public, max-age={YEAR}, immutable"
# A browser must see a new worker at once: the old one would show a form that this hub no longer has.
AT_ONCE = "no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form that a telephone keeps: where it lives, what it is made of, what its outbox is called."""

    place: str
    scripts: Sequence[str]
    beside: Sequence[str]  # scripts of the worker besides the outbox
    outbox: str
    title: Callable[[str], str]  # language -> what the home screen shows
    empty: Callable[[str], Response]  # language -> the empty page, the same bytes for everybody


class Offline:
    """The files of one form that a browser keeps, for one hub."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._worker = lru_cache(maxsize=1)(self._made)

    def routes(self) -> list[Route]:
        """GET alone; no answer depends on who asks."""
        place = self._form.place
        return [
            Route(f"{place}/sw.js", self.worker, methods=["GET"]),
            Route(f"{place}/app", self.shell, methods=["GET"]),
            Route(f"{place}/app.webmanifest", self.manifest, methods=["GET"]),
            Route(f"{place}/{{name:str}}.js", self.script, methods=["GET"]),
        ]

    async def worker(self, _: Request) -> Response:
        """The service worker, for this form and nothing else of this host (Service Workers §7.1)."""
        headers = {**HEADERS, "Cache-Control": AT_ONCE, "Service-Worker-Allowed": self._form.place}
        return Response(self._worker(), 200, headers, media_type="text/javascript")

    async def shell(self, request: Request) -> Response:
        """The empty form as it is kept: without the token of one showing."""
        return self._form.empty(language_of(request))

    async def manifest(self, request: Request) -> Response:
        """What the home screen shows."""
        language = language_of(request)
        body = offline.manifest(self._form.title(language), place=self._form.place, language=language)
        headers = {**HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(body, 200, headers, media_type="application/manifest+json")

    async def script(self, request: Request) -> Response:
        """The page's script, under a name that changes with its bytes."""
        names = self._form.scripts
        if f"{request.path_params['name']}.js" != offline.script_name(*names):
            raise NotFound("no such script")
        headers = {**HEADERS, "Cache-Control": FOREVER}
        return Response(offline.script(*names), 200, headers, media_type="text/javascript")

    def _made(self) -> bytes:
        form = self._form
        shells = {language: f"{form.place}/app?lang={language}" for language in citizen_pages.LANGUAGES}
        kept: Mapping[str, bytes] = {
            **{place: bytes(form.empty(language).body) for language, place in shells.items()},
            f"/report/{sheet.style_name('citizen')}": sheet.style("citizen"),
            f"{form.place}/{offline.script_name(*form.scripts)}": offline.script(*form.scripts),
            **{f"/report/{name}": offline.icon(name) for name in offline.ICONS},
        }
        outbox = {"name": form.outbox, "address": form.place}
        return offline.worker(form.place, kept, shells, outbox, *form.beside)


def citizens(hub: Hub) -> Form:
    """The form of everybody, at /report."""
    return Form(
        place="/report", scripts=offline.PAGE, beside=(), outbox="tocsin-reports",
        title=lambda language: str(citizen_pages.words()[language]["form_title"]),
        empty=lambda language: shell_page(hub, language),
    )  # fmt: skip


async def icon(request: Request) -> Response:
    """A picture of the home screen."""
    name = f"{request.path_params['name']}.png"
    if name not in offline.ICONS:
        raise NotFound("no such picture")
    headers = {**HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(offline.icon(name), 200, headers, media_type="image/png")
