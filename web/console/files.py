"""The files that came with a report: to be saved as they are, or seen small as drawn anew."""

from collections.abc import Callable

from starlette.responses import Response

from domain.errors import NotFound, Unavailable
from domain.report import Attachment
from store import blobs, reports
from store.unit import Unit
from web import downloads
from web.console.visit import Visit
from web.page import HEADERS

_ALONE = "default-src 'none'; sandbox"  # whatever a browser takes the bytes for, they run and fetch nothing


def attachment(visit: Visit) -> Response:
    """A file that came with the report; only one that belongs to it."""
    file = _file(visit)
    return handed_out(visit, "blob", file.sha256, name=file.name, sha256=file.sha256,
                      body=lambda: visit.hub.blobs.get(file.sha256))  # fmt: skip


def preview(visit: Visit) -> Response:
    """The piece of the report's page that shows one picture, drawn now, or says why there is none."""
    file = _file(visit)
    try:
        picture = visit.hub.thumbnails.get(file.sha256, file.media_type)
    except Unavailable:
        picture = None  # the piece asks again
    base = f"/console/reports/{visit.part('id')}"
    return visit.fragment("preview.html", base=base, file=file, picture=picture, again="load delay:2s")


def thumbnail(visit: Visit) -> Response:
    """The picture itself, of our own making; never a byte of the sender's (H37)."""
    file = _file(visit)
    picture = visit.hub.thumbnails.get(file.sha256, file.media_type)
    if not picture.jpeg:
        raise NotFound("no preview")
    headers = {**HEADERS, "Content-Security-Policy": _ALONE, "Content-Disposition": "inline"}
    return Response(picture.jpeg, 200, headers, media_type="image/jpeg")


def page(visit: Visit) -> Response:
    """One page of a fax or a PDF, of our own making; never a byte of the sender's (H37)."""
    file, number = _file(visit), visit.part("n")
    if not (number.isascii() and number.isdigit() and len(number) <= 3):
        raise NotFound("no such page")
    picture = visit.hub.thumbnails.page(file.sha256, int(number))
    if not picture.jpeg:
        raise NotFound("no such page")
    headers = {**HEADERS, "Content-Security-Policy": _ALONE, "Content-Disposition": "inline"}
    return Response(picture.jpeg, 200, headers, media_type="image/jpeg")


def handed_out(
    visit: Visit, what: str, row_id: str, *, name: str, sha256: str, body: Callable[[], bytes]
) -> Response:
    """Bytes of a stranger: by way of the host of files where there is one, else from here as they are saved."""
    who = visit.person.id
    if there := downloads.link(visit.hub, what=what, row_id=row_id, name=name, sha256=sha256, who=who):
        return Response(status_code=303, headers={**HEADERS, "Location": there})
    return download(body(), name, sha256)


def download(body: bytes, name: str, sha256: str) -> Response:
    """Bytes that a browser stores, whatever they are."""
    made = downloads.saved(body, name, sha256)
    for header, value in HEADERS.items():
        made.headers.setdefault(header, value)
    return made


def _file(visit: Visit) -> Attachment:
    """Raises NotFound for a file of another report, or of none."""
    sha256 = visit.part("sha256")

    def work(unit: Unit) -> Attachment:
        report = reports.get(unit, visit.part("id"))
        if report is None or not blobs.is_of_report(unit, report.id, sha256):
            raise NotFound("no such file")
        unnamed = Attachment(sha256=sha256, name=sha256, media_type="", declared_type="", size=0)
        return next((a for a in report.content.attachments if a.sha256 == sha256), unnamed)

    return visit.read(work)
