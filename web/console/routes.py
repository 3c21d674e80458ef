"""Every address of the desk."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import NotFound
from hub.wiring import Hub
from templates import pages, sheet
from web.auth import Doorkeeper
from web.console import (
    briefs,
    bulletins,
    calls,
    clocks,
    degraded,
    drafts,
    endings,
    files,
    handovers,
    incidents,
    peers,
    queue,
    recipients,
    releases,
    reports,
    secrecy,
    shifts,
    slips,
    tasks,
    trust,
)
from web.console.stream import StreamDoor
from web.console.visit import act, page
from web.live import Live
from web.page import HEADERS

YEAR = 365 * 86400  # s; the names of style sheet and scripts change with their bytes


ACTS = {
    "/console/grants": secrecy.give,
    "/console/grants/{id}/withdraw": secrecy.withdraw,
    "/console/quarantine/{id}/{act}": secrecy.decide,
    "/console/shelf/{id}/settle": queue.settle,
    "/console/shelf/{id}/take_up": queue.take_up,
    "/console/shelf/{id}/reread": bulletins.reread,
    "/console/shelf/{id}/again": queue.again,
    "/console/clocks/rules/{id}/{act}": clocks.decide,
    "/console/briefs": briefs.create,
    "/console/briefs/{id}/{act}": briefs.change,
    "/console/shift/on": shifts.sign_on,
    "/console/shift/off": shifts.sign_off,
    "/console/tasks/{id}/recall": tasks.recall,
    "/console/field/{id}/{act}": tasks.end,
    "/console/slips/{id}": slips.save,
    "/console/slips/{id}/dismiss": slips.dismiss,
    "/console/reports/{id}/{act}": reports.change,
    "/console/reports/{id}/related/{act}": incidents.relate,
    "/console/incidents/{id}/{act}": incidents.change,
    "/console/imports/{id}/{act}": recipients.decide,
    "/console/bulletins/{id}/{act}": bulletins.change,
    "/console/bulletins/{id}/pairs/{pair}/{act}": bulletins.decide,
    "/console/handovers/{act}": handovers.change,
    "/console/senders/{act}": trust.change,
    "/console/peers": peers.add,
    "/console/peers/{id}/{act}": peers.change,
    "/console/releases": drafts.create,
    "/console/releases/keep": drafts.keep,
    "/console/releases/preview": drafts.preview,
    "/console/releases/areas": drafts.find_areas,
    "/console/releases/{id}/edit": drafts.save,
    "/console/releases/{id}/update": endings.update,
    **{f"/console/releases/{{id}}/{name}": endings.end for name in endings.ENDINGS},
    "/console/releases/{id}/{act}": releases.change,
}
SHOWN = {
    "/console": queue.queue,
    "/console/find": queue.find,
    "/console/shelf": queue.shelf_page,
    "/console/degraded": degraded.show,
    "/console/grants": secrecy.listed,
    "/console/quarantine": secrecy.shelf,
    "/console/rows": queue.rows,
    "/console/counts": queue.counts,
    "/console/shift": shifts.show,
    "/console/field": tasks.show,
    "/console/news": incidents.news,
    "/console/briefs": briefs.listed,
    "/console/briefs/new": briefs.new,
    "/console/briefs/{id}": briefs.show,
    "/console/briefs/{id}/print": briefs.printed,
    "/console/briefs/{id}/pdf": briefs.as_pdf,
    "/console/clocks": clocks.show,
    "/console/clocks/late": clocks.late,
    "/console/clocks/rules": clocks.rules,
    "/console/slips/held": slips.held,
    "/console/calls/new": slips.new,
    "/console/calls/kept": calls.kept,
    "/console/calls/{id}": slips.show,
    "/console/calls/{id}/line": slips.line,
    "/console/reports/{id}": reports.show_report,
    "/console/reports/{id}/original": reports.original,
    "/console/reports/{id}/attachments/{sha256}": files.attachment,
    "/console/reports/{id}/attachments/{sha256}/preview": files.preview,
    "/console/reports/{id}/attachments/{sha256}/thumbnail": files.thumbnail,
    "/console/reports/{id}/attachments/{sha256}/pages/{n}": files.page,
    "/console/incidents": incidents.listed,
    "/console/incidents/{id}": incidents.show,
    "/console/recipients": recipients.show_list,
    "/console/bulletins": bulletins.listed,
    "/console/bulletins/{id}": bulletins.show_bulletin,
    "/console/bulletins/{id}/original": bulletins.original,
    "/console/handovers": handovers.board,
    "/console/handovers/turned_down": handovers.turned_down,
    "/console/senders": trust.lists,
    "/console/peers": peers.listed,
    "/console/imports/{id}": recipients.show_import,
    "/console/releases": releases.listed,
    "/console/releases/new": drafts.new,
    "/console/releases/{id}": releases.show_release,
    "/console/releases/{id}/edit": drafts.edit,
    "/console/releases/{id}/update": endings.ask_update,
    **{f"/console/releases/{{id}}/{name}": endings.ask for name in endings.ENDINGS},
    "/console/releases/{id}/artefacts/{artefact}": releases.artefact,
}


def routes(hub: Hub, live: Live) -> list[Route]:
    """The desk, with its login. Mount before anything that catches all paths."""
    return [
        *Doorkeeper(hub).routes(),
        Route("/console/{style:str}.css", _style, methods=["GET"]),
        Route("/console/static/{script:str}", _script, methods=["GET"]),
        Route("/console/stream", StreamDoor(hub, live), methods=["GET"]),
        *(Route(path, page(hub, handle), methods=["GET"]) for path, handle in SHOWN.items()),
        Route("/console/recipients/import", recipients.UploadDoor(hub).take, methods=["POST"]),
        Route("/console/calls", calls.CallDoor(hub).take, methods=["POST"]),
        *(Route(path, act(hub, handle), methods=["POST"]) for path, handle in ACTS.items()),
    ]


async def _style(request: Request) -> Response:
    if f"{request.path_params['style']}.css" != sheet.style_name("console"):
        raise NotFound("no such style sheet")
    return _for_ever(sheet.style("console"), "text/css")


async def _script(request: Request) -> Response:
    body = pages.scripts().get(request.path_params["script"])
    if body is None:
        raise NotFound("no such script")
    return _for_ever(body, "text/javascript")


def _for_ever(body: bytes, media_type: str) -> Response:
    headers = {**HEADERS, "Cache-Control": f"public, max-age={YEAR}, immutable"}
    return Response(body, 200, headers, media_type=media_type)
