"""Every address of the desk."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import NotFound
from hub.wiring import Hub
from templates import pages
from web.auth import Doorkeeper
from web.console import calls, drafts, endings, queue, recipients, releases, reports
from web.console.visit import act, page
from web.page import HEADERS

YEAR = 365 * 86400  # s; the name of the style sheet changes with its bytes


def routes(hub: Hub) -> list[Route]:
    """The desk, with its login. Mount before anything that catches all paths."""
    shown = {
        "/console": queue.queue,
        "/console/find": queue.find,
        "/console/shelf": queue.shelf_page,
        "/console/calls/new": calls.new,
        "/console/reports/{id}": reports.show_report,
        "/console/reports/{id}/original": reports.original,
        "/console/reports/{id}/attachments/{sha256}": reports.attachment,
        "/console/recipients": recipients.show_list,
        "/console/imports/{id}": recipients.show_import,
        "/console/releases": releases.listed,
        "/console/releases/new": drafts.new,
        "/console/releases/{id}": releases.show_release,
        "/console/releases/{id}/edit": drafts.edit,
        "/console/releases/{id}/update": endings.ask_update,
        **{f"/console/releases/{{id}}/{name}": endings.ask for name in endings.ENDINGS},
        "/console/releases/{id}/artefacts/{artefact}": releases.artefact,
    }
    acts = {
        "/console/shelf/{id}/settle": queue.settle,
        "/console/reports/{id}/{act}": reports.change,
        "/console/imports/{id}/{act}": recipients.decide,
        "/console/releases": drafts.create,
        "/console/releases/keep": drafts.keep,
        "/console/releases/preview": drafts.preview,
        "/console/releases/areas": drafts.find_areas,
        "/console/releases/{id}/edit": drafts.save,
        "/console/releases/{id}/update": endings.update,
        **{f"/console/releases/{{id}}/{name}": endings.end for name in endings.ENDINGS},
        "/console/releases/{id}/{act}": releases.change,
    }
    return [
        *Doorkeeper(hub).routes(),
        Route("/console/{style:str}.css", _style, methods=["GET"]),
        *(Route(path, page(hub, handle), methods=["GET"]) for path, handle in shown.items()),
        Route("/console/recipients/import", recipients.UploadDoor(hub).take, methods=["POST"]),
        Route("/console/calls", calls.CallDoor(hub).take, methods=["POST"]),
        *(Route(path, act(hub, handle), methods=["POST"]) for path, handle in acts.items()),
    ]


async def _style(request: Request) -> Response:
    if f"{request.path_params['style']}.css" != pages.style_name():
        raise NotFound("no such style sheet")
    headers = {**HEADERS, "Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(pages.style(), 200, headers, media_type="text/css")
