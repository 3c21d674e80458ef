"""What a phone fetches once so that the citizen's form opens without a network."""

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


class Offline:
    """The files of the form at /report that a browser keeps, for one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._worker = lru_cache(maxsize=1)(self._made)

    def routes(self) -> list[Route]:
        """GET alone; no answer depends on who asks."""
        return [
            Route("/report/sw.js", self.worker, methods=["GET"]),
            Route("/report/app", self.shell, methods=["GET"]),
            Route("/report/app.webmanifest", self.manifest, methods=["GET"]),
            Route("/report/{name:str}.js", _script, methods=["GET"]),
            Route("/report/{name:str}.png", _icon, methods=["GET"]),
        ]

    async def worker(self, _: Request) -> Response:
        """The service worker, for /report and nothing else of this host (Service Workers §7.1)."""
        headers = {**HEADERS, "Cache-Control": AT_ONCE, "Service-Worker-Allowed": "/report"}
        return Response(self._worker(), 200, headers, media_type="text/javascript")

    async def shell(self, request: Request) -> Response:
        """The empty form as it is kept: without the token of one showing."""
        return shell_page(self._hub, language_of(request))

    async def manifest(self, request: Request) -> Response:
        """What the home screen shows."""
        language = language_of(request)
        name = citizen_pages.words()[language]["form_title"]
        body = offline.manifest(name, place="/report", language=language)
        headers = {**HEADERS, "Cache-Control": "public, max-age=3600"}
        return Response(body, 200, headers, media_type="application/manifest+json")

    def _made(self) -> bytes:
        shells = {language: f"/report/app?lang={language}" for language in citizen_pages.LANGUAGES}
        kept = {
            **{place: bytes(shell_page(self._hub, language).body) for language, place in shells.items()},
            f"/report/{sheet.style_name('citizen')}": sheet.style("citizen"),
            f"/report/{offline.script_name(*offline.PAGE)}": offline.script(*offline.PAGE),
            **{f"/report/{name}": offline.icon(name) for name in offline.ICONS},
        }
        outbox = {"name": "tocsin-reports", "address": "/report"}
        return offline.worker("/report", kept, shells, outbox)


async def _script(request: Request) -> Response:
    """The page's script, under a name that changes with its bytes."""
    if f"{request.path_params['name']}.js" != offline.script_name(*offline.PAGE):
        raise NotFound("no such script")
    headers = {**HEADERS, "Cache-Control": FOREVER}
    return Response(offline.script(*offline.PAGE), 200, headers, media_type="text/javascript")


async def _icon(request: Request) -> Response:
    name = f"{request.path_params['name']}.png"
    if name not in offline.ICONS:
        raise NotFound("no such picture")
    headers = {**HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(offline.icon(name), 200, headers, media_type="image/png")
